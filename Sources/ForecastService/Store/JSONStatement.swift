package import Postgres

/// What returns one JSON text, in the column `json`.
package protocol JSONStatement: PostgresStatement where Row == String {}

extension JSONStatement {
  package static func decode(_ row: PostgresRow) throws -> String { try row.decode("json") }
}
