import Foundation
import Postgres
import TestSupport
import Testing

private struct Refusal: Error {}

@Suite("COPY", .tags(.database), .requiresDatabase, .timeLimit(.minutes(5)))
struct CopyTests {
  @Test("rows of every kind come out as the server has them")
  func out() async throws {
    try await withServer { connection in
      let sql = """
        COPY (SELECT 1::int2, 2::int4, 3::int8, 1.5::float4, 'NaN'::float8, true,
              '2000-01-01 00:00:01Z'::timestamptz, 'Zürich'::text, NULL::int4, 12.25::numeric,
              '2000-01-03'::date) TO STDOUT (FORMAT binary)
        """
      let count = try await connection.copyOut(sql) {
        (row: borrowing PostgresCopyRow) throws -> Void in
        #expect(row.fieldCount == 11)
        #expect(try row.int16(0) == 1)
        #expect(try row.int32(1) == 2)
        #expect(try row.int64(2) == 3)
        #expect(try row.float4(3) == 1.5)
        #expect(try row.float8(4).isNaN)
        #expect(try row.bool(5))
        #expect(try row.timestamp(6).microseconds == 1_000_000)
        #expect(try row.string(7) == "Zürich")
        #expect((row.isNull(8), row.isNull(7)) == (true, false))
        #expect(try row.number(9, type: .numeric) == 12.25)
        #expect(try row.date(10).days == 2)
        #expect((try? row.int32(8)) == nil)
        #expect((try? row.int64(0)) == nil)
      }
      #expect(count == 1)
    }
  }

  @Test("an empty result has no rows")
  func empty() async throws {
    try await withServer { connection in
      let count = try await connection.copyOut(
        "COPY (SELECT 1 WHERE false) TO STDOUT (FORMAT binary)"
      ) { _ in Issue.record("there is a row") }
      #expect(count == 0)
    }
  }

  @Test("what is written comes back, NULL and arrays and NaN too")
  func roundTrip() async throws {
    try await withServer { connection in
      try await connection.executeScript(
        """
        CREATE TEMP TABLE w (a int4, b int8, c float8, d float4, e text, f timestamptz, g bool,
          h float8[], i date, j numeric, k bytea, l float4[])
        """)
      let count = try await connection.copyIn("COPY w FROM STDIN (FORMAT binary)") { writer in
        for number in 0..<3 {
          try await writer.beginRow(12)
          writer.write(Int32(number))
          writer.write(number)
          writer.write(number == 1 ? Double.nan : Double(number))
          writer.write(Float(0.5))
          if number == 2 { writer.writeNull() } else { writer.write("text \(number)") }
          writer.write(PostgresTimestamp(microseconds: Int64(number)))
          writer.write(true)
          writer.write(number == 0 ? [] : [1.5, .infinity])
          writer.write(PostgresDate(days: 1))
          writer.write(any: PostgresNumeric("1.250"))
          writer.write(any: [1, 2] as [UInt8])
          writer.write([Float(2.5)])
        }
      }
      #expect(count == 3)
      let rows = try await connection.query("SELECT * FROM w ORDER BY a")
      #expect(try rows.map { try $0.decode("b", as: Int.self) } == [0, 1, 2])
      #expect(try rows[1].decode("c", as: Double.self).isNaN)
      #expect(try rows[2].decode("e", as: String?.self) == nil)
      #expect(try rows[1].decode("e", as: String.self) == "text 1")
      #expect(try rows[0].decode("h", as: [Double].self) == [])
      #expect(try rows[1].decode("h", as: [Double].self) == [1.5, .infinity])
      #expect(try rows[1].decode("f", as: PostgresTimestamp.self).microseconds == 1)
      #expect(try rows[1].decode("j", as: PostgresNumeric.self).text == "1.250")
      #expect(try rows[1].decode("k", as: [UInt8].self) == [1, 2])
      #expect(try rows[1].decode("l", as: [Float].self) == [2.5])
    }
  }

  @Test("an error thrown while writing loads nothing, and the connection goes on")
  func clientThrowsIn() async throws {
    try await withServer { connection in
      try await connection.executeScript("CREATE TEMP TABLE t (a int8)")
      await #expect(throws: Refusal.self) {
        try await connection.copyIn("COPY t FROM STDIN (FORMAT binary)") { writer in
          for number in 0..<50_000 {
            try await writer.beginRow(1)
            writer.write(number)
          }
          throw Refusal()
        }
      }
      await #expect(throws: Refusal.self) {
        try await connection.copyIn(
          "COPY t FROM STDIN (FORMAT binary)",
          next: { writer in
            if writer.rowCount == 20_000 { throw Refusal() }
            try writer.row(1)
            writer.write(1)
            return true
          })
      }
      #expect(try await connection.query("SELECT * FROM t").isEmpty)
    }
  }

  @Test("a row the server refuses ends a long COPY early, loads nothing, and says why")
  func serverErrorIn() async throws {
    try await withServer { connection in
      try await connection.executeScript("CREATE TEMP TABLE t (a int8 CHECK (a <> 70000))")
      let limit = 50_000_000
      for isSynchronous in [true, false] {
        let written = Counter()
        let error = await failure {
          let sql = "COPY t FROM STDIN (FORMAT binary)"
          if isSynchronous {
            try await connection.copyIn(
              sql,
              next: { writer in
                guard writer.rowCount < limit else { return false }
                try writer.row(1)
                writer.write(written.next())
                return true
              })
          } else {
            try await connection.copyIn(sql) { writer in
              for _ in 0..<limit {
                try await writer.beginRow(1)
                writer.write(written.next())
              }
            }
          }
        }
        #expect(error?.code == .server)
        #expect(error?.sqlState == "23514")
        #expect(written.value < limit)
        #expect(try await connection.query("SELECT * FROM t").isEmpty)
      }
    }
  }

  @Test("a row that lacks fields is refused before the server sees the end")
  func missingFields() async throws {
    try await withServer { connection in
      try await connection.executeScript("CREATE TEMP TABLE t (a int8, b int8)")
      let error = await failure {
        try await connection.copyIn("COPY t FROM STDIN (FORMAT binary)") { writer in
          try await writer.beginRow(2)
          writer.write(1)
        }
      }
      #expect(error?.code == .misuse)
      #expect(try await connection.query("SELECT * FROM t").isEmpty)
    }
  }

  @Test("an error thrown while reading ends the COPY, and the connection goes on")
  func clientThrowsOut() async throws {
    try await withServer { connection in
      let id = await connection.backendProcessID
      await #expect(throws: Refusal.self) {
        try await connection.copyOut(
          "COPY (SELECT generate_series(1, 100000000)) TO STDOUT (FORMAT binary)"
        ) { row in
          if try row.int32(0) == 1000 { throw Refusal() }
        }
      }
      try await expectUsable(connection)
      #expect(await connection.backendProcessID == id)
    }
  }

  @Test("a server error half-way through reading arrives after the rows before it")
  func serverErrorOut() async throws {
    try await withServer { connection in
      let seen = Counter()
      let error = await failure {
        try await connection.copyOut(
          "COPY (SELECT 1 / (g - 50000) FROM generate_series(1, 100000) g) TO STDOUT (FORMAT binary)"
        ) { _ in _ = seen.next() }
      }
      #expect(error?.sqlState == "22012")
      #expect(seen.value == 49_999)
      try await expectUsable(connection)
    }
  }

  @Test("cancelling ends a COPY in either direction and frees the connection")
  func cancellation() async throws {
    try await withServer { connection in
      try await connection.executeScript("CREATE TEMP TABLE t (a int8)")
      let (started, signal) = AsyncStream.makeStream(of: Void.self)
      let out = Task {
        try await connection.copyOut(
          "COPY (SELECT generate_series(1, 1000000000)) TO STDOUT (FORMAT binary)"
        ) { row in
          if try row.int32(0) == 1000 { signal.yield() }
        }
      }
      for await _ in started { break }
      out.cancel()
      await #expect(throws: CancellationError.self) { try await out.value }
      let (startedIn, signalIn) = AsyncStream.makeStream(of: Void.self)
      let into = Task {
        try await connection.copyIn(
          "COPY t FROM STDIN (FORMAT binary)",
          next: { writer in
            try writer.row(1)
            writer.write(1)
            if writer.rowCount == 100_000 { signalIn.yield() }
            return true
          })
      }
      for await _ in startedIn { break }
      into.cancel()
      await #expect(throws: CancellationError.self) { try await into.value }
      #expect(try await connection.query("SELECT * FROM t").isEmpty)
    }
  }

  @Test("a session terminated in mid-COPY fails with connectionLost", arguments: ["out", "in"])
  func terminated(direction: String) async throws {
    try await withServer { connection in
      try await connection.executeScript("CREATE TEMP TABLE t (a int8)")
      let id = await connection.backendProcessID
      let (started, signal) = AsyncStream.makeStream(of: Void.self)
      let copy = Task {
        if direction == "out" {
          try await connection.copyOut(
            "COPY (SELECT generate_series(1, 1000000000)) TO STDOUT (FORMAT binary)"
          ) { row in
            if try row.int32(0) == 1000 { signal.yield() }
          }
        } else {
          try await connection.copyIn("COPY t FROM STDIN (FORMAT binary)") { writer in
            while true {
              try await writer.beginRow(1)
              writer.write(1)
              if writer.rowCount == 100_000 { signal.yield() }
            }
          }
        }
      }
      for await _ in started { break }
      try await withServer { try await $0.execute("SELECT pg_terminate_backend($1)", [id]) }
      let error = await failure { try await copy.value }
      #expect(error?.code == .connectionLost)
      #expect(await connection.isClosed)
    }
  }

  @Test("text format and statements that are no COPY are refused")
  func notBinary() async throws {
    try await withServer { connection in
      try await connection.executeScript("CREATE TEMP TABLE t (a int8)")
      for sql in ["COPY t TO STDOUT", "SELECT 1", "COPY t FROM STDIN (FORMAT binary)"] {
        let error = await failure { try await connection.copyOut(sql) { _ in } }
        #expect(error?.code == .misuse, "\(sql)")
      }
      for sql in ["COPY t FROM STDIN", "SELECT 1", "COPY t TO STDOUT (FORMAT binary)"] {
        let error = await failure { try await connection.copyIn(sql) { _ in } }
        #expect(error?.code == .misuse, "\(sql)")
      }
      let unknown = await failure {
        try await connection.copyOut("COPY nowhere TO STDOUT") { _ in }
      }
      #expect(unknown?.sqlState == "42P01")
    }
  }

  @Test("batches come in order, and leaving early frees the connection")
  func batches() async throws {
    try await withServer { connection in
      let sql = "COPY (SELECT generate_series(1, 10000)) TO STDOUT (FORMAT binary)"
      var next: Int32 = 1
      for try await batch in connection.copyBatches(sql, batchRows: 300) {
        #expect(batch.count <= 300)
        try batch.forEachRow { row in
          if try row.int32(0) == next { next += 1 }
        }
      }
      #expect(next == 10_001)
      for try await _ in connection.copyBatches(sql, batchRows: 10) { break }
      try await expectUsable(connection)
    }
  }

  @Test("ten million rows go out and in with flat memory")
  func tenMillion() async throws {
    try await withServer { connection in
      let rows = 10_000_000
      try await connection.executeScript(
        "CREATE UNLOGGED TABLE ten_million (a int4, b timestamptz, c float8)")
      let before = residentBytes()
      let clock = ContinuousClock()
      var start = clock.now
      let loaded = try await connection.copyIn(
        "COPY ten_million FROM STDIN (FORMAT binary)",
        next: { writer in
          let number = writer.rowCount
          guard number < rows else { return false }
          try writer.row(3)
          writer.write(Int32(truncatingIfNeeded: number))
          writer.write(PostgresTimestamp(microseconds: Int64(number) * 1_000_000))
          writer.write(Double(number) * 0.5)
          return true
        })
      let inTime = clock.now - start
      #expect(loaded == rows)
      start = clock.now
      let sums = try await connection.copyOut(
        "COPY ten_million TO STDOUT (FORMAT binary)", into: (count: 0, a: 0, b: Int64(0), c: 0.0)
      ) { sums, row in
        sums.count += 1
        sums.a += Int(try row.int32(0))
        sums.b &+= try row.timestamp(1).microseconds / 1_000_000
        sums.c += try row.float8(2)
      }
      let outTime = clock.now - start
      let grown = residentBytes() - before
      print("COPY of \(rows) rows: in \(inTime), out \(outTime), memory +\(grown >> 20) MiB")
      let total = rows * (rows - 1) / 2
      #expect(sums.count == rows)
      #expect(sums.a == total)
      #expect(sums.b == Int64(total))
      #expect(sums.c == Double(total) / 2)
      #expect(grown < 64 << 20)
      try await connection.executeScript("DROP TABLE ten_million")
    }
  }

  private func residentBytes() -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * 4096
  }
}

/// Counts what happens on another queue.
// Unchecked: one COPY at a time writes, and is over before anybody reads.
final class Counter: @unchecked Sendable {
  private(set) var value = 0
  func next() -> Int {
    value += 1
    return value
  }
}
