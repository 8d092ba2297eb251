package import Foundation
package import Postgres

// Statements that record what a run read and publish what it forecast. All run in transactions that
// first lock the attempt (LockAttempt), so that a stale worker writes nothing.

/// Locks the running attempt with this token to the end of the transaction; no row when it is stale
/// or its run was cancelled.
package struct LockAttempt: PostgresStatement {
  package static let name = "lock_attempt"
  package static let sql = """
    SELECT r.run_id
    FROM forecast.attempt a
    JOIN forecast.task t ON t.task_id = a.task_id
    JOIN forecast.run r ON r.run_id = t.run_id
    WHERE a.token = $1 AND a.outcome = 'running' AND r.cancel_requested_at IS NULL
    FOR UPDATE OF a, r
    """
  package let token: UUID
  package init(token: UUID) {
    self.token = token
  }

  package var parameters: [any PostgresEncodable] { [token] }
  package static func decode(_ row: PostgresRow) throws -> Int64 { try row.decode("run_id") }
}

/// Forgets the snapshot and verdicts of an earlier attempt at the same run.
package struct ClearSnapshot: PostgresStatement {
  package static let name = "clear_snapshot"
  package static let sql = """
    WITH verdicts AS (DELETE FROM forecast.series_verdict WHERE run_id = $1)
    DELETE FROM forecast.data_snapshot WHERE run_id = $1
    """
  package let runID: Int64
  package var parameters: [any PostgresEncodable] { [runID] }
  package static func decode(_ row: PostgresRow) throws {}
}

/// Records what the source query returned, and the series counts of the run.
package struct InsertSnapshot: PostgresStatement {
  package static let name = "insert_snapshot"
  package static let sql = """
    WITH counted AS (UPDATE forecast.run SET series_total = $5 WHERE run_id = $1)
    INSERT INTO forecast.data_snapshot (run_id, query_digest, value_digest, rows_read, series,
      first_at, last_at, first_index, last_index, read_at, read_seconds)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    """
  package let runID: Int64
  package let queryDigest: [UInt8]
  /// These are nil for a private run.
  package let valueDigest: [UInt8]?
  package let rowsRead: Int64?
  package let series: Int64?
  package let firstAt: Date?
  package let lastAt: Date?
  package let firstIndex: Int64?
  package let lastIndex: Int64?
  package let readAt: Date
  /// nil for a private run.
  package let readSeconds: Double?
  package var parameters: [any PostgresEncodable] {
    [
      runID, queryDigest, valueDigest, rowsRead, series, firstAt, lastAt, firstIndex, lastIndex,
      readAt, readSeconds,
    ]
  }
  package static func decode(_ row: PostgresRow) throws {}
}

/// Bulk load of verdicts: series, verdict, forecasted, detail and the five counts after the run.
package enum CopyVerdicts {
  package static let sql = """
    COPY forecast.series_verdict (run_id, series, verdict, forecasted, detail, observations, gaps,
      duplicates, non_finite, nulls) FROM STDIN (FORMAT binary)
    """
  package static let fields = 10
}

/// Adds the series that the dictionary does not know yet.
package struct InsertSeries: PostgresStatement {
  package static let name = "insert_series"
  package static let sql = """
    INSERT INTO forecast.series (job_id, series)
    SELECT $1, key FROM unnest($2::text[]) WITH ORDINALITY AS u (key, position)
    WHERE NOT EXISTS (SELECT FROM forecast.series s WHERE s.job_id = $1 AND s.series = key)
    ORDER BY position
    ON CONFLICT (job_id, series) DO NOTHING
    """
  package let jobID: Int64
  package let keys: [String]
  package var parameters: [any PostgresEncodable] { [jobID, keys] }
  package static func decode(_ row: PostgresRow) throws {}
}

/// The numbers of the given series, in no particular order.
package struct FindSeries: PostgresStatement {
  package struct Row: Sendable {
    package let seriesID: Int64
    package let key: String
  }

  package static let name = "find_series"
  package static let sql =
    "SELECT series_id, series FROM forecast.series WHERE job_id = $1 AND series = ANY ($2::text[])"
  package let jobID: Int64
  package let keys: [String]
  package var parameters: [any PostgresEncodable] { [jobID, keys] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(seriesID: try row.decode("series_id"), key: try row.decode("series"))
  }
}

/// Makes sure that the partition for points issued at an instant exists.
package struct EnsurePartition: PostgresStatement {
  package static let name = "ensure_partition"
  package static let sql = "SELECT forecast.ensure_partition($1) AS partition"
  package let at: Date
  package var parameters: [any PostgresEncodable] { [at] }
  package static func decode(_ row: PostgresRow) throws -> String { try row.decode("partition") }
}

/// The grid with these levels, made when it is new; no row when another session made it at this moment.
package struct RegisterGrid: PostgresStatement {
  package static let name = "register_grid"
  package static let sql = """
    WITH added AS (
      INSERT INTO forecast.quantile_grid (levels)
      SELECT $1 WHERE NOT EXISTS (SELECT FROM forecast.quantile_grid WHERE levels = $1)
      ON CONFLICT (levels) DO NOTHING RETURNING grid_id)
    SELECT grid_id FROM added
    UNION ALL SELECT grid_id FROM forecast.quantile_grid WHERE levels = $1
    LIMIT 1
    """
  package let levels: [Double]
  package var parameters: [any PostgresEncodable] { [levels] }
  package static func decode(_ row: PostgresRow) throws -> Int { try row.decode("grid_id") }
}

/// Stores a fitted model; returns its number.
package struct InsertModel: PostgresStatement {
  package static let name = "insert_model"
  package static let sql = """
    INSERT INTO forecast.model_version (job_id, run_id, kind, configuration, training, weights,
      weights_digest, parameters, fit_mode, seed, threads, build, steps, validation_loss, fit_seconds)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'fresh', $9, $10, $11, $12, $13, $14)
    RETURNING model_id
    """
  package let jobID: Int64
  package let runID: Int64
  package let kind: String
  package let configuration: String
  package let training: String
  package let weights: [UInt8]
  package let weightsDigest: [UInt8]
  package let parameterCount: Int64
  package let seed: Int64
  package let threads: Int
  package let build: String
  package let steps: Int
  package let validationLoss: Double?
  package let fitSeconds: Double?
  package var parameters: [any PostgresEncodable] {
    [
      jobID, runID, kind, PostgresJSON(configuration), PostgresJSON(training), weights,
      weightsDigest, parameterCount, seed, Int32(threads), build, Int32(steps), validationLoss,
      fitSeconds,
    ]
  }
  package static func decode(_ row: PostgresRow) throws -> Int64 { try row.decode("model_id") }
}

/// The newest model of a job that was trained privately from an account, for the same forecaster.
package struct FindPrivateModel: PostgresStatement {
  package static let name = "find_private_model"
  package static let sql = """
    SELECT model_id, run_id, created_at, weights FROM forecast.model_version
    WHERE job_id = $1 AND training -> 'privacy' ->> 'account' = $2 AND configuration = $3
    ORDER BY model_id DESC LIMIT 1
    """
  package let jobID: Int64
  package let account: String
  package let configuration: String
  package var parameters: [any PostgresEncodable] {
    [jobID, account, PostgresJSON(configuration)]
  }
  package struct Row: Sendable {
    package let modelID: Int64
    package let runID: Int64
    package let createdAt: Date
    package let weights: [UInt8]
  }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      modelID: try row.decode("model_id"), runID: try row.decode("run_id"),
      createdAt: try row.decode("created_at"), weights: try row.decode("weights"))
  }
}

/// Makes the publication and opens the door for its points (see forecast.refuse_unpublished).
package struct InsertPublication: PostgresStatement {
  package static let name = "insert_publication"
  package static let sql = """
    INSERT INTO forecast.publication (run_id, job_id, attempt_token, model_id, grid_id, issued_at,
      origin_at, origin_index, series, points, content_digest)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    RETURNING set_config('forecast.publishing_run', run_id::text, true) AS opened
    """
  package let runID: Int64
  package let jobID: Int64
  package let token: UUID
  package let modelID: Int64
  package let gridID: Int
  package let issuedAt: Date
  package let origin: Cutoff
  /// These are nil for a private run.
  package let series: Int64?
  package let points: Int64?
  package let contentDigest: [UInt8]?
  package var parameters: [any PostgresEncodable] {
    [
      runID, jobID, token, modelID, Int32(gridID), issuedAt, origin.date, origin.index, series,
      points, contentDigest,
    ]
  }
  package static func decode(_ row: PostgresRow) throws {}
}

/// Bulk load of points: run, series, issue, target (time or step), mean, step ahead, quantiles.
package enum CopyPoints {
  package static let sql = """
    COPY forecast.forecast_point (run_id, series_id, issued_at, target_at, target_index, mean, step,
      quantiles) FROM STDIN (FORMAT binary)
    """
  package static let fields = 8
}

/// Points the current forecasts of these series at a publication, unless one with a later cutoff is
/// in force.
package struct SwitchCurrent: PostgresStatement {
  package static let name = "switch_current"
  package static let sql = """
    INSERT INTO forecast.current_run (job_id, series_id, run_id)
    SELECT $1, series_id, $2 FROM unnest($3::bigint[]) AS u (series_id) ORDER BY series_id
    ON CONFLICT (job_id, series_id) DO UPDATE SET run_id = excluded.run_id
    WHERE NOT EXISTS (
      SELECT FROM forecast.publication old JOIN forecast.publication new ON new.run_id = excluded.run_id
      WHERE old.run_id = current_run.run_id
        AND (old.origin_at > new.origin_at OR old.origin_index > new.origin_index))
    """
  package let jobID: Int64
  package let runID: Int64
  package let seriesIDs: [Int64]
  package var parameters: [any PostgresEncodable] { [jobID, runID, seriesIDs] }
  package static func decode(_ row: PostgresRow) throws {}
}

/// What an operator should know of a run although it goes well.
package struct RunNotice: Sendable {
  package let code: ServiceError.Code
  package let text: String
}

/// Marks attempt, task and run as succeeded and tells who listens.
package struct SucceedAttempt: PostgresStatement {
  package static let name = "succeed_attempt"
  package static let sql = """
    WITH ended AS (
      UPDATE forecast.attempt SET outcome = 'succeeded', finished_at = clock_timestamp()
      WHERE token = $1 AND outcome = 'running' RETURNING task_id
    ), task_now AS (
      UPDATE forecast.task t SET state = 'succeeded'
      FROM ended WHERE t.task_id = ended.task_id RETURNING t.run_id
    ), run_now AS (
      UPDATE forecast.run r
      SET state = 'succeeded', finished_at = clock_timestamp(), stage = 'publish', progress = 1,
          series_ok = $2, series_failed = r.series_total - $2, error_code = NULL, error_text = NULL,
          notice_code = $3, notice_text = $4
      FROM task_now WHERE r.run_id = task_now.run_id RETURNING r.run_id, r.job_id
    )
    SELECT pg_notify('forecast_published',
             json_build_object('job', j.name, 'run', run_now.run_id)::text) IS NULL AS notified
    FROM run_now JOIN forecast.job j ON j.job_id = run_now.job_id
    """
  package let token: UUID
  /// nil for a private run.
  package let seriesOK: Int64?
  package let notice: RunNotice?
  package var parameters: [any PostgresEncodable] {
    [token, seriesOK, notice?.code.rawValue, notice?.text]
  }
  package static func decode(_ row: PostgresRow) throws {}
}

/// The attempt that published a run, if any: settles a commit whose answer was lost.
package struct FindPublication: PostgresStatement {
  package static let name = "find_publication"
  package static let sql = "SELECT attempt_token FROM forecast.publication WHERE run_id = $1"
  package let runID: Int64
  package var parameters: [any PostgresEncodable] { [runID] }
  package static func decode(_ row: PostgresRow) throws -> UUID { try row.decode("attempt_token") }
}
