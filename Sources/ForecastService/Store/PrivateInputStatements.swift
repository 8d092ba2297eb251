package import Postgres

// Statements on values that were released with noise, and on what was paid for them.

/// Finds an input, or makes it; how far it is paid for and released, nil where it is new.
package struct OpenPrivateInput: PostgresStatement {
  package struct Row: Sendable {
    package let inputID: Int64
    /// Slots of the grid.
    package let paidThrough: Int64?
    package let releasedThrough: Int64?
  }

  package static let name = "open_private_input"
  package static let sql = """
    WITH made AS (
      INSERT INTO forecast.private_input (job_id, account, source_digest, sensitivity, deviation)
      SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (
        SELECT FROM forecast.private_input i WHERE (i.job_id, i.account, i.source_digest, i.sensitivity, i.deviation)
          = ($1, $2, $3, $4, $5))
      ON CONFLICT DO NOTHING RETURNING input_id)
    SELECT i.input_id, max(r.paid_through) AS paid_through, max(r.released_through) AS released_through
    FROM (SELECT input_id FROM made
          UNION ALL SELECT input_id FROM forecast.private_input i
          WHERE (i.job_id, i.account, i.source_digest, i.sensitivity, i.deviation) = ($1, $2, $3, $4, $5)) i
    LEFT JOIN forecast.private_release r ON r.input_id = i.input_id
    GROUP BY i.input_id
    """
  package let jobID: Int64
  package let account: String
  package let sourceDigest: [UInt8]
  package let sensitivity: Double
  package let deviation: Double
  package var parameters: [any PostgresEncodable] {
    [jobID, account, sourceDigest, sensitivity, deviation]
  }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      inputID: try row.decode("input_id"), paidThrough: try row.decode("paid_through"),
      releasedThrough: try row.decode("released_through"))
  }
}

/// Records a release; one of two that begin at the same slot fails.
package struct InsertPrivateRelease: PostgresStatement {
  package static let name = "insert_private_release"
  package static let sql = """
    INSERT INTO forecast.private_release (input_id, run_id, first_slot, paid_through, released_through)
    VALUES ($1, $2, $3, $4, $5)
    """
  package let inputID: Int64
  package let runID: Int64
  package let firstSlot: Int64
  package let paidThrough: Int64
  package let releasedThrough: Int64
  package var parameters: [any PostgresEncodable] {
    [inputID, runID, firstSlot, paidThrough, releasedThrough]
  }
  package static func decode(_ row: PostgresRow) throws {}
}

package enum CopyPrivateValues {
  package static let sql =
    "COPY forecast.private_value (input_id, series, slot, stamp, value) FROM STDIN (FORMAT binary)"
  package static let fields = 5
}

/// Released values up to a slot, series by series in the order of time.
package struct ReadPrivateValues: PostgresStatement {
  package struct Row: Sendable {
    package let series: String
    package let stamp: Int64
    package let value: Double
  }

  package static let name = "read_private_values"
  package static let sql = """
    SELECT series, stamp, value FROM forecast.private_value WHERE input_id = $1 AND slot <= $2 ORDER BY series, slot
    """
  package let inputID: Int64
  package let through: Int64
  package var parameters: [any PostgresEncodable] { [inputID, through] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      series: try row.decode("series"), stamp: try row.decode("stamp"),
      value: try row.decode("value"))
  }
}
