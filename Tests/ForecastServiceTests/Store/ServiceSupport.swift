import ForecastService
import Foundation
import Logging
import Postgres
import TestSupport
import Testing

/// The top of the source tree.
let sourceRoot = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

let migrated = DatabaseTemplate("migrated") { address in
  let pool = PostgresPool(address.configuration, maximumConnections: 1, logger: quiet)
  _ = try await MigrationRunner(
    directory: sourceRoot.appendingPathComponent("migrations"), table: "forecast.schema_migration"
  ).migrate(pool, build: "test")
  await pool.close()
}

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A migrated database with a source table and jobs on it.
struct Service {
  let database: TemporaryDatabase
  let pool: PostgresPool

  init() throws {
    database = try #require(TemporaryDatabase.current)
    pool = PostgresPool(database.configuration, maximumConnections: 8, logger: quiet)
  }

  /// Three seasonal daily series of 60 days and some bad ones.
  func makeSource() async throws {
    try await database.execute(
      """
      CREATE TABLE source (series text, ts date, value double precision);
      INSERT INTO source SELECT 's' || s, date '2024-01-01' + d, 100 * s + 10 * (d % 7) + d
        FROM generate_series(1, 3) s, generate_series(0, 59) d;
      INSERT INTO source SELECT 'constant', date '2024-01-01' + d, 5 FROM generate_series(0, 59) d;
      INSERT INTO source SELECT 'nan', date '2024-01-01' + d, 'NaN' FROM generate_series(0, 9) d;
      INSERT INTO source VALUES ('short', '2024-02-01', 1), ('twice', '2024-02-01', 1), ('twice', '2024-02-01', 2),
        ('twice', '2024-02-02', 2), (NULL, '2024-02-01', 1);
      """)
  }

  func job(
    _ name: String = "demand",
    query: String = "SELECT series, ts, value AS y FROM source WHERE ts <= :cutoff",
    extra: String = "", frequency: String = "1 day", steps: Int = 20
  ) throws -> JobFile {
    try JobFileParser.parse(
      """
      job: \(name)
      source:
        query: "\(query)"
        frequency: \(frequency)
      horizon: 4
      model: {kind: lstm, hidden: 4}
      training: {steps: \(steps), batch: 8}
      \(extra)
      """, file: "\(name).yaml")
  }

  func apply(_ files: JobFile...) async throws {
    _ = try await JobRegistry(pool: pool).apply(files)
  }

  func worker(_ name: String = "test", lease: Duration = .seconds(30)) -> Worker {
    var settings = Worker.Settings()
    settings.threads = 1
    settings.lease = lease
    settings.heartbeat = .milliseconds(50)
    return Worker(pool: pool, name: name, settings: settings, logger: quiet)
  }

  /// Queues a run and works on it here.
  func run(_ name: String = "demand", cutoff: String? = "2024-02-29") async throws -> ListRuns.Row {
    let request = RunRequest(pool: pool, settings: .init(), logger: quiet)
    let runID = try await request.enqueue(job: name, cutoff: cutoff, now: Date())
    _ = try await worker().workOnce(onlyRun: runID)
    return try await request.find(runID)
  }

  func claim(_ worker: String = "w") async throws -> ClaimTask.Row? {
    try await pool.run(
      ClaimTask(
        worker: worker, host: "h", pid: 1, build: "test", leaseSeconds: 60, onlyRun: nil)
    ).first
  }

  func value(_ sql: String) async throws -> String? {
    try await database.execute(sql).first?.first ?? nil
  }
}
