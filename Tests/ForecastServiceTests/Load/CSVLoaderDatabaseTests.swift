import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

@Suite(
  "Loading into PostgreSQL", .requiresDatabase, .temporaryDatabase(), .tags(.database),
  .timeLimit(.minutes(5)))
struct CSVLoaderDatabaseTests {
  @Test("a load is all or nothing, can be repeated, and says what is wrong")
  func loads() async throws {
    let database = try #require(TemporaryDatabase.current)
    let pool = PostgresPool(database.configuration, maximumConnections: 2, logger: quiet)
    try await createsTable(pool)
    try await repeats(pool)
    try await leavesNothing(pool)
    try await refusesTables(pool)
    await pool.close()
  }

  nonisolated(nonsending) private func load(
    _ text: String, _ pool: PostgresPool, _ change: (inout LoadOptions) -> Void
  ) async throws -> LoadSummary {
    var chosen = LoadOptions(table: "t")
    change(&chosen)
    let loader = try CSVLoader(bytes: Array(text.utf8), name: "file.csv", options: chosen)
    return try await loader.load(into: pool)
  }

  nonisolated(nonsending) private func complaint(
    _ text: String, _ pool: PostgresPool, _ change: (inout LoadOptions) -> Void
  ) async -> String {
    do {
      let summary = try await load(text, pool, change)
      return "loaded \(summary.rows) rows"
    } catch {
      return (error as? LoadError)?.description ?? "\(type(of: error)): \(error)"
    }
  }

  nonisolated(nonsending) private func text(_ sql: String, _ pool: PostgresPool) async throws
    -> String
  {
    let rows = try await pool.query(sql)
    return try rows.map { try $0.decode(0, as: String.self) }.joined(separator: "; ")
  }

  /// One text for all rows, in the server's own spelling.
  nonisolated(nonsending) private func contents(_ table: String, _ pool: PostgresPool) async throws
    -> String
  {
    try await text(
      "SELECT coalesce(string_agg(x::text, ' ' ORDER BY x), '') FROM \(table) AS x", pool)
  }

  private func createsTable(_ pool: PostgresPool) async throws {
    let summary = try await load("series,ts,y\na,2020-01-01,1.5\n\"b,c\",2020-02-29,\n", pool) {
      $0.table = "days"
    }
    #expect(summary.createdTable)
    #expect(summary.rows == 2)
    #expect(summary.missing == 1)
    #expect(summary.timeType == .date)
    #expect(
      try await contents("days", pool) == "(a,2020-01-01,1.5) (\"b,c\",2020-02-29,)")

    try await pool.execute("CREATE SCHEMA raw")
    _ = try await load("series,ts,Open,Close\na,2020-07-01 12:00,1,2\n", pool) {
      $0.table = "raw.\"Prices 2020\""
      $0.values = ["Open", "Close"]
      $0.timeZone = TimeZone(identifier: "Europe/Paris")!
    }
    #expect(
      try await contents("raw.\"Prices 2020\"", pool) == "(a,\"2020-07-01 10:00:00+00\",1,2)")
    #expect(
      try await text(
        """
        SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, -1), ', ' ORDER BY attnum)
        FROM pg_attribute a WHERE attrelid = 'raw."Prices 2020"'::regclass AND attnum > 0
        """, pool)
        == "series text, ts timestamp with time zone, open double precision, close double precision"
    )
    _ = try await load("series,ts,y\na,7,1\n", pool) { $0.table = "steps" }
    #expect(try await contents("steps", pool) == "(a,7,1)")
    #expect(
      await complaint("series,ts,y\na,7,1\n", pool) { $0.table = "nowhere.t" }
        == "file.csv: schema nowhere does not exist; create it: CREATE SCHEMA \"nowhere\"")
  }

  private func repeats(_ pool: PostgresPool) async throws {
    let text = "series,ts,y\na,1,10\na,2,20\n"
    _ = try await load(text, pool) { $0.table = "again" }
    #expect(
      await complaint(text, pool) { $0.table = "again" }
        == "file.csv: table again already has (a, 1), or the file has it twice;"
        + " --replace empties the table first, --update overwrites what is there")
    _ = try await load("series,ts,y\na,2,21\n", pool) {
      $0.table = "again"
      $0.mode = .update
    }
    #expect(try await contents("again", pool) == "(a,1,10) (a,2,21)")
    for _ in 0..<2 {
      _ = try await load(text, pool) {
        $0.table = "again"
        $0.mode = .replace
      }
    }
    _ = try await load("series,ts,y\na,3,30\n", pool) { $0.table = "again" }
    #expect(try await contents("again", pool) == "(a,1,10) (a,2,20) (a,3,30)")
    #expect(
      await complaint(text, pool) {
        $0.table = "again"
        $0.mode = .create
      } == "file.csv: table again exists; append to it, --replace it or --update it")
    for mode in [LoadOptions.Mode.append, .update] {
      #expect(
        await complaint("series,ts,y\nz,1,1\nz,1,2\n", pool) {
          $0.table = mode == .append ? "twice" : "again"
          $0.mode = mode
        }.contains("twice in the file"))
    }
  }

  private func leavesNothing(_ pool: PostgresPool) async throws {
    var text = "unique_id,ds,y\n"
    for line in 2...80_000 { text += line == 70_000 ? "a,\(line),12;5\n" : "a,\(line),12.5\n" }
    #expect(
      await complaint(text, pool) { $0.table = "late" }
        .hasPrefix("file.csv:70000: column 'y': '12;5' is not a number; "))
    #expect(
      try await self.text("SELECT coalesce(to_regclass('late')::text, 'none')", pool) == "none")
    try await pool.execute("CREATE TABLE late (series text, ts bigint, value double precision)")
    try await pool.execute("INSERT INTO late VALUES ('kept', 0, 1)")
    for mode in [LoadOptions.Mode.append, .replace, .update] {
      #expect(
        await complaint(text, pool) {
          $0.table = "late"
          $0.mode = mode
        }.hasPrefix("file.csv:70000: "))
      #expect(try await contents("late", pool) == "(kept,0,1)")
    }
    #expect(
      await complaint("series,ts,y\na,1,1\n", pool) {
        $0.table = "late"
        $0.mode = .update
      } == "file.csv: --update needs a unique key over (\"series\", \"ts\") on table late")
  }

  private func refusesTables(_ pool: PostgresPool) async throws {
    let text = "series,ts,y\na,2020-01-01,1\n"
    let tables: [(String, String)] = [
      (
        "(series text, ts date)",
        "table odd, column value: does not exist; the table has series, ts"
      ),
      (
        "(series int, ts date, value double precision)",
        "table odd, column series: is integer; expected text"
      ),
      (
        "(series text, ts date, value numeric)",
        "table odd, column value: is numeric; expected double precision"
      ),
      (
        "(series text, ts bigint, value double precision)",
        "table odd, column ts: is bigint, but the file's times are date"
      ),
      (
        "(series text, ts date, value double precision, unit text NOT NULL)",
        "table odd, column unit: is NOT NULL without a default"
      ),
    ]
    for (columns, message) in tables {
      try await pool.execute("CREATE TABLE odd \(columns)")
      let complaint = await complaint(text, pool) { $0.table = "odd" }
      #expect(complaint.hasPrefix("file.csv: " + message), "\(complaint)")
      try await pool.execute("DROP TABLE odd")
    }
    // Days fit into a table of instants, at midnight of the load's zone.
    try await pool.execute(
      "CREATE TABLE odd (series varchar(5), ts timestamptz, value double precision)")
    _ = try await load(text, pool) {
      $0.table = "odd"
      $0.timeZone = TimeZone(identifier: "Asia/Tokyo")!
    }
    #expect(try await contents("odd", pool) == "(a,\"2019-12-31 15:00:00+00\",1)")
  }
}
