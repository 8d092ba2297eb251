import ForecastService
import Foundation
import Logging
import Postgres
import Synchronization
import TestSupport
import Testing

/// What a private run leaves behind, in every table and in the log.
@Suite(
  "Traces of private jobs", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database),
  .serialized)
struct PrivateTraceTests {
  private static let privacy =
    "privacy: {budget: demand, epsilon: 1, delta: 1e-3, units: 5, clippingNorm: 1}"

  private func prepared(
    query: String? = nil, extra: String = privacy
  ) async throws -> Service {
    let service = try Service()
    try await service.makeSource()
    try await service.database.execute(
      "INSERT INTO forecast.privacy_budget (account, unit, epsilon_limit, delta_limit) VALUES ('demand', 'series', 50, 1e-3)"
    )
    let extra = "contextLength: 20\n\(extra)"
    try await service.apply(
      query.map { try service.job(query: $0, extra: extra) } ?? service.job(extra: extra))
    return service
  }

  /// Everything that is logged, without the run's number.
  private final class Lines: LogHandler, Sendable {
    let lines = Mutex<[String]>([])
    var metadata: Logger.Metadata {
      get { [:] }
      set {}
    }
    var logLevel: Logger.Level {
      get { .trace }
      set {}
    }
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { nil }
      set {}
    }
    func log(event: Logging.LogEvent) { lines.withLock { $0.append("\(event.message)") } }
  }

  private func run(_ service: Service) async throws -> (run: Int64, lines: [String]) {
    let request = RunRequest(pool: service.pool, settings: .init(), logger: quiet)
    let runID = try await request.enqueue(job: "demand", cutoff: "2024-02-29", now: Date())
    let handler = Lines()
    var settings = Worker.Settings()
    settings.threads = 1
    let worker = Worker(
      pool: service.pool, name: "test", settings: settings,
      logger: Logger(label: "test") { _ in handler })
    _ = try await worker.workOnce(onlyRun: runID)
    return (runID, handler.lines.withLock { $0 })
  }

  /// Columns in which two runs over the same data differ: numbers of rows, times, noise, and the ledger's totals.
  private static let free: [String: Set<String>] = [
    "run": ["run_id", "queued_at", "started_at", "finished_at"],
    "task": ["task_id", "run_id", "not_before"],
    "run_event": ["run_id", "number", "at"],
    "data_snapshot": ["run_id", "read_at"],
    "series_verdict": ["run_id"],
    "model_version": ["model_id", "run_id", "weights", "weights_digest", "created_at"],
    "publication": ["run_id", "attempt_token", "model_id", "issued_at"],
    "forecast_point": ["run_id", "issued_at", "mean", "quantiles"],
    "current_run": ["run_id"],
    "schedule_tick": [],
    "privacy_charge": [
      "charge_id", "number", "run_id", "attempt_token", "reserved_at", "composed_epsilon", "digest",
    ],
  ]

  /// Tables that name no run, and why they need no comparison.
  private static let others: Set<String> = [
    "job", "job_version",  // what the job's file says
    "attempt",  // compared through its task below
    "series",  // names series
    "quantile_grid", "schema_migration",
    "privacy_budget", "privacy_block_rule", "privacy_charge_state",  // public numbers
    // Of jobs whose inputs have noise, which these have not.
    "private_input", "private_release", "private_value",
  ]

  /// All that tables hold of a run, but rows of the series `extra`.
  private func traces(_ service: Service, _ run: Int64) async throws -> [String: [String]] {
    var found: [String: [String]] = [:]
    for (table, free) in Self.free {
      let columns = free.map { "'\($0)'" }.joined(separator: ",")
      let named =
        switch table {
        case "series_verdict": "AND t.series <> 'extra'"
        case "forecast_point", "current_run":
          "AND t.series_id <> (SELECT coalesce(max(series_id), 0) FROM forecast.series WHERE series = 'extra')"
        case "run_event": "AND t.message NOT LIKE 'reserved at privacy account%'"
        default: ""
        }
      let rows = try await service.database.execute(
        "SELECT row::text FROM (SELECT to_jsonb(t) - ARRAY[\(columns)]::text[] AS row FROM forecast.\(table) t WHERE t.run_id = \(run) \(named)) r ORDER BY 1"
      )
      found[table] = rows.map { $0[0] ?? "" }
    }
    found["attempt"] = try await service.database.execute(
      "SELECT (to_jsonb(a) - ARRAY['attempt_id', 'task_id', 'token', 'started_at', 'heartbeat_at', 'lease_until', 'finished_at'])::text FROM forecast.attempt a JOIN forecast.task t USING (task_id) WHERE t.run_id = \(run)"
    ).map { $0[0] ?? "" }
    return found
  }

  @Test("data with one series more leave the same traces, but for rows that name that series")
  func neighbours() async throws {
    let service = try await prepared()
    let tables = try await service.database.execute(
      "SELECT relname FROM pg_class WHERE relnamespace = 'forecast'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
    ).map { $0[0] ?? "" }
    #expect(
      Set(tables) == Set(Self.free.keys).union(Self.others),
      "a new table: say here what private runs leave in it")
    let first = try await run(service)
    // Now, as the second run takes the pointers to what is current.
    let before = try await traces(service, first.run)
    try await service.database.execute(
      "INSERT INTO source SELECT 'extra', date '2020-01-01' + d, CASE WHEN d % 5 = 0 THEN 'NaN' ELSE 7e6 + d END FROM generate_series(0, 1500) d"
    )
    let second = try await run(service)
    let after = try await traces(service, second.run)
    #expect(before["run"]?.first?.contains("succeeded") == true, "\(before["run_event"] ?? [])")
    #expect(before["forecast_point"]?.count == 16 && before["series_verdict"]?.count == 7)
    #expect(
      try await service.value(
        "SELECT count(*) FROM forecast.forecast_point p JOIN forecast.series s USING (series_id) WHERE s.series = 'extra'"
      ) == "4", "the series is there")
    for (table, rows) in before {
      #expect(rows == after[table], "forecast.\(table)")
    }
    func told(_ lines: [String]) -> [String] { lines.filter { !$0.hasPrefix("reserved") } }
    #expect(told(first.lines) == told(second.lines) && first.lines.count > 4, "\(first.lines)")
    await service.pool.close()
  }

  @Test("the same comparison finds what a job without privacy stores")
  func plain() async throws {
    let service = try await prepared(extra: "")
    let first = try await run(service)
    // Now, as the second run takes the pointers to what is current.
    let before = try await traces(service, first.run)
    try await service.database.execute(
      "INSERT INTO source SELECT 'extra', date '2024-01-01' + d, d FROM generate_series(0, 50) d")
    let second = try await run(service)
    let after = try await traces(service, second.run)
    for table in ["run", "data_snapshot", "publication", "model_version", "run_event"] {
      #expect(before[table] != after[table], "forecast.\(table)")
    }
    #expect(first.lines != second.lines)
    await service.pool.close()
  }

  @Test(
    "a value that the query cannot read is not quoted, and leaves the charge to the next attempt")
  func failing() async throws {
    let service = try await prepared(
      query:
        "SELECT series, ts, (CASE WHEN series = 's2' THEN 'secret-value' ELSE value::text END)::double precision AS y FROM source WHERE ts <= :cutoff"
    )
    let done = try await run(service)
    #expect(
      try await service.value("SELECT error_code FROM forecast.run WHERE error_text LIKE '%22P02%'")
        == "query")
    let dump = try await service.value(
      "SELECT string_agg(x, ' ') FROM (SELECT to_jsonb(r)::text FROM forecast.run r UNION ALL SELECT to_jsonb(a)::text FROM forecast.attempt a UNION ALL SELECT to_jsonb(e)::text FROM forecast.run_event e) AS t (x)"
    )
    for text in [dump ?? "", done.lines.joined(separator: " ")] {
      #expect(!text.contains("secret-value") && text.contains("not stored"), "\(text)")
    }
    #expect(try await service.value("SELECT state FROM forecast.privacy_charges") == "unused")
    await service.pool.close()
  }

  @Test(
    "what fails without the data charges nothing",
    arguments: [
      "SELECT nonsense FROM source", "SELECT series, ts, value AS y FROM missing",
      "SELECT series, ts FROM source", "SELECT series, ts, value AS y FROM forbidden.source",
    ])
  func unprepared(query: String) async throws {
    let service = try await prepared(query: query)
    _ = try await run(service)
    #expect(try await service.value("SELECT state FROM forecast.run") == "failed")
    #expect(try await service.value("SELECT count(*) FROM forecast.privacy_charge") == "0")
    await service.pool.close()
  }

  @Test("an attempt that a passing failure ends while it reads is repeated at the same charge")
  func repeated() async throws {
    let service = try await prepared(
      query: "SELECT series, ts, value AS y FROM source WHERE ts <= :cutoff AND is_up()")
    try await service.database.execute(
      """
      CREATE TABLE switch AS SELECT false AS up;
      CREATE FUNCTION is_up() RETURNS boolean LANGUAGE plpgsql AS $$
      BEGIN
        IF NOT (SELECT up FROM switch) THEN RAISE EXCEPTION 'away' USING ERRCODE = 'cannot_connect_now'; END IF;
        RETURN true;
      END $$
      """)
    let first = try await run(service)
    #expect(try await service.value("SELECT state FROM forecast.run") == "retryable", "\(first)")
    #expect(try await service.value("SELECT state FROM forecast.privacy_charges") == "unused")
    try await service.database.execute(
      "UPDATE switch SET up = true; UPDATE forecast.task SET not_before = now()")
    _ = try await service.worker().workOnce(onlyRun: first.run)
    #expect(
      try await service.database.execute(
        "SELECT r.state, t.attempts::text, c.state FROM forecast.run r JOIN forecast.task t USING (run_id) JOIN forecast.privacy_charges c USING (run_id)"
      ) == [["succeeded", "2", "committed"]])
    await service.pool.close()
  }

  @Test("only rows in blocks of time that were paid for reach the training")
  func blocks() async throws {
    let service = try await prepared(
      extra:
        "privacy: {budget: monthly, epsilon: 1, delta: 1e-3, units: 10, block: month, history: 1}")
    try await service.database.execute(
      "INSERT INTO forecast.privacy_block_rule (account, unit, period, timezone, epsilon_limit, delta_limit) VALUES ('monthly', 'series', 'month', 'UTC', 3, 1e-3)"
    )
    let first = try await run(service)
    #expect(
      try await service.database.execute(
        "SELECT r.state, c.block, c.state FROM forecast.run r JOIN forecast.privacy_charges c USING (run_id)"
      ) == [["succeeded", "2024-02", "committed"]], "\(first.lines)")
    // Without data in the block that is paid for, there is nothing to train on but the noise.
    try await service.database.execute("DELETE FROM source WHERE ts >= '2024-02-01'")
    let second = try await run(service)
    #expect(
      try await service.value("SELECT error_code FROM forecast.run WHERE run_id = \(second.run)")
        == "training", "\(second.lines)")
    await service.pool.close()
  }
}
