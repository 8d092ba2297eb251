import Crypto
package import Foundation
package import Postgres
package import Training

/// Reads a job's data: the user's query through COPY, straight into a panel, in one read-only snapshot.
package struct ReadStage: Sendable {
  /// What was read, and when.
  package struct Result: Sendable {
    package let built: BuiltPanel
    /// The series that a model is fitted to.
    package let training: Panel
    package let queryDigest: [UInt8]
    package let readAt: Date
    package let seconds: Double
  }

  let pool: PostgresPool
  let definition: JobDefinition
  let cutoff: Cutoff

  package init(pool: PostgresPool, definition: JobDefinition, cutoff: Cutoff) {
    self.pool = pool
    self.definition = definition
    self.cutoff = cutoff
  }

  /// Tries what can fail without the data: the connection, the query's text, tables, columns and rights. No row is
  /// read; the server only plans.
  ///
  /// - Throws: as ``read(onlySeries:blocks:progress:)``.
  package func prepare() async throws {
    let rendered = try rendered()
    do {
      try await pool.withTransaction(.snapshot) { connection in
        let query = try await open(rendered, onlySeries: nil, on: connection)
        _ = try await connection.query("EXPLAIN \(query.selection)")
      }
    } catch let error as PostgresError where Self.isTheirs(error) {
      throw failure(error, quoting: true)
    }
  }

  /// - Parameters:
  ///   - onlySeries: reads the one series with this key; nil reads all.
  ///   - blocks: only rows whose time stamps lie in these are trained on, and what a series has in one of them is a
  ///     series of its own; nil: all rows.
  ///   - progress: told the number of rows from time to time; what it throws ends the reading.
  /// - Throws: `ServiceError` (`.query`, `.queryColumns`, `.tooManySeries`), `PostgresError` when the
  ///   database is to blame, `CancellationError`.
  package func read(
    onlySeries: String? = nil, progress: @escaping @Sendable (Int) throws -> Void = { _ in }
  ) async throws -> Result {
    try await read(onlySeries: onlySeries, blocks: nil, progress: progress)
  }

  func read(
    onlySeries: String? = nil, blocks: [BlockedRows.Block]?,
    progress: @escaping @Sendable (Int) throws -> Void
  ) async throws -> Result {
    let grid = definition.grid
    let options = definition.panelOptions
    let readAt = Date()
    let clock = ContinuousClock()
    let began = clock.now
    var rows = try await collect(
      Rows(
        all: PanelBuilder(grid: grid, options: options),
        blocked: blocks.map { BlockedRows($0, grid: grid, options: options) }),
      onlySeries: onlySeries
    ) { rows, key, time, value in
      try rows.all.append(key: key, time: time, value: value)
      try rows.blocked?.append(key: key, time: time, value: value)
      if rows.all.rows % 65_536 == 0 { try progress(rows.all.rows) }
    }
    let seconds = (clock.now - began).seconds
    let built = rows.all.finish()
    return Result(
      built: built, training: rows.blocked?.finish() ?? built.trainingPanel,
      queryDigest: try queryDigest(), readAt: readAt, seconds: seconds)
  }

  /// The values of some slots of the grid, one for each series and slot: private, to be given noise.
  ///
  /// - Throws: as ``read(onlySeries:blocks:progress:)``.
  func cells(
    _ slots: ClosedRange<Int64>, _ progress: @escaping @Sendable (Int) throws -> Void
  ) async throws -> PrivateCells {
    try await collect(
      PrivateCells(slots, grid: definition.grid, mostSeries: definition.limits.maxSeries)
    ) { cells, key, time, value in
      try cells.append(key: key, time: time, value: value)
      if cells.rows % 65_536 == 0 { try progress(cells.rows) }
    }
  }

  /// SHA-256 of the query as it is sent.
  func queryDigest() throws -> [UInt8] {
    Array(SHA256.hash(data: Array(try rendered().utf8)))
  }

  /// SHA-256 of all that says which values are read, and which slots they are in.
  func sourceDigest() throws -> [UInt8] {
    let text = [try rendered(), definition.source.frequency.description, definition.timezone]
    return Array(SHA256.hash(data: Array(text.joined(separator: "\0").utf8)))
  }

  /// Gives every row of the query to `each`, in one read-only snapshot. Times are microseconds since 1970 UTC, or
  /// integer steps.
  private func collect<Collected: Sendable>(
    _ start: Collected, onlySeries: String? = nil,
    _ each:
      @escaping @Sendable (inout Collected, UnsafeRawBufferPointer?, Int64?, Double?) throws -> Void
  ) async throws -> Collected {
    let rendered = try rendered()
    let integerSteps = definition.source.frequency.isInteger
    do {
      return try await pool.withTransaction(.snapshot) { connection in
        let query = try await open(rendered, onlySeries: onlySeries, on: connection)
        return try await connection.copyOut(query.copySQL, into: start) { collected, row in
          let time: Int64? =
            row.isNull(1)
            ? nil
            : integerSteps
              ? try row.int64(1)
              : PanelBuilder.unixMicroseconds(sincePostgresEpoch: try row.int64(1))
          try each(
            &collected, row.isNull(0) ? nil : try row.bytes(0), time,
            row.isNull(2) ? nil : try row.float8(2))
        }
      }
    } catch let error as PanelError {
      throw ServiceError(.tooManySeries, "job \(definition.job): \(error)")
    } catch let error as PostgresError where definition.privacy != nil && error.sqlState != nil {
      throw failure(error, quoting: false)
    } catch let error as PostgresError where Self.isTheirs(error) {
      throw failure(error, quoting: true)
    }
  }

  private struct Rows: Sendable {
    var all: PanelBuilder
    var blocked: BlockedRows?
  }

  private func rendered() throws -> String {
    do {
      return try QueryTemplate(definition.source.query).rendered(
        replacing: SourceQuery.cutoffExpression(
          integerSteps: definition.source.frequency.isInteger))
    } catch {
      throw ServiceError(.query, "job \(definition.job): \(error)")
    }
  }

  private func open(
    _ rendered: String, onlySeries: String?, on connection: PostgresConnection
  ) async throws -> SourceQuery {
    _ = try await connection.run(SetTimeZone(timezone: definition.timezone))
    _ = try await connection.run(BindCutoff(cutoff: cutoff, series: onlySeries))
    return try SourceQuery(
      job: definition.job, rendered: rendered, columns: try await connection.describe(rendered),
      integerSteps: definition.source.frequency.isInteger, onlySeries: onlySeries != nil)
  }

  private static func isTheirs(_ error: PostgresError) -> Bool {
    error.fault == .data || error.fault == .configuration
  }

  /// The statement is the user's own: what the server says about it is for the user, but it may quote a row.
  private func failure(_ error: PostgresError, quoting: Bool) -> ServiceError {
    let state = error.sqlState.map { " (SQLSTATE \($0))" } ?? ""
    return ServiceError(
      error.isTransient ? .databaseUnavailable : .query,
      quoting
        ? "job \(definition.job): the query failed: \(error.message)\(state)"
          + (error.hint.map { "; \($0)" } ?? "")
        : "job \(definition.job): the query failed while it returned rows\(state); try it in psql: what the server said may quote private data and is not stored"
    )
  }
}
