import Foundation

/// What the time column of the loaded table holds.
package enum LoadTimeType: String, Sendable, CaseIterable {
  /// Calendar days.
  case date
  /// Instants; stamps without a zone are read on the wall clock of the load's time zone.
  case timestamptz
  /// Steps of series without a calendar.
  case bigint
}

/// Reads times as PostgreSQL's binary form wants them.
///
/// Accepted: `2020-08-24`, `2020/08/24`, `2020-08` and `2020Q3` (first day), each with `T` or a
/// blank and `13`, `13:30`, `13:30:59`, `13:30:59.123456`, and `Z`, `+02`, `+0200` or `+02:00`.
///
/// On the wall clock, a time skipped in spring counts as the same distance after the change
/// (02:30 becomes 03:30); one that occurs twice in autumn is its first occurrence.
struct LoadTimeParser {
  enum Shape: Equatable { case integer, day, instant }

  /// Days from 1970-01-01 to PostgreSQL's 2000-01-01.
  static let epochDays: Int64 = 10_957
  private let wallClock: WallClock

  init(timeZone: TimeZone) { wallClock = WallClock(timeZone) }

  /// What the text is, or nil where it is no time at all.
  func shape(_ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int) -> Shape? {
    if Self.integer(bytes, start, end) != nil { return .integer }
    guard let stamp = Self.stamp(bytes, start, end) else { return nil }
    return stamp.hasTime ? .instant : .day
  }

  /// Days since 2000-01-01, microseconds since 2000-01-01 UTC, or the integer; nil where the text
  /// is not of that type.
  func parse(
    _ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int, as type: LoadTimeType
  ) -> Int64? {
    switch type {
    case .bigint: return Self.integer(bytes, start, end)
    case .date:
      guard let stamp = Self.stamp(bytes, start, end), !stamp.hasTime else { return nil }
      return stamp.day - Self.epochDays
    case .timestamptz:
      guard let stamp = Self.stamp(bytes, start, end) else { return nil }
      let local = stamp.day * 86_400 + stamp.second
      let offset = stamp.offset ?? wallClock.offset(local: local)
      return (local - offset - Self.epochDays * 86_400) * 1_000_000 + stamp.microsecond
    }
  }

  private struct Stamp {
    var day: Int64
    var second: Int64 = 0
    var microsecond: Int64 = 0
    /// Seconds east of UTC; nil for a naive stamp.
    var offset: Int64?
    var hasTime = false
  }

  private static func trimmed(
    _ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int
  ) -> (Int, Int) {
    var (start, end) = (start, end)
    while start < end, bytes[start] == 0x20 { start += 1 }
    while end > start, bytes[end - 1] == 0x20 { end -= 1 }
    return (start, end)
  }

  private static func integer(
    _ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int
  ) -> Int64? {
    var (index, end) = trimmed(bytes, start, end)
    guard index < end else { return nil }
    let negative = bytes[index] == UInt8(ascii: "-")
    if negative { index += 1 }
    guard index < end else { return nil }
    var value: Int64 = 0
    while index < end {
      let digit = bytes[index] &- 0x30
      guard digit < 10 else { return nil }
      let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = scaled.subtractingReportingOverflow(Int64(digit))
      if overflow || carry { return nil }
      value = sum
      index += 1
    }
    // Gathered as a negative number, whose range is the larger one.
    if negative { return value }
    return value == .min ? nil : -value
  }

  /// Exactly `count` digits at `index`.
  private static func number(
    _ bytes: borrowing Span<UInt8>, _ index: Int, _ end: Int, count: Int
  ) -> Int64? {
    guard index + count <= end else { return nil }
    var value: Int64 = 0
    for offset in index..<index + count {
      let digit = bytes[offset] &- 0x30
      guard digit < 10 else { return nil }
      value = value * 10 + Int64(digit)
    }
    return value
  }

  private static func stamp(_ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int) -> Stamp? {
    var (index, end) = trimmed(bytes, start, end)
    guard let year = number(bytes, index, end, count: 4) else { return nil }
    index += 4
    guard index < end else { return nil }
    var month: Int64
    var day: Int64 = 1
    let separator = bytes[index]
    if separator == UInt8(ascii: "-") || separator == UInt8(ascii: "/") { index += 1 }
    guard index < end else { return nil }
    if bytes[index] | 0x20 == UInt8(ascii: "q") {
      guard let quarter = number(bytes, index + 1, end, count: 1), (1...4).contains(quarter),
        index + 2 == end
      else { return nil }
      return Stamp(day: civilDay(year, quarter * 3 - 2, 1))
    }
    guard separator == UInt8(ascii: "-") || separator == UInt8(ascii: "/"),
      let readMonth = number(bytes, index, end, count: 2), (1...12).contains(readMonth)
    else { return nil }
    month = readMonth
    index += 2
    if index < end, bytes[index] == separator {
      guard let readDay = number(bytes, index + 1, end, count: 2), readDay >= 1,
        readDay <= daysInMonth(year, month)
      else { return nil }
      day = readDay
      index += 3
    } else if index < end {
      return nil
    }
    var result = Stamp(day: civilDay(year, month, day))
    guard index < end else { return result }
    guard bytes[index] == 0x20 || bytes[index] | 0x20 == UInt8(ascii: "t") else { return nil }
    index += 1
    while index < end, bytes[index] == 0x20 { index += 1 }
    result.hasTime = true
    return clock(bytes, index, end, &result) ? result : nil
  }

  /// `H`, `HH`, `HH:MM`, `HH:MM:SS`, fractions, zone.
  private static func clock(
    _ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int, _ stamp: inout Stamp
  ) -> Bool {
    var index = start
    var hour: Int64
    if let two = number(bytes, index, end, count: 2) {
      (hour, index) = (two, index + 2)
    } else if let one = number(bytes, index, end, count: 1) {
      (hour, index) = (one, index + 1)
    } else {
      return false
    }
    var (minute, second): (Int64, Int64) = (0, 0)
    let colon = UInt8(ascii: ":")
    if index < end, bytes[index] == colon {
      guard let read = number(bytes, index + 1, end, count: 2), read < 60 else { return false }
      (minute, index) = (read, index + 3)
      if index < end, bytes[index] == colon {
        guard let read = number(bytes, index + 1, end, count: 2), read < 60 else { return false }
        (second, index) = (read, index + 3)
        if index < end, bytes[index] == UInt8(ascii: ".") || bytes[index] == UInt8(ascii: ",") {
          index += 1
          var scale: Int64 = 100_000
          let first = index
          while index < end, bytes[index] &- 0x30 < 10 {
            stamp.microsecond += Int64(bytes[index] &- 0x30) * scale
            scale /= 10
            index += 1
          }
          guard index > first else { return false }
        }
      }
    }
    guard hour < 24 || (hour == 24 && minute == 0 && second == 0 && stamp.microsecond == 0) else {
      return false
    }
    stamp.second = hour * 3600 + minute * 60 + second
    while index < end, bytes[index] == 0x20 { index += 1 }
    guard index < end else { return true }
    let sign = bytes[index]
    index += 1
    if sign | 0x20 == UInt8(ascii: "z") {
      stamp.offset = 0
      return index == end
    }
    guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"),
      let hours = number(bytes, index, end, count: 2), hours <= 15
    else { return false }
    index += 2
    if index < end, bytes[index] == colon { index += 1 }
    var minutes: Int64 = 0
    if index < end {
      guard let read = number(bytes, index, end, count: 2), read < 60 else { return false }
      (minutes, index) = (read, index + 2)
    }
    stamp.offset = (hours * 3600 + minutes * 60) * (sign == UInt8(ascii: "-") ? -1 : 1)
    return index == end
  }

  private static func daysInMonth(_ year: Int64, _ month: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Days since 1970-01-01, after Howard Hinnant's `days_from_civil`; years 0 to 9999.
  private static func civilDay(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}

/// From wall-clock seconds to the zone's offset; remembers the stretch between two changes, since
/// asking Foundation for each of a million rows is slow.
private final class WallClock {
  private let zone: TimeZone
  private let isUTC: Bool
  /// Wall-clock seconds for which `known` certainly holds.
  private var lower = Int64.max
  private var upper = Int64.min
  private var known: Int64 = 0

  init(_ zone: TimeZone) {
    self.zone = zone
    isUTC = zone.identifier == "GMT" || zone.identifier == "UTC"
  }

  func offset(local: Int64) -> Int64 {
    if isUTC { return 0 }
    if local >= lower, local < upper { return known }
    let before = zoneOffset(local - 86_400)
    let after = zoneOffset(local + 86_400)
    if before == after, zoneOffset(local) == before {
      remember(local: local, offset: before)
      return before
    }
    // Near a change. An offset is right if it leads back to itself.
    let first = zoneOffset(local - before)
    if first == before { return before }
    let second = zoneOffset(local - after)
    if second == after { return after }
    // Skipped: the old offset carries the time past the change.
    return before
  }

  private func zoneOffset(_ instant: Int64) -> Int64 {
    Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(instant))))
  }

  /// Two days of distance on either side keep every ambiguity outside.
  private func remember(local: Int64, offset: Int64) {
    known = offset
    lower = local
    let instant = Date(timeIntervalSince1970: Double(local - offset))
    let change = zone.nextDaylightSavingTimeTransition(after: instant)
    let horizon = local + 90 * 86_400
    upper = min(
      change.map { Int64($0.timeIntervalSince1970) + offset - 2 * 86_400 } ?? horizon, horizon)
    // Zones also change their standard offset, which is no daylight saving transition.
    if zoneOffset(upper - offset) != offset { upper = local + 1 }
  }
}
