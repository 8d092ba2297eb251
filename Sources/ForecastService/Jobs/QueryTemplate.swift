/// A user's SQL with the places of `:cutoff` found.
///
/// Strings, `E''` strings, quoted identifiers, dollar quotes and (nested) comments are left alone, and so
/// are casts (`a::date`), named arguments (`f(a := 1)`) and array slices (`a[1:n]`).
package struct QueryTemplate: Sendable, Equatable {
  /// The statement without a semicolon at its end.
  package let text: String
  /// UTF-8 ranges of the placeholders in `text`, in order.
  let placeholders: [Range<Int>]

  package struct Problem: Error, Sendable, Equatable, CustomStringConvertible {
    /// UTF-8 position in the text given.
    package let offset: Int
    package let message: String
    package var description: String { message }
  }

  package var usesCutoff: Bool { !placeholders.isEmpty }

  /// - Throws: `Problem` for an empty text, one that does not begin with SELECT, WITH, VALUES or TABLE,
  ///   an unclosed quote or comment, a NUL character, several statements, and placeholders other than `:cutoff`.
  package init(_ sql: String) throws(Problem) {
    let bytes = Array(sql.utf8)
    // The server would take the statement to end here.
    if let offset = bytes.firstIndex(of: 0) {
      throw Problem(
        offset: offset, message: "found a NUL character, which SQL cannot hold; remove it")
    }
    var scanner = QueryScanner(bytes)
    try scanner.scan()
    guard let start = scanner.firstWord else {
      throw Problem(offset: 0, message: "found no SQL, expected a SELECT")
    }
    let word = String(decoding: scanner.bytes[start], as: UTF8.self).uppercased()
    guard ["SELECT", "WITH", "VALUES", "TABLE", "("].contains(word) else {
      throw Problem(
        offset: start.lowerBound,
        message: "the query begins with \"\(word)\", expected SELECT, WITH, VALUES or TABLE")
    }
    text = String(decoding: scanner.bytes[..<scanner.end], as: UTF8.self)
    placeholders = scanner.placeholders
  }

  /// The statement with `expression` in place of every `:cutoff`.
  package func rendered(replacing expression: String) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var position = 0
    for range in placeholders {
      result += bytes[position..<range.lowerBound]
      result += Array(expression.utf8)
      position = range.upperBound
    }
    result += bytes[position...]
    return String(decoding: result, as: UTF8.self)
  }
}

/// Walks over SQL as PostgreSQL's lexer would, with standard-conforming strings.
struct QueryScanner {
  let bytes: [UInt8]
  var placeholders: [Range<Int>] = []
  var firstWord: Range<Int>?
  /// Where the statement ends: before a semicolon, blanks and comments (a `--` at the end would swallow
  /// what is put after the query).
  var end = 0
  private var position = 0
  private var semicolon: Int?
  /// Depth of `(` and `[`; a colon counts as a slice directly within `[`.
  private var brackets: [UInt8] = []

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  private func byte(_ index: Int) -> UInt8 { index < bytes.count ? bytes[index] : 0 }

  private static func startsWord(_ byte: UInt8) -> Bool {
    (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A || byte == 0x5F || byte >= 0x80
  }

  private static func continuesWord(_ byte: UInt8) -> Bool {
    startsWord(byte) || (0x30...0x39).contains(byte) || byte == 0x24
  }

  mutating func scan() throws(QueryTemplate.Problem) {
    while position < bytes.count {
      let start = position
      let current = bytes[position]
      switch current {
      case 0x20, 0x09, 0x0A, 0x0B, 0x0C, 0x0D:
        position += 1
        continue
      case UInt8(ascii: "-") where byte(position + 1) == UInt8(ascii: "-"):
        while position < bytes.count, bytes[position] != 0x0A { position += 1 }
        continue
      case UInt8(ascii: "/") where byte(position + 1) == UInt8(ascii: "*"):
        try skipComment()
        continue
      case UInt8(ascii: ";"):
        if semicolon == nil { semicolon = position }
        position += 1
        continue
      default: break
      }
      if let semicolon {
        throw QueryTemplate.Problem(
          offset: semicolon,
          message: "found a second statement after \";\", expected one; use WITH to combine them")
      }
      try token(current)
      if firstWord == nil { firstWord = start..<position }
      end = position
    }
  }

  private mutating func token(_ current: UInt8) throws(QueryTemplate.Problem) {
    let start = position
    switch current {
    case UInt8(ascii: "'"): try skipQuoted(current, backslashes: false, from: start)
    case UInt8(ascii: "\""): try skipQuoted(current, backslashes: false, from: start)
    case UInt8(ascii: "$"): try skipDollarQuote()
    case UInt8(ascii: ":"): try colon()
    case UInt8(ascii: "("), UInt8(ascii: "["):
      brackets.append(current)
      position += 1
    case UInt8(ascii: ")"), UInt8(ascii: "]"):
      _ = brackets.popLast()
      position += 1
    case _ where Self.startsWord(current):
      while position < bytes.count, Self.continuesWord(bytes[position]) { position += 1 }
      if position == start + 1, current | 0x20 == UInt8(ascii: "e"),
        byte(position) == UInt8(ascii: "'")
      {
        try skipQuoted(UInt8(ascii: "'"), backslashes: true, from: start)
      }
    case 0x30...0x39:
      while position < bytes.count, Self.continuesWord(bytes[position]) { position += 1 }
    default: position += 1
    }
  }

  private mutating func colon() throws(QueryTemplate.Problem) {
    let next = byte(position + 1)
    if next == UInt8(ascii: ":") || next == UInt8(ascii: "=") {
      position += 2
      return
    }
    guard Self.startsWord(next) else {
      position += 1
      return
    }
    let start = position
    position += 1
    while position < bytes.count, Self.continuesWord(bytes[position]) { position += 1 }
    let name = String(decoding: bytes[(start + 1)..<position], as: UTF8.self)
    // In a[1:cutoff] the colon belongs to the slice, unless it follows the bracket or an operator.
    if brackets.last == UInt8(ascii: "["), followsOperand(start) {
      return
    }
    guard name == "cutoff" else {
      throw QueryTemplate.Problem(
        offset: start,
        message: "unknown placeholder \":\(name)\", expected :cutoff, the only one there is")
    }
    placeholders.append(start..<position)
  }

  private func followsOperand(_ index: Int) -> Bool {
    var before = index - 1
    while before >= 0, bytes[before] == 0x20 { before -= 1 }
    guard before >= 0 else { return false }
    let last = bytes[before]
    return Self.continuesWord(last) || [0x22, 0x27, 0x29, 0x5D, 0x5B].contains(last)
  }

  private mutating func skipQuoted(
    _ quote: UInt8, backslashes: Bool, from start: Int
  ) throws(QueryTemplate.Problem) {
    position += 1
    while position < bytes.count {
      let current = bytes[position]
      if backslashes, current == UInt8(ascii: "\\") {
        position += 2
      } else if current == quote {
        position += 1
        if byte(position) != quote { return }
        position += 1
      } else {
        position += 1
      }
    }
    throw QueryTemplate.Problem(
      offset: start,
      message: "a \(quote == 0x27 ? "string" : "quoted name") begins here and never ends")
  }

  private mutating func skipDollarQuote() throws(QueryTemplate.Problem) {
    let start = position
    var tagEnd = position + 1
    if Self.startsWord(byte(tagEnd)) {
      while tagEnd < bytes.count, Self.continuesWord(bytes[tagEnd]), bytes[tagEnd] != 0x24 {
        tagEnd += 1
      }
    }
    guard byte(tagEnd) == UInt8(ascii: "$") else {
      position += 1
      return
    }
    let tag = bytes[start...tagEnd]
    var search = tagEnd + 1
    while search + tag.count <= bytes.count {
      if bytes[search] == 0x24, bytes[search..<(search + tag.count)].elementsEqual(tag) {
        position = search + tag.count
        return
      }
      search += 1
    }
    throw QueryTemplate.Problem(
      offset: start,
      message: "a string in \(String(decoding: tag, as: UTF8.self)) begins here and never ends")
  }

  private mutating func skipComment() throws(QueryTemplate.Problem) {
    let start = position
    var depth = 0
    while position < bytes.count {
      if bytes[position] == UInt8(ascii: "/"), byte(position + 1) == UInt8(ascii: "*") {
        depth += 1
        position += 2
      } else if bytes[position] == UInt8(ascii: "*"), byte(position + 1) == UInt8(ascii: "/") {
        depth -= 1
        position += 2
        if depth == 0 { return }
      } else {
        position += 1
      }
    }
    throw QueryTemplate.Problem(
      offset: start, message: "a comment begins here with /* and never ends")
  }
}
