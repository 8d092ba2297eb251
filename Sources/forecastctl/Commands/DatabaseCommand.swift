import ArgumentParser
import ForecastService
import Foundation
import Postgres
import Terminal

/// `forecastctl db`: the embedded private cluster.
struct DatabaseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "db",
    abstract: "Start, stop and open the private PostgreSQL.",
    subcommands: [Start.self, Stop.self, Status.self, URL.self, Psql.self])

  struct Start: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Start the private cluster; make it first when there is none.")

    func run() async throws {
      let console = Console.current
      let cluster = EmbeddedCluster.atDefaultDirectory()
      let began = Date()
      let address = try await cluster.ensureRunning { console.say($0, .dim) }
      let seconds = HumanFormat.duration(Date().timeIntervalSince(began))
      console.say(
        "PostgreSQL runs in \(cluster.directory), socket \(address.socketDirectory) (\(seconds))",
        .ok)
    }
  }

  struct Stop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Stop the private cluster.")

    func run() async throws {
      let cluster = EmbeddedCluster.atDefaultDirectory()
      let stopped = try await cluster.stop()
      Console.current.say(stopped ? "stopped" : "it was not running", .ok)
    }
  }

  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say whether the private cluster runs, and where.")
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let cluster = EmbeddedCluster.atDefaultDirectory()
      let status = try await cluster.status()
      var table = Table([
        Column("running"), Column("pid"), Column("version"), Column("directory"),
        Column("socket_directory"), Column("bytes", priority: .low),
      ])
      table.append([
        .boolean(status.isRunning, status.isRunning ? .ok : .warn), .integer(status.pid),
        .text(status.version), .text(cluster.directory), .text(status.address?.socketDirectory),
        .integer(status.bytes),
      ])
      Console.current.show(table, as: output.output)
    }
  }

  struct URL: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the URL of the database in use, without a password.")
    @OptionGroup var database: DatabaseOptions

    func run() async throws {
      try await database.withSession(schema: .any) { session in
        Console.current.out(session.configuration.url + "\n")
      }
    }
  }

  struct Psql: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Open psql on the database in use; arguments after -- go to psql.")
    @OptionGroup var database: DatabaseOptions
    @Argument(parsing: .captureForPassthrough, help: "Arguments of psql.")
    var arguments: [String] = []

    func run() async throws {
      let url = try await database.withSession(schema: .any) { $0.configuration.url }
      let rest = arguments.first == "--" ? Array(arguments.dropFirst()) : arguments
      try replaceProcess(with: "psql", arguments: ["-d", url] + rest)
    }

    /// Becomes psql, so that signals and the terminal are its own.
    private func replaceProcess(with program: String, arguments: [String]) throws {
      var pointers = ([program] + arguments).map { strdup($0) } + [nil]
      execvp(program, &pointers)
      let reason = String(cString: strerror(errno))
      for pointer in pointers { free(pointer) }
      throw ServiceError(
        .badArgument, "\(program) cannot be started (\(reason)): install postgresql-client")
    }
  }
}
