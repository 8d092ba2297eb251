package import Postgres

/// From the file into a table, by one COPY in one transaction: all of it or nothing.
extension CSVLoader {
  /// Loads the whole file. Call it once: it uses up the file.
  ///
  /// The table is created where it does not exist, with primary key (series, time); an existing
  /// one must have the columns in the types that are loaded. Memory is constant.
  ///
  /// - Parameter progress: called after each batch of some thousand rows.
  /// - Throws: `LoadError`; `PostgresError` where the database is the reason; `CancellationError`.
  nonisolated(nonsending) package func load(
    into pool: PostgresPool, progress: (LoadProgress) -> Void = { _ in }
  ) async throws -> LoadSummary {
    let name = try TableName(options.table)
    var loader = self
    do {
      return try await pool.withTransaction(.readWrite) { connection in
        try await loader.load(into: name, on: connection, progress: progress)
      }
    } catch let error as PostgresError {
      throw loader.explained(error, name)
    }
  }

  private nonisolated(nonsending) mutating func load(
    into name: TableName, on connection: PostgresConnection, progress: (LoadProgress) -> Void
  ) async throws -> LoadSummary {
    let existing = try await TargetTable.find(name, on: connection)
    var copyOptions = "FORMAT binary"
    var target = name.sql
    if let existing {
      guard options.mode != .create else {
        throw LoadError(
          .table, file: file,
          "table \(name.description) exists; append to it, --replace it or --update it")
      }
      try adopt(existing, name)
      switch options.mode {
      case .replace: try await connection.execute("TRUNCATE \(name.sql)")
      case .update:
        target = "pg_temp.load_stage"
        try await connection.execute(
          "CREATE TEMPORARY TABLE load_stage ON COMMIT DROP AS SELECT \(columnList)"
            + " FROM \(name.sql) WITH NO DATA")
      case .append, .create: break
      }
    } else {
      try await connection.execute(createStatement(name))
      // Nobody else sees the table yet, so its rows may be born frozen: no vacuum rewrites them.
      copyOptions += ", FREEZE true"
    }

    let sql = "COPY \(target) (\(columnList)) FROM STDIN (\(copyOptions))"
    var batch = LoadBatch()
    try await connection.copyIn(sql) { writer in
      while try next(into: &batch) {
        try Task.checkCancellation()
        try batch.write(to: &writer, timeType: timeType, valueCount: plan.valueCount)
        try await writer.flush()
        progress(self.progress)
      }
    }

    if existing == nil {
      // After the rows: one sort is much faster than a million searches.
      try await connection.execute("ALTER TABLE \(name.sql) ADD PRIMARY KEY (\(keyList))")
    } else if options.mode == .update {
      let updates = plan.valueNames.map(TableName.quoted)
        .map { "\($0) = EXCLUDED.\($0)" }.joined(separator: ", ")
      try await connection.execute(
        "INSERT INTO \(name.sql) (\(columnList)) SELECT \(columnList) FROM \(target)"
          + " ON CONFLICT (\(keyList)) DO UPDATE SET \(updates)")
    }
    progress(self.progress)
    return LoadSummary(
      table: name.description, rows: rows, missing: missing, timeType: timeType,
      createdTable: existing == nil, bytesRead: self.progress.bytesRead)
  }

  private var keyList: String {
    [options.seriesColumn, options.timeColumn].map(TableName.quoted).joined(separator: ", ")
  }

  private var columnList: String {
    ([options.seriesColumn, options.timeColumn] + plan.valueNames).map(TableName.quoted)
      .joined(separator: ", ")
  }

  private func createStatement(_ name: TableName) -> String {
    let values = plan.valueNames.map { TableName.quoted($0) + " double precision" }
    let columns =
      [
        TableName.quoted(options.seriesColumn) + " text NOT NULL",
        TableName.quoted(options.timeColumn) + " \(timeType.rawValue) NOT NULL",
      ] + values
    return "CREATE TABLE \(name.sql) (\(columns.joined(separator: ", ")))"
  }

  /// Checks the existing table, and reads times as it stores them.
  private mutating func adopt(_ table: TargetTable, _ name: TableName) throws {
    func fail(_ column: String?, _ message: String) -> LoadError {
      LoadError(
        .table, file: file,
        "table \(name.description)" + (column.map { ", column \($0): " } ?? " ") + message)
    }
    guard table.isOrdinary else {
      throw fail(nil, "is a view or a foreign table; load into an ordinary table")
    }
    func type(_ column: String) throws -> String {
      guard let found = table.columns.first(where: { $0.name == column }) else {
        throw fail(
          column,
          "does not exist; the table has \(table.columns.map(\.name).joined(separator: ", "))."
            + " Load into another table, or name its columns with the --…-column options")
      }
      return found.type
    }
    let seriesType = try type(options.seriesColumn)
    guard seriesType == "text" || seriesType.hasPrefix("character varying") else {
      throw fail(options.seriesColumn, "is \(seriesType); expected text")
    }
    for value in plan.valueNames {
      let found = try type(value)
      guard found == "double precision" else {
        throw fail(value, "is \(found); expected double precision")
      }
    }
    let timeColumn = try type(options.timeColumn)
    let stored: LoadTimeType? =
      switch timeColumn {
      case "date": .date
      case "timestamp with time zone": .timestamptz
      case "bigint": .bigint
      default: nil
      }
    guard let stored, adopt(stored) else {
      throw fail(
        options.timeColumn,
        "is \(timeColumn), but the file's times are \(timeType.rawValue)")
    }
    let given = Set([options.seriesColumn, options.timeColumn] + plan.valueNames)
    if let needed = table.columns.first(where: { $0.isRequired && !given.contains($0.name) }) {
      throw fail(needed.name, "is NOT NULL without a default, and the file does not fill it")
    }
  }

  /// Turns the database errors a user of `load` can act upon into his own terms.
  private func explained(_ error: PostgresError, _ name: TableName) -> any Error {
    switch error.sqlState {
    case "23505", "21000":
      let key = error.detail?.split(separator: "=(", maxSplits: 1).last?
        .split(separator: ")", maxSplits: 1).first
      let what = key.map { "(\($0))" } ?? "a (series, time)"
      let message =
        error.sqlState == "21000" || error.detail?.contains("is duplicated") == true
        ? "\(what) occurs twice in the file; remove one of the two, and check --series and --time"
        : "table \(name.description) already has \(what), or the file has it twice;"
          + " --replace empties the table first, --update overwrites what is there"
      return LoadError(.duplicate, file: file, message)
    case "42P10":
      return LoadError(
        .table, file: file,
        "--update needs a unique key over (\(keyList)) on table \(name.description)")
    case "3F000":
      return LoadError(
        .table, file: file,
        "schema \(name.schema ?? "") does not exist; create it: CREATE SCHEMA"
          + " \(TableName.quoted(name.schema ?? ""))")
    case "23502":
      return LoadError(
        .value, file: file,
        "column \(error.column ?? "") of table \(name.description) does not allow missing values")
    default:
      return error
    }
  }
}

extension LoadBatch {
  /// Appends the rows to the writer's buffer; the caller flushes.
  fileprivate func write(
    to writer: inout PostgresCopyWriter, timeType: LoadTimeType, valueCount: Int
  ) throws {
    for row in 0..<count {
      try writer.row(2 + valueCount)
      let range = name(row)
      names.withUnsafeBytes { writer.write(UnsafeRawBufferPointer(rebasing: $0[range])) }
      switch timeType {
      case .date: writer.write(Int32(clamping: times[row]))
      case .timestamptz, .bigint: writer.write(times[row])
      }
      for value in values[row * valueCount..<(row + 1) * valueCount] {
        if value.isNaN { writer.writeNull() } else { writer.write(value) }
      }
    }
  }
}

/// What the database says about the table to load into.
private struct TargetTable {
  struct Column {
    var name: String
    var type: String
    var isRequired: Bool
  }

  var isOrdinary: Bool
  var columns: [Column]

  nonisolated(nonsending) static func find(
    _ name: TableName, on connection: PostgresConnection
  ) async throws -> TargetTable? {
    let rows = try await connection.query(
      """
      SELECT c.relkind IN ('r', 'p') AS ordinary, a.attname::text AS name,
        format_type(a.atttypid, a.atttypmod) AS type,
        a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS required
      FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.oid = to_regclass($1)
      ORDER BY a.attnum
      """, [name.sql])
    guard !rows.isEmpty else { return nil }
    return TargetTable(
      isOrdinary: try rows[0].decode("ordinary"),
      columns: try rows.map {
        Column(
          name: try $0.decode("name"), type: try $0.decode("type"),
          isRequired: try $0.decode("required"))
      })
  }
}
