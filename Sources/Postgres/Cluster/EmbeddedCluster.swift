import Dispatch
import Foundation
import Synchronization

/// A private PostgreSQL under one directory: the database of those who have not set up another.
///
/// It listens on a unix socket only, inside directories closed to everybody but their owner, and lets
/// in the owner and root by the kernel's word. The server outlives the process that started it.
/// Every call is idempotent and safe against the same call in other processes: a lock file makes
/// them wait for each other. An ordinary user runs the server as himself; root runs it as
/// `postgres`, else `nobody`, or as the owner of the directory.
///
/// Below the directory: `data` (PostgreSQL's), `log`, `run` (the socket), `cluster.lock`.
///
/// Costs: nothing to ready about 1 s, a start 0.1 s, a check of a running server 5 ms.
package final class EmbeddedCluster: Sendable {
  package let directory: String
  package let user: String
  package let database: String

  let environment: [String: String]
  let layout: ClusterLayout
  private let queue = DispatchQueue(label: "forecast.cluster")

  /// Names the cluster; touches nothing yet.
  /// - Parameter directory: absolute, or relative to the current directory. It is created when
  ///   missing; one that exists must be empty or hold a cluster.
  package init(
    directory: String, user: String = "forecast", database: String = "forecast",
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) {
    let absolute = URL(fileURLWithPath: directory).standardizedFileURL.path
    self.directory = absolute
    self.user = user
    self.database = database
    self.environment = environment
    layout = ClusterLayout(directory: absolute)
  }

  /// `FORECAST_DATA_DIR`, else `/var/lib/forecast` for root, else `forecast` in the user's data
  /// folder (`XDG_DATA_HOME` or `~/.local/share`).
  package static func defaultDirectory(
    environment: [String: String] = ProcessInfo.processInfo.environment,
    isRoot: Bool = geteuid() == 0
  ) -> String {
    func value(_ name: String) -> String? {
      environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }
    if let directory = value("FORECAST_DATA_DIR") { return directory }
    if isRoot { return "/var/lib/forecast" }
    // A relative XDG_DATA_HOME is to be ignored, says its specification.
    if let data = value("XDG_DATA_HOME"), data.hasPrefix("/") { return data + "/forecast" }
    return (value("HOME") ?? NSHomeDirectory()) + "/.local/share/forecast"
  }

  /// The cluster of this user, in the default directory.
  package static func atDefaultDirectory(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> EmbeddedCluster {
    EmbeddedCluster(
      directory: defaultDirectory(environment: environment), environment: environment)
  }

  /// Returns once the server answers and the database exists, creating and starting what is missing.
  /// - Parameter progress: given a line for the user at every step that takes noticeable time, on
  ///   another thread; not called at all when the server already runs.
  /// - Throws: `ClusterError`; `CancellationError` when the task is cancelled while waiting, in
  ///   which case a server that was already started comes up on its own.
  @discardableResult
  package func ensureRunning(
    progress: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws -> ClusterAddress {
    try await blocking { cancellation in
      let start = ClusterStart(
        cluster: self, progress: { progress($0.description) }, cancellation: cancellation)
      return try start.run()
    }
  }

  /// Stops the server, ending the sessions of its clients, and waits until it is down.
  /// - Returns: whether there was one to stop.
  @discardableResult
  package func stop(timeoutSeconds: Int = 60) async throws -> Bool {
    try await blocking { _ in try self.stopBlocking(timeoutSeconds: timeoutSeconds) }
  }

  /// What there is, without changing anything.
  package func status() async throws -> ClusterStatus {
    try await blocking { _ in try ClusterStatus.inspect(self) }
  }

  /// A program of the server's version, such as `psql`; `nil` where it is not installed.
  package func program(_ name: String) throws -> String? {
    try ClusterPrograms.locate(environment: environment, major: layout.dataVersion)
      .path(name, environment: environment)
  }

  /// Runs blocking work on the cluster's own queue, away from the cooperative pool.
  private func blocking<Result: Sendable>(
    _ work: @escaping @Sendable (CancellationFlag) throws -> Result
  ) async throws -> Result {
    let flag = CancellationFlag()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        queue.async { continuation.resume(with: Swift.Result { try work(flag) }) }
      }
    } onCancel: {
      flag.set()
    }
  }

  private func stopBlocking(timeoutSeconds: Int) throws -> Bool {
    guard FileManager.default.fileExists(atPath: layout.data) else { return false }
    let account = try ServerAccount.choose(directory: directory, environment: environment)
    let lock = try FileLock(layout.lock, owner: account)
    defer { lock.release() }
    guard let file = PostmasterFile.read(dataDirectory: layout.data),
      file.isAlive(dataDirectory: layout.data)
    else { return false }
    try shutDown(file.pid, timeoutSeconds: timeoutSeconds)
    return true
  }

  /// The fast shutdown; the lock is held.
  func shutDown(_ pid: pid_t, timeoutSeconds: Int) throws {
    if kill(pid, SIGINT) != 0, errno != ESRCH {
      throw ClusterError(
        .stopFailed,
        "The server in \(directory) (process \(pid)) runs as another user: stop it as that user or "
          + "as root.")
    }
    let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
    while PostmasterFile.isServer(pid, dataDirectory: layout.data) {
      guard ContinuousClock.now < deadline else {
        throw ClusterError(
          .stopFailed,
          "The server in \(directory) (process \(pid)) has not ended after \(timeoutSeconds) s: it "
            + "may still be writing; its log is in \(layout.logs).")
      }
      usleep(5000)
    }
  }

  /// The address a server says it has, else the one it would get.
  func address(of file: PostmasterFile?) -> ClusterAddress {
    let recorded = try? String(contentsOfFile: layout.socketRecord, encoding: .utf8)
    let folder =
      file?.socketDirectory
      ?? recorded?.trimmingCharacters(in: .newlines)
      ?? layout.socketDirectories(environment: environment)[0]
    return ClusterAddress(
      socketDirectory: folder, port: file?.port ?? ClusterLayout.port, user: user,
      database: database)
  }
}

/// A step of `EmbeddedCluster.ensureRunning`; the description is a line for the user.
enum ClusterProgress: CustomStringConvertible {
  case waitingForOtherProcess
  case creating(directory: String, version: Int)
  case starting(directory: String)
  /// The server replays its log after it, or the machine, was not shut down properly.
  case recovering
  case creatingDatabase(String)
  case ready(ClusterAddress, seconds: Double)

  var description: String {
    switch self {
    case .waitingForOtherProcess: "Waiting for another process that is starting the database"
    case .creating(let directory, let version):
      "Creating a PostgreSQL \(version) cluster in \(directory)"
    case .starting(let directory): "Starting PostgreSQL in \(directory)"
    case .recovering: "PostgreSQL is recovering from an unclean shutdown"
    case .creatingDatabase(let name): "Creating the database \(name)"
    case .ready(let address, let seconds):
      "PostgreSQL is ready at \(address.url) (\(Int(seconds * 1000)) ms)"
    }
  }
}

/// Set when the calling task is cancelled, looked at between waits.
final class CancellationFlag: Sendable {
  private let value = Atomic(false)

  func set() { value.store(true, ordering: .relaxed) }

  func check() throws {
    if value.load(ordering: .relaxed) { throw CancellationError() }
  }
}
