/// One row of a binary COPY, read in place. It lives as long as the call that received it.
///
/// The accessors check type length and presence, not the column's type, which COPY does not send: ask
/// ``PostgresConnection/describe(_:)`` first. They allocate nothing, except ``string(_:)``.
package struct PostgresCopyRow: ~Copyable {
  @usableFromInline let base: UnsafeRawPointer
  /// For each field its offset and its length, -1 for NULL.
  @usableFromInline let fields: UnsafePointer<(offset: Int32, length: Int32)>
  package let fieldCount: Int

  @usableFromInline
  init(
    base: UnsafeRawPointer, fields: UnsafePointer<(offset: Int32, length: Int32)>, fieldCount: Int
  ) {
    self.base = base
    self.fields = fields
    self.fieldCount = fieldCount
  }

  @inlinable package func isNull(_ field: Int) -> Bool {
    precondition(field >= 0 && field < fieldCount, "no such field")
    return fields[field].length < 0
  }

  /// The value's bytes, valid during this call only.
  @inlinable package func bytes(_ field: Int) throws -> UnsafeRawBufferPointer {
    precondition(field >= 0 && field < fieldCount, "no such field")
    let (offset, length) = fields[field]
    guard length >= 0 else { throw failure(field, "not to be NULL") }
    return UnsafeRawBufferPointer(start: base + Int(offset), count: Int(length))
  }

  @inlinable func load<T: FixedWidthInteger>(_ field: Int, _: T.Type) throws -> T {
    precondition(field >= 0 && field < fieldCount, "no such field")
    let (offset, length) = fields[field]
    guard Int(length) == MemoryLayout<T>.size else {
      throw failure(field, "\(MemoryLayout<T>.size) bytes")
    }
    return T(bigEndian: (base + Int(offset)).loadUnaligned(as: T.self))
  }

  @inlinable package func bool(_ field: Int) throws -> Bool { try load(field, UInt8.self) != 0 }
  @inlinable package func int16(_ field: Int) throws -> Int16 { try load(field, Int16.self) }
  @inlinable package func int32(_ field: Int) throws -> Int32 { try load(field, Int32.self) }
  @inlinable package func int64(_ field: Int) throws -> Int64 { try load(field, Int64.self) }

  @inlinable package func float4(_ field: Int) throws -> Float {
    Float(bitPattern: try load(field, UInt32.self))
  }

  @inlinable package func float8(_ field: Int) throws -> Double {
    Double(bitPattern: try load(field, UInt64.self))
  }

  /// Microseconds since 2000-01-01, UTC for `timestamptz`.
  @inlinable package func timestamp(_ field: Int) throws -> PostgresTimestamp {
    PostgresTimestamp(microseconds: try load(field, Int64.self))
  }

  /// Days since 2000-01-01.
  @inlinable package func date(_ field: Int) throws -> PostgresDate {
    PostgresDate(days: try load(field, Int32.self))
  }

  package func string(_ field: Int) throws -> String {
    guard let text = String(validating: try bytes(field), as: UTF8.self) else {
      throw failure(field, "UTF-8")
    }
    return text
  }

  /// Any numeric column as a double; the type comes from the statement's description.
  @inlinable package func number(_ field: Int, type: PostgresType) throws -> Double {
    switch type.rawValue {
    case 701: return try float8(field)
    case 23: return Double(try int32(field))
    case 20: return Double(try int64(field))
    case 700: return Double(try float4(field))
    case 21: return Double(try int16(field))
    case 1700: return try numeric(field)
    default: throw failure(field, "a number")
    }
  }

  @usableFromInline func numeric(_ field: Int) throws -> Double {
    do {
      return try PostgresNumeric.double(try bytes(field))
    } catch is DecodingFailure {
      throw failure(field, "numeric")
    }
  }

  /// Any value of a known type.
  package func decode<T: PostgresDecodable>(
    _ field: Int, type: PostgresType, as: T.Type = T.self
  ) throws -> T {
    do {
      if isNull(field) { return try T.decodeNull() }
      return try T(postgres: PostgresValue(type: type, bytes: try bytes(field)))
    } catch let failure as DecodingFailure {
      throw PostgresError(
        .decoding, "field \(field + 1): " + failure.message(expected: "\(T.self)", found: type))
    }
  }

  @usableFromInline func failure(_ field: Int, _ expected: String) -> PostgresError {
    let length = fields[field].length
    return PostgresError(
      .decoding,
      "field \(field + 1) of a copied row: expected \(expected), found "
        + (length < 0 ? "NULL" : "\(length) bytes"))
  }
}

/// Splits the binary COPY stream into rows.
struct CopyParser: ~Copyable {
  private let fields: UnsafeMutablePointer<(offset: Int32, length: Int32)>
  private static let capacity = 1664  // the most columns a statement can return
  private var seenHeader = false
  private var seenTrailer = false

  init() {
    fields = .allocate(capacity: Self.capacity)
  }
  deinit { fields.deallocate() }

  /// Hands the row in `message`, if there is one, to `body`.
  ///
  /// - Returns: whether there was one: the header may come alone, the trailer always does.
  @inline(__always)
  mutating func parse(
    _ message: UnsafeRawBufferPointer, _ body: (borrowing PostgresCopyRow) throws -> Void
  ) throws -> Bool {
    var base = message.baseAddress!
    var end = message.count
    if !seenHeader {
      let skipped = try Self.skipHeader(message)
      seenHeader = true
      base += skipped
      end -= skipped
      if end == 0 { return false }
    }
    guard !seenTrailer, end >= 2 else { throw Self.malformed() }
    let count = Int(Int16(bigEndian: base.loadUnaligned(as: Int16.self)))
    if count < 0 {
      seenTrailer = true
      return false
    }
    guard count <= Self.capacity else { throw Self.malformed() }
    var offset = 2
    for field in 0..<count {
      guard offset + 4 <= end else { throw Self.malformed() }
      let length = Int32(
        bigEndian: base.loadUnaligned(fromByteOffset: offset, as: Int32.self))
      offset += 4
      fields[field] = (Int32(truncatingIfNeeded: offset), length)
      if length > 0 { offset += Int(length) }
    }
    guard offset <= end else { throw Self.malformed() }
    try body(PostgresCopyRow(base: base, fields: fields, fieldCount: count))
    return true
  }

  private static func skipHeader(_ message: UnsafeRawBufferPointer) throws -> Int {
    guard message.count >= 19, message.prefix(11).elementsEqual(PostgresCopyWriter.signature)
    else {
      throw PostgresError(
        .misuse, "COPY did not send the binary format: say COPY … TO STDOUT (FORMAT binary)")
    }
    let extra = UInt32(
      bigEndian: message.loadUnaligned(fromByteOffset: 15, as: UInt32.self))
    guard 19 + Int(extra) <= message.count else { throw malformed() }
    return 19 + Int(extra)
  }

  private static func malformed() -> PostgresError {
    PostgresError(.copyFailed, "the server sent a COPY row that cannot be read")
  }
}

/// Some rows of a COPY, copied out of the connection's memory, for consumers that take their time.
package struct PostgresCopyBatch: Sendable {
  var bytes: [UInt8] = []
  /// Where each row starts.
  var starts: [Int] = []

  package var count: Int { starts.count }

  package func forEachRow(_ body: (borrowing PostgresCopyRow) throws -> Void) throws {
    try bytes.withUnsafeBytes { buffer in
      try withUnsafeTemporaryAllocation(
        of: (offset: Int32, length: Int32).self, capacity: 1664
      ) { fields in
        for start in starts {
          // The bytes passed the parser's checks before they came here.
          let base = buffer.baseAddress! + start
          let count = Int(Int16(bigEndian: base.loadUnaligned(as: Int16.self)))
          var offset = 2
          for field in 0..<count {
            let length = Int32(
              bigEndian: base.loadUnaligned(fromByteOffset: offset, as: Int32.self))
            offset += 4
            fields[field] = (Int32(offset), length)
            if length > 0 { offset += Int(length) }
          }
          try body(
            PostgresCopyRow(base: base, fields: fields.baseAddress!, fieldCount: count))
        }
      }
    }
  }

  mutating func append(_ row: borrowing PostgresCopyRow) {
    var end = 2
    for field in 0..<row.fieldCount {
      let (offset, length) = row.fields[field]
      end = Int(offset) + max(0, Int(length))
    }
    starts.append(bytes.count)
    bytes.append(contentsOf: UnsafeRawBufferPointer(start: row.base, count: end))
  }
}
