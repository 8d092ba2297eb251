import Foundation
import Logging
import Postgres
import TestSupport
import Testing

private struct Doubled: PostgresStatement {
  static let name = "doubled"
  static let sql = "SELECT $1 * 2 AS d"
  var value: Int
  var parameters: [any PostgresEncodable] { [value] }
  static func decode(_ row: PostgresRow) throws -> Int { try row.decode("d") }
}

private struct Misread: PostgresStatement {
  static let name = "misread"
  static let sql = "SELECT 'text' AS word"
  var parameters: [any PostgresEncodable] { [] }
  static func decode(_ row: PostgresRow) throws -> Int { try row.decode("word") }
}

@Suite("A connection", .tags(.database), .requiresDatabase, .timeLimit(.minutes(5)))
struct ConnectionTests {
  @Test("a result has columns, rows, a tag and a count")
  func result() async throws {
    try await withServer { connection in
      let result = try await connection.query("SELECT g AS n FROM generate_series(1, 3) g")
      #expect(result.columns == [PostgresColumn(name: "n", type: .int4)])
      #expect(try result.map { try $0.decode("n", as: Int.self) } == [1, 2, 3])
      #expect(result.commandTag == "SELECT 3")
      try await connection.execute("CREATE TEMP TABLE t (a int8)")
      #expect(try await connection.execute("INSERT INTO t VALUES ($1), ($2)", [1, 2]) == 2)
      #expect(try await connection.execute("DELETE FROM t WHERE a = $1", [1]) == 1)
    }
  }

  @Test("an error carries what the server says and leaves the connection usable")
  func serverError() async throws {
    try await withServer { connection in
      try await connection.executeScript(
        "CREATE TEMP TABLE k (a int8 PRIMARY KEY); INSERT INTO k VALUES (8675309)")
      let error = await failure {
        try await connection.execute("INSERT INTO k VALUES ($1)", [8_675_309])
      }
      #expect(error?.code == .server)
      #expect(error?.sqlState == "23505")
      #expect(error?.constraint == "k_pkey")
      #expect(error?.table == "k")
      #expect(error?.fault == .data)
      #expect(error?.description.contains("k_pkey") == true)
      #expect(error?.description.contains("8675309") == false)
      let syntax = await failure { try await connection.query("SELECT 1 +") }
      #expect(syntax?.sqlState == "42601")
      try await expectUsable(connection)
    }
  }

  @Test("the description of a data error does not quote the datum")
  func dataError() async throws {
    try await withServer { connection in
      let error = await failure { try await connection.query("SELECT 'hunter2'::int") }
      #expect(error?.sqlState == "22P02")
      #expect(error?.description.contains("hunter2") == false)
    }
  }

  @Test("several statements run as a script, all or nothing")
  func script() async throws {
    try await withServer { connection in
      try await connection.executeScript("CREATE TEMP TABLE s (a int); INSERT INTO s VALUES (1)")
      let error = await failure {
        try await connection.executeScript("INSERT INTO s VALUES (2); SELECT 1/0; SELECT 1")
      }
      #expect(error?.sqlState == "22012")
      #expect(try await connection.query("SELECT * FROM s").count == 1)
    }
  }

  @Test("a prepared statement is prepared once, and again after it was deallocated")
  func prepared() async throws {
    try await withServer { connection in
      #expect(try await connection.run(Doubled(value: 21)) == [42])
      #expect(try await connection.run(Doubled(value: 2)) == [4])
      let count = "SELECT count(*) FROM pg_prepared_statements WHERE name = 'doubled'"
      #expect(try await connection.query(count)[0].decode(0, as: Int.self) == 1)
      try await connection.executeScript("DEALLOCATE ALL")
      #expect(try await connection.run(Doubled(value: 3)) == [6])
    }
  }

  @Test("a decoding error names the statement and the column")
  func decodingError() async throws {
    try await withServer { connection in
      let error = await failure { try await connection.run(Misread()) }
      #expect(error?.code == .decoding)
      #expect(error?.statement == "misread")
      #expect(error?.column == "word")
    }
  }

  @Test("describing names columns and types without running the statement")
  func describe() async throws {
    try await withServer { connection in
      let columns = try await connection.describe(
        "SELECT 1::int4 AS a, now() AS b, 1/0 AS c, 'x'::text AS d")
      #expect(columns.map(\.name) == ["a", "b", "c", "d"])
      #expect(columns.map(\.type) == [.int4, .timestamptz, .int4, .text])
      let error = await failure { try await connection.describe("SELECT nowhere") }
      #expect(error?.sqlState == "42703")
      #expect(try await connection.describe("SELECT 1").count == 1)
    }
  }

  @Test("statements from many tasks run one after the other")
  func concurrency() async throws {
    try await withServer { connection in
      let sum = try await withThrowingTaskGroup(of: Int.self) { group in
        for value in 1...50 {
          group.addTask { try await connection.query("SELECT $1", [value])[0].decode(0) }
        }
        return try await group.reduce(0, +)
      }
      #expect(sum == 1275)
    }
  }

  @Test("a COPY in a query is refused, and the connection stays usable", arguments: ["IN", "OUT"])
  func copyInQuery(direction: String) async throws {
    try await withServer { connection in
      try await connection.executeScript("CREATE TEMP TABLE c (a int)")
      let sql =
        direction == "IN"
        ? "COPY c FROM STDIN" : "COPY (SELECT generate_series(1, 100000)) TO STDOUT"
      let asQuery = await failure { try await connection.query(sql) }
      #expect(asQuery?.code == .misuse)
      let asScript = await failure { try await connection.executeScript(sql) }
      #expect(asScript?.code == .misuse)
      try await expectUsable(connection)
    }
  }

  @Test("cancelling the task cancels the query on the server and frees the connection")
  func cancellation() async throws {
    try await withServer { connection in
      let id = await connection.backendProcessID
      let task = Task { try await connection.query("SELECT pg_sleep(60)") }
      try await waitUntilActive(id)
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      #expect(try await connection.query("SELECT $1", [5])[0].decode(0, as: Int.self) == 5)
      #expect(await connection.backendProcessID == id)
    }
  }

  @Test("a statement that waits for its turn is cancelled without running")
  func cancelledInQueue() async throws {
    try await withServer { connection in
      try await connection.executeScript("CREATE TEMP TABLE q (a int)")
      let id = await connection.backendProcessID
      let first = Task { try await connection.query("SELECT pg_sleep(60)") }
      try await waitUntilActive(id)
      let second = Task { try await connection.execute("INSERT INTO q VALUES (1)") }
      second.cancel()
      await #expect(throws: CancellationError.self) { try await second.value }
      first.cancel()
      await #expect(throws: CancellationError.self) { try await first.value }
      #expect(try await connection.query("SELECT * FROM q").isEmpty)
    }
  }

  @Test("many cancellations in a row never hit the statement after them")
  func cancellationStorm() async throws {
    try await withServer { connection in
      for round in 0..<40 {
        let task = Task { try await connection.query("SELECT pg_sleep(0.002)") }
        if round.isMultiple(of: 2) { await Task.yield() }
        task.cancel()
        _ = try? await task.value
        let answer: Int = try await connection.query("SELECT $1", [round])[0].decode(0)
        #expect(answer == round)
      }
    }
  }

  @Test("a session terminated in mid-query fails with connectionLost and closes")
  func terminated() async throws {
    try await withServer { connection in
      let id = await connection.backendProcessID
      let task = Task { try await connection.query("SELECT pg_sleep(60)") }
      try await waitUntilActive(id)
      try await withServer { try await $0.execute("SELECT pg_terminate_backend($1)", [id]) }
      let error = await failure { try await task.value }
      #expect(error?.code == .connectionLost)
      #expect(error?.sqlState == "57P01")
      #expect(error?.isTransient == true)
      #expect(await connection.isClosed)
      let after = await failure { try await connection.query("SELECT 1") }
      #expect(after?.code == .connectionLost)
    }
  }

  @Test("closing twice is harmless, and a closed connection says so")
  func closed() async throws {
    try await withServer { connection in
      await connection.close()
      await connection.close()
      let error = await failure { try await connection.query("SELECT 1") }
      #expect(error?.description.contains("closed") == true)
    }
  }

  private func waitUntilActive(_ id: Int32) async throws {
    try await withServer { watcher in
      while try await watcher.query(
        "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", [id]
      ).isEmpty {}
    }
  }
}
