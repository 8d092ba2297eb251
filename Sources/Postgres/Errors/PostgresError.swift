/// What went wrong between this process and a PostgreSQL server.
///
/// Callers switch on ``code``; retry policy and exit codes follow from ``fault`` and ``isTransient``.
/// ``description`` is one sentence for an operator and holds no bound value and no password; ``message`` and
/// ``detail`` are the server's own words and may quote data.
package struct PostgresError: Error, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable, CaseIterable {
    /// No session could be opened: no server there, refused, timed out, or no such database.
    case connectionFailed
    /// The server, or libpq on its behalf, refused the credentials.
    case authenticationFailed
    /// An open session ended before its answer arrived. The statement may or may not have run.
    case connectionLost
    /// The server answered with an error; ``PostgresError/sqlState`` says which.
    case server
    /// The answer to COMMIT was lost: look the key up before writing again.
    case commitUnknown
    /// A COMMIT was answered with ROLLBACK, because a statement before it had failed.
    case transactionAborted
    /// A value did not have the type, the length or the presence that was asked for.
    case decoding
    /// A COPY ended before all its rows were through, for a reason other than a server error.
    case copyFailed
    case poolClosed
    /// No connection became free within the pool's limit on waiting.
    case poolTimeout
    /// The connection string, environment or service file cannot be used.
    case configuration
    /// The call does not fit the statement or the state of the connection.
    case misuse
    /// A migration file cannot be read, is misnamed, or numbers have a gap or a duplicate.
    case migrationInvalid
    /// A migration that was applied is edited or missing on disk.
    case migrationChanged
    /// The database has migrations that these files do not know.
    case schemaNewerThanBinary
    /// A migration's SQL failed.
    case migrationFailed
  }

  /// Who has to act.
  package enum Fault: String, Sendable {
    case data, configuration, database, us
  }

  package var code: Code
  /// Five characters, set where the server or its protocol gave one.
  package var sqlState: String?
  package var message: String
  package var detail: String?
  package var hint: String?
  package var schema: String?
  package var table: String?
  package var column: String?
  package var constraint: String?
  /// Index (from 1) of the character in the statement's text where the server saw the error.
  package var position: Int?
  /// Name of the statement, never its text.
  package var statement: String?
  /// Index (from 0) of the statement in its pipeline.
  package var pipelineIndex: Int?

  package init(
    _ code: Code, _ message: String, sqlState: String? = nil, statement: String? = nil,
    column: String? = nil
  ) {
    self.code = code
    self.message = message
    self.sqlState = sqlState
    self.statement = statement
    self.column = column
  }

  private var verdict: (fault: Fault, isTransient: Bool) {
    switch code {
    case .connectionFailed:
      switch sqlState?.prefix(2) {
      case "3D": (.configuration, false)
      case "22", "42": (.configuration, false)
      default: (.database, true)
      }
    case .authenticationFailed, .configuration: (.configuration, false)
    case .connectionLost, .poolTimeout: (.database, true)
    case .commitUnknown: (.database, false)
    case .transactionAborted, .poolClosed, .misuse: (.us, false)
    case .decoding, .copyFailed: (.data, false)
    case .migrationInvalid, .migrationChanged, .schemaNewerThanBinary: (.configuration, false)
    case .migrationFailed: (.us, false)
    case .server:
      switch sqlState?.prefix(2) {
      // Connection, resources, operator intervention, system: the same request may do later.
      case "08", "53", "57", "58": (.database, sqlState != "57014")
      // Serialisation failure, deadlock.
      case "40": (.database, sqlState == "40001" || sqlState == "40P01")
      case "55": (.database, sqlState == "55P03")
      case "22", "23": (.data, false)
      case "28", "42", "3D", "3F": (.configuration, false)
      default: (.database, false)
      }
    }
  }

  package var fault: Fault { verdict.fault }

  /// Whether the same request may succeed later without anybody changing anything.
  package var isTransient: Bool { verdict.isTransient }

  package var description: String {
    var text = message
    // Data exceptions quote the offending value.
    if sqlState?.hasPrefix("22") == true { text = Redaction.hidingQuoted(text) }
    if let pipelineIndex { text = "pipeline statement \(pipelineIndex + 1): \(text)" }
    if let statement { text = "\(statement): \(text)" }
    var notes: [String] = []
    if let sqlState { notes.append("SQLSTATE \(sqlState)") }
    if let constraint { notes.append("constraint \(constraint)") }
    if let table, constraint != nil {
      notes.append("table \(schema.map { $0 + "." } ?? "")\(table)")
    }
    if let column, code != .decoding { notes.append("column \(column)") }
    if let position { notes.append("at character \(position)") }
    if !notes.isEmpty { text += " (\(notes.joined(separator: ", ")))" }
    if let hint { text += "; hint: \(hint)" }
    return text
  }
}

/// Keeps values that must not be shown out of texts that are.
enum Redaction {
  /// Replaces what stands between double quotes, except words in `keeping`.
  static func hidingQuoted(_ text: String, keeping: Set<String> = []) -> String {
    var parts = text.split(separator: "\"", omittingEmptySubsequences: false).map(String.init)
    guard parts.count > 2 else {
      // One lone quote: everything after it may be the value.
      return parts.count == 2 ? parts[0] + "\"…" : text
    }
    // A value with a quote inside shifts the pairs; then everything from the first quote on goes.
    if parts.count.isMultiple(of: 2) { return parts[0] + "\"…\"" }
    for index in stride(from: 1, to: parts.count, by: 2) where !keeping.contains(parts[index]) {
      parts[index] = "…"
    }
    return parts.joined(separator: "\"")
  }

  static func removing(_ secrets: [String], from text: String) -> String {
    secrets.filter { $0.count >= 3 }.reduce(text) { $0.split($1) }
  }
}

extension String {
  fileprivate func split(_ secret: String) -> String {
    var result = ""
    var rest = self[...]
    while let found = rest.firstRange(of: secret) {
      result += rest[..<found.lowerBound] + "***"
      rest = rest[found.upperBound...]
    }
    return result + rest
  }
}
