package import Foundation
package import Postgres

// Statements behind `forecastctl doctor`.

/// Version, user and clock of the server.
package struct DatabaseFacts: PostgresStatement {
  package struct Row: Sendable {
    package let version: String
    package let versionNumber: Int
    package let user: String
    package let now: Date
  }

  package static let name = "database_facts"
  package static let sql = """
    SELECT current_setting('server_version') AS version,
           current_setting('server_version_num')::integer AS number,
           current_user::text AS username, clock_timestamp() AS now
    """
  package init() {}
  package var parameters: [any PostgresEncodable] { [] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(
      version: try row.decode("version"), versionNumber: try row.decode("number"),
      user: try row.decode("username"), now: try row.decode("now"))
  }
}

/// Roles of the schema that the connected user is not a member of.
package struct MissingPrivileges: PostgresStatement {
  package static let name = "missing_privileges"
  package static let sql = """
    SELECT wanted FROM unnest(ARRAY['forecast_worker', 'forecast_operator', 'forecast_reader']) AS u (wanted)
    WHERE NOT pg_has_role(current_user, wanted, 'USAGE')
    """
  package init() {}
  package var parameters: [any PostgresEncodable] { [] }
  package static func decode(_ row: PostgresRow) throws -> String { try row.decode("wanted") }
}

/// The time zones of the jobs, and whether the server knows them.
package struct JobZones: PostgresStatement {
  package struct Row: Sendable {
    package let name: String
    package let known: Bool
  }

  package static let name = "job_zones"
  package static let sql = """
    SELECT DISTINCT j.timezone, EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = j.timezone) AS known
    FROM forecast.job j ORDER BY 1
    """
  package init() {}
  package var parameters: [any PostgresEncodable] { [] }
  package static func decode(_ row: PostgresRow) throws -> Row {
    Row(name: try row.decode("timezone"), known: try row.decode("known"))
  }
}

/// Attempts whose lease has run out and that nobody has taken back.
package struct ExpiredLeases: PostgresStatement {
  package static let name = "expired_leases"
  package static let sql = """
    SELECT count(*) AS expired FROM forecast.attempt
    WHERE outcome = 'running' AND lease_until < now()
    """
  package init() {}
  package var parameters: [any PostgresEncodable] { [] }
  package static func decode(_ row: PostgresRow) throws -> Int64 { try row.decode("expired") }
}
