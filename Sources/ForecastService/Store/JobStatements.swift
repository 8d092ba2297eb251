import Foundation
package import Postgres

// Statements on forecast.job and forecast.job_version.

/// Finds a job by name; no row when there is none.
package struct FindJob: PostgresStatement {
  package struct Row: Sendable {
    package let jobID: Int64
    package let version: Int
    package let definition: String
    package let digest: [UInt8]
    package let schedule: String?
    package let timezone: String
  }

  package static let name = "find_job"
  package static let sql = """
    SELECT j.job_id, v.version, v.definition::text AS definition, v.digest, j.schedule, j.timezone
    FROM forecast.job j
    JOIN forecast.job_version v ON v.job_id = j.job_id AND v.version = j.current_version
    WHERE j.name = $1
    """
  package let jobName: String
  package var parameters: [any PostgresEncodable] { [jobName] }

  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      jobID: try row.decode("job_id"), version: try row.decode("version"),
      definition: try row.decode("definition"), digest: try row.decode("digest"),
      schedule: try row.decode("schedule"), timezone: try row.decode("timezone"))
  }
}

/// Adds a version of a job, and the job when it is new. The caller holds a lock on the job's name.
package struct InsertJobVersion: PostgresStatement {
  package static let name = "insert_job_version"
  package static let sql = """
    WITH upserted AS (
      INSERT INTO forecast.job (name, current_version, schedule, timezone, scheduled_from)
      VALUES ($1, 1, $2, $3, CASE WHEN $2::text IS NOT NULL THEN now() END)
      ON CONFLICT (name) DO UPDATE SET
        current_version = job.current_version + 1,
        schedule = excluded.schedule,
        timezone = excluded.timezone,
        scheduled_from = CASE
          WHEN excluded.schedule IS NULL THEN NULL
          WHEN (job.schedule, job.timezone) IS NOT DISTINCT FROM (excluded.schedule, excluded.timezone)
            THEN job.scheduled_from
          ELSE now() END,
        next_due_at = CASE
          WHEN (job.schedule, job.timezone) IS NOT DISTINCT FROM (excluded.schedule, excluded.timezone)
            THEN job.next_due_at END
      RETURNING job_id, current_version)
    INSERT INTO forecast.job_version (job_id, version, definition, source_text, digest)
    SELECT job_id, current_version, $4::jsonb, $5, $6 FROM upserted
    RETURNING version
    """
  package let jobName: String
  package let schedule: String?
  package let timezone: String
  package let definition: String
  package let sourceText: String
  package let digest: [UInt8]
  package var parameters: [any PostgresEncodable] {
    [jobName, schedule, timezone, PostgresJSON(definition), sourceText, digest]
  }
  package static func decode(_ row: PostgresRow) throws -> Int { try row.decode("version") }
}

/// Serialises applies of one job: held to the end of the transaction.
package struct LockJobName: PostgresStatement {
  package static let name = "lock_job_name"
  package static let sql =
    "SELECT pg_advisory_xact_lock(hashtextextended('forecast.job:' || $1, 0)) IS NULL AS locked"
  package let jobName: String
  package var parameters: [any PostgresEncodable] { [jobName] }
  package static func decode(_ row: PostgresRow) throws -> Bool { true }
}

/// All job names, for completions and for "did you mean".
package struct ListJobNames: PostgresStatement {
  package static let name = "list_job_names"
  package static let sql = "SELECT name FROM forecast.job ORDER BY name"
  package init() {}
  package var parameters: [any PostgresEncodable] { [] }
  package static func decode(_ row: PostgresRow) throws -> String { try row.decode("name") }
}
