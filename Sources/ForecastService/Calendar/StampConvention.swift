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
    /// Microseconds into the UTC day (or elapsed step): stamps that ignore the change of clocks.
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
    switch rule {
    case .integer: return Int64(ordinal)
    case .elapsed(let step, _), .clock(let step):
      let start = instant(of: ordinal)
      switch convention.clock {
      case .utc(let phase): return start + floorMod(phase - elapsedPhase(start), step)
      case .local(let phase):
        return start + floorMod(phase - start - zone.offset(at: start), step)
      }
    case .days(let count, let shift):
      var day = ordinal * count - shift
      if case .day(let offset) = convention.place { day += offset }
      return stamp(onLocalDay: day, convention.clock)
    case .months(let count):
      let first = ordinal * count
      switch convention.place {
      case .dayOfMonth(let month, let day):
        let start = Self.firstDay(month: first + month)
        let next = Self.firstDay(month: first + month + 1)
        return stamp(onLocalDay: min(start + day, next) - 1, convention.clock)
      case .monthEnd(let month):
        return stamp(
          onLocalDay: Self.firstDay(month: first + month + 1) - 1, convention.clock)
      case .whole, .day:
        return stamp(onLocalDay: Self.firstDay(month: first), convention.clock)
      }
    }
  }

  private func stamp(onLocalDay day: Int, _ clock: StampConvention.Clock) -> Int64 {
    switch clock {
    case .local(let time): return zone.instant(local: Int64(day) * Self.day + time)
    case .utc(let phase):
      let start = zone.instant(local: Int64(day) * Self.day)
      return start + floorMod(phase - start, Self.day)
    }
  }

  /// Position of an instant in its step when time is counted without clock changes.
  @inline(__always)
  func elapsedPhase(_ instant: Int64) -> Int64 {
    switch rule {
    case .elapsed(let step, let anchor): floorMod(instant - anchor, step)
    case .clock(let step): floorMod(instant, step)
    default: floorMod(instant, Self.day)
    }
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
    switch grid.rule {
    case .integer: return Int(instant)
    case .elapsed(let step, let anchor):
      ordinal = Int(floorDiv(instant - anchor, step))
      let utc = instant - anchor - Int64(ordinal) * step
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
    let utc = grid.elapsedPhase(instant)
    if isEmpty {
      (isEmpty, utcPhase, localPhase, self.place) = (false, utc, phase, place)
    } else {
      if utc != utcPhase { utcSame = false }
      if phase != localPhase { localSame = false }
      if place != self.place { placeSame = false }
    }
    return ordinal
  }

  /// The convention all stamps follow; nil when they follow none.
  func convention(on grid: CalendarGrid) -> StampConvention? {
    if isEmpty { return grid.startConvention }
    guard placeSame, utcSame || localSame else { return nil }
    let place: StampConvention.Place
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
    return StampConvention(
      place: place, clock: localSame ? .local(localPhase) : .utc(utcPhase))
  }
}
