import Dispatch
import Foundation
package import Postgres
import Synchronization

/// A throw-away PostgreSQL of the test process: unix socket, trust unless asked otherwise, nothing
/// synced to disk. What is committed survives a kill of the server, not of the machine. It can be
/// stopped, killed and started again, and its disk can be filled, to provoke faults.
///
/// As root it runs as `postgres` or `nobody`. It ends with the test process, however that ends.
package final class TemporaryServer: Sendable {
  /// How a server goes down; the names are PostgreSQL's.
  package enum Shutdown: Sendable {
    /// Ends sessions, writes everything.
    case fast
    /// Ends at once, as at a crash; the next start recovers.
    case immediate
    /// `kill -9` of the server, whose other processes notice by themselves.
    case kill

    fileprivate var signal: Int32 {
      switch self {
      case .fast: SIGINT
      case .immediate: SIGQUIT
      case .kill: SIGKILL
      }
    }
  }

  /// The superuser of every throw-away server.
  package static let superuser = "forecast"

  /// The superuser in the database `postgres`.
  package let address: ClusterAddress
  package var configuration: PostgresConfiguration { address.configuration }
  package let directory: TemporaryDirectory
  /// The disk that holds the data, if it was launched with one.
  package let disk: SmallDisk?
  package var dataDirectory: String { process.dataDirectory }

  private let process: ServerProcess
  private static let sharedServer = Once<TemporaryServer>()

  /// The one server all tests of this process share; not to be stopped.
  package static func shared() async throws -> TemporaryServer {
    try await sharedServer.value { try await launch() }
  }

  /// Starts a server of its own, about 0.8 s.
  /// - Parameters:
  ///   - settings: configuration, as in `["max_connections": "10"]`.
  ///   - authentication: lines of `pg_hba.conf` put before `local all all trust`, as in
  ///     `"local all somebody scram-sha-256"`.
  ///   - diskMegabytes: puts the data on a file system of its own and of this size; needs
  ///     `.requiresMount`.
  package static func launch(
    settings: [String: String] = [:], authentication: [String] = [], diskMegabytes: Int? = nil
  ) async throws -> TemporaryServer {
    try await onQueue {
      let directory = try TemporaryDirectory()
      let account = try ServerAccount.choose(directory: directory.path, environment: environment)
      if geteuid() == 0 { chown(directory.path, account.uid, account.gid) }
      let programs = try ClusterPrograms.locate(environment: environment)
      let data = directory.path + "/data"
      let disk = try diskMegabytes.map {
        try SmallDisk(
          at: data, megabytes: $0, options: "mode=0700,uid=\(account.uid),gid=\(account.gid)")
      }
      let outcome = try ChildProcess.run(
        account.prefix + [
          programs.directory + "/initdb", "-D", data, "-U", superuser, "-A", "trust", "-E",
          "UTF8", "--no-locale", "--no-sync", "--no-instructions",
        ], environment: ServerProcess.environment)
      guard outcome.status == 0 else {
        throw ClusterError(
          .initialisationFailed, "initdb of a throw-away server failed.", output: outcome.output)
      }
      let defaults = [
        "fsync": "off", "full_page_writes": "off",
        "max_connections": "200", "wal_level": "minimal", "max_wal_senders": "0",
        "max_wal_size": "4GB", "timezone": "UTC", "log_timezone": "UTC", "jit": "off",
        "search_path": "public",
      ]
      let merged = defaults.merging(settings) { _, asked in asked }
      let process = ServerProcess(
        programs: programs, account: account, dataDirectory: data,
        socketDirectory: directory.path, port: 5432, startLog: directory.path + "/server.log",
        settings: merged.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
      let server = TemporaryServer(directory: directory, process: process, disk: disk)
      if !authentication.isEmpty { try server.writeAuthentication(authentication) }
      _ = try process.start { _ in }
      return server
    }
  }

  private init(directory: TemporaryDirectory, process: ServerProcess, disk: SmallDisk?) {
    self.directory = directory
    self.disk = disk
    self.process = process
    address = ClusterAddress(
      socketDirectory: process.socketDirectory, port: process.port, user: Self.superuser,
      database: "postgres")
  }

  /// The process id of the server; `nil` while it is down.
  package var pid: Int32? {
    PostmasterFile.read(dataDirectory: dataDirectory)
      .flatMap { $0.isAlive(dataDirectory: dataDirectory) ? $0.pid : nil }
  }

  /// Takes the server down and waits until its process is gone.
  package func stop(_ how: Shutdown = .fast) async throws {
    try await onQueue {
      guard let pid = self.pid else { return }
      kill(pid, how.signal)
      while PostmasterFile.isServer(pid, dataDirectory: self.dataDirectory) { usleep(2000) }
    }
  }

  package func start() async throws {
    try await onQueue { _ = try self.process.start { _ in } }
  }

  package func restart(_ how: Shutdown = .fast) async throws {
    try await stop(how)
    try await start()
  }

  /// Puts lines before `local all all trust` and makes the running server read them.
  package func setAuthentication(_ lines: [String]) async throws {
    try writeAuthentication(lines)
    try await execute("SELECT pg_reload_conf()")
  }

  private func writeAuthentication(_ lines: [String]) throws {
    let text = (lines + ["local all all trust", ""]).joined(separator: "\n")
    // In place, which keeps the owner.
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: dataDirectory + "/pg_hba.conf"))
    defer { try? handle.close() }
    try handle.truncate(atOffset: 0)
    try handle.write(contentsOf: Data(text.utf8))
  }

  /// Runs statements as superuser over a connection of their own, independent of the client under
  /// test.
  /// - Returns: the rows of the last one, as text.
  @discardableResult
  package func execute(
    _ sql: String, database: String = "postgres"
  ) async throws -> [[String?]] {
    try await onQueue {
      try ClusterProbe.execute(sql, at: self.address.with(database: database))
    }
  }

  /// Ends the server and removes its directory.
  package func remove() async {
    try? await onQueue { self.directory.remove() }
  }
}

private let environment = ProcessInfo.processInfo.environment
private let queue = DispatchQueue(label: "forecast.tests", attributes: .concurrent)

/// Runs blocking work away from the cooperative pool.
func onQueue<Value: Sendable>(
  _ work: @escaping @Sendable () throws -> Value
) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    queue.async { continuation.resume(with: Result { try work() }) }
  }
}

/// A value made by the first who asks and shared by all; a failure is shared too.
final class Once<Value: Sendable>: Sendable {
  private let task = Mutex<Task<Value, any Error>?>(nil)

  func value(_ make: @escaping @Sendable () async throws -> Value) async throws -> Value {
    let running = task.withLock { current in
      if let current { return current }
      // Detached: the test that happens to come first may be cancelled without the others' loss.
      let new = Task.detached { try await make() }
      current = new
      return new
    }
    return try await running.value
  }
}
