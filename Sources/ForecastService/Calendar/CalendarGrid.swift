package import Forecasters
package import Foundation

/// The regular grid that the stamps of a job fall on: a number for every step, an instant for every number.
///
/// Instants are microseconds since 1970-01-01 UTC. Every instant belongs to the step whose period it
/// falls in (rounded down), so a series stamped at 09:00, or at month end, has a grid as good as one
/// stamped at midnight; ``StampConvention`` puts the forecasts where the series' own stamps are.
///
/// Rules, in the job's time zone:
/// - up to an hour, and multiples of hours that do not divide a day: elapsed time, aligned to midnight
///   of standard time. A day of 23 or 25 hours has 23 or 25 hourly steps; none is lost or doubled.
/// - 2, 3, 4, 6, 8, 12 hours: the wall clock. Steps begin at the same local times all year; the one
///   that holds the change is an hour longer or shorter.
/// - days and weeks (from Monday): local days, whatever their length. A day that a zone skipped keeps
///   its ordinal, so weeks keep their phase, and begins when the next day begins.
/// - months, quarters, years: local calendar months from January 1970.
/// - integer: the step itself.
///
/// Series stamped at regular UTC times across a change of clocks would slip from one step of the wall
/// clock into the next; their steps are those of ``universal`` (see ``StampConvention``).
///
/// Ordinals count real time in the first case and the wall clock in all others; ``seasonClock`` says how
/// far the one is from the other, so that seasons keep their local time. Instants beyond the calendar, some 290 000
/// years away, are its last.
package struct CalendarGrid: Sendable {
  enum Rule: Sendable {
    case integer
    case elapsed(step: Int64, anchor: Int64)
    case clock(step: Int64)
    case days(count: Int, shift: Int)
    case months(count: Int)
  }

  static let day: Int64 = 86_400_000_000

  package let frequency: Frequency
  let rule: Rule
  let zone: ZoneTable

  package init(frequency: Frequency, timeZone: TimeZone) {
    self.init(frequency: frequency, zone: ZoneTable.table(for: timeZone))
  }

  private init(frequency: Frequency, zone: ZoneTable) {
    self.frequency = frequency
    self.zone = zone
    let count = frequency.count
    switch frequency.unit {
    case .integer: rule = .integer
    case .minute, .hour:
      let minutes = frequency.minutes ?? 1
      let step = Int64(minutes) * 60_000_000
      if minutes > 60, 1440 % minutes == 0 {
        rule = .clock(step: step)
      } else {
        rule = .elapsed(step: step, anchor: -zone.standardOffset)
      }
    case .day: rule = .days(count: count, shift: 0)
    case .week: rule = .days(count: count * 7, shift: 3)
    case .month: rule = .months(count: count)
    case .quarter: rule = .months(count: count * 3)
    case .year: rule = .months(count: count * 12)
    }
  }

  /// The same steps without changes of the clock: standard time all year. Ordinals are those of this
  /// grid in winter.
  var universal: CalendarGrid {
    CalendarGrid(frequency: frequency, zone: ZoneTable(fixed: zone.standardOffset))
  }

  /// The step that an instant (or, for integer steps, an index) belongs to.
  package func ordinal(of instant: Int64) -> Int {
    var cursor = ZoneTable.Cursor()
    return ordinal(of: instant, &cursor)
  }

  /// As ``ordinal(of:)``; the cursor makes neighbouring instants cheap.
  @inline(__always)
  package func ordinal(of instant: Int64, _ cursor: inout ZoneTable.Cursor) -> Int {
    switch rule {
    case .integer: return Int(instant)
    case .elapsed(let step, let anchor): return Int(floorDiv(instant - anchor, step))
    case .clock(let step): return Int(floorDiv(instant + zone.offset(at: instant, &cursor), step))
    case .days(let count, let shift):
      let local = floorDiv(instant + zone.offset(at: instant, &cursor), Self.day)
      return count == 1 ? Int(local) : floorDiv(Int(local) + shift, count)
    case .months(let count):
      let local = floorDiv(instant + zone.offset(at: instant, &cursor), Self.day)
      let date = CivilDate.date(days: Int(local))
      return floorDiv((date.year - 1970) * 12 + date.month - 1, count)
    }
  }

  /// The first instant of a step.
  package func instant(of ordinal: Int) -> Int64 {
    switch rule {
    case .integer: Int64(ordinal)
    case .elapsed(let step, let anchor): Self.micros(ordinal, step) + anchor
    case .clock(let step): zone.instant(local: Self.micros(ordinal, step))
    case .days(let count, let shift):
      zone.instant(local: Self.micros(ordinal * count - shift, Self.day))
    case .months(let count):
      zone.instant(local: Self.micros(Self.firstDay(month: ordinal * count), Self.day))
    }
  }

  /// Where the steps are on the wall clock: they part only where steps count elapsed time and fill a day.
  package var seasonClock: SeasonClock {
    guard case .elapsed(let step, let anchor) = rule, Self.day % step == 0 else { return .steady }
    // In winter the anchor makes the grid the clock.
    func shift(_ offset: Int64) -> Int { Int(floorDiv(offset + anchor, step)) }
    var changes: [(ordinal: Int, shift: Int)] = []
    var last = shift(zone.offsets[0])
    for (start, offset) in zip(zone.starts, zone.offsets).dropFirst()
    where shift(offset) != last {
      // A change within a step counts from the next one on.
      let ordinal = Int(floorDiv(start - anchor + step - 1, step))
      last = shift(offset)
      if ordinal == changes.last?.ordinal { changes.removeLast() }
      changes.append((ordinal, last))
    }
    return SeasonClock(
      stepsPerDay: Int(Self.day / step), changes: changes, before: shift(zone.offsets[0]))
  }

  /// A number of steps in microseconds, held inside the calendar.
  static func micros(_ count: Int, _ step: Int64) -> Int64 {
    let limit = 9_100_000_000_000_000_000 / step
    return max(-limit, min(limit, Int64(count))) * step
  }

  /// Days since 1970 of the first of a month counted from January 1970.
  static func firstDay(month: Int) -> Int {
    CivilDate.days(year: 1970 + floorDiv(month, 12), month: floorMod(month, 12) + 1, day: 1)
  }
}
