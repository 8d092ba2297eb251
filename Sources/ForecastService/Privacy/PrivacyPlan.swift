package import Foundation
import Postgres
import Privacy

/// How many more charges of one kind an account bears, and what noise would make it last.
package struct PrivacyPlan: Sendable {
  package let account: String
  /// The block that has least left after the plan.
  package let block: String
  package let limit: EpsilonAmount
  package let delta: Double
  /// Of that block, now.
  package let spent: EpsilonAmount
  /// Charges wanted until the date: the first at the beginning, one each period.
  package let wanted: Int
  /// Of these, how many are admitted; exactly as many as reservations would be if nobody else charges.
  package let fitting: Int
  /// Total of the block after those that fit.
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

  /// What one refit is.
  struct Refit: Sendable {
    let charge: PrivacyMechanism
    let noiseMultiplier: Double

    /// - Throws: `ServiceError.badArgument` for a release, which has no noise to plan with.
    init(_ charge: PrivacyMechanism) throws {
      guard let noise = charge.noiseMultiplier else {
        throw ServiceError(.badArgument, "a release has no noise to plan with")
      }
      self.charge = charge
      noiseMultiplier = noise
    }

    func mechanism(noise: Double) throws -> PrivacyMechanism {
      try charge.with(noiseMultiplier: noise)
    }
  }

  /// A block of time, what was charged to it, and which of the plan's charges touch it: those of a range, as both
  /// go on in time.
  struct Block: Sendable {
    let name: String
    let limit: EpsilonAmount
    let delta: Double
    let charges: [PrivacyMechanism]
    let spent: EpsilonAmount
    let touchedBy: Range<Int>
  }

  /// - Parameter blocks: at least one; each charge of the schedule has to be admitted in all that it touches.
  init(account: String, blocks: [Block], refit: Refit, schedule: Schedule) throws {
    self.account = account
    wanted = schedule.count
    var bearing: [[PrivacyMechanism: Int]: Capacity] = [:]
    /// Charges that the block bears, no more than touch it, and what they come to.
    func capacity(_ block: Block) throws -> Capacity {
      // Blocks with equal charges bear equally many: most have none yet.
      let key = block.charges.reduce(into: [:]) { $0[$1, default: 0] += 1 }
      if let found = bearing[key], found.wanted >= block.touchedBy.count { return found }
      let found = try Capacity(block, refit, noise: refit.noiseMultiplier)
      bearing[key] = found
      return found
    }
    let capacities = try blocks.map(capacity)
    var taken = [Int](repeating: 0, count: blocks.count)
    var (admitted, refused) = (0, Int?.none)
    var first = 0
    for charge in 0..<wanted {
      while first < blocks.count, blocks[first].touchedBy.upperBound <= charge { first += 1 }
      let touched = blocks[first...].indices.prefix { blocks[$0].touchedBy.lowerBound <= charge }
      if touched.allSatisfy({ taken[$0] < capacities[$0].count }) {
        for index in touched { taken[index] += 1 }
        admitted += 1
      } else {
        refused = refused ?? charge
      }
    }
    fitting = admitted
    refusedAt = refused.map(schedule.instant)
    let after = try blocks.indices.map {
      try Capacity.total(blocks[$0], refit, count: taken[$0], noise: refit.noiseMultiplier)
        ?? blocks[$0].spent
    }
    let worst =
      blocks.indices.min {
        blocks[$0].limit - after[$0] < blocks[$1].limit - after[$1]
      } ?? 0
    block = blocks[worst].name
    limit = blocks[worst].limit
    delta = blocks[worst].delta
    spent = blocks[worst].spent
    spentAfter = after[worst]
    // Of blocks with equal charges the one that is touched most decides.
    var decisive: [[PrivacyMechanism: Int]: Block] = [:]
    for block in blocks {
      let key = block.charges.reduce(into: [:]) { $0[$1, default: 0] += 1 }
      if decisive[key].map({ $0.touchedBy.count < block.touchedBy.count }) ?? true {
        decisive[key] = block
      }
    }
    lastingNoiseMultiplier = try Self.noise(from: refit.noiseMultiplier) { noise in
      try decisive.values.allSatisfy {
        try Capacity.total($0, refit, count: $0.touchedBy.count, noise: noise) != nil
      }
    }
  }

  /// Blocks in the order of time with the charges that touch them.
  ///
  /// - Parameter touched: by cutoff, then by time.
  static func ranges(
    _ touched: [ListPrivacyBlocks.Row]
  ) -> [(name: String, touchedBy: Range<Int>)] {
    var found: [(name: String, from: Date, touchedBy: Range<Int>)] = []
    var positions: [String: Int] = [:]
    var charge = -1
    var cutoff: Date?
    for row in touched {
      if row.cutoff != cutoff { (cutoff, charge) = (row.cutoff, charge + 1) }
      if let position = positions[row.block] {
        found[position].touchedBy = found[position].touchedBy.lowerBound..<(charge + 1)
      } else {
        positions[row.block] = found.count
        found.append((row.block, row.from, charge..<(charge + 1)))
      }
    }
    return found.sorted { $0.from < $1.from }.map { ($0.name, $0.touchedBy) }
  }

  /// How many charges a block bears.
  private struct Capacity {
    /// How many it was looked for; the block may bear more.
    let wanted: Int
    let count: Int

    /// Total after `count` charges more; nil when the last is refused.
    static func total(
      _ block: Block, _ refit: Refit, count: Int, noise: Double
    ) throws -> EpsilonAmount? {
      if count == 0 { return block.spent }
      var all = PrivacyComposition()
      for charge in block.charges { try all.add(charge) }
      try all.add(refit.mechanism(noise: noise), times: count)
      guard let composed = try all.epsilon(atDelta: block.delta) else { return nil }
      let sum = max(composed, block.spent + EpsilonAmount(quanta: Int128(count)))
      return sum <= block.limit ? sum : nil
    }

    init(_ block: Block, _ refit: Refit, noise: Double) throws {
      wanted = block.touchedBy.count
      var low = 0
      var high = wanted + 1
      func fits(_ count: Int) throws -> Bool {
        try Self.total(block, refit, count: count, noise: noise) != nil
      }
      while high - low > 1 {
        // Near what fits if epsilon grew evenly, doubling at first.
        let middle = high > wanted ? min(wanted, max(1, 2 * low)) : (low + high) / 2
        if try fits(middle) {
          low = middle
          if middle == wanted { break }
        } else {
          high = middle
        }
      }
      // The accountant is exact to some digits only, so the totals may waver at the edge: reservations are
      // refused from the first that is too much.
      for count in stride(from: low - 1, to: max(0, low - 3), by: -1) where count > 0 {
        if try !fits(count) { low = count - 1 }
      }
      count = low
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
  /// One plan for an account whose budgets are by block of time, where a refit pays in each block that it trains on;
  /// else one per block of the account, or of the blocks named, each of which every refit pays for.
  ///
  /// - Parameters:
  ///   - history: blocks of time that a refit trains on; of accounts that have them, and nil for others.
  ///   - charge: of one refit.
  /// - Throws: `ServiceError.unknownBudget`, `.badArgument`.
  package func plan(
    account: String, blocks: [String] = [], history: Int? = nil, charge: PrivacyMechanism,
    schedule: PrivacyPlan.Schedule
  ) async throws -> [PrivacyPlan] {
    let refit = try PrivacyPlan.Refit(charge)
    let found = try await pool.withTransaction(.snapshot) { connection in
      let budgets = try await connection.run(FindPrivacyBudgets(account: account))
      let rule = try await connection.run(FindPrivacyBlockRule(account: account)).first
      func block(_ budget: PrivacyBudget, _ touchedBy: Range<Int>) async throws -> PrivacyPlan.Block
      {
        let charges = try await connection.run(ListBudgetCharges(budgetID: budget.id))
        return PrivacyPlan.Block(
          name: budget.block, limit: budget.epsilonLimit, delta: budget.deltaLimit,
          charges: charges.map(\.mechanism), spent: charges.last?.composed ?? .zero,
          touchedBy: touchedBy)
      }
      guard let rule else {
        guard !budgets.isEmpty else { throw Self.unknown(account) }
        guard history == nil else {
          throw ServiceError(
            .badArgument,
            "privacy account \(account) has no budgets by block of time: leave --history out")
        }
        let chosen =
          blocks.isEmpty
          ? budgets : try PrivacyScope.blocks(blocks).select(from: budgets, account: account)
        var plans: [[PrivacyPlan.Block]] = []
        for budget in chosen { plans.append([try await block(budget, 0..<schedule.count)]) }
        return plans
      }
      guard let history, (1...PrivacyScope.History.mostBlocks).contains(history), blocks.isEmpty
      else {
        throw ServiceError(
          .badArgument,
          "privacy account \(account) has a budget for each \(rule.period.rawValue): say with --history how many of them a refit trains on (1 to \(PrivacyScope.History.mostBlocks)), and no --block"
        )
      }
      guard schedule.count * history <= 1_000_000 else {
        throw ServiceError(
          .badArgument, "more than a million blocks of time to look at: take a longer period")
      }
      let touched = try await connection.run(
        ListPrivacyBlocks(
          rule: rule, history: history, cutoffs: (0..<schedule.count).map(schedule.instant)))
      var all: [PrivacyPlan.Block] = []
      for range in PrivacyPlan.ranges(touched) {
        if let budget = budgets.first(where: { $0.block == range.name }) {
          all.append(try await block(budget, range.touchedBy))
        } else {
          all.append(
            PrivacyPlan.Block(
              name: range.name, limit: rule.epsilonLimit, delta: rule.deltaLimit, charges: [],
              spent: .zero, touchedBy: range.touchedBy))
        }
      }
      return [all]
    }
    return try found.map {
      try PrivacyPlan(account: account, blocks: $0, refit: refit, schedule: schedule)
    }
  }
}
