/// Reads a CSV file as rows of (series, time, values), batch by batch, in constant memory.
///
/// Opening it reads the header, resolves the columns and looks at the first rows to find out what
/// kind of times they hold. The first error ends the load: its line and column are in it.
///
/// An infinite value is refused: it is nearly always a division by zero in an export, and a
/// forecaster could only ignore it. `LoadOptions.missing` turns it into NULL.
package struct CSVLoader {
  static let sampleRows = 1000

  package let file: String
  package private(set) var timeType: LoadTimeType
  /// Rows handed out so far.
  package private(set) var rows: Int64 = 0
  /// Values among them that are NULL.
  package private(set) var missing: Int64 = 0
  let plan: LoadPlan
  let options: LoadOptions

  private var reader: CSVReader
  private let parser: LoadTimeParser
  private let decimalMark: UInt8
  private var joined: [UInt8] = []
  private let wideNames: [[UInt8]]

  /// - Parameter path: a file, inflated if it is gzip, or `-` for standard input.
  package init(path: String, options: LoadOptions) throws {
    try self.init(source: FileSource(path: path), name: path, options: options)
  }

  /// Reads bytes that are already in memory; `name` stands for them in errors.
  package init(bytes: [UInt8], name: String, options: LoadOptions) throws {
    try self.init(source: MemorySource(bytes), name: name, options: options)
  }

  init(source: any ByteSource, name: String, options: LoadOptions) throws {
    file = name
    self.options = options
    if options.decimalComma, options.delimiter == "," {
      throw LoadError(
        .options, file: name, "a decimal comma needs another delimiter than the comma")
    }
    decimalMark = options.decimalComma ? UInt8(ascii: ",") : UInt8(ascii: ".")

    var raw = source
    let first = try Self.head(&raw, count: 2)
    var text: any ByteSource = PrefixedSource(first, then: raw)
    if first.starts(with: GzipSource.magic) { text = try GzipSource(text, name: name) }
    var head = try Self.head(&text, count: CSVReader.chunk)
    var isWhole = head.count < CSVReader.chunk
    let delimiter = try Self.delimiter(of: head, options: options, file: name)
    let parser = LoadTimeParser(timeZone: options.timeZone)
    var found: LoadTimeType?
    var plan: LoadPlan?
    while true {
      var sample = CSVReader(MemorySource(head), name: name, delimiter: delimiter)
      do {
        guard try sample.next() else {
          throw LoadError(.malformed, file: name, "is empty; the first line must name the columns")
        }
        let header = sample.starts.indices.map { Self.trimmed(sample.text($0)) }
        plan = try LoadPlan(header: header, options: options, file: name)
        found = options.timeType ?? Self.detect(&sample, header, plan?.time ?? [], parser)
      } catch  where !isWhole && head.count < CSVReader.recordLimit {
        // A first record that long may only look broken where it is cut.
        plan = nil
      }
      if plan != nil, found != nil { break }
      if isWhole || head.count >= CSVReader.recordLimit { break }
      let more = try Self.head(&text, count: CSVReader.recordLimit)
      isWhole = more.count < CSVReader.recordLimit
      head += more
    }
    guard let plan else {
      throw LoadError(.malformed, file: name, line: 1, "the header cannot be read")
    }
    self.plan = plan
    self.parser = parser
    timeType = found ?? .timestamptz
    wideNames = plan.isWide ? plan.values.map { Array(plan.header[$0].utf8) } : []
    reader = CSVReader(PrefixedSource(head, then: text), name: name, delimiter: delimiter)
    _ = try reader.next()
  }

  package var progress: LoadProgress {
    LoadProgress(bytesRead: reader.consumed, totalBytes: reader.total, rows: rows)
  }

  /// Takes over the type of an existing table; dates may become instants, nothing else changes.
  mutating func adopt(_ type: LoadTimeType) -> Bool {
    if type == timeType { return true }
    guard options.timeType == nil, timeType == .date, type == .timestamptz else { return false }
    timeType = type
    return true
  }

  /// Replaces the contents of `batch` by the next rows; false when there are no more.
  ///
  /// A record of a wide file gives several rows, so that a batch may exceed `limit` by as many.
  package mutating func next(into batch: inout LoadBatch, limit: Int = 8192) throws -> Bool {
    batch.removeAll()
    while batch.count < limit, try reader.next() {
      if plan.isWide { try melt(into: &batch) } else { try copy(into: &batch) }
    }
    rows += Int64(batch.count)
    return batch.count > 0
  }

  // MARK: Rows

  private mutating func copy(into batch: inout LoadBatch) throws {
    try appendSeries(to: &batch)
    batch.endName()
    batch.append(time: try time())
    for column in plan.values { batch.append(value: try value(column)) }
  }

  private mutating func melt(into batch: inout LoadBatch) throws {
    let time = try time()
    for (column, name) in zip(plan.values, wideNames) {
      try appendSeries(to: &batch)
      if !plan.series.isEmpty || plan.constantSeries != nil {
        batch.append(name: [UInt8(ascii: "/")])
      }
      batch.append(name: name)
      batch.endName()
      batch.append(time: time)
      batch.append(value: try value(column))
    }
  }

  private func appendSeries(to batch: inout LoadBatch) throws {
    if let name = plan.constantSeries {
      batch.append(name: name)
      return
    }
    for (position, column) in plan.series.enumerated() {
      if position > 0 { batch.append(name: [UInt8(ascii: "/")]) }
      let (start, end) = (reader.starts[column], reader.ends[column])
      guard start < end else {
        throw error(.value, column, "is empty, but it names the series")
      }
      batch.append(nameFrom: reader.buffer.span, start, end)
    }
    guard !batch.openNameIsPlain else { return }
    guard let name = String(validating: batch.openName, as: UTF8.self) else {
      throw error(
        .malformed, plan.series[0],
        "is not UTF-8; convert the file: iconv -f LATIN1 -t UTF-8")
    }
    if name.utf8.contains(0) {
      throw error(.value, plan.series[0], "contains a NUL character, which PostgreSQL cannot store")
    }
  }

  private mutating func time() throws -> Int64 {
    let parsed: Int64?
    if plan.time.count == 1 {
      let column = plan.time[0]
      parsed = parser.parse(
        reader.buffer.span, reader.starts[column], reader.ends[column], as: timeType)
    } else {
      Self.join(reader, plan.time, into: &joined)
      parsed = parser.parse(joined.span, 0, joined.count, as: timeType)
    }
    if let parsed { return parsed }
    throw timeError()
  }

  private mutating func value(_ column: Int) throws -> Double {
    let (start, end) = (reader.starts[column], reader.ends[column])
    let outcome = CSVNumber.parse(reader.buffer.span, start, end, decimalMark: decimalMark)
    if case .number(let number) = outcome {
      if options.missing.isEmpty || !options.missing.contains(reader.text(column)) { return number }
      missing += 1
      return .nan
    }
    if case .missing = outcome {
      missing += 1
      return .nan
    }
    let text = reader.text(column)
    if options.missing.contains(Self.trimmed(text)) {
      missing += 1
      return .nan
    }
    switch outcome {
    case .infinite:
      throw error(
        .value, column, "\(Self.quoted(text)) is not finite; leave it empty, or --null '\(text)'")
    case .tooLarge:
      throw error(.value, column, "\(Self.quoted(text)) is too large for double precision")
    default:
      let isComma = !options.decimalComma && text.contains(",") && !text.contains(".")
      throw error(
        .value, column,
        "\(Self.quoted(text)) is not a number; "
          + (isComma
            ? "write 12.5, or use --decimal-comma"
            : "correct it, leave it empty for a missing value, or name it with --null"))
    }
  }

  // MARK: Errors

  private func error(_ code: LoadError.Code, _ column: Int, _ message: String) -> LoadError {
    LoadError(code, file: file, line: reader.line, column: plan.header[column], message)
  }

  private func timeError() -> LoadError {
    let text = plan.time.map { reader.text($0) }.joined(separator: " ")
    let names = plan.time.map { plan.header[$0] }.joined(separator: ", ")
    let expected =
      switch timeType {
      case .bigint: "an integer step, as in the rows before; --time-type chooses another type"
      case .date: "a day such as 2026-11-21; for times of day use --time-type timestamptz"
      case .timestamptz: "a time such as 2026-11-21 13:30:00 or 2026-11-21T13:30:00+01:00"
      }
    let problem = text.isEmpty ? "is empty; expected " : "\(Self.quoted(text)) is not "
    return LoadError(
      .value, file: file, line: reader.line, column: names, problem + expected)
  }

  private static func quoted(_ text: String) -> String {
    let short = text.count > 60 ? text.prefix(60) + "…" : text[...]
    return "'\(short)'"
  }

  private static func trimmed(_ text: String) -> String {
    var text = text[...]
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}

/// Looking at the beginning of a file.
extension CSVLoader {
  private static func head(_ source: inout any ByteSource, count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let read = try source.read(into: &bytes, from: filled)
      if read == 0 { break }
      filled += read
    }
    return Array(bytes[..<filled])
  }

  /// The mark that occurs most often in the header line, outside quotes.
  private static func delimiter(
    of head: [UInt8], options: LoadOptions, file: String
  ) throws -> UInt8 {
    if let chosen = options.delimiter {
      guard let byte = chosen.asciiValue, !["\"", "\n", "\r"].contains(chosen) else {
        throw LoadError(.options, file: file, "a delimiter is one ASCII character")
      }
      return byte
    }
    let candidates: [UInt8] = [",", ";", "\t", "|"].map { UInt8(ascii: $0) }
    var counts = [0, 0, 0, 0]
    var inQuotes = false
    for byte in head {
      if byte == UInt8(ascii: "\"") { inQuotes.toggle() }
      if inQuotes { continue }
      if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") { break }
      if let found = candidates.firstIndex(of: byte) { counts[found] += 1 }
    }
    let most = counts.max() ?? 0
    return candidates[counts.firstIndex(of: most) ?? 0]
  }

  private static func join(_ reader: CSVReader, _ columns: [Int], into joined: inout [UInt8]) {
    joined.removeAll(keepingCapacity: true)
    for column in columns {
      if !joined.isEmpty { joined.append(0x20) }
      joined.append(contentsOf: reader.buffer[reader.starts[column]..<reader.ends[column]])
    }
  }

  /// Integers, days or instants, from the first rows; days and instants together are instants.
  /// Nil where no row tells. Errors are left to the real reader: the sample may be cut anywhere.
  private static func detect(
    _ sample: inout CSVReader, _ header: [String], _ time: [Int], _ parser: LoadTimeParser
  ) -> LoadTimeType? {
    var type: LoadTimeType?
    var joined: [UInt8] = []
    for _ in 0..<sampleRows {
      guard (try? sample.next()) == true, sample.starts.count == header.count else { break }
      join(sample, time, into: &joined)
      switch (type, parser.shape(joined.span, 0, joined.count)) {
      case (nil, .integer): type = .bigint
      case (nil, .day): type = .date
      case (nil, .instant), (.date, .instant): return .timestamptz
      default: break
      }
    }
    return type
  }
}
