import Foundation
package import Postgres

// Statements that prepare a session for the user's query.

/// Sets the time zone in which the query's dates and local times are understood, to the end of the
/// transaction.
package struct SetTimeZone: PostgresStatement {
  package static let name = "set_time_zone"
  package static let sql = """
    SELECT set_config('timezone', $1, true) AS zone, set_config('datestyle', 'ISO, YMD', true) AS style
    """
  package let timezone: String
  package var parameters: [any PostgresEncodable] { [timezone] }
  package static func decode(_ row: PostgresRow) throws {}
}

/// Binds the cutoff, and the one series to read if any, for the rest of the transaction.
package struct BindCutoff: PostgresStatement {
  package static let name = "bind_cutoff"
  package static let sql = """
    SELECT set_config('forecast.cutoff', coalesce($1::timestamptz::text, $2::bigint::text), true) AS cutoff,
           set_config('forecast.series', coalesce($3, ''), true) AS series
    """
  package let cutoff: Cutoff
  package let series: String?
  package var parameters: [any PostgresEncodable] { [cutoff.date, cutoff.index, series] }
  package static func decode(_ row: PostgresRow) throws {}
}
