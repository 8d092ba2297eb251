package import Postgres

/// Whether the database's schema is the one this program was built for.
package struct SchemaCheck: Sendable {
  private let pool: PostgresPool
  private let environment: [String: String]

  package init(pool: PostgresPool, environment: [String: String] = [:]) {
    self.pool = pool
    self.environment = environment
  }

  /// - Throws: `ServiceError.schemaNotReady` naming what to do; `PostgresError`.
  package func verify() async throws {
    let present = try await pool.query("SELECT to_regclass('forecast.run') IS NOT NULL AS present")
    guard try present.first?.decode("present", as: Bool.self) == true else {
      throw ServiceError(
        .schemaNotReady,
        "this database has no forecast schema yet: run `forecastctl migrate` on it first")
    }
    let recorded = try await pool.query(
      "SELECT coalesce(max(number), 0)::bigint AS number FROM forecast.schema_migration")
    let found = try recorded.first?.decode("number", as: Int.self) ?? 0
    if found < Self.required {
      throw ServiceError(
        .schemaNotReady,
        "the database's schema is at migration \(found), this program needs \(Self.required): run `forecastctl migrate`"
      )
    }
    if found > Self.required {
      throw ServiceError(
        .schemaNotReady,
        "the database's schema is at migration \(found), newer than this program knows (\(Self.required)): update the program"
      )
    }
  }

  /// The number of the last migration that this program knows.
  package static let required = 7
}
