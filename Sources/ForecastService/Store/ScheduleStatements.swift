package import Foundation
package import Postgres

// Statements of the scheduler: due jobs, ticks, next due instants. `now` is the database's clock.

/// Locks the jobs whose schedule has something to decide, so that two daemons never decide together.
package struct LockDueJobs: PostgresStatement {
  package struct Row: Sendable {
    package let jobID: Int64
    package let name: String
    package let schedule: String
    package let timezone: String
    package let paused: Bool
    package let scheduledFrom: Date
    package let catchUp: String
    package let overlap: String
    package let integerSteps: Bool
    package let unfinished: Bool
    package let now: Date
  }

  package static let name = "lock_due_jobs"
  package static let sql = """
    SELECT j.job_id, j.name, j.schedule, j.timezone, j.paused_at IS NOT NULL AS paused,
           j.scheduled_from,
           coalesce(v.definition ->> 'catchUp', 'latest') AS catch_up,
           coalesce(v.definition ->> 'overlap', 'skip') AS overlap,
           coalesce(v.definition #>> '{source,frequency}' = 'integer', false) AS integer_steps,
           EXISTS (SELECT FROM forecast.run r
                   WHERE r.job_id = j.job_id AND r.finished_at IS NULL) AS unfinished,
           now() AS now
    FROM forecast.job j
    JOIN forecast.job_version v ON v.job_id = j.job_id AND v.version = j.current_version
    WHERE j.schedule IS NOT NULL AND (j.next_due_at IS NULL OR j.next_due_at <= now())
    ORDER BY j.job_id
    FOR UPDATE OF j SKIP LOCKED
    """
  package init() {}
  package var parameters: [any PostgresEncodable] { [] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      jobID: try row.decode("job_id"), name: try row.decode("name"),
      schedule: try row.decode("schedule"), timezone: try row.decode("timezone"),
      paused: try row.decode("paused"), scheduledFrom: try row.decode("scheduled_from"),
      catchUp: try row.decode("catch_up"), overlap: try row.decode("overlap"),
      integerSteps: try row.decode("integer_steps"), unfinished: try row.decode("unfinished"),
      now: try row.decode("now"))
  }
}

/// Makes a run with its task and wakes the workers; returns the run's number.
package struct EnqueueRun: PostgresStatement {
  package static let name = "enqueue_run"
  package static let sql = "SELECT forecast.enqueue_run($1, $2, $3, $4) AS run_id"
  package let jobID: Int64
  package let trigger: String
  package let cutoff: Cutoff
  package var parameters: [any PostgresEncodable] {
    [jobID, trigger, cutoff.date, cutoff.index]
  }
  package static func decode(_ row: PostgresRow) throws -> Int64 { try row.decode("run_id") }
}

/// Records what became of a due instant. The key refuses to decide one twice.
package struct InsertTick: PostgresStatement {
  package static let name = "insert_tick"
  package static let sql = """
    INSERT INTO forecast.schedule_tick (job_id, due_at, outcome, dst_shifted, run_id)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (job_id, due_at) DO NOTHING
    """
  package let jobID: Int64
  package let dueAt: Date
  package let outcome: String
  package let dstShifted: Bool
  package let runID: Int64?
  package var parameters: [any PostgresEncodable] { [jobID, dueAt, outcome, dstShifted, runID] }
  package static func decode(_ row: PostgresRow) throws {}
}

/// Moves a job's schedule on: everything through `scheduledFrom` is settled.
package struct AdvanceSchedule: PostgresStatement {
  package static let name = "advance_schedule"
  package static let sql =
    "UPDATE forecast.job SET scheduled_from = $2, next_due_at = $3 WHERE job_id = $1"
  package let jobID: Int64
  package let scheduledFrom: Date
  package let nextDueAt: Date?
  package var parameters: [any PostgresEncodable] { [jobID, scheduledFrom, nextDueAt] }
  package static func decode(_ row: PostgresRow) throws {}
}

/// Cancels the unfinished runs of a job (overlap: cancel-running).
package struct CancelUnfinishedRuns: PostgresStatement {
  package static let name = "cancel_unfinished_runs"
  package static let sql = """
    SELECT forecast.cancel(run_id) AS outcome
    FROM forecast.run WHERE job_id = $1 AND finished_at IS NULL
    """
  package let jobID: Int64
  package var parameters: [any PostgresEncodable] { [jobID] }
  package static func decode(_ row: PostgresRow) throws -> String { try row.decode("outcome") }
}
