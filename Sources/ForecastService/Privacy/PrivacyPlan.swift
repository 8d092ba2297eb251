package import Foundation
import Postgres
import Privacy

/// How many more charges of one kind a budget bears, and what noise would make it last.
package struct PrivacyPlan: Sendable {
  package let budget: PrivacyBudget
  package let spent: EpsilonAmount
  /// Charges wanted until the date: the first at the beginning, one each period.
  package let wanted: Int
  /// Of these, how many are admitted; exactly as many as reservations would be if nobody else charges.
  package let fitting: Int
  /// Total after those that fit.
  package let spentAfter: EpsilonAmount
  /// When the first is refused; nil when all fit.
  package let refusedAt: Date?
  /// The smallest noise multiplier with which all wanted fit; nil when no noise does. At most the
  /// one given when that suffices.
  package let lastingNoiseMultiplier: Double?

  /// One charge, once each period.
  package struct Schedule: Sendable {
    package let every: TimeSpan
    package let from: Date
    package let until: Date

    /// - Throws: `ServiceError.badArgument` when it ends before it begins, or has more than a million charges.
    package init(every: TimeSpan, from: Date, until: Date) throws {
      guard until > from else {
        throw ServiceError(
          .badArgument,
          "the plan ends \(until.formatted(.iso8601)), which is not after \(from.formatted(.iso8601))"
        )
      }
      self.every = every
      self.from = from
      self.until = until
      guard until.timeIntervalSince(from) / Double(every.seconds) <= 1e6 else {
        throw ServiceError(.badArgument, "more than a million charges: take a longer period")
      }
    }

    /// Instants from the first on that are before the end.
    package var count: Int {
      Int((until.timeIntervalSince(from) / Double(every.seconds)).rounded(.up))
    }

    package func instant(_ index: Int) -> Date {
      from.addingTimeInterval(Double(index) * Double(every.seconds))
    }
  }

  init(
    budget: PrivacyBudget, charges: [ListBudgetCharges.Row], samplingRate: Double,
    noiseMultiplier: Double, steps: Int, schedule: Schedule
  ) throws {
    self.budget = budget
    spent = charges.last?.composed ?? .zero
    wanted = schedule.count
    var before = PrivacyComposition()
    for charge in charges { try before.add(charge.mechanism) }
    let mark = spent
    /// Total after `count` charges; nil when the last is refused.
    func total(_ count: Int, noise: Double) throws -> EpsilonAmount? {
      if count == 0 { return mark }
      var all = before
      try all.add(
        .training(samplingRate: samplingRate, noiseMultiplier: noise, steps: steps), times: count)
      guard let composed = try all.epsilon(atDelta: budget.deltaLimit) else { return nil }
      let sum = max(composed, mark + EpsilonAmount(quanta: Int128(count)))
      return sum <= budget.epsilonLimit ? sum : nil
    }

    var low = (count: 0, total: mark)
    var high = wanted + 1
    while high - low.count > 1 {
      // Near what fits if epsilon grew evenly, doubling at first.
      let middle =
        high > wanted ? min(wanted, max(1, 2 * low.count)) : (low.count + high) / 2
      if let sum = try total(middle, noise: noiseMultiplier) {
        low = (middle, sum)
        if middle == wanted { break }
      } else {
        high = middle
      }
    }
    // The accountant is exact to some digits only, so the totals may waver at the edge: reservations are
    // refused from the first that is too much.
    for count in stride(from: low.count - 1, to: max(0, low.count - 3), by: -1) where count > 0 {
      if try total(count, noise: noiseMultiplier) == nil {
        low = (count - 1, try total(count - 1, noise: noiseMultiplier) ?? mark)
      }
    }
    fitting = low.count
    spentAfter = low.total
    refusedAt = fitting < wanted ? schedule.instant(fitting) : nil
    lastingNoiseMultiplier = try Self.noise(from: noiseMultiplier) { [wanted] noise in
      try total(wanted, noise: noise) != nil
    }
  }

  /// The smallest noise for which `lasts` holds, to a thousandth, by bisection on its logarithm; what is returned was
  /// tried.
  private static func noise(from start: Double, lasts: (Double) throws -> Bool) throws -> Double? {
    var high = start
    while try !lasts(high) {
      high *= 2
      if high > 1e9 { return nil }
    }
    var low = high / 2
    while try lasts(low) {
      high = low
      low /= 2
      if low < NoiseCalibration.leastNoise { return high }
    }
    while high > low * 1.001 {
      let middle = (low * high).squareRoot()
      if try lasts(middle) { high = middle } else { low = middle }
    }
    return high
  }
}

extension PrivacyLedger {
  /// One plan per block of the account, or of the blocks named.
  ///
  /// - Throws: `ServiceError.unknownBudget`, `.badArgument`.
  package func plan(
    account: String, blocks: [String] = [], samplingRate: Double, noiseMultiplier: Double,
    steps: Int, schedule: PrivacyPlan.Schedule
  ) async throws -> [PrivacyPlan] {
    // Refuses bad numbers before anything is looked up.
    _ = try PrivacyMechanism.training(
      samplingRate: samplingRate, noiseMultiplier: noiseMultiplier, steps: steps)
    let found = try await pool.withTransaction(.snapshot) { connection in
      let budgets = try await connection.run(FindPrivacyBudgets(account: account))
      guard !budgets.isEmpty else { throw Self.unknown(account) }
      let chosen =
        blocks.isEmpty
        ? budgets : try PrivacyScope.blocks(blocks).select(from: budgets, account: account)
      var found: [(PrivacyBudget, [ListBudgetCharges.Row])] = []
      for budget in chosen {
        found.append((budget, try await connection.run(ListBudgetCharges(budgetID: budget.id))))
      }
      return found
    }
    return try found.map { budget, charges in
      try PrivacyPlan(
        budget: budget, charges: charges, samplingRate: samplingRate,
        noiseMultiplier: noiseMultiplier, steps: steps, schedule: schedule)
    }
  }

  /// Opens a budget.
  ///
  /// - Throws: `ServiceError.badArgument` when a number is impossible, the block exists or overlaps another, or the
  ///   account protects another unit; `PostgresError` 42501 for who is no operator.
  package func open(
    account: String, unit: ProtectedUnit, block: String = "all", blockFrom: Date? = nil,
    blockUntil: Date? = nil, epsilon limit: EpsilonAmount, delta: Double, validFrom: Date? = nil,
    validUntil: Date? = nil, note: String? = nil
  ) async throws {
    guard limit > .zero, limit < .limit else {
      throw ServiceError(
        .badArgument, "epsilon is \(limit), expected a number above 0 and below 1e15")
    }
    guard delta > 0, delta < 1 else {
      throw ServiceError(.badArgument, "delta is \(delta), expected a number between 0 and 1")
    }
    do {
      _ = try await pool.run(
        InsertPrivacyBudget(
          account: account, unit: unit, block: block, blockFrom: blockFrom,
          blockUntil: blockUntil, epsilonLimit: limit, deltaLimit: delta, validFrom: validFrom,
          validUntil: validUntil, note: note))
    } catch let error as PostgresError where error.sqlState?.hasPrefix("23") == true {
      let message =
        switch error.constraint {
        case "privacy_budget_account_block_key":
          "account \(account) has a block \(block) already: a budget is never changed"
        case "privacy_budget_account_check", "privacy_budget_block_check":
          "names of accounts and blocks are made of lower-case letters, digits, '.', '_' and '-', found \"\(account)\" and \"\(block)\""
        case "privacy_budget_block_has_length": "the block ends before it begins"
        case "privacy_budget_valid_for_a_time": "the budget ends before it begins"
        default: error.message + (error.hint.map { ": \($0)" } ?? "")
        }
      throw ServiceError(.badArgument, message)
    }
  }

  /// Budgets and charges of one account, or of all.
  package struct Statement: Sendable {
    package let budgets: [ListPrivacy.Row]
    package let charges: [ListPrivacyCharges.Row]
    /// What is wrong with the ledger, one sentence each: rows that do not follow from those before them, and charges
    /// that this machine has seen and the database does not know.
    package let faults: [String]
    /// All of it as one JSON object.
    package let json: String
  }

  /// - Throws: `ServiceError.unknownBudget` when the account is named and not there.
  package func statement(account: String?) async throws -> Statement {
    try await pool.withTransaction(.snapshot) { connection in
      let budgets = try await connection.run(ListPrivacy(account: account))
      if let account, budgets.isEmpty { throw Self.unknown(account) }
      let charges = try await connection.run(ListPrivacyCharges(account: account))
      let broken = charges.filter { !$0.isIntact }.map {
        "charge \($0.number) of privacy account \($0.account), block \($0.block), does not follow from those before it: rows were altered or removed by someone with the rights of the database's owner"
      }
      return Statement(
        budgets: budgets, charges: charges,
        faults: try broken + (witness?.faults(budgets, charges) ?? []),
        json: try await connection.run(DescribePrivacy(account: account)).first ?? "{}")
    }
  }
}
