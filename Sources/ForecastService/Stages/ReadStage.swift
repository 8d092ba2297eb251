import Crypto
package import Foundation
package import Postgres
import Training

/// Reads a job's data: the user's query through COPY, straight into a panel, in one read-only snapshot.
package struct ReadStage: Sendable {
  /// What was read, and when.
  package struct Result: Sendable {
    package let built: BuiltPanel
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

  /// - Parameters:
  ///   - onlySeries: reads the one series with this key; nil reads all.
  ///   - progress: told the number of rows from time to time; what it throws ends the reading.
  /// - Throws: `ServiceError` (`.query`, `.queryColumns`, `.tooManySeries`), `PostgresError` when the
  ///   database is to blame, `CancellationError`.
  package func read(
    onlySeries: String? = nil, progress: @escaping @Sendable (Int) throws -> Void = { _ in }
  ) async throws -> Result {
    let integerSteps = definition.source.frequency.isInteger
    let template: QueryTemplate
    do {
      template = try QueryTemplate(definition.source.query)
    } catch {
      throw ServiceError(.query, "job \(definition.job): \(error)")
    }
    let rendered = template.rendered(
      replacing: SourceQuery.cutoffExpression(integerSteps: integerSteps))
    let grid = definition.grid
    let options = definition.panelOptions
    let readAt = Date()
    let clock = ContinuousClock()
    let began = clock.now
    let job = definition.job
    let (timezone, cutoff) = (definition.timezone, cutoff)
    do {
      var builder = try await pool.withTransaction(.snapshot) { connection in
        _ = try await connection.run(SetTimeZone(timezone: timezone))
        _ = try await connection.run(BindCutoff(cutoff: cutoff, series: onlySeries))
        let query = try SourceQuery(
          job: job, rendered: rendered, columns: try await connection.describe(rendered),
          integerSteps: integerSteps, onlySeries: onlySeries != nil)
        return try await connection.copyOut(
          query.copySQL, into: PanelBuilder(grid: grid, options: options)
        ) { builder, row in
          let time: Int64? =
            row.isNull(1)
            ? nil
            : integerSteps
              ? try row.int64(1)
              : PanelBuilder.unixMicroseconds(sincePostgresEpoch: try row.int64(1))
          try builder.append(
            key: row.isNull(0) ? nil : try row.bytes(0), time: time,
            value: row.isNull(2) ? nil : try row.float8(2))
          if builder.rows % 65_536 == 0 { try progress(builder.rows) }
        }
      }
      let seconds = (clock.now - began).seconds
      return Result(
        built: builder.finish(), queryDigest: Array(SHA256.hash(data: Array(rendered.utf8))),
        readAt: readAt, seconds: seconds)
    } catch let error as PanelError {
      throw ServiceError(.tooManySeries, "job \(job): \(error)")
    } catch let error as PostgresError where error.fault == .data || error.fault == .configuration {
      // The statement is the user's own: what the server says about it is for the user.
      throw ServiceError(
        .query,
        "job \(job): the query failed: \(error.message)"
          + (error.sqlState.map { " (SQLSTATE \($0))" } ?? "")
          + (error.hint.map { "; \($0)" } ?? ""))
    }
  }
}
