package import Foundation

/// What an account protects: what the sampler of a training draws and clips as one (docs/privacy.md, Units).
package enum ProtectedUnit: Sendable, Hashable, CustomStringConvertible {
  case series
  /// A stretch of time of a series.
  case block(steps: Int)
  /// A window of context and horizon.
  case window(steps: Int)
  /// Who adds to the values of each time slot no more than a declared sensitivity; of noise on inputs.
  case person

  package static let names = ["series", "block", "window", "person"]

  /// - Throws: `ServiceError.badArgument` for an unknown name, and unless a block or a window, and nothing else, has a
  ///   length of at least 2 steps.
  package init(name: String, steps: Int?) throws {
    switch (name, steps) {
    case ("series", nil): self = .series
    case ("person", nil): self = .person
    case ("block", let steps?) where steps >= 2: self = .block(steps: steps)
    case ("window", let steps?) where steps >= 2: self = .window(steps: steps)
    default:
      throw ServiceError(
        .badArgument,
        "the unit is \(name)\(steps.map { " of \($0) steps" } ?? ""), expected series, person, or block or window with a length of at least 2 steps"
      )
    }
  }

  package var name: String {
    switch self {
    case .series: "series"
    case .block: "block"
    case .window: "window"
    case .person: "person"
    }
  }

  /// Its length; nil for a series and a person.
  package var steps: Int? {
    switch self {
    case .series, .person: nil
    case .block(let steps), .window(let steps): steps
    }
  }

  package var description: String { steps.map { "\(name) of \($0) steps" } ?? name }
}

/// What may be spent on the data of one block of time; a row of `forecast.privacy_budget`.
package struct PrivacyBudget: Sendable {
  package let id: Int64
  /// The same in every copy of the database.
  package let key: UUID
  package let account: String
  package let unit: ProtectedUnit
  package let block: String
  /// Time stamps of the data that the block covers, from the first up to before the second; nil: open.
  package let blockFrom: Date?
  package let blockUntil: Date?
  package let epsilonLimit: EpsilonAmount
  package let deltaLimit: Double
  package let validFrom: Date
  package let validUntil: Date?
  package let isValid: Bool

  /// `account mobility, block 2026`.
  var label: String { "account \(account)" + (block == "all" ? "" : ", block \(block)") }
}

/// Lengths of the blocks of time that an account may have budgets for; as in `forecast.privacy_block_rule`.
package enum BlockPeriod: String, Codable, Sendable, CaseIterable {
  case day, week, month, quarter, year
}

/// An account whose budgets are by block of time; a row of `forecast.privacy_block_rule`.
package struct PrivacyBlockRule: Sendable {
  package let account: String
  package let unit: ProtectedUnit
  package let period: BlockPeriod
  package let timezone: String
  /// Of each block.
  package let epsilonLimit: EpsilonAmount
  package let deltaLimit: Double

  package init(
    account: String, unit: ProtectedUnit, period: BlockPeriod, timezone: String,
    epsilonLimit: EpsilonAmount, deltaLimit: Double
  ) {
    self.account = account
    self.unit = unit
    self.period = period
    self.timezone = timezone
    self.epsilonLimit = epsilonLimit
    self.deltaLimit = deltaLimit
  }
}

/// Which blocks of an account a run touches.
package enum PrivacyScope: Sendable, Hashable {
  /// The block of time of a cutoff and those before it; of accounts whose budgets are by block of time.
  case history(History, cutoff: Date)
  /// These, by name. The caller vouches that the run reads nothing else.
  case blocks([String])
  /// All that overlap these time stamps of the data, from the first up to and including the last; nil: without an
  /// end. Blocks must cover all of it: data that belong to no block have no budget.
  case period(from: Date?, through: Date?)

  /// Whatever the data hold.
  package static let everything = PrivacyScope.period(from: nil, through: nil)

  /// So many blocks of time, the one of the cutoff included.
  package struct History: Sendable, Hashable {
    package let period: BlockPeriod
    package let blocks: Int

    package static let mostBlocks = 1000

    package init(period: BlockPeriod, blocks: Int) {
      self.period = period
      self.blocks = blocks
    }
  }

  /// - Throws: `ServiceError.unknownBudget` when a block is missing.
  func select(from budgets: [PrivacyBudget], account: String) throws -> [PrivacyBudget] {
    switch self {
    case .history: return budgets  // chosen by the database, which makes those that are new
    case .blocks(let names):
      let chosen = budgets.filter { names.contains($0.block) }
      if let missing = names.first(where: { name in !chosen.contains { $0.block == name } }) {
        throw ServiceError(
          .unknownBudget,
          "privacy account \(account) has no block \(missing), only \(budgets.map(\.block).joined(separator: ", "))"
        )
      }
      return chosen
    case .period(let from, let through):
      let first = from ?? .distantPast
      let last = through ?? .distantFuture
      let touched = budgets.filter {
        ($0.blockFrom ?? .distantPast) <= last && ($0.blockUntil.map { $0 > first } ?? true)
      }
      // Side by side in time, so sorted by their beginnings they either join or leave a gap.
      var covered = first
      var isCovered = false
      for budget in touched.sorted(by: {
        ($0.blockFrom ?? .distantPast) < ($1.blockFrom ?? .distantPast)
      }) {
        guard (budget.blockFrom ?? .distantPast) <= covered else { break }
        guard let end = budget.blockUntil else {
          isCovered = true
          break
        }
        covered = end
        if end > last { isCovered = true }
      }
      guard isCovered else {
        let gap =
          covered == .distantPast ? "before the first block" : "at \(covered.formatted(.iso8601))"
        throw ServiceError(
          .unknownBudget,
          "privacy account \(account) has no block for data \(gap): limit the data of the job to its blocks (\(budgets.map(\.block).joined(separator: ", "))), or open a block with `forecastctl privacy budget create`"
        )
      }
      return touched
    }
  }
}
