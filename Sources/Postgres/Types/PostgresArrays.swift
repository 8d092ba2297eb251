// One-dimensional arrays; `[UInt8]` is bytea instead.

package import Foundation

/// What an array of such elements is in the database.
package protocol PostgresArrayElement: Sendable {
  static var typeOfArray: PostgresType { get }
  static func encodeArray(_ elements: [Self], into bytes: inout [UInt8])
  static func decodeArray(_ value: PostgresValue) throws -> [Self]
}

extension Array: PostgresEncodable where Element: PostgresArrayElement {
  package static var postgresType: PostgresType { Element.typeOfArray }
  package static var postgresArrayType: PostgresType {
    Element.typeOfArray == .bytea ? .byteaArray : .unspecified
  }
  package func encode(into bytes: inout [UInt8]) { Element.encodeArray(self, into: &bytes) }
}

extension Array: PostgresDecodable where Element: PostgresArrayElement {
  package init(postgres value: PostgresValue) throws { self = try Element.decodeArray(value) }
}

extension UInt8: PostgresArrayElement {
  package static var typeOfArray: PostgresType { .bytea }
  package static func encodeArray(_ elements: [UInt8], into bytes: inout [UInt8]) {
    bytes.append(contentsOf: elements)
  }
  package static func decodeArray(_ value: PostgresValue) throws -> [UInt8] {
    guard value.type == .bytea else { throw DecodingFailure.type }
    return [UInt8](value.bytes)
  }
}

extension PostgresArrayElement where Self: PostgresEncodable & PostgresDecodable {
  package static var typeOfArray: PostgresType { Self.postgresArrayType }

  package static func encodeArray(_ elements: [Self], into bytes: inout [UInt8]) {
    bytes.append(bigEndian: Int32(elements.isEmpty ? 0 : 1))
    bytes.append(bigEndian: Int32(elements.contains { $0.isNull } ? 1 : 0))
    bytes.append(bigEndian: postgresType.rawValue)
    guard !elements.isEmpty else { return }
    bytes.append(bigEndian: Int32(elements.count))
    bytes.append(bigEndian: Int32(1))
    for element in elements {
      if element.isNull {
        bytes.append(bigEndian: Int32(-1))
        continue
      }
      let start = bytes.count
      bytes.append(bigEndian: Int32(0))
      element.encode(into: &bytes)
      let length = UInt32(bytes.count - start - 4)
      for byte in 0..<4 {
        bytes[start + byte] = UInt8(truncatingIfNeeded: length >> (24 - 8 * byte))
      }
    }
  }

  package static func decodeArray(_ value: PostgresValue) throws -> [Self] {
    let bytes = value.bytes
    func word(_ offset: Int) throws -> Int32 {
      guard offset + 4 <= bytes.count else { throw DecodingFailure.length(bytes.count) }
      return Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self))
    }
    let isArray = value.type.description.hasSuffix("[]") || value.type.rawValue >= 16384
    guard isArray || value.type == postgresArrayType else { throw DecodingFailure.type }
    let dimensions = try word(0)
    if dimensions == 0 { return [] }
    guard dimensions == 1 else {
      throw DecodingFailure.invalid("it has \(dimensions) dimensions")
    }
    let elementType = PostgresType(rawValue: UInt32(bitPattern: try word(8)))
    let count = Int(try word(12))
    // Every element has a length of four bytes, so a count beyond that is not one to reserve memory for.
    guard count >= 0, count <= (bytes.count - 20) / 4 else {
      throw DecodingFailure.length(bytes.count)
    }
    var result: [Self] = []
    result.reserveCapacity(count)
    var offset = 20
    for _ in 0..<count {
      let length = Int(try word(offset))
      offset += 4
      if length < 0 {
        result.append(try decodeNull())
        continue
      }
      guard offset + length <= bytes.count else { throw DecodingFailure.length(bytes.count) }
      let element = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
      result.append(try Self(postgres: PostgresValue(type: elementType, bytes: element)))
      offset += length
    }
    return result
  }
}

extension Bool: PostgresArrayElement {}
extension Int16: PostgresArrayElement {}
extension Int32: PostgresArrayElement {}
extension Int64: PostgresArrayElement {}
extension Int: PostgresArrayElement {}
extension Float: PostgresArrayElement {}
extension Double: PostgresArrayElement {}
extension String: PostgresArrayElement {}
extension UUID: PostgresArrayElement {}
extension Date: PostgresArrayElement {}
extension PostgresTimestamp: PostgresArrayElement {}
extension PostgresLocalTimestamp: PostgresArrayElement {}
extension PostgresDate: PostgresArrayElement {}
extension PostgresNumeric: PostgresArrayElement {}
extension PostgresJSON: PostgresArrayElement {}
extension Array: PostgresArrayElement where Element == UInt8 {}
extension Optional: PostgresArrayElement
where Wrapped: PostgresEncodable & PostgresDecodable {}
