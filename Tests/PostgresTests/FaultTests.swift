import Foundation
import Glibc
import Postgres
import Synchronization
import TestSupport
import Testing

private struct Refusal: Error {}

@Suite("Faults", .tags(.database), .requiresDatabase, .timeLimit(.minutes(5)))
struct FaultTests {
  @Test("a wrong password is an authentication error that does not contain it")
  func wrongPassword() async throws {
    let server = try await TemporaryServer.launch(
      authentication: ["local all guarded scram-sha-256"])
    try await server.execute("CREATE ROLE guarded LOGIN PASSWORD 'right-secret'")
    let configuration = server.address.with(user: "guarded").configuration
    for password in ["wrong-secret", ""] {
      let error = await failure {
        try await PostgresConnection.connect(
          password.isEmpty ? configuration : configuration.with("password", password),
          logger: testLogger)
      }
      #expect(error?.code == .authenticationFailed)
      #expect(error?.isTransient == false)
      #expect(error?.fault == .configuration)
      #expect(error.map { "\($0)" + $0.message }?.contains("wrong-secret") == false)
    }
    let right = try await PostgresConnection.connect(
      configuration.with("password", "right-secret"), logger: testLogger)
    try await expectUsable(right)
    await right.close()
    await server.remove()
  }

  @Test("no server is a transient failure, no such database is not")
  func unreachable() async throws {
    let nobody = PostgresConfiguration(
      socketDirectory: "/nonexistent", port: 1, user: "a", database: "b")
    let error = await failure { try await PostgresConnection.connect(nobody, logger: testLogger) }
    #expect(error?.code == .connectionFailed)
    #expect(error?.isTransient == true)
    let missing = try await TemporaryServer.shared().configuration.with(
      database: "no_such_database")
    let other = await failure { try await PostgresConnection.connect(missing, logger: testLogger) }
    #expect(other?.sqlState == "3D000")
    #expect(other?.isTransient == false)
  }

  @Test("a transaction commits, and rolls back what an error interrupts")
  func transaction() async throws {
    try await withServer { connection in
      try await connection.executeScript("CREATE TEMP TABLE x (a int8)")
      let value = try await connection.transaction { connection in
        try await connection.execute("INSERT INTO x VALUES (1)")
        return 5
      }
      #expect(value == 5)
      await #expect(throws: Refusal.self) {
        try await connection.transaction { connection in
          try await connection.execute("INSERT INTO x VALUES (2)")
          throw Refusal()
        }
      }
      try await connection.transaction { outer in
        try await outer.execute("INSERT INTO x VALUES (3)")
        try? await outer.transaction { inner in
          try await inner.execute("INSERT INTO x VALUES (4)")
          throw Refusal()
        }
      }
      let kept = try await connection.query("SELECT a FROM x ORDER BY a").map {
        try $0.decode("a", as: Int.self)
      }
      #expect(kept == [1, 3])
      let readOnly = await failure {
        try await connection.transaction(.readOnly) {
          try await $0.execute("CREATE TABLE never (a int)")
        }
      }
      #expect(readOnly?.sqlState == "25006")
    }
  }

  @Test("a transaction that swallows an error cannot pretend to have committed")
  func swallowed() async throws {
    try await withServer { connection in
      let error = await failure {
        try await connection.transaction { connection in
          _ = try? await connection.execute("SELECT 1/0")
        }
      }
      #expect(error?.code == .transactionAborted)
      try await expectUsable(connection)
    }
  }

  @Test("a constraint checked at COMMIT is a server error, not an unknown")
  func deferredConstraint() async throws {
    try await withServer { connection in
      try await connection.executeScript(
        "CREATE TEMP TABLE d (a int8 UNIQUE DEFERRABLE INITIALLY DEFERRED)")
      let error = await failure {
        try await connection.transaction {
          try await $0.execute("INSERT INTO d VALUES (1), (1)")
        }
      }
      #expect(error?.code == .server)
      #expect(error?.sqlState == "23505")
    }
  }

  @Test("a COMMIT whose answer is lost is unknown, though it was done")
  func commitUnknown() async throws {
    let configuration = try await TemporaryServer.shared().configuration
    try await withServer { try await $0.executeScript("CREATE TABLE IF NOT EXISTS u (a uuid)") }
    let proxy = try CuttingProxy(configuration, cutAfter: "COMMIT")
    defer { proxy.stop() }
    let key = UUID()
    let connection = try await PostgresConnection.connect(
      proxy.configuration, logger: testLogger)
    let error = await failure {
      try await connection.transaction { connection in
        try await connection.execute("INSERT INTO u VALUES ($1)", [key])
      }
    }
    #expect(error?.code == .commitUnknown)
    #expect(error?.isTransient == false)
    #expect(await connection.isClosed)
    try await withServer { connection in
      let found = try await connection.query("SELECT 1 FROM u WHERE a = $1", [key]).count
      #expect(found == 1)
    }
  }

  @Test("a pool outlives a restart of its server")
  func restart() async throws {
    let server = try await TemporaryServer.launch()
    let pool = PostgresPool(server.configuration, maximumConnections: 3, logger: testLogger)
    // Three sessions, idle when the server goes.
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<3 { group.addTask { try await pool.execute("SELECT pg_sleep(0.05)") } }
      try await group.waitForAll()
    }
    try await server.restart()
    for number in 0..<6 {
      let answer: Int = try await pool.query("SELECT $1", [number])[0].decode(0)
      #expect(answer == number)
    }
    try await server.stop()
    let short = PostgresPool(
      server.configuration, maximumConnections: 1, logger: testLogger,
      reconnectWindow: .milliseconds(100))
    let error = await failure { try await short.query("SELECT 1") }
    #expect(error?.code == .connectionFailed)
    await pool.close()
    await short.close()
    await server.remove()
  }

  @Test("a terminated session is never lent again, and its place is given to another")
  func terminatedInPool() async throws {
    let pool = PostgresPool(
      try await TemporaryServer.shared().configuration, maximumConnections: 1, logger: testLogger)
    for _ in 0..<3 {
      let error = await failure {
        try await pool.query("SELECT pg_terminate_backend(pg_backend_pid())")
      }
      #expect(error?.code == .connectionLost)
      let answer: Int = try await pool.query("SELECT 1::int8")[0].decode(0)
      #expect(answer == 1)
    }
    #expect(await pool.openConnections == 1)
    await pool.close()
  }

  @Test("waiting for a connection has a limit, can be cancelled, and ends with the pool")
  func waiting() async throws {
    let pool = PostgresPool(
      try await TemporaryServer.shared().configuration, maximumConnections: 1, logger: testLogger,
      acquireTimeout: .milliseconds(50))
    let timedOut = try await pool.withConnection { _ in
      await failure { try await pool.query("SELECT 1") }
    }
    #expect(timedOut?.code == .poolTimeout)
    try await pool.withConnection { _ in
      let waiter = Task { try await pool.query("SELECT 1") }
      waiter.cancel()
      await #expect(throws: CancellationError.self) { try await waiter.value }
    }
    await pool.close()
    let closed = await failure { try await pool.query("SELECT 1") }
    #expect(closed?.code == .poolClosed)
    #expect(await pool.openConnections == 0)
  }

  @Test("many tasks share few connections, and a transaction left open is rolled back")
  func sharing() async throws {
    let pool = PostgresPool(
      try await TemporaryServer.shared().configuration, maximumConnections: 2, logger: testLogger)
    let ids = try await withThrowingTaskGroup(of: Int32.self) { group in
      for _ in 0..<40 {
        group.addTask { try await pool.query("SELECT pg_backend_pid()")[0].decode(0) }
      }
      return try await group.reduce(into: Set<Int32>()) { $0.insert($1) }
    }
    #expect(ids.count <= 2)
    try await pool.withConnection { try await $0.executeScript("BEGIN") }
    for _ in 0..<2 {
      let isOpen = try await pool.withConnection { await $0.isInTransaction }
      #expect(!isOpen)
    }
    await pool.close()
  }
}

/// Stands between a client and the server, and hangs up on the client right after it passed `word` on.
private final class CuttingProxy: Sendable {
  let configuration: PostgresConfiguration
  private let directory: String
  private let listener: Int32
  private let isStopped = Atomic<Bool>(false)

  init(_ server: PostgresConfiguration, cutAfter word: String) throws {
    var template = Array("/tmp/pgproxy.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil, let host = server.host, let port = server.port else {
      throw PostgresError(.configuration, "no temporary directory")
    }
    let directory = String(
      decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    self.directory = directory
    configuration = PostgresConfiguration(
      socketDirectory: directory, port: 1, user: server.user ?? "", database: server.database ?? "")
    let listener = Self.socket("\(directory)/.s.PGSQL.1") { bind($0, $1, $2) }
    self.listener = listener
    listen(listener, 1)
    let upstream = "\(host)/.s.PGSQL.\(port)"
    Thread.detachNewThread {
      let client = accept(listener, nil, nil)
      let server = Self.socket(upstream) { connect($0, $1, $2) }
      var buffer = [UInt8](repeating: 0, count: 65_536)
      var ends = [
        pollfd(fd: client, events: Int16(POLLIN), revents: 0),
        pollfd(fd: server, events: Int16(POLLIN), revents: 0),
      ]
      relay: while client >= 0, poll(&ends, 2, -1) > 0 {
        for (from, to) in [(0, 1), (1, 0)] where ends[from].revents != 0 {
          let count = read(ends[from].fd, &buffer, buffer.count)
          guard count > 0 else { break relay }
          _ = write(ends[to].fd, buffer, count)
          if from == 0, buffer[..<count].firstRange(of: Array(word.utf8)) != nil {
            // The server's answer shows that it is done; the client never sees it.
            _ = read(server, &buffer, buffer.count)
            break relay
          }
        }
      }
      close(client)
      close(server)
    }
  }

  func stop() {
    close(listener)
    try? FileManager.default.removeItem(atPath: directory)
  }

  private static func socket(
    _ path: String, _ use: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        use(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    return result == 0 ? descriptor : -1
  }
}
