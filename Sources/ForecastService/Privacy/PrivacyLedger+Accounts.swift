package import Foundation
import Postgres

// Opening accounts, and what they show.

extension PrivacyLedger {
  /// Opens an account whose budgets are by block of time.
  ///
  /// - Throws: as ``open(account:unit:block:blockFrom:blockUntil:epsilon:delta:validFrom:validUntil:note:)``.
  package func open(_ rule: PrivacyBlockRule, note: String? = nil) async throws {
    try Self.check(rule.epsilonLimit, rule.deltaLimit)
    do {
      _ = try await pool.run(InsertPrivacyBlockRule(rule: rule, note: note))
    } catch let error as PostgresError where error.sqlState == "22023" {
      throw ServiceError(
        .badArgument, "\"\(rule.timezone)\" is no time zone that the database knows")
    } catch let error as PostgresError where error.sqlState?.hasPrefix("23") == true {
      throw Self.refusal(error, account: rule.account, block: rule.period.rawValue)
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
    try Self.check(limit, delta)
    do {
      _ = try await pool.run(
        InsertPrivacyBudget(
          account: account, unit: unit, block: block, blockFrom: blockFrom,
          blockUntil: blockUntil, epsilonLimit: limit, deltaLimit: delta, validFrom: validFrom,
          validUntil: validUntil, note: note))
    } catch let error as PostgresError where error.sqlState?.hasPrefix("23") == true {
      throw Self.refusal(error, account: account, block: block)
    }
  }

  private static func check(_ limit: EpsilonAmount, _ delta: Double) throws {
    guard limit > .zero, limit < .limit else {
      throw ServiceError(
        .badArgument, "epsilon is \(limit), expected a number above 0 and below 1e15")
    }
    guard delta > 0, delta < 1 else {
      throw ServiceError(.badArgument, "delta is \(delta), expected a number between 0 and 1")
    }
  }

  private static func refusal(
    _ error: PostgresError, account: String, block: String
  ) -> ServiceError {
    let message =
      switch error.constraint {
      case "privacy_budget_account_block_key":
        "account \(account) has a block \(block) already: a budget is never changed"
      case "privacy_block_rule_pkey":
        "there is an account \(account) already: a budget is never changed"
      case "privacy_budget_account_check", "privacy_budget_block_check",
        "privacy_block_rule_account_check":
        "names of accounts and blocks are made of lower-case letters, digits, '.', '_' and '-', found \"\(account)\" and \"\(block)\""
      case "privacy_budget_block_has_length": "the block ends before it begins"
      case "privacy_budget_valid_for_a_time": "the budget ends before it begins"
      default: error.message + (error.hint.map { ": \($0)" } ?? "")
      }
    return ServiceError(.badArgument, message)
  }

  /// Accounts with their budgets and charges, of one account or of all.
  package struct Statement: Sendable {
    package let accounts: [ListPrivacyAccounts.Row]
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
      let accounts = try await connection.run(ListPrivacyAccounts(account: account))
      if let account, accounts.isEmpty { throw Self.unknown(account) }
      let budgets = try await connection.run(ListPrivacy(account: account))
      let charges = try await connection.run(ListPrivacyCharges(account: account))
      let broken = charges.filter { !$0.isIntact }.map {
        "charge \($0.number) of privacy account \($0.account), block \($0.block), does not follow from those before it: rows were altered or removed by someone with the rights of the database's owner"
      }
      return Statement(
        accounts: accounts, budgets: budgets, charges: charges,
        faults: try broken + (witness?.faults(budgets, charges) ?? []),
        json: try await connection.run(DescribePrivacy(account: account)).first ?? "{}")
    }
  }
}
