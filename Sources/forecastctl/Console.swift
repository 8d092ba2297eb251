import ArgumentParser
import ForecastService
import Foundation
import Postgres
import Terminal

/// Where a command prints: results on standard output, talk on standard error.
struct Console: Sendable {
  let environment: TerminalEnvironment

  static var current: Console { Console(environment: .current()) }

  /// Prints a result in the wanted format.
  func show(_ table: Table, as format: OutputFormat, timeZone: TimeZone = .gmt) {
    out(table.render(format, environment: environment, now: Date(), timeZone: timeZone))
  }

  func out(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }

  /// Says something that is no result.
  func say(_ text: String, _ role: Role = .plain) {
    FileHandle.standardError.write(
      Data((role.paint(text, color: environment.errorColor) + "\n").utf8))
  }

  func fail(_ message: String) {
    let mark = Role.bad.paint("error:", color: environment.errorColor)
    FileHandle.standardError.write(Data("\(mark) \(message)\n".utf8))
  }

  func progressBar() -> ProgressBar { ProgressBar(environment: environment) }
}

/// Options of every command that talks to a database.
struct DatabaseOptions: ParsableArguments {
  @Option(
    name: .customLong("database-url"),
    help: ArgumentHelp(
      "Database to use, as a URL or libpq settings.",
      discussion: "Default: FORECAST_DATABASE_URL, then PG* variables, then the private cluster.",
      valueName: "url"))
  var databaseURL: String?

  @Flag(name: .shortAndLong, help: "Say what happens on the connection.")
  var verbose = false

  /// Runs `body` with a session on the chosen database.
  func withSession<R: Sendable>(
    schema: Session.Schema = .ready, _ body: (Session) async throws -> R
  ) async throws -> R {
    let console = Console.current
    let session = try await Session.open(
      databaseURL: databaseURL, applicationName: "forecastctl", schema: schema,
      logger: Session.logger(label: "forecastctl", verbose: verbose),
      report: { console.say($0, .dim) })
    do {
      let result = try await body(session)
      await session.close()
      return result
    } catch {
      await session.close()
      throw error
    }
  }
}

/// `--output` of every command that prints rows.
struct OutputOptions: ParsableArguments {
  @Option(
    name: .shortAndLong, help: "table, json, jsonl or csv.", completion: .list(OutputFormat.names))
  var output: OutputFormat = .table
}

extension OutputFormat: ExpressibleByArgument {
  static var names: [String] { allCases.map(\.rawValue) }
}
