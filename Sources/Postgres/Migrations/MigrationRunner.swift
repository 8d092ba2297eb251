package import Foundation

/// Brings a database up to date with numbered files of plain SQL.
///
/// What was applied stands in a table with number, name, SHA-256, instant and build. Runners of several processes are
/// kept apart by an advisory lock: the second waits, then finds nothing to do. Migrations go forward only.
package struct MigrationRunner: Sendable {
  package let migrations: [Migration]
  /// `schema.table`; created, with its schema, when absent.
  package let table: String

  /// What is known about one migration.
  package struct Status: Sendable, Hashable {
    package enum State: Sendable, Hashable {
      case pending
      case applied(at: Date, build: String)
      /// Applied, and edited since.
      case changed
      /// Applied, but the file is gone.
      case missing
      /// Applied by a newer program: its number is beyond all files.
      case newer
    }
    package let number: Int
    package let name: String
    package let state: State
  }

  private struct Record {
    var number: Int
    var name: String
    var digest: String
    var appliedAt: Date
    var build: String
  }

  /// - Throws: `migrationInvalid`; see ``Migration/load(from:)``.
  package init(directory: URL, table: String) throws {
    self.init(migrations: try Migration.load(from: directory), table: table)
  }

  package init(migrations: [Migration], table: String) {
    self.migrations = migrations
    self.table = table
  }

  /// Compares files and database, without changing anything.
  package func status(_ connection: PostgresConnection) async throws -> [Status] {
    let records = try await exists(connection) ? try await records(connection) : []
    var result = migrations.map { migration in
      let record = records.first { $0.number == migration.number }
      let state: Status.State =
        if let record {
          record.digest == migration.digest && record.name == migration.name
            ? .applied(at: record.appliedAt, build: record.build) : .changed
        } else {
          .pending
        }
      return Status(number: migration.number, name: migration.name, state: state)
    }
    let last = migrations.last?.number ?? 0
    for record in records where !migrations.contains(where: { $0.number == record.number }) {
      result.append(
        Status(
          number: record.number, name: record.name,
          state: record.number > last ? .newer : .missing))
    }
    return result.sorted { $0.number < $1.number }
  }

  package func status(_ pool: PostgresPool) async throws -> [Status] {
    try await pool.withConnection { try await status($0) }
  }

  /// Applies what is pending, each migration in its own transaction.
  ///
  /// - Parameters:
  ///   - build: recorded with each migration.
  ///   - progress: called before each with its position from 1 and their number.
  /// - Returns: what was applied; nothing when the database is up to date.
  /// - Throws: `migrationChanged`, `schemaNewerThanBinary` before anything is applied; `migrationFailed` with the
  ///   server's words, what came before staying applied.
  @discardableResult
  package func migrate(
    _ connection: PostgresConnection, build: String,
    progress: @Sendable (_ migration: Migration, _ position: Int, _ count: Int) -> Void = {
      _, _, _ in
    }
  ) async throws -> [Migration] {
    try await connection.execute("SELECT pg_advisory_lock($1)", [lockKey])
    do {
      let applied = try await migrateLocked(connection, build, progress)
      try await unlock(connection)
      return applied
    } catch {
      try? await unlock(connection)
      throw error
    }
  }

  @discardableResult
  package func migrate(
    _ pool: PostgresPool, build: String,
    progress: @Sendable (_ migration: Migration, _ position: Int, _ count: Int) -> Void = {
      _, _, _ in
    }
  ) async throws -> [Migration] {
    try await pool.withConnection {
      try await migrate($0, build: build, progress: progress)
    }
  }

  /// Refuses a database that these files do not fit.
  ///
  /// - Throws: `migrationChanged`, `schemaNewerThanBinary`, each naming the migration.
  package func check(_ status: [Status]) throws {
    for entry in status {
      switch entry.state {
      case .pending, .applied: break
      case .changed:
        throw PostgresError(
          .migrationChanged,
          "migration \(entry.name) was applied and edited since: restore the file, "
            + "and put the change into a new migration")
      case .missing:
        throw PostgresError(
          .migrationChanged, "migration \(entry.name) was applied, but its file is missing")
      case .newer:
        throw PostgresError(
          .schemaNewerThanBinary,
          "the database has migration \(entry.name), which this program does not know: "
            + "use the newer program")
      }
    }
    // A hole below an applied migration cannot be filled in order.
    let lastApplied = status.last { $0.state != .pending }?.number ?? 0
    for entry in status where entry.state == .pending && entry.number < lastApplied {
      throw PostgresError(
        .migrationChanged,
        "migration \(entry.name) was never applied, but later ones were")
    }
  }

  // MARK: - Under the lock

  private func migrateLocked(
    _ connection: PostgresConnection, _ build: String,
    _ progress: @Sendable (Migration, Int, Int) -> Void
  ) async throws -> [Migration] {
    try await createTable(connection)
    let status = try await status(connection)
    try check(status)
    let names = Set(status.filter { $0.state == .pending }.map(\.name))
    let pending = migrations.filter { names.contains($0.name) }
    for (index, migration) in pending.enumerated() {
      progress(migration, index + 1, pending.count)
      do {
        try await apply(migration, connection, build)
      } catch var error as PostgresError {
        if error.code == .server || error.code == .misuse { error.code = .migrationFailed }
        error.statement = "migration \(migration.name)"
        throw error
      }
    }
    return pending
  }

  private func apply(
    _ migration: Migration, _ connection: PostgresConnection, _ build: String
  ) async throws {
    if migration.isTransactional {
      try await connection.transaction { connection in
        try await record(migration, connection, build)
        try await connection.executeScript(migration.sql)
        guard await connection.isInTransaction else {
          throw PostgresError(
            .migrationFailed, "it ends its own transaction: take COMMIT and ROLLBACK out")
        }
      }
    } else {
      for statement in SQLScript.statements(migration.sql) {
        try await connection.executeScript(statement)
      }
      try await record(migration, connection, build)
    }
  }

  private func record(
    _ migration: Migration, _ connection: PostgresConnection, _ build: String
  ) async throws {
    try await connection.execute(
      "INSERT INTO \(identifier) (number, name, sha256, build) VALUES ($1, $2, $3, $4)",
      [Int32(migration.number), migration.name, migration.digest, build])
  }

  private func records(_ connection: PostgresConnection) async throws -> [Record] {
    try await connection.query(
      "SELECT number, name, sha256, applied_at, build FROM \(identifier) ORDER BY number"
    ).map { row in
      Record(
        number: try row.decode("number"), name: try row.decode("name"),
        digest: try row.decode("sha256"), appliedAt: try row.decode("applied_at"),
        build: try row.decode("build"))
    }
  }

  private func exists(_ connection: PostgresConnection) async throws -> Bool {
    try await connection.query("SELECT to_regclass($1) IS NOT NULL AS found", [identifier])[0]
      .decode("found")
  }

  private func createTable(_ connection: PostgresConnection) async throws {
    guard try await !exists(connection) else { return }
    var script = ""
    let parts = self.parts
    if parts.count == 2 {
      script += "CREATE SCHEMA IF NOT EXISTS \(PostgresConnection.quoted(parts[0]));\n"
    }
    script += """
      CREATE TABLE \(identifier) (
        number integer PRIMARY KEY CHECK (number > 0),
        name text NOT NULL UNIQUE,
        sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        build text NOT NULL);
      COMMENT ON TABLE \(identifier) IS 'Migrations applied to this database, one row each; written by the migration runner alone.';
      COMMENT ON COLUMN \(identifier).number IS 'Number at the start of the file name, from 1 without gaps.';
      COMMENT ON COLUMN \(identifier).name IS 'File name without .sql.';
      COMMENT ON COLUMN \(identifier).sha256 IS 'SHA-256 of the file as it was applied, in hexadecimal; an edited file is refused.';
      COMMENT ON COLUMN \(identifier).applied_at IS 'When the migration was applied.';
      COMMENT ON COLUMN \(identifier).build IS 'Build of the program that applied it.';
      """
    try await connection.executeScript(script)
  }

  private func unlock(_ connection: PostgresConnection) async throws {
    // In a task of its own, so that a cancelled caller lets go of the lock too.
    let key = lockKey
    try await Task { _ = try await connection.execute("SELECT pg_advisory_unlock($1)", [key]) }
      .value
  }

  private var parts: [String] {
    table.split(separator: ".", maxSplits: 1).map(String.init)
  }

  private var identifier: String {
    parts.map(PostgresConnection.quoted).joined(separator: ".")
  }

  /// The table's name as a number (FNV-1a), the same in every process.
  private var lockKey: Int64 {
    Int64(
      bitPattern: "migrations of \(table)".utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
        ($0 ^ UInt64($1)) &* 0x100_0000_01b3
      })
  }
}
