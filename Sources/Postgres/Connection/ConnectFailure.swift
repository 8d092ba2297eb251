import Foundation

/// Turns libpq's text about a failed connection into an error.
///
/// libpq keeps the SQLSTATE of such a failure to itself; with verbose messages it stands in the text:
/// `FATAL:  28P01: password authentication failed for user "ada"`.
enum ConnectFailure {
  static func error(_ text: String, needsPassword: Bool, secrets: [String]) -> PostgresError {
    var sqlState: String?
    var lines: [String] = []
    for line in text.split(separator: "\n") where !line.hasPrefix("LOCATION:") {
      var line = String(line)
      if let match = line.firstMatch(of: #/:  ([0-9A-Z]{5}): /#) {
        sqlState = String(match.1)
        line.replaceSubrange(match.range, with: ": ")
      }
      lines.append(line.trimmingCharacters(in: .whitespaces))
    }
    let message = Redaction.removing(secrets, from: lines.joined(separator: " "))
    let isRefused =
      needsPassword || sqlState?.hasPrefix("28") == true || message.contains("no password supplied")
    let isSetting =
      sqlState == nil
      && (message.hasPrefix("invalid ") || message.contains("definition of service")
        || message.contains("service file"))
    if isSetting {
      return PostgresError(.configuration, message)
    }
    var error = PostgresError(
      isRefused ? .authenticationFailed : .connectionFailed, message, sqlState: sqlState)
    if isRefused {
      error.hint = "give the password in PGPASSWORD, a password file or the URL"
    }
    return error
  }
}
