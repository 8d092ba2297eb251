/// Where in its period a series puts its stamps: month start or end, midnight or 09:00.
///
/// Read off the past of a series, and used for the target times of its forecasts.
package struct StampConvention: Hashable, Sendable {
  enum Place: Hashable, Sendable {
    /// Periods below a day.
    case whole
    /// Days into the period.
    case day(Int)
    /// Month of the period from 0; days beyond the month's end fall on its last.
    case dayOfMonth(month: Int, day: Int)
    case monthEnd(month: Int)
  }

  enum Clock: Hashable, Sendable {
    /// Microseconds into the local day (or step).
    case local(Int64)
    /// Microseconds into the day (or step) of standard time: stamps that ignore the change of clocks,
    /// on steps that do so too.
    case utc(Int64)
  }

  let place: Place
  let clock: Clock
}

extension CalendarGrid {
  /// Stamps at the beginning of each period.
  package var startConvention: StampConvention {
    switch rule {
    case .integer, .elapsed: StampConvention(place: .whole, clock: .utc(0))
    case .clock: StampConvention(place: .whole, clock: .local(0))
    case .days: StampConvention(place: .day(0), clock: .local(0))
    case .months: StampConvention(place: .dayOfMonth(month: 0, day: 1), clock: .local(0))
    }
  }

  /// The stamp of a step under a convention.
  package func stamp(of ordinal: Int, _ convention: StampConvention) -> Int64 {
    let time: Int64
    switch convention.clock {
    case .local(let phase): time = phase
    case .utc(let phase):
      switch rule {
      case .integer, .elapsed: return instant(of: ordinal) + phase
      default:
        let standard = StampConvention(place: convention.place, clock: .local(phase))
        return universal.stamp(of: ordinal, standard)
      }
    }
    switch rule {
    case .integer: return Int64(ordinal)
    case .elapsed(let step, _):
      let start = instant(of: ordinal)
      return start + floorMod(time - start - zone.offset(at: start), step)
    case .clock(let step): return zone.instant(local: Self.micros(ordinal, step) + time)
    case .days(let count, let shift):
      var day = ordinal * count - shift
      if case .day(let offset) = convention.place { day += offset }
      return stamp(onLocalDay: day, time)
    case .months(let count):
      let first = ordinal * count
      switch convention.place {
      case .dayOfMonth(let month, let day):
        let start = Self.firstDay(month: first + month)
        let next = Self.firstDay(month: first + month + 1)
        return stamp(onLocalDay: min(start + day, next) - 1, time)
      case .monthEnd(let month):
        return stamp(onLocalDay: Self.firstDay(month: first + month + 1) - 1, time)
      case .whole, .day:
        return stamp(onLocalDay: Self.firstDay(month: first), time)
      }
    }
  }

  private func stamp(onLocalDay day: Int, _ time: Int64) -> Int64 {
    zone.instant(local: Self.micros(day, Self.day) + time)
  }
}

extension StampConvention {
  /// The same places counted in standard time.
  var universal: StampConvention {
    guard case .local(let time) = clock else { return self }
    return StampConvention(place: place, clock: .utc(time))
  }

  /// Whether stamps, in order of time, are at the same time of the UTC day (or step) across a change
  /// of clocks, so that the wall clock shows different times for them.
  static func ignoresClocks(
    _ rows: UnsafeMutableBufferPointer<PanelRow>, on grid: CalendarGrid,
    _ cursor: inout ZoneTable.Cursor
  ) -> Bool {
    let step: Int64
    switch grid.rule {
    case .integer, .elapsed: return false
    case .clock(let length): step = length
    case .days, .months: step = CalendarGrid.day
    }
    guard let first = rows.first?.time, let last = rows.last?.time else { return false }
    let offset = grid.zone.offset(at: first, &cursor)
    if last < cursor.upper { return false }
    let phase = floorMod(first, step)
    var moved = false
    for row in rows {
      if floorMod(row.time, step) != phase { return false }
      if !moved {
        moved = floorMod(grid.zone.offset(at: row.time, &cursor) - offset, step) != 0
      }
    }
    return moved
  }
}

extension CalendarGrid {
  /// A time of the data for people.
  func text(_ instant: Int64) -> String {
    if case .integer = rule { return "step \(instant)" }
    func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let days = floorDiv(instant, Self.day)
    let date = CivilDate.date(days: Int(days))
    let second = (instant - days * Self.day) / 1_000_000
    let time = "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60))"
    return "\(date.year)-\(two(Int64(date.month)))-\(two(Int64(date.day))) \(time) UTC"
  }
}

/// What the stamps of one series have in common, gathered stamp by stamp.
struct StampProfile {
  private var isEmpty = true
  private var utcPhase: Int64 = 0
  private var localPhase: Int64 = 0
  private var utcSame = true
  private var localSame = true
  private var place = 0
  private var placeSame = true
  /// Day of the month of stamps that are not on its last day; 0: none yet.
  private var innerDay = 0
  private var largestEndDay = 0

  @inline(__always)
  mutating func add(_ instant: Int64, on grid: CalendarGrid, _ cursor: inout ZoneTable.Cursor)
    -> Int
  {
    let ordinal: Int
    let local: Int64
    let phase: Int64
    var place = 0
    var utc: Int64 = 0
    var utcIsOwn = false
    switch grid.rule {
    case .integer: return Int(instant)
    case .elapsed(let step, let anchor):
      ordinal = Int(floorDiv(instant - anchor, step))
      utc = instant - anchor - Int64(ordinal) * step
      utcIsOwn = true
      if !isEmpty, utcSame, utc == utcPhase { return ordinal }
      local = instant + grid.zone.offset(at: instant, &cursor)
      phase = floorMod(local, step)
    case .clock(let step):
      local = instant + grid.zone.offset(at: instant, &cursor)
      ordinal = Int(floorDiv(local, step))
      phase = local - Int64(ordinal) * step
    case .days(let count, let shift):
      local = instant + grid.zone.offset(at: instant, &cursor)
      let day = Int(floorDiv(local, CalendarGrid.day))
      phase = local - Int64(day) * CalendarGrid.day
      ordinal = count == 1 ? day : floorDiv(day + shift, count)
      place = day + shift - ordinal * count
    case .months(let count):
      local = instant + grid.zone.offset(at: instant, &cursor)
      let day = Int(floorDiv(local, CalendarGrid.day))
      phase = local - Int64(day) * CalendarGrid.day
      let date = CivilDate.date(days: day)
      let month = (date.year - 1970) * 12 + date.month - 1
      ordinal = floorDiv(month, count)
      place = month - ordinal * count
      if date.day == CivilDate.length(year: date.year, month: date.month) {
        largestEndDay = max(largestEndDay, date.day)
      } else {
        if innerDay != 0, innerDay != date.day { placeSame = false }
        innerDay = date.day
      }
    }
    if isEmpty {
      (isEmpty, utcPhase, localPhase, self.place) = (false, utc, phase, place)
    } else {
      if utc != utcPhase { utcSame = false }
      if phase != localPhase, localSame {
        // A stamp that the change of clocks moved is where the others are.
        localSame = !utcIsOwn && grid.zone.instant(instant, reads: local - phase + localPhase)
      }
      if place != self.place { placeSame = false }
    }
    return ordinal
  }

  /// The convention all stamps follow; nil when they follow none.
  func convention(on grid: CalendarGrid) -> StampConvention? {
    if isEmpty { return grid.startConvention }
    let place: StampConvention.Place
    guard placeSame else { return nil }
    switch grid.rule {
    case .integer, .elapsed, .clock: place = .whole
    case .days: place = .day(self.place)
    case .months:
      if innerDay == 0 {
        place = .monthEnd(month: self.place)
      } else if largestEndDay <= innerDay {
        place = .dayOfMonth(month: self.place, day: innerDay)
      } else {
        return nil
      }
    }
    if case .elapsed = grid.rule, utcSame {
      return StampConvention(place: place, clock: .utc(utcPhase))
    }
    return localSame ? StampConvention(place: place, clock: .local(localPhase)) : nil
  }
}
