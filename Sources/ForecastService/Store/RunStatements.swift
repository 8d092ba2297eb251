package import Foundation
package import Postgres

// Statements behind forecastctl's views of runs and forecasts.

/// One row per job: what `forecastctl status` shows.
package struct ListStatus: PostgresStatement {
  package struct Row: Sendable {
    package let job: String
    package let version: Int
    package let schedule: String?
    package let timezone: String
    package let paused: Bool
    package let nextDueAt: Date?
    package let runID: Int64?
    package let state: String?
    package let stage: String?
    package let progress: Double?
    package let queuedAt: Date?
    package let startedAt: Date?
    package let finishedAt: Date?
    package let seconds: Double?
    package let seriesTotal: Int64?
    package let seriesOK: Int64?
    package let seriesFailed: Int64?
    package let errorCode: String?
    package let errorText: String?
    package let publishedAt: Date?
    package let originAt: Date?
    package let originIndex: Int64?
    package let model: String?
    package let parameterCount: Int64?
    /// Of a private job.
    package let privacyAccount: String?
    package let epsilonLimit: EpsilonAmount?
    package let epsilonLeft: EpsilonAmount?
    /// What is to be known of the last run although it goes well.
    package let noticeCode: String?
    package let noticeText: String?
  }

  package static let name = "list_status"
  package static let sql = """
    SELECT job, version, schedule, timezone, paused, next_due_at, run_id, state, stage, progress,
           queued_at, started_at, finished_at, extract(epoch FROM duration)::double precision AS seconds,
           series_total, series_ok, series_failed, error_code, error_text, published_at, origin_at,
           origin_index, model, parameters, privacy_account, epsilon_limit, epsilon_left, notice_code, notice_text
    FROM forecast.status WHERE $1::text IS NULL OR job = $1 ORDER BY job
    """
  package let job: String?

  package init(job: String?) { self.job = job }

  package var parameters: [any PostgresEncodable] { [job] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      job: try row.decode("job"), version: try row.decode("version"),
      schedule: try row.decode("schedule"), timezone: try row.decode("timezone"),
      paused: try row.decode("paused"), nextDueAt: try row.decode("next_due_at"),
      runID: try row.decode("run_id"), state: try row.decode("state"),
      stage: try row.decode("stage"), progress: try row.decode("progress"),
      queuedAt: try row.decode("queued_at"), startedAt: try row.decode("started_at"),
      finishedAt: try row.decode("finished_at"), seconds: try row.decode("seconds"),
      seriesTotal: try row.decode("series_total"), seriesOK: try row.decode("series_ok"),
      seriesFailed: try row.decode("series_failed"), errorCode: try row.decode("error_code"),
      errorText: try row.decode("error_text"), publishedAt: try row.decode("published_at"),
      originAt: try row.decode("origin_at"), originIndex: try row.decode("origin_index"),
      model: try row.decode("model"), parameterCount: try row.decode("parameters"),
      privacyAccount: try row.decode("privacy_account"),
      epsilonLimit: try row.decode("epsilon_limit"), epsilonLeft: try row.decode("epsilon_left"),
      noticeCode: try row.decode("notice_code"), noticeText: try row.decode("notice_text"))
  }
}

/// Runs, newest first, of one job or of all.
package struct ListRuns: PostgresStatement {
  package struct Row: Sendable {
    package let runID: Int64
    package let job: String
    package let version: Int
    package let trigger: String
    package let state: String
    package let stage: String?
    package let progress: Double?
    package let cutoff: Cutoff
    package let queuedAt: Date
    package let startedAt: Date?
    package let finishedAt: Date?
    package let seriesTotal: Int64?
    package let seriesOK: Int64?
    package let seriesFailed: Int64?
    package let attempts: Int
    package let errorCode: String?
    package let errorText: String?
  }

  package static let name = "list_runs"
  package static let sql = """
    SELECT r.run_id, j.name AS job, r.job_version, r.trigger_kind, r.state, r.stage, r.progress,
           r.cutoff_at, r.cutoff_index, r.queued_at, r.started_at, r.finished_at, r.series_total,
           r.series_ok, r.series_failed, t.attempts, r.error_code, r.error_text
    FROM forecast.run r
    JOIN forecast.job j ON j.job_id = r.job_id
    JOIN forecast.task t ON t.run_id = r.run_id
    WHERE ($1::text IS NULL OR r.job_id = (SELECT job_id FROM forecast.job WHERE name = $1))
      AND ($2::bigint IS NULL OR r.run_id = $2)
    ORDER BY r.run_id DESC LIMIT $3
    """
  package let job: String?
  package let runID: Int64?
  package let limit: Int
  package var parameters: [any PostgresEncodable] { [job, runID, Int64(limit)] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    let at: Date? = try row.decode("cutoff_at")
    let index: Int64? = try row.decode("cutoff_index")
    return Row(
      runID: try row.decode("run_id"), job: try row.decode("job"),
      version: try row.decode("job_version"), trigger: try row.decode("trigger_kind"),
      state: try row.decode("state"), stage: try row.decode("stage"),
      progress: try row.decode("progress"), cutoff: at.map(Cutoff.at) ?? .index(index ?? .max),
      queuedAt: try row.decode("queued_at"), startedAt: try row.decode("started_at"),
      finishedAt: try row.decode("finished_at"), seriesTotal: try row.decode("series_total"),
      seriesOK: try row.decode("series_ok"), seriesFailed: try row.decode("series_failed"),
      attempts: try row.decode("attempts"), errorCode: try row.decode("error_code"),
      errorText: try row.decode("error_text"))
  }
}

/// The attempts of a run, oldest first.
package struct ListAttempts: PostgresStatement {
  package struct Row: Sendable {
    package let number: Int
    package let outcome: String
    package let worker: String
    package let host: String
    package let pid: Int32
    package let startedAt: Date
    package let finishedAt: Date?
    package let errorText: String?
  }

  package static let name = "list_attempts"
  package static let sql = """
    SELECT a.number, a.outcome, a.worker, a.host, a.pid, a.started_at, a.finished_at, a.error_text
    FROM forecast.attempt a JOIN forecast.task t ON t.task_id = a.task_id
    WHERE t.run_id = $1 ORDER BY a.number
    """
  package let runID: Int64
  package var parameters: [any PostgresEncodable] { [runID] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      number: try row.decode("number"), outcome: try row.decode("outcome"),
      worker: try row.decode("worker"), host: try row.decode("host"), pid: try row.decode("pid"),
      startedAt: try row.decode("started_at"), finishedAt: try row.decode("finished_at"),
      errorText: try row.decode("error_text"))
  }
}

/// How many series of a run got which verdict, with one of them as an example.
package struct CountVerdicts: PostgresStatement {
  package struct Row: Sendable {
    package let verdict: String
    package let forecasted: Bool
    package let count: Int64
    package let example: String
    package let detail: String?
  }

  package static let name = "count_verdicts"
  package static let sql = """
    SELECT verdict, forecasted, count(*) AS count, min(series) AS example,
           (array_agg(detail ORDER BY series))[1] AS detail
    FROM forecast.series_verdict WHERE run_id = $1
    GROUP BY verdict, forecasted ORDER BY count(*) DESC, verdict
    """
  package let runID: Int64
  package var parameters: [any PostgresEncodable] { [runID] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      verdict: try row.decode("verdict"), forecasted: try row.decode("forecasted"),
      count: try row.decode("count"), example: try row.decode("example"),
      detail: try row.decode("detail"))
  }
}

/// The log of a run from after a given line on.
package struct ListEvents: PostgresStatement {
  package struct Row: Sendable {
    package let number: Int64
    package let at: Date
    package let level: String
    package let stage: String
    package let message: String
  }

  package static let name = "list_events"
  package static let sql = """
    SELECT number, at, level, stage, message FROM forecast.run_event
    WHERE run_id = $1 AND number > $2 ORDER BY number
    """
  package let runID: Int64
  package let after: Int64
  package var parameters: [any PostgresEncodable] { [runID, after] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      number: try row.decode("number"), at: try row.decode("at"),
      level: try row.decode("level"), stage: try row.decode("stage"),
      message: try row.decode("message"))
  }
}

/// Where a publication came from, as one JSON object; no row when the run has not published.
package struct FindLineage: JSONStatement {
  package static let name = "find_lineage"
  package static let sql =
    "SELECT to_jsonb(l)::text AS json FROM forecast.lineage l WHERE l.run_id = $1"
  package let runID: Int64
  package var parameters: [any PostgresEncodable] { [runID] }
}

/// The forecasts in force of a job, of one series or of all up to a limit of rows.
package struct ReadCurrent: PostgresStatement {
  package struct Row: Sendable {
    package let series: String
    package let targetAt: Date?
    package let targetIndex: Int64?
    package let step: Int
    package let mean: Double
    package let quantiles: [Double]
    package let levels: [Double]
    package let originAt: Date?
    package let originIndex: Int64?
    package let issuedAt: Date
    package let runID: Int64
  }

  package static let name = "read_current"
  package static let sql = """
    SELECT s.series, p.target_at, p.target_index, p.step, p.mean, p.quantiles, g.levels,
           u.origin_at, u.origin_index, u.issued_at, p.run_id
    FROM forecast.job j
    JOIN forecast.series s ON s.job_id = j.job_id
    JOIN forecast.current_run c ON c.job_id = j.job_id AND c.series_id = s.series_id
    JOIN forecast.publication u ON u.run_id = c.run_id
    JOIN forecast.quantile_grid g ON g.grid_id = u.grid_id
    JOIN forecast.forecast_point p
      ON p.run_id = c.run_id AND p.series_id = c.series_id AND p.issued_at = u.issued_at
    WHERE j.name = $1 AND ($2::text IS NULL OR s.series = $2)
    ORDER BY s.series, p.step LIMIT $3
    """
  package let job: String
  package let series: String?
  package let limit: Int64?
  package var parameters: [any PostgresEncodable] { [job, series, limit] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      series: try row.decode("series"), targetAt: try row.decode("target_at"),
      targetIndex: try row.decode("target_index"), step: try row.decode("step"),
      mean: try row.decode("mean"), quantiles: try row.decode("quantiles"),
      levels: try row.decode("levels"), originAt: try row.decode("origin_at"),
      originIndex: try row.decode("origin_index"), issuedAt: try row.decode("issued_at"),
      runID: try row.decode("run_id"))
  }
}

/// Calls one of the functions of the schema that take a run and say what happened.
package struct SteerRun: PostgresStatement {
  package enum Verb: Sendable { case cancel, retry }

  package static let name = "steer_run"
  package static let sql =
    "SELECT CASE $1 WHEN 'cancel' THEN forecast.cancel($2) WHEN 'retry' THEN forecast.retry($2) END AS outcome"
  package let verb: Verb
  package let runID: Int64
  package var parameters: [any PostgresEncodable] {
    [verb == .cancel ? "cancel" : "retry", runID]
  }
  package static func decode(_ row: PostgresRow) throws -> String { try row.decode("outcome") }
}

/// Daemons that hold the presence lock on this database.
package struct CountDaemons: PostgresStatement {
  package static let name = "count_daemons"
  package static let sql = """
    SELECT count(*) AS daemons FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND granted AND mode = 'ShareLock' AND objsubid = 1
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
      AND ((classid::bigint << 32) | objid::bigint) = $1
    """
  package init() {}
  package var parameters: [any PostgresEncodable] { [DaemonPresence.key] }
  package static func decode(_ row: PostgresRow) throws -> Int64 { try row.decode("daemons") }
}

/// Held in a session for as long as a daemon serves; the server releases it when the daemon dies.
package struct DaemonPresence: PostgresStatement {
  /// "forecastd" in ASCII, shortened to eight bytes.
  package static let key: Int64 = 0x666F_7265_6361_7374
  package static let name = "daemon_presence"
  package static let sql = "SELECT pg_advisory_lock_shared($1) IS NULL AS held"
  package init() {}
  package var parameters: [any PostgresEncodable] { [Self.key] }
  package static func decode(_ row: PostgresRow) throws {}
}

/// A run with its attempts, verdict counts and lineage, as one JSON object.
package struct DescribeRun: JSONStatement {
  package static let name = "describe_run"
  package static let sql = """
    SELECT jsonb_build_object(
      'run', to_jsonb(r) || jsonb_build_object('job', j.name),
      'attempts', (SELECT coalesce(jsonb_agg(to_jsonb(a) - 'token' ORDER BY a.number), '[]')
                   FROM forecast.attempt a JOIN forecast.task t ON t.task_id = a.task_id
                   WHERE t.run_id = r.run_id),
      'verdicts', (SELECT coalesce(jsonb_object_agg(verdict, n), '{}')
                   FROM (SELECT verdict, count(*) AS n FROM forecast.series_verdict v
                         WHERE v.run_id = r.run_id GROUP BY verdict) c),
      'lineage', (SELECT to_jsonb(l) FROM forecast.lineage l WHERE l.run_id = r.run_id))::text AS json
    FROM forecast.run r JOIN forecast.job j ON j.job_id = r.job_id
    WHERE r.run_id = $1
    """
  package let runID: Int64
  package var parameters: [any PostgresEncodable] { [runID] }
}
