/// Records of a CSV stream (RFC 4180), as byte ranges in one buffer: nothing is allocated per field.
///
/// - Quotes, doubled quotes, line breaks inside quotes; LF, CRLF and CR end a line; a byte order
///   mark is skipped; empty lines are skipped.
/// - A quote inside an unquoted field is an ordinary character, as spreadsheets write it.
/// - Every record must have as many fields as the first one.
struct CSVReader {
  static let chunk = 262_144
  /// A record longer than this is taken for an unclosed quote.
  static let recordLimit = 4_194_304

  let name: String
  let delimiter: UInt8
  private var source: any ByteSource
  private(set) var buffer: [UInt8]
  private var position = 0
  private var limit = 0
  private var ended = false

  /// Line the current record begins on, from 1.
  private(set) var line = 0
  private var nextLine = 1
  /// Fields of the current record, as ranges of `buffer`, valid until the next call of `next`.
  private(set) var starts: [Int] = []
  private(set) var ends: [Int] = []
  private var hasEscapes = false
  private var escaped: [Bool] = []
  /// Set by the first record.
  private(set) var fieldCount: Int?

  init(_ source: any ByteSource, name: String, delimiter: UInt8 = UInt8(ascii: ",")) {
    self.source = source
    self.name = name
    self.delimiter = delimiter
    buffer = [UInt8](repeating: 0, count: Self.chunk)
  }

  /// Bytes of the file read so far, and its size where known.
  var consumed: Int64 { source.consumed }
  var total: Int64? { source.total }

  /// Moves to the next record; false at the end.
  mutating func next() throws -> Bool {
    if limit == 0, nextLine == 1 { try begin() }
    while true {
      let outcome = scan()
      switch outcome {
      case .record(let next, let lines):
        line = nextLine
        nextLine += lines
        position = next
        if starts.count == 1, starts[0] == ends[0], !escaped[0] { continue }  // empty line
        if hasEscapes { unescape() }
        try checkFieldCount()
        return true
      case .end:
        return false
      case .needMore:
        try refill()
      case .textAfterQuote(let lines):
        throw LoadError(
          .malformed, file: name, line: nextLine + lines,
          "there is text after a closing quote; a quote inside a quoted field is written twice")
      case .openQuote(let lines):
        throw LoadError(
          .malformed, file: name, line: nextLine + lines,
          "the quote that opens here is never closed")
      }
    }
  }

  func text(_ field: Int) -> String {
    String(decoding: buffer[starts[field]..<ends[field]], as: UTF8.self)
  }

  // MARK: Scanning

  private enum Outcome {
    case record(next: Int, lines: Int)
    case end
    case needMore
    case textAfterQuote(lines: Int)
    case openQuote(lines: Int)
  }

  /// Finds the record at `position`, or says that it is not all there yet.
  private mutating func scan() -> Outcome {
    let (lf, cr, quote) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\""))
    let delimiter = self.delimiter
    let limit = self.limit
    let ended = self.ended
    starts.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
    escaped.removeAll(keepingCapacity: true)
    hasEscapes = false
    var index = position
    var lines = 0
    guard index < limit else { return ended ? .end : .needMore }

    while true {
      // At the start of a field.
      if index < limit, buffer[index] == quote {
        let opened = lines
        index += 1
        let start = index
        var doubled = false
        while true {
          guard index < limit else { return ended ? .openQuote(lines: opened) : .needMore }
          let byte = buffer[index]
          if byte == quote {
            if index + 1 == limit, !ended { return .needMore }
            guard index + 1 < limit, buffer[index + 1] == quote else { break }
            doubled = true
            index += 2
            continue
          }
          if byte == lf { lines += 1 }
          if byte == cr {
            if index + 1 == limit, !ended { return .needMore }
            if index + 1 < limit, buffer[index + 1] != lf { lines += 1 }
          }
          index += 1
        }
        starts.append(start)
        ends.append(index)
        escaped.append(true)
        if doubled {
          hasEscapes = true
        }
        index += 1
        if index < limit, buffer[index] != delimiter, buffer[index] != lf, buffer[index] != cr {
          return .textAfterQuote(lines: lines)
        }
      } else {
        let start = index
        let stop: Int = {
          var index = index
          let bytes = buffer.span
          while index < limit {
            let byte = bytes[index]
            if byte == delimiter || byte == lf || byte == cr { break }
            index += 1
          }
          return index
        }()
        index = stop
        starts.append(start)
        ends.append(index)
        escaped.append(false)
      }
      // At the end of a field.
      guard index < limit else { return ended ? .record(next: index, lines: lines + 1) : .needMore }
      let byte = buffer[index]
      index += 1
      if byte == delimiter { continue }
      if byte == cr {
        if index == limit, !ended { return .needMore }
        if index < limit, buffer[index] == lf { index += 1 }
      }
      return .record(next: index, lines: lines + 1)
    }
  }

  /// Makes `""` one quote in the fields that were quoted.
  private mutating func unescape() {
    let quote = UInt8(ascii: "\"")
    for field in starts.indices where escaped[field] {
      var target = starts[field]
      var index = target
      while index < ends[field] {
        let byte = buffer[index]
        buffer[target] = byte
        target += 1
        index += byte == quote ? 2 : 1
      }
      ends[field] = target
    }
  }

  private mutating func checkFieldCount() throws {
    guard let fieldCount else {
      self.fieldCount = starts.count
      return
    }
    guard starts.count == fieldCount else {
      throw LoadError(
        .malformed, file: name, line: line,
        "\(starts.count) \(starts.count == 1 ? "field" : "fields") where the header has \(fieldCount)"
      )
    }
  }

  // MARK: Filling

  private mutating func begin() throws {
    while limit < 3, !ended { try refill() }
    if limit >= 3, buffer[0] == 0xEF, buffer[1] == 0xBB, buffer[2] == 0xBF { position = 3 }
    if limit >= 2, (buffer[0], buffer[1]) == (0xFF, 0xFE) || (buffer[0], buffer[1]) == (0xFE, 0xFF)
    {
      throw LoadError(
        .malformed, file: name, "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8")
    }
  }

  private mutating func refill() throws {
    if position > 0 {
      buffer.withUnsafeMutableBytes { bytes in
        let rest = UnsafeRawBufferPointer(rebasing: bytes[position..<limit])
        UnsafeMutableRawBufferPointer(rebasing: bytes[0..<rest.count]).copyMemory(from: rest)
      }
      limit -= position
      position = 0
    }
    if limit == buffer.count {
      guard buffer.count < Self.recordLimit else {
        throw LoadError(
          .malformed, file: name, line: nextLine,
          "the record that begins here is longer than \(Self.recordLimit >> 20) MiB; is a quote left open?"
        )
      }
      buffer += [UInt8](repeating: 0, count: buffer.count)
    }
    let count = try source.read(into: &buffer, from: limit)
    limit += count
    ended = count == 0
  }
}
