import CLibPQ
import Foundation

/// Where a server is and how to log in, in libpq's own terms.
///
/// Whatever is not said here is decided by libpq when it connects: `PG*` variables, the service file, the password
/// file, TLS keywords such as `sslmode`. Neither ``description`` nor ``url`` ever holds a password.
package struct PostgresConfiguration: Sendable, CustomStringConvertible {
  /// Keyword and value, in the order given, each keyword once.
  private(set) var options: [(keyword: String, value: String)] = []

  /// Reads `postgres://…`, `postgresql://…` or `key=value …`.
  ///
  /// - Parameters:
  ///   - url: nil or empty leaves everything to `environment` and libpq's defaults.
  ///   - environment: `PG*` entries that differ from this process's own environment become explicit settings.
  /// - Throws: ``PostgresError`` with code `configuration`; the text never repeats what was given.
  package init(url: String?, environment: [String: String] = ProcessInfo.processInfo.environment)
    throws
  {
    if let url, !url.isEmpty {
      var message: UnsafeMutablePointer<CChar>?
      guard let parsed = PQconninfoParse(url, &message) else {
        let text = message.map { String(cString: $0) } ?? "out of memory"
        PQfreemem(message)
        throw PostgresError(
          .configuration,
          "the database URL cannot be read: "
            + Redaction.hidingQuoted(
              text.trimmingCharacters(in: .whitespacesAndNewlines), keeping: Self.keywords)
            + "; expected postgresql://user@host:port/database or key=value pairs")
      }
      defer { PQconninfoFree(parsed) }
      Self.visit(parsed) { option in
        if let value = option.val { set(String(cString: option.keyword), String(cString: value)) }
      }
    }
    guard let defaults = PQconndefaults() else {
      throw PostgresError(.configuration, "libpq has no memory for its defaults")
    }
    defer { PQconninfoFree(defaults) }
    let own = ProcessInfo.processInfo.environment
    Self.visit(defaults) { option in
      guard let variable = option.envvar.map({ String(cString: $0) }),
        let value = environment[variable], value != own[variable]
      else { return }
      let keyword = String(cString: option.keyword)
      if self[keyword] == nil { set(keyword, value) }
    }
    if let port = self["port"] {
      for part in port.split(separator: ",") where UInt16(part) == nil || part == "0" {
        throw PostgresError(.configuration, "the database port must be a number from 1 to 65535")
      }
    }
  }

  /// A server on this machine, reached through its socket directory, without a password.
  package init(socketDirectory: String, port: Int, user: String, database: String) {
    set("host", socketDirectory)
    set("port", String(port))
    set("user", user)
    set("dbname", database)
  }

  package var applicationName: String {
    get { self["application_name"] ?? "" }
    set { set("application_name", newValue) }
  }

  package var host: String? { resolved("host") }
  package var port: String? { resolved("port") }
  package var user: String? { resolved("user") }
  package var database: String? { resolved("dbname") ?? user }

  package func with(database: String) -> PostgresConfiguration {
    with("dbname", database)
  }

  /// A copy with one libpq keyword set, for instance `connect_timeout` or `options`.
  package func with(_ keyword: String, _ value: String) -> PostgresConfiguration {
    var copy = self
    copy.set(keyword, value)
    return copy
  }

  /// A URL that `psql` understands, without any secret.
  package var url: String {
    var text = "postgresql://"
    if let user { text += Self.escape(user) + "@" }
    let host = self.host ?? ""
    // A directory or a list of hosts cannot stand in the authority part.
    let hostIsPlain = !host.isEmpty && !host.hasPrefix("/") && !host.contains(",")
    if hostIsPlain {
      text += host.contains(":") ? "[\(host)]" : Self.escape(host)
      if let port, !port.contains(",") { text += ":\(port)" }
    }
    text += "/" + Self.escape(database ?? "")
    var query: [(String, String)] = []
    if !hostIsPlain, !host.isEmpty { query.append(("host", host)) }
    if !hostIsPlain, let port { query.append(("port", port)) }
    let shown: Set<String> = ["host", "port", "user", "dbname"]
    query += options.filter { !shown.contains($0.keyword) && !Self.isSecret($0.keyword) }
      .map { ($0.keyword, $0.value) }
    if !query.isEmpty {
      text +=
        "?" + query.map { "\($0.0)=\(Self.escape($0.1))" }.joined(separator: "&")
    }
    return text
  }

  /// For logs: as ``url``, and saying that a password was given without giving it.
  package var redacted: String {
    options.contains { Self.isSecret($0.keyword) } ? url + " (password not shown)" : url
  }

  package var description: String { redacted }

  var secrets: [String] {
    options.filter { Self.isSecret($0.keyword) }.map(\.value)
  }

  /// Seconds from `connect_timeout`, which libpq itself ignores for non-blocking connections.
  var connectTimeout: Duration {
    guard let seconds = resolved("connect_timeout").flatMap(Int.init), seconds > 0 else {
      return .seconds(15)
    }
    return .seconds(max(2, seconds))
  }

  subscript(keyword: String) -> String? {
    options.first { $0.keyword == keyword }?.value
  }

  private mutating func set(_ keyword: String, _ value: String) {
    if let index = options.firstIndex(where: { $0.keyword == keyword }) {
      options[index].value = value
    } else {
      options.append((keyword, value))
    }
  }

  private func resolved(_ keyword: String) -> String? {
    if let value = self[keyword], !value.isEmpty { return value }
    // Only the service file, read when connecting, knows.
    if self["service"] != nil { return nil }
    guard let defaults = PQconndefaults() else { return nil }
    defer { PQconninfoFree(defaults) }
    var found: String?
    Self.visit(defaults) { option in
      if String(cString: option.keyword) == keyword, let value = option.val, value.pointee != 0 {
        found = String(cString: value)
      }
    }
    return found
  }

  private static func visit(
    _ first: UnsafeMutablePointer<PQconninfoOption>, _ body: (PQconninfoOption) -> Void
  ) {
    var option = first
    while option.pointee.keyword != nil {
      body(option.pointee)
      option += 1
    }
  }

  /// libpq's keywords, and whether it marks their values as secret.
  private static let known: [String: Bool] = {
    var result: [String: Bool] = [:]
    guard let defaults = PQconndefaults() else { return result }
    defer { PQconninfoFree(defaults) }
    visit(defaults) { result[String(cString: $0.keyword)] = $0.dispchar.pointee == 0x2A }
    return result
  }()

  private static let keywords = Set(known.keys)

  private static func isSecret(_ keyword: String) -> Bool {
    known[keyword] ?? true || keyword.contains("password")
  }

  private static func escape(_ text: String) -> String {
    let plain = CharacterSet(
      charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/")
    return text.addingPercentEncoding(withAllowedCharacters: plain) ?? ""
  }
}
