import Foundation
package import Logging
package import Postgres

/// A database that is ready to be used, and what the shells ask of it.
package struct Session: Sendable {
  /// What a command needs of the schema.
  package enum Schema: Sendable {
    /// Up to date; the private cluster is migrated on the way, a user's own database never is.
    case ready
    /// Whatever is there.
    case any
  }

  package let configuration: PostgresConfiguration
  package let pool: PostgresPool
  package let logger: Logger
  private let environment: [String: String]

  /// Opens the database that `DatabaseChoice` finds, starting the private cluster when needed.
  ///
  /// - Parameter report: is told what takes time, such as the first start of a cluster.
  package static func open(
    databaseURL: String?, applicationName: String, schema: Schema, logger: Logger,
    environment: [String: String] = ProcessInfo.processInfo.environment,
    report: @escaping @Sendable (String) -> Void
  ) async throws -> Session {
    let choice = try DatabaseChoice.resolve(
      url: databaseURL, environment: environment, applicationName: applicationName)
    var configuration: PostgresConfiguration
    var isEmbedded = false
    switch choice {
    case .given(let given): configuration = given
    case .embedded(let cluster):
      isEmbedded = true
      configuration = try await cluster.ensureRunning(progress: report).configuration
      configuration.applicationName = applicationName
    }
    let session = Session(
      configuration: configuration,
      pool: PostgresPool(configuration, maximumConnections: 4, logger: logger), logger: logger,
      environment: environment)
    do {
      if schema == .ready {
        if isEmbedded {
          for name in try await session.migrate() { report("applied \(name)") }
        } else {
          try await SchemaCheck(pool: session.pool).verify()
        }
      }
    } catch {
      await session.close()
      throw error
    }
    return session
  }

  /// A logger on standard error; warnings only unless `verbose`.
  package static func logger(label: String, verbose: Bool) -> Logger {
    var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = verbose ? .debug : .error
    return logger
  }

  package func close() async { await pool.close() }

  /// Applies the migrations that are missing; returns their names.
  package func migrate() async throws -> [String] {
    let runner = try MigrationRunner(
      directory: try Installation.migrations(environment: environment),
      table: "forecast.schema_migration")
    return try await runner.migrate(pool, build: Build.version).map(\.name)
  }

  // MARK: Runs

  package func runRequest(threads: Int?) -> RunRequest {
    RunRequest(pool: pool, settings: workerSettings(threads: threads), logger: logger)
  }

  /// A worker inside this process, for `run --wait` without a daemon.
  package func localWorker(threads: Int? = nil) -> Worker {
    Worker(
      pool: pool, name: "forecastctl", settings: workerSettings(threads: threads), logger: logger)
  }

  private func workerSettings(threads: Int?) -> Worker.Settings {
    var settings = Worker.Settings()
    settings.heartbeat = .milliseconds(250)
    if let threads { settings.threads = max(1, threads) }
    return settings
  }

  /// Cancels or retries a run; says what happened.
  ///
  /// - Throws: `ServiceError.unknownRun`, `.badArgument` when the run's state forbids it.
  package func steer(_ verb: SteerRun.Verb, _ runID: Int64) async throws -> String {
    _ = try await runRequest(threads: nil).find(runID)
    do {
      return try await pool.run(SteerRun(verb: verb, runID: runID)).first ?? ""
    } catch let error as PostgresError where error.sqlState == "55000" {
      throw ServiceError(.badArgument, error.message)
    }
  }

  // MARK: Views

  package struct Overview: Sendable {
    package let jobs: [ListStatus.Row]
    package let daemons: Int64
  }

  /// - Throws: `ServiceError.unknownJob` when `job` is given and not registered.
  package func overview(job: String?) async throws -> Overview {
    if let job { _ = try await JobRegistry(pool: pool).find(job) }
    return Overview(
      jobs: try await pool.run(ListStatus(job: job)),
      daemons: try await pool.run(CountDaemons()).first ?? 0)
  }

  /// Newest first. Throws `ServiceError.unknownJob` when `job` is given and not registered.
  package func runs(job: String?, limit: Int) async throws -> [ListRuns.Row] {
    if let job { _ = try await JobRegistry(pool: pool).find(job) }
    return try await pool.run(ListRuns(job: job, runID: nil, limit: limit))
  }

  /// The log of a run after line `number`.
  package func events(of runID: Int64, after number: Int64) async throws -> [ListEvents.Row] {
    try await pool.run(ListEvents(runID: runID, after: number))
  }

  package struct Details: Sendable {
    package let run: ListRuns.Row
    package let attempts: [ListAttempts.Row]
    package let verdicts: [CountVerdicts.Row]
    package let lineage: [(key: String, value: String)]
    /// All of it as one JSON object.
    package let json: String
  }

  package func details(of runID: Int64) async throws -> Details {
    let run = try await runRequest(threads: nil).find(runID)
    let lineage = try await pool.run(FindLineage(runID: runID)).first
    let json = try await pool.run(DescribeRun(runID: runID)).first ?? "{}"
    return Details(
      run: run, attempts: try await pool.run(ListAttempts(runID: runID)),
      verdicts: try await pool.run(CountVerdicts(runID: runID)),
      lineage: try lineage.map(Self.pairs) ?? [], json: json)
  }

  private static func pairs(of json: String) throws -> [(key: String, value: String)] {
    let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any] ?? [:]
    return object.sorted { $0.key < $1.key }.compactMap { key, value in
      value is NSNull ? nil : (key, "\(value)")
    }
  }

  package func forecasts(
    job: String, series: String?, limit: Int64?
  ) async throws -> [ReadCurrent.Row] {
    _ = try await JobRegistry(pool: pool).find(job)
    return try await pool.run(ReadCurrent(job: job, series: series, limit: limit))
  }
}
