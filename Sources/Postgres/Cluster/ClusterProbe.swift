import CLibPQ
import Foundation

/// One blocking connection to the embedded server, to see whether it answers and to create the
/// database. Work goes through the pool instead.
package enum ClusterProbe {
  enum Answer: Equatable {
    case connected
    /// The server is there, the database is not.
    case noDatabase
    /// Nothing listens, or the server refused; libpq's words.
    case failed(String)
  }

  static func check(_ address: ClusterAddress) -> Answer {
    withConnection(to: address) { _ in }.answer
  }

  /// Creates the database of the address; one that exists already, or is made by somebody else at
  /// the same time, is fine.
  static func createDatabase(_ address: ClusterAddress) throws {
    do {
      let name = ClusterSettings.quoted(address.database)
      try execute("CREATE DATABASE \(name)", at: address.with(database: "postgres"))
    } catch let failure as Failure where ["42P04", "23505"].contains(failure.sqlState) {
      // duplicate_database, or its unique index when two create it at once
    } catch let failure as Failure {
      throw ClusterError.classify(
        output: failure.message, directory: address.socketDirectory, otherwise: .startFailed,
        "The embedded server runs but the database \(address.database) could not be created.")
    }
  }

  package struct Failure: Error, Equatable {
    /// Empty where the connection failed, libpq giving none.
    package let sqlState: String
    package let message: String
  }

  /// Runs statements over a connection of their own, blocking.
  /// - Returns: the rows of the last one, as text.
  @discardableResult
  package static func execute(_ sql: String, at address: ClusterAddress) throws -> [[String?]] {
    let (answer, result) = withConnection(to: address) { connection in
      Result { try rows(of: sql, on: connection) }
    }
    guard let result else { throw Failure(sqlState: "", message: answer.words) }
    return try result.get()
  }

  private static func rows(of sql: String, on connection: OpaquePointer) throws -> [[String?]] {
    let result = PQexec(connection, sql)
    defer { PQclear(result) }
    let status = PQresultStatus(result)
    guard status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK else {
      let state = PQresultErrorField(result, Int32(UInt8(ascii: "C"))).map { String(cString: $0) }
      throw Failure(
        sqlState: state ?? "",
        message: String(cString: PQresultErrorMessage(result))
          .trimmingCharacters(in: .whitespacesAndNewlines))
    }
    return (0..<PQntuples(result)).map { row in
      (0..<PQnfields(result)).map { column in
        PQgetisnull(result, row, column) == 1
          ? nil : String(cString: PQgetvalue(result, row, column))
      }
    }
  }

  private static func withConnection<Result>(
    to address: ClusterAddress, body: (OpaquePointer) -> Result
  ) -> (answer: Answer, result: Result?) {
    // Everything that PGHOST, PGOPTIONS, PGSSLMODE or a service file could change is named here.
    let settings = [
      ("host", address.socketDirectory), ("port", String(address.port)),
      ("user", address.user), ("dbname", address.database), ("connect_timeout", "10"),
      ("sslmode", "disable"), ("gssencmode", "disable"), ("options", ""),
      ("passfile", "/dev/null"), ("application_name", "forecast cluster"),
    ]
    var keywords = settings.map { strdup($0.0).map { UnsafePointer($0) } } + [nil]
    var values = settings.map { strdup($0.1).map { UnsafePointer($0) } } + [nil]
    defer { for text in keywords + values { free(UnsafeMutablePointer(mutating: text)) } }
    guard let connection = PQconnectdbParams(&keywords, &values, 0) else {
      return (.failed("out of memory"), nil)
    }
    defer { PQfinish(connection) }
    if PQstatus(connection) == CONNECTION_OK { return (.connected, body(connection)) }
    let message = String(cString: PQerrorMessage(connection))
      .trimmingCharacters(in: .whitespacesAndNewlines)
    // libpq gives no SQLSTATE for a failed connection.
    let missing = message.hasSuffix("database \"\(address.database)\" does not exist")
    return (missing ? .noDatabase : .failed(message), nil)
  }
}

extension ClusterProbe.Answer {
  var words: String {
    switch self {
    case .connected: "connected"
    case .noDatabase: "the database does not exist"
    case .failed(let message): message
    }
  }
}
