package import Foundation
package import Postgres
import Privacy

// Statements on the privacy ledger. Charges are made in transactions that lock the attempt first (LockAttempt),
// then the budgets of the account.

/// The budgets of an account, locked to the end of the transaction.
package struct LockPrivacyBudgets: PrivacyBudgetStatement {
  package static let name = "lock_privacy_budgets"
  package static let sql =
    columns(now: "clock_timestamp()") + "FROM forecast.lock_privacy_budgets($1)"
  package let account: String
  package var parameters: [any PostgresEncodable] { [account] }
}

/// The budgets of the blocks of time that a run trains on, made where they are new, locked to the end of the
/// transaction; none where the account has no rule.
package struct LockPrivacyBlocks: PrivacyBudgetStatement {
  package static let name = "lock_privacy_blocks"
  package static let sql =
    columns(now: "clock_timestamp()") + "FROM forecast.lock_privacy_blocks($1, $2, $3)"
  package let account: String
  package let history: Int
  package let cutoff: Date
  package var parameters: [any PostgresEncodable] { [account, Int32(history), cutoff] }
}

/// The budgets of an account, as they stand.
package struct FindPrivacyBudgets: PrivacyBudgetStatement {
  package static let name = "find_privacy_budgets"
  package static let sql =
    columns(now: "now()") + "FROM forecast.privacy_budget WHERE account = $1 ORDER BY budget_id"
  package let account: String
  package var parameters: [any PostgresEncodable] { [account] }
}

/// What returns budgets.
package protocol PrivacyBudgetStatement: PostgresStatement where Row == PrivacyBudget {}

extension PrivacyBudgetStatement {
  /// - Parameter now: the clock that decides whether a budget is valid: that of the statement where others may have
  ///   been waited for.
  fileprivate static func columns(now: String) -> String {
    """
    SELECT budget_id, budget_key, account, unit, unit_steps, block, block_from, block_until, epsilon_limit,
           delta_limit, valid_from, valid_until,
           \(now) >= valid_from AND (valid_until IS NULL OR \(now) < valid_until) AS valid

    """
  }

  package static func decode(_ row: PostgresRow) throws -> PrivacyBudget {
    PrivacyBudget(
      id: try row.decode("budget_id"), key: try row.decode("budget_key"),
      account: try row.decode("account"),
      unit: try ProtectedUnit(name: row.decode("unit"), steps: row.decode("unit_steps")),
      block: try row.decode("block"), blockFrom: try row.decode("block_from"),
      blockUntil: try row.decode("block_until"), epsilonLimit: try row.decode("epsilon_limit"),
      deltaLimit: try row.decode("delta_limit"), validFrom: try row.decode("valid_from"),
      validUntil: try row.decode("valid_until"), isValid: try row.decode("valid"))
  }
}

/// The rule of an account whose budgets are by block of time; no row for others.
package struct FindPrivacyBlockRule: PostgresStatement {
  package static let name = "find_privacy_block_rule"
  package static let sql = """
    SELECT account, unit, unit_steps, period, timezone, epsilon_limit, delta_limit
    FROM forecast.privacy_block_rule WHERE account = $1
    """
  package let account: String
  package var parameters: [any PostgresEncodable] { [account] }
  package static func decode(_ row: PostgresRow) throws -> PrivacyBlockRule {
    let period: String = try row.decode("period")
    guard let known = BlockPeriod(rawValue: period) else {
      throw PostgresError(.decoding, "period: expected a length of blocks that this version knows")
    }
    return PrivacyBlockRule(
      account: try row.decode("account"),
      unit: try ProtectedUnit(name: row.decode("unit"), steps: row.decode("unit_steps")),
      period: known, timezone: try row.decode("timezone"),
      epsilonLimit: try row.decode("epsilon_limit"), deltaLimit: try row.decode("delta_limit"))
  }
}

/// Opens an account whose budgets are by block of time.
package struct InsertPrivacyBlockRule: PostgresStatement {
  package static let name = "insert_privacy_block_rule"
  package static let sql = """
    INSERT INTO forecast.privacy_block_rule (account, unit, unit_steps, period, timezone, epsilon_limit, delta_limit, note)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    """
  package let rule: PrivacyBlockRule
  package let note: String?
  package var parameters: [any PostgresEncodable] {
    [
      rule.account, rule.unit.name, rule.unit.steps.map(Int32.init(clamping:)),
      rule.period.rawValue, rule.timezone, rule.epsilonLimit, rule.deltaLimit, note,
    ]
  }
  package static func decode(_ row: PostgresRow) throws {}
}

/// The names and bounds of the blocks of time of a cutoff and before it.
package struct ListPrivacyBlocks: PostgresStatement {
  package struct Row: Sendable {
    package let cutoff: Date
    package let block: String
    package let from: Date
  }

  package static let name = "list_privacy_blocks"
  package static let sql = """
    SELECT c.cutoff, b.block, b.block_from FROM unnest($4::timestamptz[]) AS c (cutoff),
           LATERAL forecast.privacy_blocks($1, $2, $3, c.cutoff) AS b
    ORDER BY c.cutoff, b.block_from
    """
  package let rule: PrivacyBlockRule
  package let history: Int
  package let cutoffs: [Date]
  package var parameters: [any PostgresEncodable] {
    [rule.period.rawValue, rule.timezone, Int32(history), cutoffs]
  }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      cutoff: try row.decode("cutoff"), block: try row.decode("block"),
      from: try row.decode("block_from"))
  }
}

/// Opens a budget; returns its number.
package struct InsertPrivacyBudget: PostgresStatement {
  package static let name = "insert_privacy_budget"
  package static let sql = """
    INSERT INTO forecast.privacy_budget (account, unit, unit_steps, block, block_from, block_until,
      epsilon_limit, delta_limit, valid_from, valid_until, note)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, now()), $10, $11)
    RETURNING budget_id
    """
  package let account: String
  package let unit: ProtectedUnit
  package let block: String
  package let blockFrom: Date?
  package let blockUntil: Date?
  package let epsilonLimit: EpsilonAmount
  package let deltaLimit: Double
  package let validFrom: Date?
  package let validUntil: Date?
  package let note: String?
  package var parameters: [any PostgresEncodable] {
    [
      account, unit.name, unit.steps.map(Int32.init(clamping:)), block, blockFrom, blockUntil,
      epsilonLimit, deltaLimit, validFrom, validUntil, note,
    ]
  }
  package static func decode(_ row: PostgresRow) throws -> Int64 { try row.decode("budget_id") }
}

/// All charges of a budget in order, with what the next one is composed from.
package struct ListBudgetCharges: PostgresStatement {
  package struct Row: Sendable {
    package let chargeID: Int64
    package let number: Int
    package let runID: Int64
    package let token: UUID
    package let purpose: String
    package let mechanism: PrivacyMechanism
    package let composed: EpsilonAmount
    package let digest: [UInt8]
    /// Whether no attempt began it, or those that did said before their training that they would not use it.
    package let isFree: Bool
  }

  package static let name = "list_budget_charges"
  package static let sql = """
    SELECT c.charge_id, c.number, c.run_id, c.attempt_token, c.purpose, c.mechanism, c.sampling_rate,
           c.noise_multiplier, c.steps, c.cycle, c.bands, c.release_epsilon, c.added_delta, c.composed_epsilon, c.digest,
           forecast.privacy_charge_holder(c.charge_id) IS NULL AS free
    FROM forecast.privacy_charge c
    WHERE c.budget_id = $1 ORDER BY c.number
    """
  package let budgetID: Int64
  package var parameters: [any PostgresEncodable] { [budgetID] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    let added: Double = try row.decode("added_delta")
    let name: String = try row.decode("mechanism")
    let mechanism: PrivacyMechanism
    switch name {
    case "release":
      let epsilon: EpsilonAmount = try row.decode("release_epsilon")
      mechanism = .release(epsilon: epsilon, delta: added)
    case "correlated-gaussian":
      mechanism = try .correlated(
        steps: row.decode("steps"), cycle: row.decode("cycle"), bands: row.decode("bands"),
        noiseMultiplier: row.decode("noise_multiplier"), addedDelta: added)
    case "input-gaussian":
      mechanism = try .inputs(
        noiseMultiplier: row.decode("noise_multiplier"), slots: row.decode("steps"),
        addedDelta: added)
    default:
      mechanism = try .training(
        samplingRate: row.decode("sampling_rate"), noiseMultiplier: row.decode("noise_multiplier"),
        steps: row.decode("steps"), addedDelta: added)
    }
    return Row(
      chargeID: try row.decode("charge_id"), number: try row.decode("number"),
      runID: try row.decode("run_id"), token: try row.decode("attempt_token"),
      purpose: try row.decode("purpose"), mechanism: mechanism,
      composed: try row.decode("composed_epsilon"), digest: try row.decode("digest"),
      isFree: try row.decode("free"))
  }
}

/// Books a charge; the budget is locked and the total composed.
package struct InsertPrivacyCharge: PostgresStatement {
  package struct Row: Sendable {
    package let chargeID: Int64
    package let digest: [UInt8]
  }

  package static let name = "insert_privacy_charge"
  package static let sql = """
    INSERT INTO forecast.privacy_charge (budget_id, number, run_id, attempt_token, purpose, mechanism,
      sampling_rate, noise_multiplier, steps, release_epsilon, added_delta, delta, epsilon, composed_epsilon, cycle, bands)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
    RETURNING charge_id, digest
    """
  package let budgetID: Int64
  package let number: Int
  package let runID: Int64
  package let token: UUID
  package let purpose: String
  package let mechanism: PrivacyMechanism
  package let delta: Double
  package let epsilon: EpsilonAmount
  package let composed: EpsilonAmount
  package var parameters: [any PostgresEncodable] {
    var rate: Double?
    var correlated: CorrelatedGaussian?
    var release: EpsilonAmount?
    switch mechanism {
    case .subsampledGaussian(let step, _, _): rate = step.samplingRate
    case .correlatedGaussian(let training, _): correlated = training
    case .release(let epsilon, _): release = epsilon
    case .inputGaussian: break
    }
    return [
      budgetID, Int32(number), runID, token, purpose, mechanism.name, rate,
      mechanism.noiseMultiplier, mechanism.steps.map(Int64.init), release, mechanism.addedDelta,
      delta, epsilon, composed, correlated.map { Int32(clamping: $0.cycle) },
      correlated.map { Int32($0.bands) },
    ]
  }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(chargeID: try row.decode("charge_id"), digest: try row.decode("digest"))
  }
}

/// Moves charges to another state; one that this attempt brought there already stays. Returns the charges
/// that are in that state by this attempt now.
package struct EnterPrivacyChargeState: PostgresStatement {
  package static let name = "enter_privacy_charge_state"
  package static let sql = """
    WITH entered AS (
      INSERT INTO forecast.privacy_charge_state (charge_id, state, attempt_token, steps_taken)
      SELECT u.charge_id, $2, $3, CASE WHEN c.steps IS NOT NULL THEN $4::bigint END
      FROM unnest($1::bigint[]) AS u (charge_id)
      JOIN forecast.privacy_charge c ON c.charge_id = u.charge_id
      WHERE NOT EXISTS (SELECT FROM forecast.privacy_charge_state s
                        WHERE s.charge_id = u.charge_id AND s.state = $2 AND s.attempt_token = $3)
        AND ($2 <> 'begun' OR forecast.privacy_charge_holder(u.charge_id) IS NULL)
      ORDER BY u.charge_id
      RETURNING charge_id)
    SELECT charge_id FROM entered
    UNION ALL
    SELECT charge_id FROM forecast.privacy_charge_state
    WHERE charge_id = ANY ($1::bigint[]) AND state = $2 AND attempt_token = $3
    """
  package let chargeIDs: [Int64]
  package let state: String
  package let token: UUID
  package let stepsTaken: Int?
  package var parameters: [any PostgresEncodable] {
    [chargeIDs, state, token, stepsTaken.map(Int64.init)]
  }
  package static func decode(_ row: PostgresRow) throws -> Int64 { try row.decode("charge_id") }
}
