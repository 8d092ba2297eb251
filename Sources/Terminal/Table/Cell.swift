package import Foundation

/// One typed value of a table: shown for people in `table`, exact in JSON and CSV.
package struct Cell: Sendable, Equatable {
  package enum Value: Sendable, Equatable {
    case null
    case text(String)
    case integer(Int64)
    case real(Double, digits: Int)
    case percent(Double, digits: Int)
    case date(Date, DateStyle)
    case duration(Double)
    case boolean(Bool)
  }

  /// How an instant is shown in a table. JSON and CSV always carry ISO 8601 in UTC.
  package enum DateStyle: Sendable, Equatable {
    case relative
    case stamp(HumanFormat.Precision)
  }

  package var value: Value
  /// Overrides the column's role for this cell.
  package var role: Role?

  package init(_ value: Value, role: Role? = nil) {
    self.value = value
    self.role = role
  }

  package static let null = Cell(.null)

  package static func text(_ text: String?, _ role: Role? = nil) -> Cell {
    Cell(text.map(Value.text) ?? .null, role: role)
  }

  package static func integer(_ number: (some BinaryInteger)?, _ role: Role? = nil) -> Cell {
    Cell(number.map { .integer(Int64(clamping: $0)) } ?? .null, role: role)
  }

  /// A number shown with `digits` decimals; exported with all its digits. Not finite: null.
  package static func real(_ number: Double?, digits: Int = 2, _ role: Role? = nil) -> Cell {
    Cell(number.map { .real($0, digits: digits) } ?? .null, role: role)
  }

  /// A fraction (0.8) shown as `80 %`; exported as the fraction.
  package static func percent(_ fraction: Double?, digits: Int = 0, _ role: Role? = nil) -> Cell {
    Cell(fraction.map { .percent($0, digits: digits) } ?? .null, role: role)
  }

  package static func date(
    _ date: Date?, _ style: DateStyle = .relative, _ role: Role? = nil
  ) -> Cell {
    Cell(date.map { .date($0, style) } ?? .null, role: role)
  }

  /// Seconds, shown as `3 min 4 s`; exported as a number of seconds.
  package static func duration(_ seconds: Double?, _ role: Role? = nil) -> Cell {
    Cell(seconds.map(Value.duration) ?? .null, role: role)
  }

  package static func boolean(_ flag: Bool?, _ role: Role? = nil) -> Cell {
    Cell(flag.map(Value.boolean) ?? .null, role: role)
  }
}

extension Cell {
  /// What a table shows.
  func display(now: Date, timeZone: TimeZone, unicode: Bool) -> String {
    switch value {
    case .null: return unicode ? "–" : "-"
    case .text(let text): return text.sanitized
    case .integer(let number): return String(number)
    case .real(let number, let digits):
      return number.isFinite ? HumanFormat.fixed(number, digits: digits) : (unicode ? "–" : "-")
    case .percent(let fraction, let digits):
      guard fraction.isFinite else { return unicode ? "–" : "-" }
      return HumanFormat.fixed(fraction * 100, digits: digits) + " %"
    case .date(let date, .relative):
      return HumanFormat.relative(date, now: now, timeZone: timeZone)
    case .date(let date, .stamp(let precision)):
      return HumanFormat.stamp(date, timeZone: timeZone, precision: precision)
    case .duration(let seconds): return HumanFormat.duration(seconds, unicode: unicode)
    case .boolean(let flag): return flag ? "yes" : "no"
    }
  }

  /// The exact value as text, and whether JSON writes it without quotes; nil for null.
  var exported: (text: String, isBare: Bool)? {
    switch value {
    case .null: return nil
    case .text(let text): return (text, false)
    case .integer(let number): return (String(number), true)
    case .real(let number, _), .percent(let number, _), .duration(let number):
      guard number.isFinite else { return nil }
      if number == number.rounded(), abs(number) < 1e15 { return (String(Int64(number)), true) }
      return ("\(number)", true)
    case .date(let date, _): return (HumanFormat.iso8601(date), false)
    case .boolean(let flag): return (flag ? "true" : "false", true)
    }
  }

  /// Numbers and durations stand to the right so that their magnitudes can be compared.
  var naturalAlignment: Alignment? {
    switch value {
    case .null: nil
    case .text, .boolean, .date: .left
    case .integer, .real, .percent, .duration: .right
    }
  }

  var isText: Bool {
    if case .text = value { true } else { false }
  }
}

extension Cell: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByNilLiteral
{
  package init(stringLiteral value: String) { self.init(.text(value)) }
  package init(integerLiteral value: Int64) { self.init(.integer(value)) }
  package init(booleanLiteral value: Bool) { self.init(.boolean(value)) }
  package init(nilLiteral: ()) { self.init(.null) }
}
