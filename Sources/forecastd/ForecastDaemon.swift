import ArgumentParser
import ForecastService
import Foundation
import Logging
import Postgres
import ServiceLifecycle
import UnixSignals

@main
struct ForecastDaemon: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "forecastd",
    abstract: "Runs forecasting jobs when they are due.",
    discussion: """
      The database is the one named by --database-url, FORECAST_DATABASE_URL or libpq's own settings; \
      with none of these a private PostgreSQL is started under the data directory.
      """,
    version: Build.version,
    subcommands: [Serve.self, Once.self])

  static func main() async {
    signal(SIGPIPE, SIG_IGN)
    do {
      let command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        var command = command
        try command.run()
      }
    } catch {
      if let failure = ExitStatus(describing: error) {
        FileHandle.standardError.write(Data("error: \(failure.message)\n".utf8))
        exit(withError: ExitCode(failure.code))
      }
      exit(withError: error)
    }
  }
}

struct DaemonOptions: ParsableArguments {
  @Option(
    name: .customLong("database-url"),
    help: ArgumentHelp("Database to use, as a URL or libpq settings.", valueName: "url"))
  var databaseURL: String?

  @Option(help: "Runs worked on at the same time.")
  var workers = 1

  @Option(help: "Threads of each fit. Default: all cores, divided by the workers.")
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "A run counts as lost when its worker was silent for so long.", valueName: "seconds"))
  var lease = 60

  @Option(help: "How much to log.")
  var logLevel: LogLevel = .info

  func validate() throws {
    guard (1...1024).contains(workers) else {
      throw ValidationError("--workers \(workers): expected 1 to 1024")
    }
    guard threads.map((1...1024).contains) ?? true else {
      throw ValidationError("--threads: expected 1 to 1024")
    }
    guard (2...86_400).contains(lease) else {
      throw ValidationError("--lease \(lease): expected 2 to 86400 seconds")
    }
  }

  var logger: Logger {
    var logger = Logger(label: "forecastd") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = logLevel.level
    return logger
  }

  var settings: Daemon.Settings {
    var settings = Daemon.Settings()
    settings.workers = workers
    settings.worker.lease = .seconds(lease)
    settings.worker.heartbeat = .seconds(min(1, Double(lease) / 4))
    settings.worker.threads =
      threads ?? max(1, ProcessInfo.processInfo.activeProcessorCount / workers)
    return settings
  }

  /// Opens the database, migrates a private one, and makes the daemon.
  func daemon(logger: Logger) async throws -> Daemon {
    let session = try await Session.open(
      databaseURL: databaseURL, applicationName: "forecastd", schema: .ready, logger: logger,
      report: { logger.info("\($0)") })
    let configuration = session.configuration
    await session.close()
    logger.notice("forecastd \(Build.version) on \(configuration); \(Build.arithmetic)")
    return Daemon(configuration: configuration, settings: settings, logger: logger)
  }
}

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Scheduler and workers, until told to stop.",
    discussion: """
      TERM or INT lets running work finish and takes no new one; a second one stops at once and puts \
      the work back into the queue.
      """)
  @OptionGroup var options: DaemonOptions

  func run() async throws {
    let logger = options.logger
    let daemon = try await options.daemon(logger: logger)
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [
          .init(
            service: DaemonService(daemon: daemon),
            successTerminationBehavior: .gracefullyShutdownGroup,
            failureTerminationBehavior: .gracefullyShutdownGroup),
          .init(
            service: SignalService(daemon: daemon), successTerminationBehavior: .ignore,
            failureTerminationBehavior: .ignore),
        ],
        logger: logger))
    try await group.run()
  }
}

/// The daemon as a service: ends when it has drained.
private struct DaemonService: Service {
  let daemon: Daemon
  func run() async throws { try await daemon.serve() }
}

/// First TERM or INT: drain. Second: stop at once.
private struct SignalService: Service {
  let daemon: Daemon

  func run() async throws {
    var seen = 0
    for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint).cancelOnGracefulShutdown()
    {
      seen += 1
      if seen == 1 {
        await daemon.drain()
      } else {
        await daemon.abort()
        return
      }
    }
  }
}

struct Once: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run what is due and what waits, then exit with its result: for cron.")
  @OptionGroup var options: DaemonOptions

  func run() async throws {
    let logger = options.logger
    let daemon = try await options.daemon(logger: logger)
    let pass = try await withThrowingTaskGroup(of: Daemon.Pass?.self) { group in
      group.addTask { try await daemon.once() }
      group.addTask {
        try await SignalService(daemon: daemon).run()
        return nil
      }
      defer { group.cancelAll() }
      while let ended = try await group.next() {
        if let ended { return ended }
      }
      throw CancellationError()
    }
    if pass.outcomes.isEmpty, pass.waiting == 0 { logger.notice("nothing was due") }
    for outcome in pass.outcomes {
      logger.notice("job \(outcome.job), run \(outcome.runID): \(outcome.state ?? "taken over")")
    }
    if let error = pass.error { throw error }
  }
}

/// The levels of swift-log, as an option.
enum LogLevel: String, CaseIterable, ExpressibleByArgument {
  case trace, debug, info, notice, warning, error

  var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}
