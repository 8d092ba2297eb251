// Instants and days. PostgreSQL counts from 2000-01-01.

package import Foundation

/// An instant in microseconds since 2000-01-01 00:00 UTC, exactly as `timestamptz` stores it.
package struct PostgresTimestamp: Sendable, Hashable, Comparable, PostgresEncodable,
  PostgresDecodable
{
  package var microseconds: Int64

  @inlinable package init(microseconds: Int64) { self.microseconds = microseconds }

  package static let infinity = PostgresTimestamp(microseconds: .max)
  package static let minusInfinity = PostgresTimestamp(microseconds: .min)
  /// Seconds from 1970-01-01 to 2000-01-01.
  package static let unixOffset: Int64 = 946_684_800

  package var isFinite: Bool { self != .infinity && self != .minusInfinity }

  /// Rounds to the nearest microsecond; an instant too far away becomes ±infinity.
  package init(_ date: Date) {
    let value = ((date.timeIntervalSinceReferenceDate + 31_622_400) * 1e6).rounded()
    microseconds = value >= 0x1p63 ? .max : value <= -0x1p63 ? .min : Int64(value)
  }

  /// Infinity becomes `Date.distantFuture`, minus infinity `Date.distantPast`.
  package var date: Date {
    switch self {
    case .infinity: .distantFuture
    case .minusInfinity: .distantPast
    default: Date(timeIntervalSinceReferenceDate: Double(microseconds) / 1e6 - 31_622_400)
    }
  }

  package static func < (a: Self, b: Self) -> Bool { a.microseconds < b.microseconds }
  package static var postgresType: PostgresType { .timestamptz }
  package static var postgresArrayType: PostgresType { .timestamptzArray }
  package func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: microseconds) }

  /// From `timestamptz`, and from `timestamp` and `date` read as UTC.
  package init(postgres value: PostgresValue) throws {
    switch value.type {
    case .timestamptz, .timestamp: microseconds = try value.integer(Int64.self)
    case .date: self = try PostgresDate(postgres: value).midnight
    default: throw DecodingFailure.type
    }
  }
}

extension Date: PostgresEncodable, PostgresDecodable {
  package static var postgresType: PostgresType { .timestamptz }
  package static var postgresArrayType: PostgresType { .timestamptzArray }
  package func encode(into bytes: inout [UInt8]) { PostgresTimestamp(self).encode(into: &bytes) }
  package init(postgres value: PostgresValue) throws {
    guard value.type == .timestamptz else { throw DecodingFailure.type }
    self = try PostgresTimestamp(postgres: value).date
  }
}

/// `timestamp` without time zone: microseconds since 2000-01-01 00:00 on some wall clock.
package struct PostgresLocalTimestamp: Sendable, Hashable, PostgresEncodable, PostgresDecodable {
  package var microseconds: Int64
  package init(microseconds: Int64) { self.microseconds = microseconds }
  package static var postgresType: PostgresType { .timestamp }
  package static var postgresArrayType: PostgresType { .timestampArray }
  package func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: microseconds) }
  package init(postgres value: PostgresValue) throws {
    guard value.type == .timestamp else { throw DecodingFailure.type }
    microseconds = try value.integer(Int64.self)
  }
}

/// `date`: days since 2000-01-01.
package struct PostgresDate: Sendable, Hashable, Comparable, PostgresEncodable, PostgresDecodable {
  package var days: Int32
  package init(days: Int32) { self.days = days }

  package static let infinity = PostgresDate(days: .max)
  package static let minusInfinity = PostgresDate(days: .min)

  /// Midnight UTC at the start of the day.
  package var midnight: PostgresTimestamp {
    switch self {
    case .infinity: .infinity
    case .minusInfinity: .minusInfinity
    default: PostgresTimestamp(microseconds: Int64(days) * 86_400_000_000)
    }
  }

  package static func < (a: Self, b: Self) -> Bool { a.days < b.days }
  package static var postgresType: PostgresType { .date }
  package static var postgresArrayType: PostgresType { .dateArray }
  package func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: days) }
  package init(postgres value: PostgresValue) throws {
    guard value.type == .date else { throw DecodingFailure.type }
    days = try value.integer(Int32.self)
  }
}
