package import Foundation

/// Starts a `postgres` that outlives us, and follows it until it is ready or gone.
///
/// Blocks its thread. Shared by the embedded cluster and by throw-away servers of tests.
package struct ServerProcess: Sendable {
  package let programs: ClusterPrograms
  package let account: ServerAccount
  package let dataDirectory: String
  package let socketDirectory: String
  package let port: Int
  /// Gets what the server says before its own log is open, or all it says where it has none.
  package let startLog: String
  /// Further `name=value` settings, which win over the configuration files.
  package let settings: [String]

  package init(
    programs: ClusterPrograms, account: ServerAccount, dataDirectory: String,
    socketDirectory: String, port: Int, startLog: String, settings: [String]
  ) {
    self.programs = programs
    self.account = account
    self.dataDirectory = dataDirectory
    self.socketDirectory = socketDirectory
    self.port = port
    self.startLog = startLog
    self.settings = settings
  }

  /// How long a live server may take; a recovery after a crash replays at most `max_wal_size`.
  package static let patience = Duration.seconds(600)
  /// How long the processes of a killed server may take to notice that it is gone.
  private static let orphanPatience = Duration.seconds(15)

  /// Only what a server needs: none of `PG*`, no locale but C, so that its messages are known.
  package static let environment = [
    "LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/local/bin:/usr/bin:/bin",
  ]

  /// Starts the server and waits until it is ready.
  ///
  /// A leftover lock file whose number now belongs to a stranger does not stop it; neither do the
  /// remaining processes of a server that was killed a moment ago.
  /// - Parameter waiting: called every few milliseconds with the time waited; may throw to give up.
  package func start(waiting: (Duration) throws -> Void) throws -> PostmasterFile {
    let logs = URL(fileURLWithPath: startLog).deletingLastPathComponent().path
    let deadline = ContinuousClock.now + Self.orphanPatience
    while true {
      if PostmasterFile.read(dataDirectory: dataDirectory)?
        .isAlive(dataDirectory: dataDirectory) == false
      {
        try PostmasterFile.markStale(dataDirectory: dataDirectory)
      }
      let before = LogTail(directory: logs, startLog: startLog)
      let pid = try launch()
      if let file = try Self.waitUntilReady(
        pid: pid, dataDirectory: dataDirectory, waiting: waiting)
      {
        return file
      }
      let output = before.added()
      if output.contains("pre-existing shared memory block"), ContinuousClock.now < deadline {
        try waiting(.zero)
        usleep(50_000)
        continue
      }
      throw ClusterError.classify(
        output: output, directory: dataDirectory, otherwise: .startFailed,
        "PostgreSQL did not start in \(dataDirectory): the reason is in the last lines of its log "
          + "(\(logs)).")
    }
  }

  /// Starts the server in a session of its own, with its output in a file, as a child of nobody we
  /// know, so that it lives on after us and never becomes our zombie.
  private func launch() throws -> pid_t {
    let script = """
      umask 077; cd "$1" || exit 1; log=$2; : >"$log" || exit 1; shift 2
      "$@" </dev/null >"$log" 2>&1 & echo $!
      """
    let arguments =
      [
        "/bin/sh", "-c", script, "sh", dataDirectory, startLog, programs.postgres, "-D",
        dataDirectory, "-k", socketDirectory, "-p", String(port), "-c", "listen_addresses=",
      ] + settings.flatMap { ["-c", $0] }
    let outcome = try ChildProcess.run(
      account.prefix + arguments, environment: Self.environment, newSession: true)
    guard outcome.status == 0,
      let pid = pid_t(outcome.output.trimmingCharacters(in: .whitespacesAndNewlines))
    else {
      throw ClusterError.classify(
        output: outcome.output, directory: dataDirectory, otherwise: .startFailed,
        "The user \(account.name) cannot run PostgreSQL in \(dataDirectory).")
    }
    return pid
  }

  /// - Returns: what the ready server says about itself; `nil` when the process ended before.
  package static func waitUntilReady(
    pid: pid_t, dataDirectory: String, waiting: (Duration) throws -> Void
  ) throws -> PostmasterFile? {
    let began = ContinuousClock.now
    while true {
      // Asked first, so that a server that becomes ready and ends in between is not missed.
      let lives = lives(pid)
      if let file = PostmasterFile.read(dataDirectory: dataDirectory), file.pid == pid,
        file.status == "ready"
      {
        return file
      }
      guard lives else { return nil }
      let waited = ContinuousClock.now - began
      try waiting(waited)
      guard waited < patience else {
        throw ClusterError(
          .notReady,
          "PostgreSQL in \(dataDirectory) is still not ready after \(patience): it may be "
            + "recovering; try again later and look at its log.")
      }
      usleep(2000)
    }
  }

  /// Whether a process exists and is no zombie. Its name does not matter: shortly after the launch it
  /// is still the shell.
  private static func lives(_ pid: pid_t) -> Bool {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let close = text.lastIndex(of: ")")
    else { return false }
    let state = text[close...].dropFirst(2).first
    return state != "Z" && state != "X"
  }
}

/// Remembers how long the log files were, to tell later what has been added.
struct LogTail {
  private let directory: String
  private let startLog: String
  private let before: [String: Int]

  init(directory: String, startLog: String) {
    self.directory = directory
    self.startLog = startLog
    before = Self.sizes(directory)
  }

  /// What was written since; the start log, which each start empties, comes first and whole.
  func added() -> String {
    let start = URL(fileURLWithPath: startLog).lastPathComponent
    let others = Self.sizes(directory).filter {
      $0.key != start && $0.value > before[$0.key, default: 0]
    }
    let parts = [(start, 0)] + others.keys.sorted().map { ($0, before[$0, default: 0]) }
    return parts.map { name, offset in
      guard let handle = FileHandle(forReadingAtPath: directory + "/" + name) else { return "" }
      try? handle.seek(toOffset: UInt64(offset))
      let bytes = (try? handle.read(upToCount: 256 * 1024)) ?? Data()
      return String(decoding: bytes, as: UTF8.self)
    }.joined()
  }

  private static func sizes(_ directory: String) -> [String: Int] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.reduce(into: [:]) { sizes, name in
      var information = stat()
      if name.hasSuffix(".log"), stat(directory + "/" + name, &information) == 0 {
        sizes[name] = Int(information.st_size)
      }
    }
  }
}
