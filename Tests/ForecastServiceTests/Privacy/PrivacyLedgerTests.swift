import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

@Suite("The privacy ledger", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database))
struct PrivacyLedgerTests {
  private func opened(
    _ epsilon: String = "1", connections: Int = 8, witness: PrivacyWitness? = nil
  ) async throws -> LedgerService {
    let service = try LedgerService(connections: connections, witness: witness)
    try await service.ledger.open(
      account: "people", unit: .series, epsilon: #require(EpsilonAmount(epsilon)), delta: 1e-6)
    return service
  }

  /// Who was admitted when all asked at once.
  private func reserveAll(
    _ service: LedgerService, _ claims: [ClaimTask.Row], _ request: PrivacyLedger.Request
  ) async throws -> [PrivacyLedger.Receipt] {
    try await withThrowingTaskGroup(of: [PrivacyLedger.Receipt].self) { group in
      for claim in claims {
        group.addTask {
          do {
            return try await service.ledger.reserve(request, token: claim.token)
          } catch let error as ServiceError where error.code == .privacyBudget {
            #expect(ExitStatus(describing: error)?.code == 77)
            #expect(error.message.contains("account people"))
            return []
          }
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
  }

  // MARK: Admission

  @Test("of 64 at once that ask for 0.3 of 1.0 exactly three are admitted")
  func three() async throws {
    let service = try await opened(connections: 32)
    let claims = try await service.attempts(64)
    let admitted = try await reserveAll(service, claims, .release())
    #expect(admitted.count == 3)
    #expect(try await service.spent("people").description == "0.9")
    let row = try #require(try await service.ledger.statement(account: "people").budgets.first)
    #expect(row.left.description == "0.1" && row.runs == 3 && row.uncommitted == 3)
    await service.close()
  }

  @Test(
    "64 private trainings at once are admitted as far as their composition reaches, and no further")
  func composed() async throws {
    let service = try await opened("2", connections: 32)
    let claims = try await service.attempts(64)
    let request = try PrivacyLedger.Request.training()
    var alone = PrivacyComposition()
    try alone.add(request.mechanism)
    let single = try #require(try alone.epsilon(atDelta: 1e-6))
    let limit = try #require(EpsilonAmount("2"))
    var fitting = 0
    var last = EpsilonAmount.zero
    while true {
      var all = PrivacyComposition()
      try all.add(request.mechanism, times: fitting + 1)
      let sum = try #require(try all.epsilon(atDelta: 1e-6))
      if sum > limit { break }
      (fitting, last) = (fitting + 1, sum)
    }
    // A sum of epsilons would admit far fewer.
    #expect(
      fitting < 64 && fitting > 2 * Int(limit.quanta / single.quanta), "\(fitting), \(single)")
    let admitted = try await reserveAll(service, claims, request)
    #expect(admitted.count == fitting)
    #expect(try await service.spent("people") == last)
    await service.close()
  }

  @Test(
    "connections killed in the middle lead to no overdraft, and nobody believes in a charge that is not there"
  )
  func killed() async throws {
    let service = try await opened(connections: 24)
    let claims = try await service.attempts(64)
    let killer = Task {
      while !Task.isCancelled {
        try await service.service.database.execute(
          """
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.2
          """)
        try await Task.sleep(for: .milliseconds(15))
      }
    }
    let receipts = try await withThrowingTaskGroup(of: [PrivacyLedger.Receipt].self) { group in
      for claim in claims {
        group.addTask {
          do {
            return try await service.ledger.reserve(.release(), token: claim.token)
          } catch let error as ServiceError where error.code == .privacyBudget {
            return []
          } catch is PostgresError {
            return []
          }
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    killer.cancel()
    _ = try? await killer.value
    // The pool may still hand out a connection that was killed.
    let charges = try await retrying(upTo: .seconds(30)) {
      try await service.ledger.statement(account: "people").charges
    }
    #expect(charges.count <= 3 && charges.map(\.number) == Array(1...max(1, charges.count)))
    #expect(Set(receipts.map(\.number)).isSubset(of: Set(charges.map(\.number))))
    #expect(receipts.count <= charges.count)
    #expect(try await service.spent("people") <= #require(EpsilonAmount("1")))
    await service.close()
  }

  @Test(
    "repeated by the same attempt a reservation is the same charge; with other parameters it is refused"
  )
  func idempotent() async throws {
    let service = try await opened()
    let claim = try await service.attempts(1)[0]
    let first = try await service.ledger.reserve(.release(), token: claim.token)
    let again = try await service.ledger.reserve(.release(), token: claim.token)
    #expect(first.map(\.chargeID) == again.map(\.chargeID))
    let other = await #expect(throws: ServiceError.self) {
      try await service.ledger.reserve(.release(0.2), token: claim.token)
    }
    #expect(other?.code == .badArgument)
    _ = try await service.ledger.reserve(.release(0.2, purpose: "scaling"), token: claim.token)
    #expect(try await service.spent("people").description == "0.500000000001")
    await service.close()
  }

  @Test("a charge too small to be seen raises the total all the same")
  func tiny() async throws {
    let service = try await opened()
    let claims = try await service.attempts(3)
    _ = try await service.ledger.reserve(.training(steps: 1000), token: claims[0].token)
    let before = try await service.spent("people")
    _ = try await service.ledger.reserve(
      .release(.leastNonzeroMagnitude), token: claims[1].token)
    _ = try await service.ledger.reserve(
      .training(rate: 1e-9, noise: 1e6, steps: 1), token: claims[2].token)
    let charges = try await service.ledger.statement(account: "people").charges
    #expect(charges[1].composed.quanta == before.quanta + 1)
    #expect(charges[2].composed > charges[1].composed)
    #expect(charges.allSatisfy { $0.epsilon > .zero })
    await service.close()
  }

  @Test("the account must be there, of the run's unit, and valid now")
  func refusals() async throws {
    let service = try await opened()
    let token = try await service.attempts(1)[0].token
    func code(_ request: PrivacyLedger.Request) async -> ServiceError.Code? {
      await #expect(throws: ServiceError.self) {
        try await service.ledger.reserve(request, token: token)
      }?.code
    }
    #expect(await code(try .release(account: "nobody")) == .unknownBudget)
    #expect(
      await code(
        .init(
          account: "people", unit: .window(steps: 20),
          mechanism: try .release(epsilon: 0.1, delta: 0)))
        == .badArgument)
    #expect(
      await code(
        .init(
          account: "people", unit: .series, mechanism: try .release(epsilon: 0.1, delta: 0),
          delta: 0)) == .badArgument)
    #expect(await code(try .release(1e14)) == .privacyBudget)
    try await service.ledger.open(
      account: "later", unit: .series, epsilon: #require(EpsilonAmount("1")), delta: 1e-6,
      validFrom: Date(timeIntervalSinceNow: 3600))
    #expect(await code(try .release(account: "later")) == .privacyBudget)
    try await service.service.database.execute(
      "INSERT INTO forecast.privacy_budget (account, unit, epsilon_limit, delta_limit, valid_from, valid_until) VALUES ('gone', 'series', 1, 1e-6, now() - interval '2 days', now() - interval '1 day')"
    )
    #expect(await code(try .release(account: "gone")) == .privacyBudget)
    #expect(try await service.service.value("SELECT count(*) FROM forecast.privacy_charge") == "0")
    await service.close()
  }

  @Test("blocks and windows of another length are another unit")
  func lengths() async throws {
    let service = try LedgerService()
    let token = try await service.attempts(1)[0].token
    try await service.ledger.open(
      account: "weeks", unit: .block(steps: 168), epsilon: #require(EpsilonAmount("1")),
      delta: 1e-6)
    func reserve(_ unit: ProtectedUnit) async throws {
      _ = try await service.ledger.reserve(
        .init(account: "weeks", unit: unit, mechanism: .release(epsilon: 0.25, delta: 0)),
        token: token)
    }
    for unit in [ProtectedUnit.series, .window(steps: 168), .block(steps: 24)] {
      let error = await #expect(throws: ServiceError.self) { try await reserve(unit) }
      #expect(error?.code == .badArgument && error?.message.contains("block of 168 steps") == true)
    }
    try await reserve(.block(steps: 168))
    #expect(throws: ServiceError.self) { try ProtectedUnit(name: "series", steps: 3) }
    #expect(throws: ServiceError.self) { try ProtectedUnit(name: "block", steps: nil) }
    #expect(throws: ServiceError.self) { try ProtectedUnit(name: "person", steps: 3) }
    await service.close()
  }

  @Test("a run pays in every block that its data touch, or in none; blocks lie side by side")
  func blocks() async throws {
    let service = try LedgerService()
    let claims = try await service.attempts(4)
    func day(_ text: String) throws -> Date { try #require(Cutoff.instant(text, in: .gmt)) }
    for (block, from, until, epsilon) in [
      ("q1", "2026-01-01", "2026-04-01", "1"), ("q2", "2026-04-01", "2026-07-01", "0.5"),
    ] {
      try await service.ledger.open(
        account: "people", unit: .series, block: block, blockFrom: day(from),
        blockUntil: day(until),
        epsilon: #require(EpsilonAmount(epsilon)), delta: 1e-6)
    }
    for (block, unit, from, until) in [
      ("overlapping", ProtectedUnit.series, "2026-06-30", "2026-08-01"),
      ("q2", .series, "2027-01-01", "2027-02-01"),
      ("backwards", .series, "2028-02-01", "2028-01-01"),
      ("other-unit", .window(steps: 20), "2029-01-01", "2029-02-01"),
      ("Bad Name", .series, "2030-01-01", "2030-02-01"),
    ] {
      let error = await #expect(throws: ServiceError.self) {
        try await service.ledger.open(
          account: "people", unit: unit, block: block, blockFrom: day(from), blockUntil: day(until),
          epsilon: .least, delta: 1e-6)
      }
      #expect(error?.code == .badArgument, "\(error?.message ?? "")")
    }
    func reserve(_ from: String?, _ through: String?, _ index: Int) async throws -> [String] {
      try await service.ledger.reserve(
        .init(
          account: "people", unit: .series,
          scope: .period(from: from.map(day), through: through.map(day)),
          mechanism: .release(epsilon: 0.3, delta: 0)), token: claims[index].token
      ).map(\.block)
    }
    #expect(try await reserve("2026-01-10", "2026-03-31", 0) == ["q1"])
    #expect(try await reserve("2026-01-10", "2026-04-01", 1) == ["q1", "q2"])
    // q2 has 0.2 left: neither block is charged.
    await #expect(throws: ServiceError.self) { try await reserve("2026-01-10", "2026-05-01", 2) }
    let spent = try await service.ledger.statement(account: "people").budgets.map(
      \.spent.description)
    #expect(spent == ["0.6", "0.3"])
    // Data that belong to no block.
    for (from, through) in [
      (nil, "2026-02-01"), ("2026-01-10", nil), ("2025-12-31", "2026-01-02"),
      ("2026-06-30", "2026-07-01"),
    ] {
      let error = await #expect(throws: ServiceError.self) { try await reserve(from, through, 3) }
      #expect(error?.code == .unknownBudget)
    }
    await service.close()
  }

  // MARK: Attempts

  @Test(
    "the next attempt takes over a charge under which nothing was read; one that was begun is lost")
  func takeOver() async throws {
    let service = try await opened()
    let first = try await service.attempts(1)[0]
    let booked = try await service.ledger.reserve(.release(), token: first.token)
    let second = try await service.successor(of: first)
    let taken = try await service.ledger.reserve(.release(), token: second.token)
    #expect(taken.map(\.chargeID) == booked.map(\.chargeID) && taken[0].isTakenOver)
    #expect(try await service.spent("people").description == "0.3")
    // The first wakes up: it may neither begin nor reserve.
    for attempt in [0, 1] {
      let error = await #expect(throws: ServiceError.self) {
        if attempt == 0 {
          try await service.ledger.begin(booked, token: first.token)
        } else {
          _ = try await service.ledger.reserve(.release(), token: first.token)
        }
      }
      #expect(error?.code == .staleAttempt)
    }
    try await service.ledger.begin(taken, token: second.token)
    try await service.ledger.begin(taken, token: second.token)
    let third = try await service.successor(of: second)
    let anew = try await service.ledger.reserve(.release(), token: third.token)
    #expect(anew[0].chargeID != taken[0].chargeID && !anew[0].isTakenOver)
    #expect(try await service.spent("people").description == "0.6")
    let stolen = await #expect(throws: ServiceError.self) {
      try await service.ledger.begin(taken, token: third.token)
    }
    #expect(stolen?.code == .badArgument)
    await service.close()
  }

  @Test(
    "an attempt that ends before its training leaves its charge to the next, once, and not after committing"
  )
  func left() async throws {
    let service = try await opened()
    let first = try await service.attempts(1)[0]
    let booked = try await service.ledger.reserve(.training(), token: first.token)
    await #expect(throws: PostgresError.self, "not begun") {
      try await service.ledger.leave(booked, token: first.token)
    }
    try await service.ledger.begin(booked, token: first.token)
    try await service.ledger.leave(booked, token: first.token)
    try await service.ledger.leave(booked, token: first.token)
    await #expect(throws: PostgresError.self, "left") {
      try await service.pool.withTransaction { connection in
        try await service.ledger.commit(
          booked, token: first.token, stepsTaken: 200, on: connection)
      }
    }
    let spent = try await service.spent("people")
    let second = try await service.successor(of: first)
    let taken = try await service.ledger.reserve(.training(), token: second.token)
    #expect(taken.map(\.chargeID) == booked.map(\.chargeID) && taken[0].isTakenOver)
    try await service.ledger.begin(taken, token: second.token)
    try await service.pool.withTransaction { connection in
      try await service.ledger.commit(taken, token: second.token, stepsTaken: 200, on: connection)
    }
    await #expect(throws: PostgresError.self, "committed") {
      try await service.ledger.leave(taken, token: second.token)
    }
    let charge = try #require(try await service.ledger.statement(account: "people").charges.first)
    #expect(charge.state == "committed" && charge.stepsTaken == 200)
    #expect(try await service.spent("people") == spent)
    // Another training is not paid for by it.
    let third = try await service.successor(of: second)
    let other = try await service.ledger.reserve(.training(steps: 201), token: third.token)
    #expect(other[0].chargeID != taken[0].chargeID)
    await service.close()
  }

  @Test("what was begun is committed with the publication, and the steps not taken stay spent")
  func committed() async throws {
    let service = try await opened()
    let claim = try await service.attempts(1)[0]
    let receipts = try await service.ledger.reserve(.training(), token: claim.token)
    let spent = try await service.spent("people")
    func commit() async throws {
      try await service.pool.withTransaction { connection in
        try await service.ledger.commit(
          receipts, token: claim.token, stepsTaken: 150, on: connection)
      }
    }
    await #expect(throws: PostgresError.self, "not begun") { try await commit() }
    try await service.ledger.begin(receipts, token: claim.token)
    try await commit()
    let charge = try #require(try await service.ledger.statement(account: "people").charges.first)
    #expect(charge.state == "committed" && charge.stepsTaken == 150 && charge.steps == 200)
    #expect(charge.job == "job-1" && charge.runID == claim.runID && charge.isIntact)
    #expect(try await service.spent("people") == spent)
    #expect(
      try await service.ledger.statement(account: "people").budgets.first?.uncommitted == 0)
    await service.close()
  }

  // MARK: Append-only

  @Test(
    "nobody changes the ledger: neither workers nor the owner nor a superuser",
    arguments: ["forecast_worker", "forecast_operator", "forecast_owner", "forecast"])
  func appendOnly(role: String) async throws {
    let service = try await opened()
    let claim = try await service.attempts(1)[0]
    let receipts = try await service.ledger.reserve(.release(), token: claim.token)
    try await service.ledger.begin(receipts, token: claim.token)
    for table in ["privacy_budget", "privacy_charge", "privacy_charge_state"] {
      let column = table == "privacy_budget" ? "note" : "attempt_token"
      for sql in [
        "UPDATE forecast.\(table) SET \(column) = NULL", "DELETE FROM forecast.\(table)",
        "DELETE FROM forecast.\(table) WHERE false", "TRUNCATE forecast.\(table) CASCADE",
      ] {
        let failure = await #expect(throws: ClusterProbe.Failure.self, "\(role): \(sql)") {
          try await service.service.database.execute("SET ROLE \(role); \(sql)")
        }
        #expect(
          failure?.sqlState == (["forecast_owner", "forecast"].contains(role) ? "23001" : "42501"),
          "\(sql): \(failure?.message ?? "")")
      }
    }
    #expect(try await service.spent("people").description == "0.3")
    await service.close()
  }

  @Test("the database itself refuses totals that fall, overdraw or skip, and charges of nobody")
  func enforced() async throws {
    let service = try await opened()
    let claims = try await service.attempts(2)
    _ = try await service.ledger.reserve(.release(0.6), token: claims[0].token)
    func insert(
      number: Int = 2, composed: String = "0.8", token: String? = nil, run: Int64? = nil,
      mechanism: String = "release", rate: String = "NULL", noise: String = "NULL",
      steps: String = "NULL", release: String = "0.2", added: String = "0", epsilon: String = "0.2"
    ) async throws {
      try await service.service.database.execute(
        """
        SET ROLE forecast_worker;
        INSERT INTO forecast.privacy_charge (budget_id, number, run_id, attempt_token, purpose, mechanism,
          sampling_rate, noise_multiplier, steps, release_epsilon, added_delta, delta, epsilon, composed_epsilon)
        SELECT budget_id, \(number), \(run ?? claims[1].runID), '\(token ?? claims[1].token.uuidString)', 'fit',
          '\(mechanism)', \(rate), \(noise), \(steps), \(release), \(added), 1e-6, \(epsilon), \(composed)
        FROM forecast.privacy_budget
        """)
    }
    func refused(_ words: String, _ body: () async throws -> Void) async {
      let failure = await #expect(throws: ClusterProbe.Failure.self, "\(words)") {
        try await body()
      }
      #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "")")
      #expect(failure?.sqlState.hasPrefix("23") == true)
    }
    await refused("number 2") { try await insert(number: 3) }
    await refused("number 2") { try await insert(number: 1) }
    await refused("has spent 0.6") { try await insert(composed: "0.600000000000") }
    await refused("overdrawn") { try await insert(composed: "1.000000000001") }
    await refused("no such running attempt") { try await insert(token: UUID().uuidString) }
    await refused("no such running attempt") { try await insert(run: claims[0].runID) }
    await refused("privacy_charge_epsilon_check") { try await insert(epsilon: "0") }
    await refused("privacy_charge_mechanism_known") { try await insert(mechanism: "laplace") }
    await refused("privacy_charge_parameters_fit") { try await insert(steps: "5") }
    for (rate, noise, steps) in [
      ("0", "1", "1"), ("1.5", "1", "1"), ("'NaN'", "1", "1"), ("0.1", "0", "1"),
      ("0.1", "'Infinity'", "1"),
      ("0.1", "'NaN'", "1"), ("0.1", "1", "0"), ("NULL", "1", "1"),
    ] {
      await refused("privacy_charge_parameters_fit") {
        try await insert(
          mechanism: "subsampled-gaussian", rate: rate, noise: noise, steps: steps, release: "NULL")
      }
    }
    try await insert()
    #expect(try await service.spent("people").description == "0.8")
    await service.close()
  }

  @Test("rows that somebody with all rights altered or removed show in the chain")
  func chain() async throws {
    let service = try await opened()
    for claim in try await service.attempts(4) {
      _ = try await service.ledger.reserve(.release(0.125), token: claim.token)
    }
    func intact() async throws -> [Bool] {
      try await service.ledger.statement(account: "people").charges.map(\.isIntact)
    }
    #expect(try await intact() == [true, true, true, true])
    func tamper(_ sql: String) async throws {
      try await service.service.database.execute(
        "SET session_replication_role = replica; \(sql)")
    }
    try await tamper("UPDATE forecast.privacy_charge SET epsilon = 0.01 WHERE number = 3")
    #expect(try await intact() == [true, true, false, true])
    try await tamper("DELETE FROM forecast.privacy_charge WHERE number IN (1, 3)")
    #expect(try await intact() == [false, false])
    #expect(try await service.ledger.statement(account: "people").faults.count == 2)
    await service.close()
  }

  @Test(
    "an account of 500 charges, each with other parameters, admits the next one as it does the first"
  )
  func many() async throws {
    let service = try await opened("400")
    let claims = try await service.attempts(2)
    // Totals that rise, so that the database takes them; what counts below is composed from the parameters.
    try await service.service.database.execute(
      """
      INSERT INTO forecast.privacy_charge (budget_id, number, run_id, attempt_token, purpose, mechanism,
        sampling_rate, noise_multiplier, steps, added_delta, delta, epsilon, composed_epsilon)
      SELECT budget_id, n, \(claims[0].runID), '\(claims[0].token)', 'fit-' || n, 'subsampled-gaussian',
        0.01 * (1 + n / 1000.0), 2 + n % 7 / 100.0, 100, 0, 1e-6, 0.3, n * 1e-6
      FROM forecast.privacy_budget, generate_series(1, 500) n
      """)
    let start = ContinuousClock.now
    let receipt = try await service.ledger.reserve(.training(), token: claims[1].token)
    let took = start.duration(to: .now)
    #expect(receipt[0].number == 501 && took < .seconds(20), "\(took)")
    var strongest = PrivacyComposition()
    var weakest = PrivacyComposition()
    try strongest.add(.training(samplingRate: 0.015, noiseMultiplier: 2, steps: 100), times: 500)
    try weakest.add(.training(samplingRate: 0.01, noiseMultiplier: 2.06, steps: 100), times: 500)
    #expect(try receipt[0].spent < #require(try strongest.epsilon(atDelta: 1e-6)))
    #expect(try receipt[0].spent > #require(try weakest.epsilon(atDelta: 1e-6)))
    await service.close()
  }

  @Test("a database restored from an older copy is noticed by the machine that saw more")
  func restored() async throws {
    let folder = try TemporaryDirectory()
    let witness = PrivacyWitness(file: URL(fileURLWithPath: folder.path + "/privacy.json"))
    let service = try await opened(witness: witness)
    let claims = try await service.attempts(4)
    for claim in claims[..<2] {
      _ = try await service.ledger.reserve(.release(0.125), token: claim.token)
    }
    // As after a restore: the second charge is gone.
    try await service.service.database.execute(
      "SET session_replication_role = replica; DELETE FROM forecast.privacy_charge WHERE number = 2"
    )
    let error = await #expect(throws: ServiceError.self) {
      try await service.ledger.reserve(.release(0.125), token: claims[2].token)
    }
    #expect(error?.code == .privacyWitness && error?.message.contains("0.25") == true)
    #expect(error.flatMap(ExitStatus.init(describing:))?.code == 78)
    #expect(try await service.ledger.statement(account: nil).faults.count == 1)
    // A machine that has seen nothing does not know better, and makes another second charge: still noticed.
    let other = PrivacyLedger(pool: service.pool)
    _ = try await other.reserve(.release(0.0625), token: claims[3].token)
    await #expect(throws: ServiceError.self) {
      try await service.ledger.reserve(.release(0.125), token: claims[2].token)
    }
    // Nothing but names, numbers and digests is written down.
    let text = try String(contentsOfFile: folder.path + "/privacy.json", encoding: .utf8)
    #expect(text.contains("\"people\"") && text.contains("\"0.25\""))
    await service.close()
  }

  // MARK: Plans

  @Test("a plan says how many refits fit, and that many do; with the noise it names all do")
  func plan() async throws {
    let service = try await opened("2")
    let claims = try await service.attempts(48)
    _ = try await service.ledger.reserve(.release(0.25), token: claims[0].token)
    _ = try await service.ledger.reserve(
      .training(rate: 0.02, noise: 2.5, steps: 100), token: claims[1].token)
    let from = Date(timeIntervalSince1970: 1_790_000_000)
    let week = try #require(TimeSpan("7 days"))
    let schedule = try PrivacyPlan.Schedule(
      every: week, from: from, until: from.addingTimeInterval(40 * 7 * 86_400))
    #expect(schedule.count == 40)
    func plan(noise: Double) async throws -> PrivacyPlan {
      try #require(
        try await service.ledger.plan(
          account: "people",
          charge: .training(samplingRate: 0.01, noiseMultiplier: noise, steps: 200),
          schedule: schedule
        ).first)
    }
    let found = try await plan(noise: 2)
    #expect(found.wanted == 40 && found.fitting > 5 && found.fitting < 40)
    #expect(found.refusedAt == from.addingTimeInterval(Double(found.fitting) * 7 * 86_400))
    let noise = try #require(found.lastingNoiseMultiplier)
    let lasting = try await plan(noise: noise)
    #expect(lasting.fitting == 40 && lasting.refusedAt == nil)
    #expect(try await plan(noise: noise * 0.995).fitting < 40)
    // Planning charged nothing; doing agrees.
    #expect(try await service.ledger.statement(account: "people").charges.count == 2)
    var done = 0
    for claim in claims.dropFirst(2) {
      do {
        let receipt = try await service.ledger.reserve(.training(), token: claim.token)
        done += 1
        if done == found.fitting { #expect(receipt[0].spent == found.spentAfter) }
      } catch let error as ServiceError where error.code == .privacyBudget {
        break
      }
    }
    #expect(done == found.fitting)
    let none = try await plan(noise: 2)
    #expect(none.fitting == 0 && none.refusedAt == from)
    await service.close()
  }

  @Test("a quote says what a reservation would, and books nothing")
  func quote() async throws {
    let service = try await opened()
    let claim = try await service.attempts(1)[0]
    let request = try PrivacyLedger.Request.training()
    let quote = try #require(try await service.ledger.quote(request).first)
    #expect(quote.refusal == nil && quote.spent == .zero)
    #expect(try await service.spent("people") == .zero)
    let receipt = try await service.ledger.reserve(request, token: claim.token)
    #expect(receipt[0].spent == quote.composed)
    let refused = try #require(try await service.ledger.quote(.release(0.99)).first)
    #expect(refused.refusal?.code == .privacyBudget)
    await service.close()
  }
}
