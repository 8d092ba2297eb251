/// Writes rows in COPY's binary format into a buffer that goes to the server 64 KiB at a time.
///
/// Start each row with ``beginRow(_:)`` and write exactly that many fields, in the column types of the table: COPY in
/// binary converts nothing.
package struct PostgresCopyWriter: ~Copyable {
  static let signature: [UInt8] = [0x50, 0x47, 0x43, 0x4F, 0x50, 0x59, 0x0A, 0xFF, 0x0D, 0x0A, 0]
  @usableFromInline static let flushSize = 65_536

  @usableFromInline var base: UnsafeMutableRawPointer
  @usableFromInline var used = 0
  @usableFromInline var capacity: Int
  @usableFromInline var fieldsLeft = 0
  /// Rows begun so far.
  package private(set) var rowCount = 0
  private let connection: PostgresConnection?

  init(connection: PostgresConnection?) {
    capacity = Self.flushSize + 8192
    base = .allocate(byteCount: capacity, alignment: 16)
    self.connection = connection
    for byte in Self.signature { put(byte) }
    put(UInt32(0))
    put(UInt32(0))
  }

  deinit { base.deallocate() }

  /// Sends what is in the buffer, then starts a row of so many fields. Waits while the server is behind.
  nonisolated(nonsending) package mutating func beginRow(_ fields: Int) async throws {
    if used >= Self.flushSize { try await flush() }
    try row(fields)
  }

  /// Starts a row without sending anything; for synchronous producers.
  package mutating func row(_ fields: Int) throws {
    guard fieldsLeft == 0 else {
      throw PostgresError(.misuse, "row \(rowCount) of a COPY lacks \(fieldsLeft) fields")
    }
    reserve(2)
    put(Int16(fields))
    fieldsLeft = fields
    rowCount += 1
  }

  /// Sends what is in the buffer and waits until the socket has taken it.
  nonisolated(nonsending) package mutating func flush() async throws {
    guard let connection, used > 0 else { return }
    try await connection.sendCopy(CopyBytes(base: base, count: used))
    used = 0
  }

  @inlinable package mutating func writeNull() {
    field(bytes: 0)
    put(Int32(-1))
  }

  @inlinable package mutating func write(_ value: Bool) { fixed(value ? 1 as UInt8 : 0) }
  @inlinable package mutating func write(_ value: Int16) { fixed(value) }
  @inlinable package mutating func write(_ value: Int32) { fixed(value) }
  @inlinable package mutating func write(_ value: Int64) { fixed(value) }
  /// As bigint.
  @inlinable package mutating func write(_ value: Int) { fixed(Int64(value)) }
  @inlinable package mutating func write(_ value: Float) { fixed(value.bitPattern) }
  @inlinable package mutating func write(_ value: Double) { fixed(value.bitPattern) }
  @inlinable package mutating func write(_ value: PostgresTimestamp) { fixed(value.microseconds) }
  @inlinable package mutating func write(_ value: PostgresDate) { fixed(value.days) }

  /// As text. Text may not hold a NUL character; the server refuses it.
  package mutating func write(_ value: String) {
    var value = value
    value.withUTF8 { write(UnsafeRawBufferPointer($0)) }
  }

  /// Bytes that are already in the column's binary form: bytea, or UTF-8 for text.
  @inlinable package mutating func write(_ value: UnsafeRawBufferPointer) {
    field(bytes: value.count)
    put(Int32(value.count))
    if let start = value.baseAddress {
      (base + used).copyMemory(from: start, byteCount: value.count)
      used += value.count
    }
  }

  /// As double precision[].
  package mutating func write(_ values: [Double]) {
    values.withUnsafeBufferPointer { write(array: $0) }
  }

  /// As double precision[], without an array of one's own.
  @inlinable package mutating func write(array values: UnsafeBufferPointer<Double>) {
    arrayHeader(count: values.count, elementSize: 12, type: 701)
    for value in values {
      put(Int32(8))
      put(value.bitPattern)
    }
  }

  /// As real[].
  package mutating func write(_ values: [Float]) {
    values.withUnsafeBufferPointer { write(array: $0) }
  }

  /// As real[], without an array of one's own.
  @inlinable package mutating func write(array values: UnsafeBufferPointer<Float>) {
    arrayHeader(count: values.count, elementSize: 8, type: 700)
    for value in values {
      put(Int32(4))
      put(value.bitPattern)
    }
  }

  /// Any other value, in its own type; nil becomes NULL.
  package mutating func write(any value: any PostgresEncodable) {
    guard !value.isNull else { return writeNull() }
    var bytes: [UInt8] = []
    value.encode(into: &bytes)
    bytes.withUnsafeBytes { write($0) }
  }

  @inlinable mutating func arrayHeader(count: Int, elementSize: Int, type: UInt32) {
    let size = count == 0 ? 12 : 20 + count * elementSize
    field(bytes: size)
    put(Int32(size))
    put(Int32(count == 0 ? 0 : 1))
    put(Int32(0))
    put(type)
    if count > 0 {
      put(Int32(count))
      put(Int32(1))
    }
  }

  @inlinable mutating func fixed<T: FixedWidthInteger>(_ value: T) {
    field(bytes: MemoryLayout<T>.size)
    put(Int32(MemoryLayout<T>.size))
    put(value)
  }

  @inlinable mutating func field(bytes: Int) {
    precondition(fieldsLeft > 0, "more fields than the row was begun with")
    fieldsLeft -= 1
    reserve(bytes + 4)
  }

  @inlinable mutating func put<T: FixedWidthInteger>(_ value: T) {
    (base + used).storeBytes(of: value.bigEndian, as: T.self)
    used += MemoryLayout<T>.size
  }

  @inlinable mutating func reserve(_ count: Int) {
    if used + count > capacity { grow(count) }
  }

  @usableFromInline mutating func grow(_ count: Int) {
    let larger = max(capacity * 2, used + count)
    let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
    moved.copyMemory(from: base, byteCount: used)
    base.deallocate()
    base = moved
    capacity = larger
  }

  mutating func finish() throws {
    guard fieldsLeft == 0 else {
      throw PostgresError(.misuse, "row \(rowCount) of a COPY lacks \(fieldsLeft) fields")
    }
    reserve(2)
    put(Int16(-1))
  }

  var pending: CopyBytes { CopyBytes(base: base, count: used) }
  mutating func sent() { used = 0 }
}

/// A writer's buffer on its way to the connection.
// Unchecked: the writer waits, untouched, until the connection is done with it.
struct CopyBytes: @unchecked Sendable {
  let base: UnsafeRawPointer
  let count: Int
}
