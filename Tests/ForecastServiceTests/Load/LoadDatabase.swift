import Foundation
import Logging
import Postgres
import Testing

/// A private server for the tests of loading, in a directory of its own.
final class LoadDatabase: @unchecked Sendable {  // the process is touched by `with` alone
  let pool: PostgresPool
  private let directory: String
  private let binaries: String
  private let server = Process()
  private let lifeline = Pipe()

  private static let binaries: String? = {
    let root = "/usr/lib/postgresql"
    let versions = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? [])
    let newest = versions.compactMap { Int($0) }.max()
    return newest.map { "\(root)/\($0)/bin" }
  }()

  static var isAvailable: Bool {
    binaries != nil || ProcessInfo.processInfo.environment["FORECAST_REQUIRE_DATABASE"] == "1"
  }

  /// Starts a server, runs `body`, stops the server whatever happens.
  nonisolated(nonsending) static func with(
    _ body: nonisolated(nonsending) (LoadDatabase) async throws -> Void
  ) async throws {
    let database = try LoadDatabase()
    do {
      try await database.start()
      try await body(database)
    } catch {
      await database.stop()
      throw error
    }
    await database.stop()
  }

  private init() throws {
    binaries = try #require(Self.binaries, "no PostgreSQL server is installed")
    var template = Array("/tmp/loadtest.XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    var logger = Logger(label: "load-tests")
    logger.logLevel = .error
    pool = PostgresPool(
      PostgresConfiguration(
        socketDirectory: directory, port: 5432, user: "forecast", database: "postgres"),
      maximumConnections: 2, logger: logger)
    if getuid() == 0 { try Self.run(["chown", "postgres:postgres", directory]) }
    try Self.run(
      Self.unprivileged + [
        binaries + "/initdb", "-D", directory + "/data", "-U", "forecast", "-A", "trust", "-E",
        "UTF8", "--no-locale", "--no-sync", "--no-instructions",
      ])
  }

  private func stop() async {
    await pool.close()
    // The script below sees its input end, stops the server and goes; also after kill -9 of the tests.
    try? lifeline.fileHandleForWriting.close()
    server.waitUntilExit()
    try? FileManager.default.removeItem(atPath: directory)
  }

  private func start() async throws {
    server.executableURL = URL(fileURLWithPath: "/bin/sh")
    let script =
      "exec 3<&0 </dev/null; \"$@\" 3<&- & p=$!; cat <&3 >/dev/null; kill -INT $p; wait $p"
    server.arguments =
      ["-c", script, "pg"] + Self.unprivileged + [
        binaries + "/postgres", "-D", directory + "/data", "-k", directory, "-c",
        "listen_addresses=", "-c", "timezone=UTC", "-c", "fsync=off", "-c", "full_page_writes=off",
      ]
    server.standardInput = lifeline
    server.standardOutput = FileHandle.nullDevice
    server.standardError = FileHandle.nullDevice
    try server.run()
    // The pool tries again while the server comes up.
    try await pool.execute("SELECT 1")
  }

  private static var unprivileged: [String] {
    getuid() == 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : []
  }

  private static func run(_ command: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    process.standardOutput = FileHandle.nullDevice
    process.currentDirectoryURL = URL(fileURLWithPath: "/tmp")
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(command.joined(separator: " ")) failed")
  }
}
