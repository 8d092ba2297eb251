package import Foundation
package import Postgres
import Privacy

/// Reserves, begins and commits what runs spend of a privacy budget.
///
/// The way of a charge, each step a transaction that is committed before the next thing happens:
///
/// 1. ``reserve(_:token:)``, under a lock on the account's budgets: everything spent so far and the new charge are
///    composed, and the charge is booked or refused. From here on it counts.
/// 2. ``begin(_:token:)``, before the first private read, when all that can fail without private data has been
///    tried.
/// 3. The attempt reads, trains, and publishes; ``commit(_:token:stepsTaken:on:)`` is part of the publishing
///    transaction. Or it fails while it reads, and says with ``leave(_:token:)`` that its training did not begin.
///
/// A charge pays for one execution of its mechanism. An attempt that dies before 2, or that lives to leave the charge,
/// has drawn no noise and computed nothing that the mechanism releases: the next attempt at the run takes its charge
/// over, and its training is the first one under it. One that dies after 2, or fails once its training has begun,
/// may have shown what it computed, and to try again until something pleases would be another mechanism: its
/// charge counts in full, and the next attempt needs a new one. There is no way back: no state gives anything
/// back, and steps that were reserved and not taken count.
package struct PrivacyLedger: Sendable {
  /// What a run asks for.
  package struct Request: Sendable {
    package let account: String
    /// What the run's sampler draws and clips as one; must be what the account protects.
    package let unit: ProtectedUnit
    package let scope: PrivacyScope
    package let mechanism: PrivacyMechanism
    /// The delta at which the charge's own epsilon is stated; nil: the budget's.
    package let delta: Double?
    /// What for: one charge per attempt and purpose.
    package let purpose: String

    package init(
      account: String, unit: ProtectedUnit, scope: PrivacyScope = .everything,
      mechanism: PrivacyMechanism, delta: Double? = nil, purpose: String = "fit"
    ) {
      self.account = account
      self.unit = unit
      self.scope = scope
      self.mechanism = mechanism
      self.delta = delta
      self.purpose = purpose
    }
  }

  /// One charge, booked.
  package struct Receipt: Sendable {
    package let chargeID: Int64
    package let account: String
    package let block: String
    /// Time stamps of the data that the charge is for, from the first up to before the second; nil: open.
    package let blockFrom: Date?
    package let blockUntil: Date?
    /// Its number within the budget.
    package let number: Int
    /// Total of the budget after it.
    package let spent: EpsilonAmount
    package let left: EpsilonAmount
    package let delta: Double
    /// Whether an earlier attempt at the run, whose training did not begin, had reserved it.
    package let isTakenOver: Bool

    init(
      _ chargeID: Int64, _ number: Int, in budget: PrivacyBudget, spent: EpsilonAmount,
      isTakenOver: Bool
    ) {
      self.chargeID = chargeID
      self.number = number
      account = budget.account
      block = budget.block
      blockFrom = budget.blockFrom
      blockUntil = budget.blockUntil
      self.spent = spent
      left = budget.epsilonLimit - spent
      delta = budget.deltaLimit
      self.isTakenOver = isTakenOver
    }
  }

  let pool: PostgresPool
  let witness: PrivacyWitness?
  /// Passing failures of the database are waited out for this long.
  private let patience: Duration

  /// - Parameter witness: what this machine remembers of the ledger, outside of the database; nil: nothing.
  package init(
    pool: PostgresPool, witness: PrivacyWitness? = nil, patience: Duration = .seconds(30)
  ) {
    self.pool = pool
    self.witness = witness
    self.patience = patience
  }

  // MARK: Spending

  /// Books the charge in every block that the request touches, or in none.
  ///
  /// Idempotent per attempt and purpose: repeated, it returns the charges that are there.
  ///
  /// - Parameter token: of the running attempt.
  /// - Throws: `ServiceError`: `.privacyBudget` when a budget would be overdrawn or is not valid, with account, asked
  ///   and left; `.unknownBudget`, `.badArgument` (the unit, or parameters that differ from those reserved),
  ///   `.privacyWitness`, `.staleAttempt`.
  package func reserve(_ request: Request, token: UUID) async throws -> [Receipt] {
    let admitted = try await committed { connection in
      try await admit(request, token: token, on: connection)
    }
    // After the commit: what is remembered has happened.
    try witness?.record(admitted.map { ($0.budget, $0.mark) })
    return admitted.map(\.receipt)
  }

  /// Runs `body` in a transaction until the outcome is known. Every body may be repeated: it looks first at what is
  /// there.
  private func committed<R: Sendable>(
    _ body: @Sendable (PostgresConnection) async throws -> R
  ) async throws -> R {
    try await retrying(upTo: patience) {
      for _ in 1...3 {
        do {
          // Each statement has to see what was committed while it waited for a lock.
          return try await pool.withTransaction(.init(isolation: .readCommitted)) { connection in
            try await body(connection)
          }
        } catch let error as PostgresError where error.code == .commitUnknown {
          continue  // asking again finds out, and does what is missing
        }
      }
      throw ServiceError(
        .databaseUnavailable,
        "the connection was lost at every commit to the privacy ledger: whether the charge was booked is unknown, and nothing was read"
      )
    }
  }

  private struct Admitted: Sendable {
    let receipt: Receipt
    let budget: PrivacyBudget
    let mark: PrivacyWitness.Mark
  }

  private func admit(
    _ request: Request, token: UUID, on connection: PostgresConnection
  ) async throws -> [Admitted] {
    guard let runID = try await connection.run(LockAttempt(token: token)).first else {
      throw Self.stale("nothing was reserved")
    }
    let budgets = try await lock(request, on: connection)
    var totals = Totals()
    var admitted: [Admitted] = []
    for budget in budgets {
      let charges = try await connection.run(ListBudgetCharges(budgetID: budget.id))
      try witness?.check(budget, charges)
      func found(_ charge: ListBudgetCharges.Row, takenOver: Bool) -> Admitted {
        let last = charges[charges.count - 1]
        return Admitted(
          receipt: Receipt(
            charge.chargeID, charge.number, in: budget, spent: last.composed,
            isTakenOver: takenOver),
          budget: budget,
          mark: .init(budget, number: last.number, spent: last.composed, digest: last.digest))
      }
      let mine = charges.filter { $0.runID == runID && $0.purpose == request.purpose }
      if let booked = mine.first(where: { $0.token == token }) {
        guard booked.mechanism == request.mechanism else {
          throw ServiceError(
            .badArgument,
            "run \(runID) has reserved other parameters for \(request.purpose) already; nothing more was charged"
          )
        }
        admitted.append(found(booked, takenOver: false))
        continue
      }
      if let left = mine.last(where: { $0.isFree && $0.mechanism == request.mechanism }) {
        admitted.append(found(left, takenOver: true))
        continue
      }
      let quote = try Quote(request, budget: budget, after: charges, &totals)
      admitted.append(
        try await book(request, quote, after: charges.last?.number ?? 0, runID, token, connection))
    }
    return admitted
  }

  /// The budgets that the request touches, locked in the order of their keys.
  private func lock(
    _ request: Request, on connection: PostgresConnection
  ) async throws -> [PrivacyBudget] {
    let rule = try await connection.run(FindPrivacyBlockRule(account: request.account)).first
    guard case .history(let history, let cutoff) = request.scope else {
      let budgets = try await connection.run(LockPrivacyBudgets(account: request.account))
      return try Self.select(request, rule, from: budgets)
    }
    try Self.check(history, rule, request.account)
    let budgets = try await connection.run(
      LockPrivacyBlocks(account: request.account, history: history.blocks, cutoff: cutoff))
    return try Self.select(request, rule, from: budgets)
  }

  private func book(
    _ request: Request, _ quote: Quote, after last: Int, _ runID: Int64, _ token: UUID,
    _ connection: PostgresConnection
  ) async throws -> Admitted {
    let budget = quote.budget
    if let refusal = quote.refusal { throw refusal }
    guard let composed = quote.composed, let alone = quote.alone else {
      throw ServiceError(.internalFault, "\(budget.label): an admitted charge has no epsilon")
    }
    let number = last + 1
    guard
      let row = try await connection.run(
        InsertPrivacyCharge(
          budgetID: budget.id, number: number, runID: runID, token: token,
          purpose: request.purpose, mechanism: request.mechanism,
          delta: request.delta ?? budget.deltaLimit, epsilon: alone, composed: composed)
      ).first
    else { throw ServiceError(.internalFault, "\(budget.label): the charge got no number") }
    return Admitted(
      receipt: Receipt(row.chargeID, number, in: budget, spent: composed, isTakenOver: false),
      budget: budget,
      mark: .init(budget, number: number, spent: composed, digest: row.digest))
  }

  /// Says that the attempt is about to read private data. Returns when that is on record; only then may it read.
  ///
  /// Idempotent per attempt. What can fail without private data (the query's columns, the model's shape) should
  /// have been tried before.
  ///
  /// - Throws: `ServiceError.staleAttempt`; `.badArgument` when another attempt began one of the charges.
  package func begin(_ receipts: [Receipt], token: UUID) async throws {
    try await committed { connection in
      try await enter("begun", receipts, token: token, stepsTaken: nil, on: connection)
    }
  }

  /// Says that the attempt ends and that its training did not begin, so that nothing was computed which the charges
  /// pay for: the next attempt at the run may use them. Nothing is given back.
  ///
  /// - Throws: `ServiceError.staleAttempt`; `PostgresError` when the attempt does not hold a charge.
  package func leave(_ receipts: [Receipt], token: UUID) async throws {
    try await committed { connection in
      try await enter("unused", receipts, token: token, stepsTaken: nil, on: connection)
    }
  }

  /// Says that what the charges paid for is published; part of the caller's publishing transaction.
  ///
  /// - Parameter stepsTaken: for the record; what was reserved stays spent.
  /// - Throws: `ServiceError.staleAttempt`, `.badArgument` when the attempt had not begun the charges.
  package func commit(
    _ receipts: [Receipt], token: UUID, stepsTaken: Int?, on connection: PostgresConnection
  ) async throws {
    try await enter("committed", receipts, token: token, stepsTaken: stepsTaken, on: connection)
  }

  private func enter(
    _ state: String, _ receipts: [Receipt], token: UUID, stepsTaken: Int?,
    on connection: PostgresConnection
  ) async throws {
    guard try await connection.run(LockAttempt(token: token)).first != nil else {
      throw Self.stale("the charge counts, and nothing may be read under it")
    }
    let wanted = receipts.map(\.chargeID)
    let entered = try await connection.run(
      EnterPrivacyChargeState(
        chargeIDs: wanted, state: state, token: token, stepsTaken: stepsTaken))
    guard Set(entered) == Set(wanted) else {
      throw ServiceError(
        .badArgument,
        "a charge to privacy account \(receipts.first?.account ?? "-") was \(state) by another attempt: reserve a new one"
      )
    }
  }

  // MARK: Asking

  /// What the request would come to, without booking anything: one quote per block it touches.
  ///
  /// The answer may be out of date when a reservation follows; ``reserve(_:token:)`` decides.
  package func quote(_ request: Request) async throws -> [Quote] {
    try await pool.withTransaction(.snapshot) { connection in
      let rule = try await connection.run(FindPrivacyBlockRule(account: request.account)).first
      let budgets = try Self.select(
        request, rule,
        from: try await connection.run(FindPrivacyBudgets(account: request.account)))
      var totals = Totals()
      var quotes: [Quote] = []
      for budget in budgets {
        let charges = try await connection.run(ListBudgetCharges(budgetID: budget.id))
        quotes.append(try Quote(request, budget: budget, after: charges, &totals))
      }
      return quotes
    }
  }

  /// The answer to a request.
  package struct Quote: Sendable {
    package let budget: PrivacyBudget
    package let spent: EpsilonAmount
    /// Epsilon of the charge alone; nil beyond what can be booked.
    package let alone: EpsilonAmount?
    /// Total after it; nil beyond what can be booked.
    package let composed: EpsilonAmount?
    /// Why the charge is refused; nil when it is admitted.
    package let refusal: ServiceError?

    init(
      _ request: Request, budget: PrivacyBudget, after charges: [ListBudgetCharges.Row],
      _ totals: inout Totals
    ) throws {
      self.budget = budget
      spent = charges.last?.composed ?? .zero
      let delta = request.delta ?? budget.deltaLimit
      guard delta > 0, delta < 1 else {
        throw ServiceError(.badArgument, "delta is \(delta), expected a number between 0 and 1")
      }
      alone = try totals.epsilon(of: [request.mechanism], atDelta: delta).map { max($0, .least) }
      let all = charges.map(\.mechanism) + [request.mechanism]
      // The mark rises with every charge: one that costs less than rounding, or than the accountant's own
      // last digits, still shows.
      let least = spent + .least
      composed = try totals.epsilon(of: all, atDelta: budget.deltaLimit).map { max($0, least) }
      if !budget.isValid {
        let times = [
          "from \(budget.validFrom.formatted(.iso8601))",
          budget.validUntil.map { "until \($0.formatted(.iso8601))" },
        ].compactMap(\.self).joined(separator: " ")
        refusal = ServiceError(
          .privacyBudget,
          "privacy \(budget.label) admits charges \(times), not now: nothing was charged and nothing read"
        )
      } else if let composed, alone != nil, composed <= budget.epsilonLimit {
        refusal = nil
      } else {
        refusal = Self.overdrawn(budget, spent: spent, alone: alone, composed: composed)
      }
    }

    private static func overdrawn(
      _ budget: PrivacyBudget, spent: EpsilonAmount, alone: EpsilonAmount?,
      composed: EpsilonAmount?
    ) -> ServiceError {
      let left = budget.epsilonLimit - spent
      return ServiceError(
        .privacyBudget,
        """
        privacy \(budget.label): epsilon would come to \(composed.map(PrivacyText.epsilon) ?? "more than any limit") of \
        \(budget.epsilonLimit) at delta \(budget.deltaLimit); \(PrivacyText.epsilon(spent)) is spent and \
        \(PrivacyText.epsilonDown(left)) left, and the run asks for \(alone.map(PrivacyText.epsilon) ?? "more than any limit") on \
        its own. Nothing was charged. Raise the noise multiplier or take fewer steps \
        (`forecastctl privacy plan \(budget.account)` says what fits), or go on with the last model
        """)
    }
  }

  /// Totals that were composed already: neighbouring blocks of time have mostly the same charges.
  struct Totals {
    private struct Key: Hashable {
      let charges: [PrivacyMechanism: Int]
      let delta: Double
    }
    private var known: [Key: EpsilonAmount?] = [:]

    mutating func epsilon(
      of charges: [PrivacyMechanism], atDelta delta: Double
    ) throws -> EpsilonAmount? {
      let key = Key(charges: charges.reduce(into: [:]) { $0[$1, default: 0] += 1 }, delta: delta)
      if let found = known[key] { return found }
      var all = PrivacyComposition()
      for charge in charges { try all.add(charge) }
      let epsilon = try all.epsilon(atDelta: delta)
      known[key] = .some(epsilon)
      return epsilon
    }
  }

  /// - Throws: `ServiceError.badArgument` unless the account has budgets by blocks of this length.
  static func check(
    _ history: PrivacyScope.History, _ rule: PrivacyBlockRule?, _ account: String
  ) throws {
    guard let rule else {
      throw ServiceError(
        .badArgument,
        "privacy account \(account) has no budgets by block of time: leave privacy.block and privacy.history out, or open another account with `forecastctl privacy budget create --every \(history.period.rawValue)`"
      )
    }
    guard rule.period == history.period else {
      throw ServiceError(
        .badArgument,
        "privacy account \(account) has a budget for each \(rule.period.rawValue), the run trains by \(history.period.rawValue): make privacy.block the account's"
      )
    }
  }

  private static func select(
    _ request: Request, _ rule: PrivacyBlockRule?, from budgets: [PrivacyBudget]
  ) throws -> [PrivacyBudget] {
    if let rule, case .period = request.scope {
      throw ServiceError(
        .badArgument,
        "privacy account \(request.account) has a budget for each \(rule.period.rawValue): say how far back the run trains with privacy.block: \(rule.period.rawValue) and privacy.history"
      )
    }
    guard let first = budgets.first else { throw unknown(request.account) }
    guard first.unit == request.unit else {
      throw ServiceError(
        .badArgument,
        "privacy account \(request.account) protects the unit \(first.unit), the run samples \(request.unit): use an account of that unit"
      )
    }
    return try request.scope.select(from: budgets, account: request.account)
  }

  static func unknown(_ account: String) -> ServiceError {
    ServiceError(
      .unknownBudget,
      "there is no privacy account \(account): see `forecastctl privacy budget list`, or open it with `forecastctl privacy budget create`"
    )
  }

  private static func stale(_ consequence: String) -> ServiceError {
    ServiceError(
      .staleAttempt, "the lease was lost or the run was cancelled; \(consequence)")
  }
}

/// How amounts read in messages and tables: four digits, never flattering.
package enum PrivacyText {
  /// Rounded up.
  package static func epsilon(_ amount: EpsilonAmount) -> String { digits(amount, up: true) }

  /// Rounded down, for what is left.
  package static func epsilonDown(_ amount: EpsilonAmount) -> String { digits(amount, up: false) }

  private static func digits(_ amount: EpsilonAmount, up: Bool) -> String {
    guard amount > .zero else { return amount.description }
    var unit: Int128 = 1
    while amount.quanta / unit >= 10_000 { unit *= 10 }
    let quanta = (amount.quanta + (up ? unit - 1 : 0)) / unit * unit
    return EpsilonAmount(quanta: quanta).description
  }
}
