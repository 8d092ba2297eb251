// A private PostgreSQL server for these tests.

import Foundation
import Logging
import Postgres
import Synchronization
import Testing

/// One server in a temporary directory, stopped when the process ends, however it ends.
final class TestServer: @unchecked Sendable {  // the process handle is guarded by `lock`
  let directory: String
  let binaries: String
  let port = 54_321
  private let lock = NSLock()
  private var process: Process?
  private var lifeline: Pipe?

  static let isRequired = ProcessInfo.processInfo.environment["FORECAST_REQUIRE_DATABASE"] == "1"
  /// Where the server's programs are, or nil.
  static let binaries: String? = {
    let root = "/usr/lib/postgresql"
    let versions = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? [])
      .compactMap { Int($0) }.sorted(by: >)
    let candidates =
      versions.map { "\(root)/\($0)/bin" }
      + (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
    return candidates.first {
      FileManager.default.isExecutableFile(atPath: $0 + "/initdb")
        && FileManager.default.isExecutableFile(atPath: $0 + "/postgres")
    }
  }()

  static var isAvailable: Bool { binaries != nil || isRequired }

  private static let only = Mutex<TestServer?>(nil)

  /// The server all tests share, started by the first.
  static func shared() async throws -> PostgresConfiguration {
    let server = try only.withLock { held in
      if let held { return held }
      let made = try TestServer()
      try made.start()
      held = made
      return made
    }
    return try await server.ready()
  }

  /// A server of the caller's own, to be stopped and started again.
  static func own() async throws -> TestServer {
    let server = try TestServer()
    try server.start()
    _ = try await server.ready()
    return server
  }

  init() throws {
    guard let binaries = Self.binaries else {
      throw PostgresError(.configuration, "no initdb: install the package postgresql")
    }
    self.binaries = binaries
    var template = Array("/tmp/pgtest.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw PostgresError(.configuration, "no temporary directory")
    }
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    if getuid() == 0 { try Self.run(["chown", "postgres:postgres", directory]) }
    try Self.run(
      Self.unprivileged + [
        binaries + "/initdb", "-D", directory + "/data", "-U", "forecast", "-A", "trust", "-E",
        "UTF8", "--no-locale", "--no-sync", "--no-instructions",
      ])
    // One user has to give a password.
    let rules = "local all guarded scram-sha-256\nlocal all all trust\n"
    try Data(rules.utf8).write(to: URL(fileURLWithPath: directory + "/data/pg_hba.conf"))
    if getuid() == 0 { try Self.run(["chown", "postgres", directory + "/data/pg_hba.conf"]) }
  }

  deinit {
    stop()
    try? FileManager.default.removeItem(atPath: directory)
  }

  var configuration: PostgresConfiguration {
    PostgresConfiguration(
      socketDirectory: directory, port: port, user: "forecast", database: "postgres")
  }

  func start() throws {
    try lock.withLock {
      let process = Process()
      let lifeline = Pipe()
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      // The server goes when this process does: its end of the pipe closes, even after kill -9.
      let script = """
        exec 3<&0 </dev/null; "$@" 3<&- & p=$!; cat <&3 >/dev/null; kill -INT $p; wait $p; \
        case "$D" in /tmp/pgtest.*) [ -e "$D/keep" ] || rm -rf "$D";; esac
        """
      process.environment = ProcessInfo.processInfo.environment.merging(["D": directory]) { $1 }
      process.arguments =
        ["-c", script, "pg"] + Self.unprivileged + [
          binaries + "/postgres", "-D", directory + "/data", "-k", directory, "-p", "\(port)",
          "-c", "listen_addresses=", "-c", "fsync=off", "-c", "synchronous_commit=off",
          "-c", "full_page_writes=off", "-c", "max_wal_size=4GB", "-c", "log_statement=none",
        ]
      process.standardInput = lifeline
      let log = directory + "/log"
      _ = FileManager.default.createFile(atPath: log, contents: nil)
      process.standardError = FileHandle(forWritingAtPath: log)
      process.standardOutput = FileHandle.nullDevice
      _ = FileManager.default.createFile(atPath: directory + "/keep", contents: nil)
      try process.run()
      self.process = process
      self.lifeline = lifeline
    }
  }

  /// Stops the server at once; open sessions are broken off.
  func stop() {
    lock.withLock {
      try? lifeline?.fileHandleForWriting.close()
      process?.waitUntilExit()
      process = nil
      lifeline = nil
    }
  }

  /// Waits until the server answers.
  func ready() async throws -> PostgresConfiguration {
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
      do {
        let connection = try await PostgresConnection.connect(
          configuration, logger: Logger(label: "test"))
        await connection.close()
        try? FileManager.default.removeItem(atPath: directory + "/keep")
        return configuration
      } catch let error as PostgresError where error.isTransient && .now < deadline {
        try await Task.sleep(for: .milliseconds(5))
      }
    }
  }

  func restart() async throws {
    _ = FileManager.default.createFile(atPath: directory + "/keep", contents: nil)
    stop()
    try start()
    _ = try await ready()
  }

  private static var unprivileged: [String] {
    getuid() == 0
      ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : []
  }

  private static func run(_ command: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    process.standardOutput = FileHandle.nullDevice
    process.currentDirectoryURL = URL(fileURLWithPath: "/tmp")
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw PostgresError(.configuration, "\(command[0]) failed")
    }
  }
}

let testLogger: Logger = {
  var logger = Logger(label: "postgres-tests")
  logger.logLevel = .error
  return logger
}()

extension Tag {
  @Tag static var database: Self
}

extension Trait where Self == ConditionTrait {
  static var needsServer: Self {
    .enabled(if: TestServer.isAvailable, "no PostgreSQL server is installed")
  }
}

/// Lends a connection to the shared server and closes it afterwards.
@discardableResult
nonisolated(nonsending) func withServer<R>(
  _ body: nonisolated(nonsending) (PostgresConnection) async throws -> R
) async throws -> R {
  let connection = try await PostgresConnection.connect(
    try await TestServer.shared(), logger: testLogger)
  do {
    let result = try await body(connection)
    await connection.close()
    return result
  } catch {
    await connection.close()
    throw error
  }
}

/// The error that `body` throws.
nonisolated(nonsending) func failure<R>(
  _ body: nonisolated(nonsending) () async throws -> R
) async -> PostgresError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error as? PostgresError
  }
}

/// Expects the connection to answer.
nonisolated(nonsending) func expectUsable(
  _ connection: PostgresConnection, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
  let answer: Int = try await connection.query("SELECT $1", [17])[0].decode(0)
  #expect(answer == 17, sourceLocation: sourceLocation)
}
