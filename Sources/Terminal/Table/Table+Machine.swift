import Foundation

/// The table for programs: exact values under stable keys.
extension Table {
  /// An array with one object per line, readable by people and `jq` alike.
  func json() -> String {
    guard !rows.isEmpty else { return "[]\n" }
    return "[\n" + rows.map { "  " + object($0) }.joined(separator: ",\n") + "\n]\n"
  }

  func jsonLines() -> String {
    rows.map { object($0) + "\n" }.joined()
  }

  /// RFC 4180 quoting; lines end in a single newline, as PostgreSQL's `COPY ... CSV` writes them.
  /// Null is the empty field, the empty text is `""`.
  func csv() -> String {
    var result = columns.map { CSVText.field($0.key) }.joined(separator: ",") + "\n"
    for row in rows {
      result += row.map { $0.exported.map { CSVText.field($0.text) } ?? "" }.joined(separator: ",")
      result += "\n"
    }
    return result
  }

  private func object(_ row: [Cell]) -> String {
    let members = zip(columns, row).map { column, cell in
      let value =
        cell.exported.map { $0.isBare ? $0.text : JSONText.string($0.text) } ?? "null"
      return JSONText.string(column.key) + ": " + value
    }
    return "{" + members.joined(separator: ", ") + "}"
  }
}

/// JSON string literals (RFC 8259, section 7).
package enum JSONText {
  package static func string(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\u{08}": result += "\\b"
      case "\u{0C}": result += "\\f"
      default:
        if scalar.value < 0x20 || scalar.value == 0x7F || (0x2028...0x2029).contains(scalar.value) {
          let digits = String(scalar.value, radix: 16)
          result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        } else {
          result.unicodeScalars.append(scalar)
        }
      }
    }
    return result + "\""
  }
}

/// One CSV field, quoted where RFC 4180 needs it.
package enum CSVText {
  package static func field(_ text: String) -> String {
    let needsQuotes =
      text.isEmpty || text.first == " " || text.last == " "
      || text.utf8.contains { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }
    return needsQuotes ? "\"" + text.replacing("\"", with: "\"\"") + "\"" : text
  }
}
