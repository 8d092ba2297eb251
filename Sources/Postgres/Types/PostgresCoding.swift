/// A value that can be bound to a statement's parameter, in PostgreSQL's binary form and with an explicit type.
package protocol PostgresEncodable: Sendable {
  static var postgresType: PostgresType { get }
  /// Type of the one-dimensional array of such values.
  static var postgresArrayType: PostgresType { get }
  /// Bound as text for the server to read in its own way, instead of in binary.
  static var isTextFormat: Bool { get }
  var isNull: Bool { get }
  /// Appends the value without its length. Called only when ``isNull`` is false.
  func encode(into bytes: inout [UInt8])
}

extension PostgresEncodable {
  package static var isTextFormat: Bool { false }
  package static var postgresArrayType: PostgresType { .unspecified }
  package var isNull: Bool { false }
}

/// One binary value on its way to a Swift type. Its bytes live as long as the call that received it.
package struct PostgresValue {
  package let type: PostgresType
  package let bytes: UnsafeRawBufferPointer

  package init(type: PostgresType, bytes: UnsafeRawBufferPointer) {
    self.type = type
    self.bytes = bytes
  }

  func integer<T: FixedWidthInteger>(_: T.Type) throws -> T {
    guard bytes.count == MemoryLayout<T>.size else { throw DecodingFailure.length(bytes.count) }
    return T(bigEndian: bytes.loadUnaligned(as: T.self))
  }
}

/// A value that can be read from a column.
package protocol PostgresDecodable {
  init(postgres value: PostgresValue) throws
  /// What NULL reads as; throws unless the type can say so.
  static func decodeNull() throws -> Self
}

extension PostgresDecodable {
  package static func decodeNull() throws -> Self { throw DecodingFailure.null }
}

/// Why one value could not be decoded; rows add the names of statement and column.
enum DecodingFailure: Error {
  case null
  case type
  case length(Int)
  case range
  case invalid(String)

  func message(expected: String, found: PostgresType) -> String {
    switch self {
    case .null: "expected \(expected), found NULL"
    case .type: "expected \(expected), found \(found)"
    case .length(let count): "expected \(expected), found \(found) of \(count) bytes"
    case .range: "a \(found) does not fit \(expected)"
    case .invalid(let why): "a \(found) is not a valid \(expected): \(why)"
    }
  }
}

extension Optional: PostgresEncodable where Wrapped: PostgresEncodable {
  package static var postgresType: PostgresType { Wrapped.postgresType }
  package static var postgresArrayType: PostgresType { Wrapped.postgresArrayType }
  package static var isTextFormat: Bool { Wrapped.isTextFormat }
  package var isNull: Bool { self?.isNull ?? true }
  package func encode(into bytes: inout [UInt8]) { self?.encode(into: &bytes) }
}

extension Optional: PostgresDecodable where Wrapped: PostgresDecodable {
  package init(postgres value: PostgresValue) throws { self = try Wrapped(postgres: value) }
  package static func decodeNull() throws -> Wrapped? { nil }
}

extension [UInt8] {
  mutating func append<T: FixedWidthInteger>(bigEndian value: T) {
    Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
  }
}
