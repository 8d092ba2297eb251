import Foundation
import Postgres
import Synchronization
import TestSupport
import Testing

@Suite("The embedded cluster", .tags(.database), .requiresDatabase, .serialized)
struct EmbeddedClusterTests {
  let temporary: TemporaryDirectory
  let directory: String

  init() throws {
    temporary = try TemporaryDirectory()
    directory = temporary.path + "/cluster"
  }

  private func cluster(_ directory: String? = nil) -> EmbeddedCluster {
    EmbeddedCluster(directory: directory ?? self.directory)
  }

  private func query(_ sql: String, _ address: ClusterAddress) throws -> String? {
    try ClusterProbe.execute(sql, at: address).first?.first ?? nil
  }

  @Test("from nothing to a database, and everything again without effect")
  func lifecycle() async throws {
    let cluster = cluster()
    #expect(try await cluster.status().state == .absent)
    #expect(try await cluster.stop() == false)

    let steps = Mutex<[String]>([])
    let address = try await cluster.ensureRunning { step in steps.withLock { $0.append(step) } }
    // A server that is asked while it starts says so, on a slow machine.
    let said = steps.withLock { $0.filter { !$0.contains("recovering") } }
    #expect(said.count == 4, "\(said)")
    #expect(
      try query("SELECT current_database() || ' ' || current_user", address) == "forecast forecast")
    let status = try await cluster.status()
    #expect(status.isRunning)
    #expect(status.address == address)
    #expect(status.bytes > 10_000_000)

    let again = try await cluster.ensureRunning { step in Issue.record("did something: \(step)") }
    #expect(again == address)
    #expect(try await cluster.status().pid == status.pid)

    #expect(try await cluster.stop())
    #expect(try await cluster.stop() == false)
    let stopped = try await cluster.status()
    #expect(stopped.state == .stopped)
    #expect(stopped.address == address)
    #expect(stopped.pid == nil)
  }

  @Test("data survives a stop and a start by another instance")
  func durable() async throws {
    let first = try await cluster().ensureRunning()
    try ClusterProbe.execute("CREATE TABLE kept AS SELECT 42 AS answer", at: first)
    try await cluster().stop()
    let second = try await cluster().ensureRunning()
    #expect(try query("SELECT answer FROM kept", second) == "42")
  }

  @Test("nothing listens on TCP, and nobody else may enter its directories")
  func isolation() async throws {
    let address = try await cluster().ensureRunning()
    #expect(try query("SHOW listen_addresses", address) == "")
    #expect(try query("SHOW fsync", address) == "on")
    #expect(try query("SHOW timezone", address) == "UTC")
    for path in [directory, directory + "/data", directory + "/log", address.socketDirectory] {
      var information = stat()
      #expect(stat(path, &information) == 0)
      #expect(information.st_mode & 0o777 == 0o700, "\(path)")
      #expect(information.st_uid != 0 || geteuid() != 0, "\(path)")
    }
    // Peer authentication: the kernel's word, so claiming another role is refused.
    #expect(throws: ClusterProbe.Failure.self) {
      try ClusterProbe.execute("SELECT 1", at: address.with(user: "postgres"))
    }
  }

  @Test("many starters at once get one server, and all succeed")
  func concurrentStarts() async throws {
    let addresses = try await withThrowingTaskGroup(of: (ClusterAddress, String?).self) { group in
      for _ in 0..<6 {
        group.addTask {
          let address = try await self.cluster().ensureRunning()
          return (address, try self.query("SELECT pg_postmaster_start_time()::text", address))
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(addresses.count == 6)
    #expect(Set(addresses.map(\.0.url)).count == 1)
    #expect(Set(addresses.map(\.1)).count == 1)
  }

  @Test("after kill -9 of the server it starts again and has recovered", arguments: 1...2)
  func killed(round: Int) async throws {
    let cluster = cluster()
    let address = try await cluster.ensureRunning()
    try ClusterProbe.execute("CREATE TABLE kept AS SELECT 42 AS answer; CHECKPOINT", at: address)
    let pid = try #require(try await cluster.status().pid)
    kill(pid, SIGKILL)
    // At once: the other processes of the server may still be there.
    let again = try await cluster.ensureRunning()
    #expect(try query("SELECT answer FROM kept", again) == "42")
    #expect(try await cluster.status().pid != pid)
  }

  @Test("a lock file that names a living stranger, a dead process or nonsense does not matter")
  func stalePid() async throws {
    let cluster = cluster()
    try await cluster.ensureRunning()
    let path = directory + "/data/postmaster.pid"
    let genuine = try String(contentsOfFile: path, encoding: .utf8)
    try await cluster.stop()

    let account = try ServerAccount.choose(
      directory: directory, environment: ProcessInfo.processInfo.environment)
    // A process of the server's own user, which is what PostgreSQL would take for a server.
    let stranger = try ChildProcess.spawn(
      account.prefix + ["/bin/sleep", "1000"], environment: [:], input: nil, output: nil,
      newSession: false)
    defer {
      kill(stranger, SIGKILL)
      _ = ChildProcess.wait(for: stranger)
    }
    for pid in [stranger, getpid(), 4_194_303] {
      var lines = genuine.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      lines[0] = String(pid)
      try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: path))
      chown(path, account.uid, account.gid)
      try Data("\(pid)\n\(directory)/data\n".utf8)
        .write(to: URL(fileURLWithPath: directory + "/run/.s.PGSQL.5487.lock"))
      #expect(try await cluster.status().state == .stopped)
      #expect(try await cluster.stop() == false)
      let address = try await cluster.ensureRunning()
      #expect(try query("SELECT 1", address) == "1")
      try await cluster.stop()
    }
    #expect(kill(stranger, 0) == 0)
  }

  @Test("what a killed initdb leaves is cleared away")
  func halfMade() async throws {
    try FileManager.default.createDirectory(
      atPath: directory + "/data.new/base", withIntermediateDirectories: true)
    try Data().write(to: URL(fileURLWithPath: directory + "/cluster.lock"))
    if geteuid() == 0 {
      let account = try ServerAccount.choose(
        directory: directory, environment: ProcessInfo.processInfo.environment)
      chown(directory, account.uid, account.gid)
    }
    let address = try await cluster().ensureRunning()
    #expect(try query("SELECT 1", address) == "1")
    #expect(!FileManager.default.fileExists(atPath: directory + "/data.new"))
  }

  @Test("a dropped database is created again")
  func databaseGone() async throws {
    let address = try await cluster().ensureRunning()
    try ClusterProbe.execute("DROP DATABASE forecast", at: address.with(database: "postgres"))
    let again = try await cluster().ensureRunning()
    #expect(try query("SELECT current_database()", again) == "forecast")
  }

  @Test("a server whose socket was tidied away is started anew")
  func socketGone() async throws {
    let address = try await cluster().ensureRunning()
    try FileManager.default.removeItem(atPath: address.socketDirectory)
    let again = try await cluster().ensureRunning()
    #expect(try query("SELECT 1", again) == "1")
  }

  @Test("a directory too deep for a socket gets one in /tmp, the same every time")
  func longPath() async throws {
    let deep = directory + "/" + String(repeating: "deep-directory/", count: 10) + "cluster"
    try FileManager.default.createDirectory(atPath: deep, withIntermediateDirectories: true)
    let address = try await cluster(deep).ensureRunning()
    #expect(address.socketDirectory.hasPrefix("/tmp/forecast-"))
    #expect(try query("SELECT 1", address) == "1")
    try await cluster(deep).stop()
    #expect(try await cluster(deep).status().address == address)
    #expect(try await cluster(deep).ensureRunning() == address)
  }

  @Test("a socket folder in /tmp taken by somebody else is not used", .requiresRoot)
  func squatted() async throws {
    let deep = directory + "/" + String(repeating: "deep-directory/", count: 10) + "cluster"
    try FileManager.default.createDirectory(atPath: deep, withIntermediateDirectories: true)
    let expected = try await cluster(deep).ensureRunning().socketDirectory
    try await cluster(deep).stop()
    // Root's own folder is somebody else's for the server's user.
    try FileManager.default.removeItem(atPath: expected)
    try FileManager.default.createDirectory(
      atPath: expected, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: expected) }
    let address = try await cluster(deep).ensureRunning()
    #expect(address.socketDirectory == expected + "-2")
    #expect(try query("SELECT 1", address) == "1")
  }

  @Test("names with spaces and quotes work as directory, role and database")
  func oddNames() async throws {
    let cluster = EmbeddedCluster(
      directory: temporary.path + "/it's a \"cluster\"", user: "Ann B", database: "my data")
    let address = try await cluster.ensureRunning()
    #expect(
      try query("SELECT current_user || '|' || current_database()", address) == "Ann B|my data")
  }

  // MARK: Refusals

  private func refusal(
    _ cluster: EmbeddedCluster, _ code: ClusterError.Code, _ mentions: String...,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    do {
      _ = try await cluster.ensureRunning()
      Issue.record("it started", sourceLocation: sourceLocation)
    } catch let error as ClusterError {
      #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
      for word in mentions {
        #expect(error.description.contains(word), "\(error)", sourceLocation: sourceLocation)
      }
    } catch {
      Issue.record(error, sourceLocation: sourceLocation)
    }
  }

  @Test("a cluster of another major version is refused, naming both")
  func versionMismatch() async throws {
    try await cluster().ensureRunning()
    try await cluster().stop()
    let version = try #require(try await cluster().status().version)
    try Data("9\n".utf8).write(to: URL(fileURLWithPath: directory + "/data/PG_VERSION"))
    await refusal(cluster(), .versionMismatch, "PostgreSQL 9,", "\(version)", "postgresql-9")
  }

  @Test("a directory with other contents is left as it is")
  func foreignDirectory() async throws {
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    try Data().write(to: URL(fileURLWithPath: directory + "/thesis.txt"))
    chmod(directory, 0o750)
    await refusal(cluster(), .directoryUnusable, "is not empty")
    var information = stat()
    #expect(stat(directory, &information) == 0 && information.st_mode & 0o777 == 0o750)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["thesis.txt"])
  }

  @Test("a directory the server's user cannot reach is refused, naming it", .requiresRoot)
  func unreachable() async throws {
    let hidden = temporary.path + "/hidden"
    try FileManager.default.createDirectory(atPath: hidden, withIntermediateDirectories: false)
    chmod(hidden, 0o700)
    await refusal(cluster(hidden + "/cluster"), .directoryUnusable, hidden, "FORECAST_DATA_DIR")
  }

  @Test("a broken configuration shows the end of the server's log")
  func brokenConfiguration() async throws {
    try await cluster().ensureRunning()
    try await cluster().stop()
    let path = directory + "/data/forecast.conf"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    try handle.write(contentsOf: Data((text + "shared_buffers = 'plenty'\n").utf8))
    try handle.close()
    await refusal(cluster(), .startFailed, "shared_buffers", "plenty")
  }

  @Test(
    "a failing initdb is explained",
    arguments: [
      ("No space left on device", ClusterError.Code.diskFull),
      ("could not create directory: Permission denied", .directoryUnusable),
      ("something else", .initialisationFailed),
    ])
  func failingInitdb(output: String, code: ClusterError.Code) async throws {
    let programs = temporary.path + "/bin"
    try FileManager.default.createDirectory(atPath: programs, withIntermediateDirectories: false)
    for (name, script) in [
      ("initdb", "echo 'initdb: error: \(output)' >&2; exit 1"),
      ("postgres", "echo 'postgres (PostgreSQL) 15.99'"),
    ] {
      try Data("#!/bin/sh\n\(script)\n".utf8).write(to: URL(fileURLWithPath: "\(programs)/\(name)"))
      chmod("\(programs)/\(name)", 0o755)
    }
    var environment = ProcessInfo.processInfo.environment
    environment["FORECAST_PG_BIN"] = programs
    await refusal(
      EmbeddedCluster(directory: directory, environment: environment), code, directory, output)
    // The next attempt starts from a clean state.
    let address = try await cluster().ensureRunning()
    #expect(try query("SELECT 1", address) == "1")
  }

  @Test(
    "a full disk is said to be full, when creating and when starting",
    .requiresMount)
  func fullDisk() async throws {
    var disk = try SmallDisk(at: directory, megabytes: 20, options: "mode=755")
    await refusal(cluster(), .diskFull, directory)
    #expect(disk.unmount())

    disk = try SmallDisk(at: directory, megabytes: 80, options: "mode=755")
    try await cluster().ensureRunning()
    try await cluster().stop()
    try disk.fill()
    await refusal(cluster(), .diskFull, directory)
    try disk.free()
    let address = try await cluster().ensureRunning()
    #expect(try query("SELECT 1", address) == "1")
    try await cluster().stop()
  }

  @Test("a cancelled start throws CancellationError and does no harm")
  func cancelled() async throws {
    let cluster = cluster()
    let task = Task { try await cluster.ensureRunning() }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    let address = try await cluster.ensureRunning()
    #expect(try query("SELECT 1", address) == "1")
  }

  @Test("an ordinary user gets the same", .requiresRoot)
  func ordinaryUser() async throws {
    // This very test program, run by nobody; a copy, because the build may be in root's home.
    let program = temporary.path + "/tests"
    try FileManager.default.copyItem(
      atPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
      toPath: program)
    let outcome = try ChildProcess.run(
      [
        "/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", program,
        "--testing-library", "swift-testing", "--filter",
        "EmbeddedClusterTests/(lifecycle|concurrentStarts|isolation)",
      ],
      environment: ["PATH": "/usr/bin:/bin", "FORECAST_REQUIRE_DATABASE": "1"])
    #expect(outcome.status == 0, "\(outcome.output)")
    #expect(outcome.output.contains("3 tests"), "\(outcome.output)")
  }
}
