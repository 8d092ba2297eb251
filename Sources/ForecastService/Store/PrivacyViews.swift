package import Foundation
package import Postgres

// Statements behind forecastctl's views of the privacy ledger.

/// One row per account: its blocks of time, and the budget that has least left.
package struct ListPrivacyAccounts: PostgresStatement {
  package struct Row: Sendable {
    package let account: String
    package let unit: String
    package let unitSteps: Int?
    package let blockPeriod: String?
    package let timezone: String?
    package let budgets: Int64
    package let worstBlock: String?
    package let limit: EpsilonAmount
    package let spent: EpsilonAmount
    package let left: EpsilonAmount
    package let delta: Double
    package let runs: Int64
    package let lastChargeAt: Date?
    package let note: String?
  }

  package static let name = "list_privacy_accounts"
  package static let sql = """
    SELECT account, unit, unit_steps, block_period, timezone, budgets, worst_block, epsilon_limit, epsilon_spent,
           epsilon_left, delta, runs, last_charge_at, note
    FROM forecast.privacy_accounts WHERE $1::text IS NULL OR account = $1 ORDER BY account
    """
  package let account: String?
  package var parameters: [any PostgresEncodable] { [account] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      account: try row.decode("account"), unit: try row.decode("unit"),
      unitSteps: try row.decode("unit_steps"), blockPeriod: try row.decode("block_period"),
      timezone: try row.decode("timezone"), budgets: try row.decode("budgets"),
      worstBlock: try row.decode("worst_block"), limit: try row.decode("epsilon_limit"),
      spent: try row.decode("epsilon_spent"), left: try row.decode("epsilon_left"),
      delta: try row.decode("delta"), runs: try row.decode("runs"),
      lastChargeAt: try row.decode("last_charge_at"), note: try row.decode("note"))
  }
}

/// One row per budget: what may be spent, what was, what is left.
package struct ListPrivacy: PostgresStatement {
  package struct Row: Sendable {
    package let account: String
    package let unit: String
    package let unitSteps: Int?
    package let block: String
    package let blockFrom: Date?
    package let blockUntil: Date?
    package let limit: EpsilonAmount
    package let spent: EpsilonAmount
    package let left: EpsilonAmount
    package let delta: Double
    package let runs: Int64
    package let charges: Int64
    package let uncommitted: Int64
    package let lastChargeAt: Date?
    package let validFrom: Date
    package let validUntil: Date?
    package let isValid: Bool
    package let note: String?
    package let createdAt: Date
    package let createdBy: String
    /// As ``PrivacyBudget/key``.
    package let key: UUID
  }

  package static let name = "list_privacy"
  package static let sql = """
    SELECT account, unit, unit_steps, block, block_from, block_until, epsilon_limit, epsilon_spent, epsilon_left,
           delta, runs, charges, uncommitted, last_charge_at, valid_from, valid_until, valid, note, created_at, created_by,
           budget_key
    FROM forecast.privacy WHERE $1::text IS NULL OR account = $1
    ORDER BY account, block_from NULLS FIRST, block
    """
  package let account: String?
  package var parameters: [any PostgresEncodable] { [account] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      account: try row.decode("account"), unit: try row.decode("unit"),
      unitSteps: try row.decode("unit_steps"), block: try row.decode("block"),
      blockFrom: try row.decode("block_from"),
      blockUntil: try row.decode("block_until"), limit: try row.decode("epsilon_limit"),
      spent: try row.decode("epsilon_spent"), left: try row.decode("epsilon_left"),
      delta: try row.decode("delta"), runs: try row.decode("runs"),
      charges: try row.decode("charges"), uncommitted: try row.decode("uncommitted"),
      lastChargeAt: try row.decode("last_charge_at"), validFrom: try row.decode("valid_from"),
      validUntil: try row.decode("valid_until"), isValid: try row.decode("valid"),
      note: try row.decode("note"), createdAt: try row.decode("created_at"),
      createdBy: try row.decode("created_by"), key: try row.decode("budget_key"))
  }
}

/// Charges in the order they were made, of one account or of all.
package struct ListPrivacyCharges: PostgresStatement {
  package struct Row: Sendable {
    package let account: String
    package let unit: String
    package let block: String
    package let number: Int
    package let job: String
    package let runID: Int64
    package let purpose: String
    package let state: String
    package let mechanism: String
    package let samplingRate: Double?
    package let noiseMultiplier: Double?
    package let steps: Int64?
    /// Of correlated noise.
    package let cycle: Int?
    package let bands: Int?
    package let stepsTaken: Int64?
    package let epsilon: EpsilonAmount
    package let delta: Double
    package let composed: EpsilonAmount
    package let composedDelta: Double
    package let reservedAt: Date
    package let reservedBy: String
    /// In hexadecimal.
    package let digest: String
    package let isIntact: Bool
  }

  package static let name = "list_privacy_charges"
  package static let sql = """
    SELECT account, unit, block, number, job, run_id, purpose, state, mechanism, sampling_rate, noise_multiplier,
           steps, cycle, bands, steps_taken, epsilon, delta, composed_epsilon, composed_delta, reserved_at,
           reserved_by, digest, intact
    FROM forecast.privacy_charges WHERE $1::text IS NULL OR account = $1
    ORDER BY account, block, number
    """
  package let account: String?
  package var parameters: [any PostgresEncodable] { [account] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      account: try row.decode("account"), unit: try row.decode("unit"),
      block: try row.decode("block"), number: try row.decode("number"), job: try row.decode("job"),
      runID: try row.decode("run_id"), purpose: try row.decode("purpose"),
      state: try row.decode("state"), mechanism: try row.decode("mechanism"),
      samplingRate: try row.decode("sampling_rate"),
      noiseMultiplier: try row.decode("noise_multiplier"), steps: try row.decode("steps"),
      cycle: try row.decode("cycle"), bands: try row.decode("bands"),
      stepsTaken: try row.decode("steps_taken"), epsilon: try row.decode("epsilon"),
      delta: try row.decode("delta"), composed: try row.decode("composed_epsilon"),
      composedDelta: try row.decode("composed_delta"), reservedAt: try row.decode("reserved_at"),
      reservedBy: try row.decode("reserved_by"), digest: try row.decode("digest"),
      isIntact: try row.decode("intact"))
  }
}

/// Accounts, budgets and charges, of one account or of all, as one JSON object.
package struct DescribePrivacy: JSONStatement {
  package static let name = "describe_privacy"
  package static let sql = """
    SELECT jsonb_build_object(
      'accounts', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.account), '[]')
                   FROM forecast.privacy_accounts a WHERE $1::text IS NULL OR a.account = $1),
      'budgets', (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.account, p.block_from NULLS FIRST, p.block), '[]')
                  FROM forecast.privacy p WHERE $1::text IS NULL OR p.account = $1),
      'charges', (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.account, c.block, c.number), '[]')
                  FROM forecast.privacy_charges c WHERE $1::text IS NULL OR c.account = $1))::text AS json
    """
  package let account: String?
  package var parameters: [any PostgresEncodable] { [account] }
}
