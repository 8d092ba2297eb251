import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

/// Accounts with a budget for each block of time.
@Suite(
  "Privacy budgets by block of time", .requiresDatabase, .temporaryDatabase(migrated),
  .tags(.database))
struct PrivacyBlockTests {
  private static func day(_ text: String) throws -> Date {
    try #require(Cutoff.instant(text, in: .gmt))
  }

  private func opened(
    _ epsilon: String = "1", period: BlockPeriod = .month, timezone: String = "UTC",
    connections: Int = 8
  ) async throws -> LedgerService {
    let service = try LedgerService(connections: connections)
    try await service.ledger.open(
      PrivacyBlockRule(
        account: "people", unit: .series, period: period, timezone: timezone,
        epsilonLimit: #require(EpsilonAmount(epsilon)), deltaLimit: 1e-6))
    return service
  }

  private func request(
    _ cutoff: String, history: Int, period: BlockPeriod = .month, epsilon: Double = 0.25
  ) throws -> PrivacyLedger.Request {
    PrivacyLedger.Request(
      account: "people", unit: .series,
      scope: .history(.init(period: period, blocks: history), cutoff: try Self.day(cutoff)),
      mechanism: try .release(epsilon: epsilon, delta: 0))
  }

  private func spent(_ service: LedgerService) async throws -> [String: String] {
    try await service.ledger.statement(account: "people").budgets.reduce(into: [:]) {
      $0[$1.block] = $1.spent.description
    }
  }

  @Test(
    "a run pays in the blocks that it trains on, which appear as it needs them; others keep theirs")
  func pays() async throws {
    let service = try await opened()
    let claims = try await service.attempts(5)
    #expect(try await service.ledger.statement(account: "people").accounts.first?.budgets == 0)
    func reserve(_ cutoff: String, _ history: Int, _ index: Int) async throws -> [String] {
      try await service.ledger.reserve(
        request(cutoff, history: history), token: claims[index].token
      ).map(\.block)
    }
    #expect(try await reserve("2026-01-31 23:59", 2, 0) == ["2025-12", "2026-01"])
    #expect(try await reserve("2026-02-01", 2, 1) == ["2026-01", "2026-02"])
    #expect(try await reserve("2026-02-15", 1, 2) == ["2026-02"])
    #expect(
      try await spent(service) == ["2025-12": "0.25", "2026-01": "0.5", "2026-02": "0.5"])
    let account = try #require(try await service.ledger.statement(account: "people").accounts.first)
    #expect(account.worstBlock == "2026-02" && account.left.description == "0.5")
    #expect(account.blockPeriod == "month" && account.runs == 3 && account.budgets == 3)
    // March is fresh, February has 0.5: all or nothing.
    await #expect(throws: ServiceError.self) {
      try await service.ledger.reserve(
        request("2026-03-01", history: 2, epsilon: 0.75), token: claims[3].token)
    }
    #expect(try await spent(service)["2026-03"] == nil, "nothing stays of a run that was refused")
    let alone = try await service.ledger.reserve(
      request("2026-03-01", history: 1, epsilon: 0.75), token: claims[3].token)
    #expect(alone.map(\.block) == ["2026-03"])
    let bounds = try #require(alone.first)
    #expect(try bounds.blockFrom == Self.day("2026-03-01"))
    #expect(try bounds.blockUntil == Self.day("2026-04-01"))
    await service.close()
  }

  @Test("blocks begin at midnight of the account's time zone, also where the clock changes")
  func zones() async throws {
    let service = try await opened(period: .day, timezone: "Europe/Paris")
    let claim = try await service.attempts(1)[0]
    let receipts = try await service.ledger.reserve(
      request("2020-10-25 23:30", history: 2, period: .day), token: claim.token)
    #expect(receipts.map(\.block) == ["2020-10-25", "2020-10-26"])
    #expect(try receipts[0].blockFrom == Self.day("2020-10-24 22:00"))
    #expect(try receipts[0].blockUntil == Self.day("2020-10-25 23:00"))
    await service.close()
  }

  @Test("of 32 at once over blocks that overlap, each block admits exactly what it bears")
  func concurrent() async throws {
    let service = try await opened(connections: 16)
    let claims = try await service.attempts(32)
    let admitted = try await withThrowingTaskGroup(of: [String].self) { group in
      for (index, claim) in claims.enumerated() {
        group.addTask {
          let cutoff = ["2026-01-15", "2026-02-15", "2026-03-15", "2026-04-15"][index % 4]
          do {
            return try await service.ledger.reserve(
              request(cutoff, history: 1 + index % 3, epsilon: 0.3), token: claim.token
            ).map(\.block)
          } catch let error as ServiceError where error.code == .privacyBudget {
            return []
          }
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    let counts = admitted.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
    #expect(counts.values.allSatisfy { $0 <= 3 } && counts.values.contains(3), "\(counts)")
    let statement = try await service.ledger.statement(account: "people")
    for budget in statement.budgets {
      #expect(budget.charges == Int64(counts[budget.block] ?? 0))
      #expect(budget.spent <= budget.limit)
    }
    #expect(statement.faults.isEmpty)
    await service.close()
  }

  @Test(
    "account and run must agree on blocks; nobody makes a block by hand, or a rule over budgets")
  func refusals() async throws {
    let service = try await opened()
    let token = try await service.attempts(1)[0].token
    func refused(_ words: String, _ body: () async throws -> Void) async {
      let error = await #expect(throws: ServiceError.self, "\(words)") { try await body() }
      #expect(
        error?.code == .badArgument && error?.message.contains(words) == true,
        "\(error?.message ?? "")")
    }
    await refused("each month") {
      _ = try await service.ledger.reserve(
        request("2026-01-01", history: 1, period: .week), token: token)
    }
    await refused("privacy.block: month") {
      _ = try await service.ledger.reserve(.release(), token: token)
    }
    func open(_ block: String, _ epsilon: String, _ from: String, _ until: String) async throws {
      try await service.ledger.open(
        account: "people", unit: .series, block: block, blockFrom: Self.day(from),
        blockUntil: Self.day(until), epsilon: #require(EpsilonAmount(epsilon)), delta: 1e-6)
    }
    await refused("appear by themselves") {
      try await open("2026-01", "5", "2026-01-01", "2026-02-01")
    }
    await refused("appear by themselves") {
      try await open("mine", "1", "2026-01-01", "2026-02-01")
    }
    try await open("2026-01", "1", "2026-01-01", "2026-02-01")  // as the rule says
    try await service.ledger.open(
      account: "all", unit: .series, epsilon: #require(EpsilonAmount("1")), delta: 1e-6)
    func rule(_ account: String, _ timezone: String = "UTC") async throws {
      try await service.ledger.open(
        PrivacyBlockRule(
          account: account, unit: .series, period: .day, timezone: timezone,
          epsilonLimit: #require(EpsilonAmount("1")), deltaLimit: 1e-6))
    }
    await refused("has budgets already") { try await rule("all") }
    try await rule("twice")
    await refused("never changed") { try await rule("twice") }
    await refused("no time zone") { try await rule("other", "Mars/Olympus") }
    await refused("no budgets by block") {
      _ = try await service.ledger.reserve(
        PrivacyLedger.Request(
          account: "all", unit: .series,
          scope: .history(.init(period: .month, blocks: 1), cutoff: Date()),
          mechanism: .release(epsilon: 0.1, delta: 0)), token: token)
    }
    let failure = await #expect(throws: ClusterProbe.Failure.self) {
      try await service.service.database.execute(
        "UPDATE forecast.privacy_block_rule SET epsilon_limit = 9")
    }
    #expect(failure?.sqlState == "23001")
    await service.close()
  }

  @Test("a plan follows each refit through its blocks: as many fit as reservations do")
  func plan() async throws {
    let service = try await opened("1.2")
    let claims = try await service.attempts(41)
    func training() throws -> PrivacyMechanism {
      try .training(samplingRate: 0.01, noiseMultiplier: 2, steps: 200)
    }
    func reserve(_ cutoff: Date, _ index: Int) async throws {
      _ = try await service.ledger.reserve(
        PrivacyLedger.Request(
          account: "people", unit: .series,
          scope: .history(.init(period: .month, blocks: 2), cutoff: cutoff),
          mechanism: training()), token: claims[index].token)
    }
    let from = try Self.day("2026-01-05")
    try await reserve(from.addingTimeInterval(-86_400), 40)
    let schedule = try PrivacyPlan.Schedule(
      every: #require(TimeSpan("3 days")), from: from,
      until: from.addingTimeInterval(40 * 3 * 86_400))
    func plan(noise: Double) async throws -> PrivacyPlan {
      let plans = try await service.ledger.plan(
        account: "people", history: 2,
        charge: .training(samplingRate: 0.01, noiseMultiplier: noise, steps: 200),
        schedule: schedule)
      #expect(plans.count == 1)
      return plans[0]
    }
    let found = try await plan(noise: 2)
    let lasting = try await plan(noise: #require(found.lastingNoiseMultiplier))
    #expect(lasting.fitting == 40 && lasting.refusedAt == nil)
    var done = 0
    var refused: Date?
    for index in 0..<40 {
      do {
        try await reserve(schedule.instant(index), index)
        done += 1
      } catch let error as ServiceError where error.code == .privacyBudget {
        refused = refused ?? schedule.instant(index)
      }
    }
    #expect(done == found.fitting && done > 5 && done < 40, "\(done), \(found.fitting)")
    #expect(refused == found.refusedAt)
    let worst = try #require(try await service.ledger.statement(account: "people").accounts.first)
    #expect(worst.spent == found.spentAfter, "\(worst.spent), \(found.spentAfter)")
    await #expect(throws: ServiceError.self) {
      try await service.ledger.plan(
        account: "people",
        charge: .training(samplingRate: 0.01, noiseMultiplier: 2, steps: 200), schedule: schedule)
    }
    await service.close()
  }
}
