// Numbers, text and bytes.

package import Foundation

extension Bool: PostgresEncodable, PostgresDecodable {
  package static var postgresType: PostgresType { .bool }
  package static var postgresArrayType: PostgresType { .boolArray }
  package func encode(into bytes: inout [UInt8]) { bytes.append(self ? 1 : 0) }
  package init(postgres value: PostgresValue) throws {
    guard value.type == .bool else { throw DecodingFailure.type }
    self = try value.integer(UInt8.self) != 0
  }
}

extension FixedWidthInteger {
  /// Any integer column fits any Swift integer that can hold the value found.
  fileprivate init(integerColumn value: PostgresValue) throws {
    let wide: Int64 =
      switch value.type {
      case .int2: Int64(try value.integer(Int16.self))
      case .int4: Int64(try value.integer(Int32.self))
      case .int8: try value.integer(Int64.self)
      case .oid: Int64(try value.integer(UInt32.self))
      default: throw DecodingFailure.type
      }
    guard let exact = Self(exactly: wide) else { throw DecodingFailure.range }
    self = exact
  }
}

extension Int16: PostgresEncodable, PostgresDecodable {
  package static var postgresType: PostgresType { .int2 }
  package static var postgresArrayType: PostgresType { .int2Array }
  package func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: self) }
  package init(postgres value: PostgresValue) throws { try self.init(integerColumn: value) }
}

extension Int32: PostgresEncodable, PostgresDecodable {
  package static var postgresType: PostgresType { .int4 }
  package static var postgresArrayType: PostgresType { .int4Array }
  package func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: self) }
  package init(postgres value: PostgresValue) throws { try self.init(integerColumn: value) }
}

extension Int64: PostgresEncodable, PostgresDecodable {
  package static var postgresType: PostgresType { .int8 }
  package static var postgresArrayType: PostgresType { .int8Array }
  package func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: self) }
  package init(postgres value: PostgresValue) throws { try self.init(integerColumn: value) }
}

extension Int: PostgresEncodable, PostgresDecodable {
  package static var postgresType: PostgresType { .int8 }
  package static var postgresArrayType: PostgresType { .int8Array }
  package func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: Int64(self)) }
  package init(postgres value: PostgresValue) throws { try self.init(integerColumn: value) }
}

extension Float: PostgresEncodable, PostgresDecodable {
  package static var postgresType: PostgresType { .float4 }
  package static var postgresArrayType: PostgresType { .float4Array }
  package func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: bitPattern) }
  /// Only from `real`: anything wider would lose digits without a word.
  package init(postgres value: PostgresValue) throws {
    guard value.type == .float4 else { throw DecodingFailure.type }
    self.init(bitPattern: try value.integer(UInt32.self))
  }
}

extension Double: PostgresEncodable, PostgresDecodable {
  package static var postgresType: PostgresType { .float8 }
  package static var postgresArrayType: PostgresType { .float8Array }
  package func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: bitPattern) }
  /// From any numeric column; `bigint` and `numeric` are rounded to the nearest double.
  package init(postgres value: PostgresValue) throws {
    switch value.type {
    case .float8: self.init(bitPattern: try value.integer(UInt64.self))
    case .float4: self.init(Float(bitPattern: try value.integer(UInt32.self)))
    case .int2: self.init(try value.integer(Int16.self))
    case .int4: self.init(try value.integer(Int32.self))
    case .int8: self.init(try value.integer(Int64.self))
    case .numeric: self = try PostgresNumeric.double(value.bytes)
    default: throw DecodingFailure.type
    }
  }
}

extension String: PostgresEncodable, PostgresDecodable {
  package static var postgresType: PostgresType { .text }
  package static var postgresArrayType: PostgresType { .textArray }
  package func encode(into bytes: inout [UInt8]) { bytes.append(contentsOf: utf8) }
  /// From the text types, enumerations and `jsonb`.
  package init(postgres value: PostgresValue) throws {
    guard value.type.isText || value.type == .jsonb else { throw DecodingFailure.type }
    var bytes = value.bytes
    if value.type == .jsonb {
      guard bytes.first == 1 else { throw DecodingFailure.invalid("unknown jsonb version") }
      bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw DecodingFailure.invalid("not UTF-8")
    }
    self = text
  }
}

extension UUID: PostgresEncodable, PostgresDecodable {
  package static var postgresType: PostgresType { .uuid }
  package static var postgresArrayType: PostgresType { .uuidArray }
  package func encode(into bytes: inout [UInt8]) {
    withUnsafeBytes(of: uuid) { bytes.append(contentsOf: $0) }
  }
  package init(postgres value: PostgresValue) throws {
    guard value.type == .uuid else { throw DecodingFailure.type }
    guard value.bytes.count == 16 else { throw DecodingFailure.length(value.bytes.count) }
    self.init(uuid: value.bytes.loadUnaligned(as: uuid_t.self))
  }
}

/// JSON text, bound as `jsonb`, read from `json` and `jsonb`.
package struct PostgresJSON: Sendable, Hashable, PostgresEncodable, PostgresDecodable {
  package var text: String
  package init(_ text: String) { self.text = text }
  package static var postgresType: PostgresType { .jsonb }
  package static var postgresArrayType: PostgresType { .jsonbArray }
  package func encode(into bytes: inout [UInt8]) {
    bytes.append(1)
    bytes.append(contentsOf: text.utf8)
  }
  package init(postgres value: PostgresValue) throws {
    guard value.type == .jsonb || value.type == .json else { throw DecodingFailure.type }
    text = try String(postgres: value)
  }
}

/// Text whose type the server chooses from its place in the statement: enumerations, intervals, addresses.
package struct PostgresLiteral: Sendable, Hashable, PostgresEncodable {
  package var text: String
  package init(_ text: String) { self.text = text }
  package static var postgresType: PostgresType { .unspecified }
  package static var isTextFormat: Bool { true }
  package func encode(into bytes: inout [UInt8]) {
    bytes.append(contentsOf: text.utf8)
    bytes.append(0)
  }
}
