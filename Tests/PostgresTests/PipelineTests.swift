import Foundation
import Postgres
import TestSupport
import Testing

private struct Divide: PostgresStatement {
  static let name = "divide"
  static let sql = "SELECT $1 / $2 AS q"
  var a: Int
  var b: Int
  var parameters: [any PostgresEncodable] { [a, b] }
  static func decode(_ row: PostgresRow) throws -> Int { try row.decode("q") }
}

@Suite(
  "Pipelines, streams, notifications", .tags(.database), .requiresDatabase, .timeLimit(.minutes(5)))
struct PipelineTests {
  @Test("several statements return their rows in one round trip")
  func pipeline() async throws {
    try await withServer { connection in
      var pipeline = PostgresPipeline()
      let first = pipeline.add(Divide(a: 8, b: 2))
      let second = pipeline.add(Divide(a: 9, b: 3))
      let third = pipeline.add("SELECT generate_series(1, $1)", [3])
      let results = try await connection.run(pipeline)
      #expect(try results.rows(of: first) == [4])
      #expect(try results.rows(of: second) == [3])
      #expect(try results.rows(of: third).count == 3)
      // Prepared by the pipeline, known outside.
      let outside = try await connection.run(Divide(a: 6, b: 2))
      #expect(outside == [3])
    }
  }

  @Test("an error in the middle is attributed, nothing is kept, and the connection goes on")
  func errorInMiddle() async throws {
    try await withServer { connection in
      try await connection.executeScript("CREATE TEMP TABLE p (a int8)")
      let error = await failure {
        try await connection.pipeline { pipeline in
          pipeline.add("INSERT INTO p VALUES ($1)", [1])
          pipeline.add(Divide(a: 1, b: 0))
          pipeline.add("INSERT INTO p VALUES ($1)", [2])
        }
      }
      #expect(error?.sqlState == "22012")
      #expect(error?.pipelineIndex == 1)
      #expect(error?.statement == "divide")
      let kept = try await connection.query("SELECT * FROM p").count
      #expect(kept == 0)
    }
  }

  @Test("a pipeline larger than the socket's buffers does not block itself")
  func largePipeline() async throws {
    try await withServer { connection in
      let results = try await connection.pipeline { pipeline in
        for _ in 0..<200 {
          pipeline.add("SELECT $1", [String(repeating: "x", count: 20_000)])
        }
      }
      #expect(results.count == 200)
      #expect(try results[199][0].decode(0, as: String.self).utf8.count == 20_000)
    }
  }

  @Test("rows stream in order, and leaving early frees the connection")
  func stream() async throws {
    try await withServer { connection in
      var next = 1
      for try await row in connection.stream("SELECT generate_series(1, $1)", [5000]) {
        if try row.decode(0, as: Int.self) == next { next += 1 }
      }
      #expect(next == 5001)
      for try await _ in connection.stream("SELECT generate_series(1, 100000000)") { break }
      try await expectUsable(connection)
    }
  }

  @Test("an error in a stream comes after the rows before it")
  func streamError() async throws {
    try await withServer { connection in
      var count = 0
      do {
        for try await _ in connection.stream("SELECT 1 / (g - 10) FROM generate_series(1, 20) g") {
          count += 1
        }
        Issue.record("no error")
      } catch let error as PostgresError {
        #expect(error.sqlState == "22012")
      }
      #expect(count <= 9)
      try await expectUsable(connection)
    }
  }

  @Test("notifications arrive on an idle connection")
  func notifications() async throws {
    try await withServer { connection in
      let stream = try await connection.notifications(on: ["a\"b", "other"])
      try await withServer { sender in
        try await sender.notify("a\"b", payload: "one")
        try await sender.notify("unheard", payload: "two")
        try await sender.notify("other", payload: "three")
      }
      var payloads: [String] = []
      for try await notification in stream {
        payloads.append(notification.payload)
        if payloads.count == 2 { break }
      }
      #expect(payloads == ["one", "three"])
    }
  }

  @Test("a listener that lost its session connects again and says so")
  func listenerReconnects() async throws {
    let configuration = try await TemporaryServer.shared().configuration
    let name = "listener-\(UUID().uuidString)"
    var own = configuration
    own.applicationName = name
    let listener = PostgresListener(own, channels: ["phoenix"], logger: testLogger)
    var connected = 0
    var wasDisconnected = false
    events: for await event in listener.events() {
      switch event {
      case .connected:
        connected += 1
        try await withServer { connection in
          if connected == 1 {
            try await connection.execute(
              "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
              [name])
          } else {
            try await connection.notify("phoenix", payload: "again")
          }
        }
      case .disconnected(let error):
        wasDisconnected = true
        #expect(error.isTransient)
      case .notification(let notification):
        #expect(notification.payload == "again")
        break events
      }
    }
    #expect(connected == 2)
    #expect(wasDisconnected)
  }
}
