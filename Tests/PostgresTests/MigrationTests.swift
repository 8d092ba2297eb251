import Foundation
import Postgres
import TestSupport
import Testing

@Suite("Migrations", .tags(.database), .requiresDatabase, .timeLimit(.minutes(5)))
struct MigrationTests {
  private static let first = "CREATE TABLE one (a int8);\nINSERT INTO one VALUES (1);\n"
  private static let second = "ALTER TABLE one ADD b text;\n"

  /// A runner over files in a directory that goes with the test.
  private func runner(_ files: [String: String]) throws -> MigrationRunner {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
      "migrations-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    for (name, text) in files {
      try Data(text.utf8).write(to: directory.appendingPathComponent(name))
    }
    return try MigrationRunner(directory: directory, table: "app.schema_migration")
  }

  /// An empty database of the test's own.
  nonisolated(nonsending) private func withDatabase(
    _ body: nonisolated(nonsending) (PostgresConfiguration, PostgresConnection) async throws -> Void
  ) async throws {
    let name = "m_\(UUID().uuidString.lowercased().filter { $0 != "-" })"
    try await withServer { try await $0.executeScript("CREATE DATABASE \(name)") }
    let configuration = try await TemporaryServer.shared().configuration.with(database: name)
    let connection = try await PostgresConnection.connect(configuration, logger: testLogger)
    try await body(configuration, connection)
    await connection.close()
    try await withServer { try await $0.executeScript("DROP DATABASE \(name) WITH (FORCE)") }
  }

  @Test("what is pending is applied in order, once")
  func apply() async throws {
    try await withDatabase { _, connection in
      let runner = try runner(["0001_one.sql": Self.first, "0002_two.sql": Self.second])
      let before = try await runner.status(connection).map(\.state)
      #expect(before == [.pending, .pending])
      let applied = try await runner.migrate(connection, build: "b1")
      #expect(applied.map(\.name) == ["0001_one", "0002_two"])
      let again = try await runner.migrate(connection, build: "b2")
      #expect(again.isEmpty)
      let row = try #require(
        await connection.query(
          "SELECT number, name, sha256, build FROM app.schema_migration ORDER BY number"
        ).first)
      #expect(try row.decode("name", as: String.self) == "0001_one")
      #expect(try row.decode("build", as: String.self) == "b1")
      #expect(try row.decode("sha256", as: String.self) == runner.migrations[0].digest)
    }
  }

  @Test("an edited, a missing and a newer migration are refused by name")
  func refusals() async throws {
    try await withDatabase { _, connection in
      let both = try runner(["0001_one.sql": Self.first, "0002_two.sql": Self.second])
      try await both.migrate(connection, build: "b")
      let edited = try runner(["0001_one.sql": Self.first + " ", "0002_two.sql": Self.second])
      let changed = await failure { try await edited.migrate(connection, build: "b") }
      #expect(changed?.code == .migrationChanged)
      #expect(changed?.description.contains("0001_one") == true)
      let older = try runner(["0001_one.sql": Self.first])
      let newer = await failure { try await older.migrate(connection, build: "b") }
      #expect(newer?.code == .schemaNewerThanBinary)
      #expect(newer?.description.contains("0002_two") == true)
      let holed = MigrationRunner(
        migrations: [both.migrations[1]], table: "app.schema_migration")
      let missing = await failure { try await holed.migrate(connection, build: "b") }
      #expect(missing?.code == .migrationChanged)
      #expect(missing?.description.contains("0001_one") == true)
    }
  }

  @Test("a failing migration leaves nothing of itself, and what came before stays")
  func failing() async throws {
    try await withDatabase { _, connection in
      let runner = try runner([
        "0001_one.sql": Self.first,
        "0002_two.sql": "CREATE TABLE two (a int8); SELECT nonsense;",
      ])
      let error = await failure { try await runner.migrate(connection, build: "b") }
      #expect(error?.code == .migrationFailed)
      #expect(error?.sqlState == "42703")
      #expect(error?.description.contains("0002_two") == true)
      let row = try await connection.query(
        "SELECT to_regclass('one') IS NOT NULL AS one, to_regclass('two') IS NULL AS two")[0]
      #expect(try row.decode("one", as: Bool.self))
      #expect(try row.decode("two", as: Bool.self))
      let committing = try self.runner([
        "0001_one.sql": Self.first, "0002_two.sql": "CREATE TABLE two (a int8); COMMIT;",
      ])
      let ended = await failure { try await committing.migrate(connection, build: "b") }
      #expect(ended?.code == .migrationFailed)
    }
  }

  @Test("two runners at once apply everything once; the second waits and finds nothing to do")
  func concurrent() async throws {
    try await withDatabase { configuration, _ in
      let runner = try runner([
        "0001_one.sql": "SELECT pg_sleep(0.1);" + Self.first, "0002_two.sql": Self.second,
      ])
      let pool = PostgresPool(configuration, maximumConnections: 3, logger: testLogger)
      let counts = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<3 {
          group.addTask { try await runner.migrate(pool, build: "b").count }
        }
        return try await group.reduce(into: []) { $0.append($1) }.sorted()
      }
      #expect(counts == [0, 0, 2])
      await pool.close()
    }
  }

  @Test("a file that says so runs outside a transaction, statement by statement")
  func noTransaction() async throws {
    try await withDatabase { _, connection in
      let runner = try runner([
        "0001_one.sql": Self.first,
        "0002_two.sql": """
        -- no-transaction
        CREATE INDEX CONCURRENTLY IF NOT EXISTS one_a ON one (a);
        DO $body$ BEGIN PERFORM 1; END $body$;
        """,
      ])
      let applied = try await runner.migrate(connection, build: "b")
      #expect(applied.map(\.isTransactional) == [true, false])
    }
  }

  static let misnamed: [([String], String)] = [
    (["0001_one.sql", "0003_three.sql"], "0003_three"), (["0002_two.sql"], "0002_two"),
    (["0001_one.sql", "0001_uno.sql"], "0001_uno"), (["1_one.sql"], "1_one"),
    (["0001_One.sql"], "0001_One"), ([], "no migrations"),
  ]

  @Test("gaps, duplicates and misnamed files are refused by name", arguments: misnamed)
  func numbering(files: [String], named: String) {
    let error = #expect(throws: PostgresError.self) {
      try runner(Dictionary(uniqueKeysWithValues: files.map { ($0, "SELECT 1;") }))
    }
    #expect(error?.code == .migrationInvalid)
    #expect(error?.description.contains(named) == true)
  }
}
