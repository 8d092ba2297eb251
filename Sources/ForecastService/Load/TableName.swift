/// A table as a user writes it: `sales`, `raw.sales`, `raw."Sales 2026"`.
///
/// As in SQL, capitals count only between double quotes.
struct TableName: Equatable {
  var schema: String?
  var table: String

  init(_ text: String) throws {
    func fail(_ problem: String) -> LoadError {
      LoadError(
        .options, file: "--table \(text)",
        "\(problem); expected table or schema.table, with \"double quotes\" around unusual names")
    }
    var parts: [String] = []
    var rest = text[...]
    while true {
      var part = ""
      if rest.first == "\"" {
        rest.removeFirst()
        var closed = false
        while let character = rest.popFirst() {
          if character != "\"" {
            part.append(character)
          } else if rest.first == "\"" {
            part.append(rest.removeFirst())
          } else {
            closed = true
            break
          }
        }
        guard closed else { throw fail("a quote is not closed") }
      } else {
        while let character = rest.first, character != "." {
          guard character != "\"" else { throw fail("a quote stands inside a name") }
          part.append(character)
          rest.removeFirst()
        }
        part = part.lowercased()
      }
      guard !part.isEmpty, !part.contains("\0") else { throw fail("a name is empty") }
      guard part.utf8.count <= 63 else { throw fail("'\(part)' is longer than 63 bytes") }
      parts.append(part)
      guard !rest.isEmpty else { break }
      guard rest.removeFirst() == "." else { throw fail("text follows a quoted name") }
    }
    switch parts.count {
    case 1: (schema, table) = (nil, parts[0])
    case 2: (schema, table) = (parts[0], parts[1])
    default: throw fail("there are \(parts.count) names")
    }
  }

  /// For SQL text.
  var sql: String { (schema.map { Self.quoted($0) + "." } ?? "") + Self.quoted(table) }

  /// As PostgreSQL would print it in a message.
  var description: String { (schema.map { $0 + "." } ?? "") + table }

  static func quoted(_ name: String) -> String {
    "\"" + name.replacing("\"", with: "\"\"") + "\""
  }
}
