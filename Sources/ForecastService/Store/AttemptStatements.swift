package import Foundation
package import Postgres

// Statements on the queue: claiming, heartbeats, and how an attempt ends. Every write names the
// attempt's token and does nothing when that attempt is no longer running.

/// Claims the next task that may run, if any. At most one run of a job runs at a time; the unique
/// index run_one_running_per_job settles races between claims (SQLSTATE 23505: try again).
package struct ClaimTask: PostgresStatement {
  package struct Row: Sendable {
    package let token: UUID
    package let attempt: Int
    package let maxAttempts: Int
    package let runID: Int64
    package let jobID: Int64
    package let jobName: String
    package let jobVersion: Int
    package let definition: String
    package let cutoff: Cutoff
  }

  package static let name = "claim_task"
  package static let sql = """
    WITH candidate AS (
      SELECT t.task_id, t.run_id
      FROM forecast.task t JOIN forecast.run r ON r.run_id = t.run_id
      WHERE t.state IN ('queued', 'retryable') AND t.not_before <= now()
        AND ($6::bigint IS NULL OR t.run_id = $6)
        AND NOT EXISTS (SELECT FROM forecast.run o
                        WHERE o.job_id = r.job_id AND o.state = 'running')
      ORDER BY t.not_before, t.task_id
      FOR UPDATE OF t, r SKIP LOCKED
      LIMIT 1
    ), claimed AS (
      UPDATE forecast.task t SET state = 'running', attempts = t.attempts + 1
      FROM candidate c WHERE t.task_id = c.task_id
      RETURNING t.task_id, t.run_id, t.attempts, t.max_attempts
    ), started AS (
      UPDATE forecast.run r
      SET state = 'running', started_at = coalesce(r.started_at, clock_timestamp()), stage = 'read',
          progress = 0, series_total = NULL, series_ok = NULL, series_failed = NULL, notice_code = NULL,
          notice_text = NULL
      FROM claimed c WHERE r.run_id = c.run_id
      RETURNING r.run_id, r.job_id, r.job_version, r.cutoff_at, r.cutoff_index
    ), attempted AS (
      INSERT INTO forecast.attempt (task_id, number, worker, host, pid, build, lease_until)
      SELECT c.task_id, c.attempts, $1, $2, $3, $4, now() + make_interval(secs => $5) FROM claimed c
      RETURNING token, number
    )
    SELECT a.token, a.number, c.max_attempts, s.run_id, s.job_id, j.name, s.job_version,
           v.definition::text AS definition, s.cutoff_at, s.cutoff_index
    FROM attempted a CROSS JOIN claimed c CROSS JOIN started s
    JOIN forecast.job j ON j.job_id = s.job_id
    JOIN forecast.job_version v ON v.job_id = s.job_id AND v.version = s.job_version
    """
  package let worker: String
  package let host: String
  package let pid: Int32
  package let build: String
  package let leaseSeconds: Double
  package let onlyRun: Int64?
  package init(
    worker: String, host: String, pid: Int32, build: String, leaseSeconds: Double, onlyRun: Int64?
  ) {
    self.worker = worker
    self.host = host
    self.pid = pid
    self.build = build
    self.leaseSeconds = leaseSeconds
    self.onlyRun = onlyRun
  }

  package var parameters: [any PostgresEncodable] {
    [worker, host, pid, build, leaseSeconds, onlyRun]
  }
  package static func decode(_ row: PostgresRow) throws -> Row {
    let at: Date? = try row.decode("cutoff_at")
    let index: Int64? = try row.decode("cutoff_index")
    return Row(
      token: try row.decode("token"), attempt: try row.decode("number"),
      maxAttempts: try row.decode("max_attempts"), runID: try row.decode("run_id"),
      jobID: try row.decode("job_id"), jobName: try row.decode("name"),
      jobVersion: try row.decode("job_version"), definition: try row.decode("definition"),
      cutoff: at.map(Cutoff.at) ?? .index(index ?? .max))
  }
}

/// Renews the lease and reports progress. No row: the attempt is stale and must stop.
package struct Heartbeat: PostgresStatement {
  package static let name = "heartbeat"
  package static let sql = """
    WITH mine AS (
      UPDATE forecast.attempt a
      SET heartbeat_at = now(), lease_until = now() + make_interval(secs => $2)
      WHERE a.token = $1 AND a.outcome = 'running'
      RETURNING a.task_id
    )
    UPDATE forecast.run r SET stage = $3, progress = $4
    FROM mine JOIN forecast.task t ON t.task_id = mine.task_id
    WHERE r.run_id = t.run_id
    RETURNING r.cancel_requested_at IS NOT NULL AS cancel_requested
    """
  package let token: UUID
  package let leaseSeconds: Double
  package let stage: String
  package let progress: Double
  package init(token: UUID, leaseSeconds: Double, stage: String, progress: Double) {
    self.token = token
    self.leaseSeconds = leaseSeconds
    self.stage = stage
    self.progress = progress
  }

  package var parameters: [any PostgresEncodable] { [token, leaseSeconds, stage, progress] }
  package static func decode(_ row: PostgresRow) throws -> Bool {
    try row.decode("cancel_requested")
  }
}

/// Ends an attempt that did not publish. The task is tried again when `retry` says so, attempts
/// remain and nobody asked for its end. Returns the state of the run, or no row when the attempt was stale already.
package struct EndAttempt: PostgresStatement {
  package static let name = "end_attempt"
  package static let sql = """
    WITH ended AS (
      UPDATE forecast.attempt SET outcome = $2, finished_at = now(), error_code = $3, error_text = $4
      WHERE token = $1 AND outcome = 'running'
      RETURNING task_id
    ), task_now AS (
      UPDATE forecast.task t
      SET state = CASE
            WHEN $2 = 'cancelled' OR r.cancel_requested_at IS NOT NULL THEN 'cancelled'
            WHEN $2 = 'released' THEN 'queued'
            WHEN $5 AND t.attempts < t.max_attempts THEN 'retryable'
            ELSE 'failed' END,
          max_attempts = CASE WHEN $2 = 'released' THEN t.max_attempts + 1 ELSE t.max_attempts END,
          not_before = now() + make_interval(secs => $6)
      FROM ended, forecast.run r WHERE t.task_id = ended.task_id AND r.run_id = t.run_id
      RETURNING t.run_id, t.state
    )
    UPDATE forecast.run r
    SET state = task_now.state,
        finished_at = CASE WHEN task_now.state IN ('failed', 'cancelled') THEN now() END,
        error_code = $3, error_text = $4
    FROM task_now WHERE r.run_id = task_now.run_id
    RETURNING r.state
    """
  package let token: UUID
  package let outcome: String
  package let errorCode: String?
  package let errorText: String?
  package let retry: Bool
  package let backoffSeconds: Double
  package init(
    token: UUID, outcome: String, errorCode: String?, errorText: String?, retry: Bool,
    backoffSeconds: Double
  ) {
    self.token = token
    self.outcome = outcome
    self.errorCode = errorCode
    self.errorText = errorText
    self.retry = retry
    self.backoffSeconds = backoffSeconds
  }

  package var parameters: [any PostgresEncodable] {
    [token, outcome, errorCode, errorText, retry, backoffSeconds]
  }
  package static func decode(_ row: PostgresRow) throws -> String { try row.decode("state") }
}

/// Takes tasks back from attempts whose lease ran out; returns the runs concerned.
package struct ReapLostAttempts: PostgresStatement {
  package struct Row: Sendable {
    package let runID: Int64
    package let state: String
    package let text: String
  }

  package static let name = "reap_lost_attempts"
  package static let sql = """
    WITH expired AS (
      SELECT a.attempt_id FROM forecast.attempt a
      WHERE a.outcome = 'running' AND a.lease_until < now()
      FOR UPDATE SKIP LOCKED
    ), lost AS (
      UPDATE forecast.attempt a
      SET outcome = 'lost', finished_at = now(), error_code = 'worker-lost',
          error_text = format('worker %s (pid %s on %s) sent no heartbeat after %s',
                              a.worker, a.pid, a.host, to_char(a.heartbeat_at, 'YYYY-MM-DD HH24:MI:SS TZ'))
      FROM expired WHERE a.attempt_id = expired.attempt_id
      RETURNING a.task_id, a.error_text
    ), task_now AS (
      UPDATE forecast.task t
      SET state = CASE WHEN r.cancel_requested_at IS NOT NULL THEN 'cancelled'
                       WHEN t.attempts < t.max_attempts THEN 'retryable' ELSE 'failed' END,
          not_before = now()
      FROM lost, forecast.run r WHERE t.task_id = lost.task_id AND r.run_id = t.run_id
      RETURNING t.run_id, t.state, lost.error_text
    ), run_now AS (
      UPDATE forecast.run r
      SET state = task_now.state,
          finished_at = CASE WHEN task_now.state IN ('failed', 'cancelled') THEN now() END,
          error_code = 'worker-lost', error_text = task_now.error_text
      FROM task_now WHERE r.run_id = task_now.run_id
      RETURNING r.run_id, r.state, r.error_text
    ), logged AS (
      INSERT INTO forecast.run_event (run_id, level, stage, message)
      SELECT run_id, 'warning', 'queue', error_text FROM run_now
    )
    SELECT run_id, state, error_text FROM run_now
    """
  package init() {}
  package var parameters: [any PostgresEncodable] { [] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      runID: try row.decode("run_id"), state: try row.decode("state"),
      text: try row.decode("error_text"))
  }
}

/// Adds a line to a run's log.
package struct LogEvent: PostgresStatement {
  package static let name = "log_event"
  package static let sql = """
    INSERT INTO forecast.run_event (run_id, level, stage, message) VALUES ($1, $2, $3, $4)
    """
  package let runID: Int64
  package let level: String
  package let stage: String
  package let message: String
  package var parameters: [any PostgresEncodable] { [runID, level, stage, message] }
  package static func decode(_ row: PostgresRow) throws {}
}

/// Whether anything waits or runs, and when the next waiting task may start.
package struct QueueDepth: PostgresStatement {
  package struct Row: Sendable {
    package let waiting: Int64
    package let running: Int64
    package let seconds: Double?
  }

  package static let name = "queue_depth"
  package static let sql = """
    SELECT count(*) FILTER (WHERE state <> 'running') AS waiting,
           count(*) FILTER (WHERE state = 'running') AS running,
           extract(epoch FROM min(not_before) FILTER (WHERE state <> 'running') - now())::double precision AS seconds
    FROM forecast.task WHERE state IN ('queued', 'retryable', 'running')
    """
  package init() {}
  package var parameters: [any PostgresEncodable] { [] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      waiting: try row.decode("waiting"), running: try row.decode("running"),
      seconds: try row.decode("seconds"))
  }
}
