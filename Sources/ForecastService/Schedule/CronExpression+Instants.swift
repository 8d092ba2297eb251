package import Foundation

/// An instant at which a job is due.
package struct DueInstant: Hashable, Sendable {
  package let date: Date
  /// The local time of the schedule did not exist on that day; this is the first instant after the gap.
  package let dstShifted: Bool
}

// The rule for changes of the clock is Vixie cron's.
//
// A schedule with fixed minute and hour means local times: one that is skipped runs once, at the first
// instant after the gap, and is flagged; one that occurs twice runs once, at the first occurrence. A
// schedule whose minute or hour field begins with `*` means a rhythm: it runs whenever the wall clock
// reads a matching time, so every real hour runs once, also the one that occurs twice.
extension CronExpression {
  /// The first due instant later than `after`; nil when none comes within a century.
  package func next(after: Date, in timeZone: TimeZone) -> Date? {
    nextDue(after: after, in: timeZone)?.date
  }

  /// As ``next(after:in:)``, with the flag.
  package func nextDue(after: Date, in timeZone: TimeZone) -> DueInstant? {
    guard let instant = Self.microseconds(after) else { return nil }
    return next(after: instant, ZoneTable.table(for: timeZone)).map(Self.due)
  }

  /// The due instants in `after < t <= through`, oldest first, at most `limit`.
  package func dueInstants(
    after: Date, through: Date, in timeZone: TimeZone, limit: Int
  ) -> [DueInstant] {
    guard var instant = Self.microseconds(after), let last = Self.microseconds(through) else {
      return []
    }
    let zone = ZoneTable.table(for: timeZone)
    var found: [DueInstant] = []
    while found.count < limit, let next = next(after: instant, zone), next.instant <= last {
      found.append(Self.due(next))
      instant = next.instant
    }
    return found
  }

  /// The last due instant earlier than `before`; nil when there was none for a century.
  package func previous(before: Date, in timeZone: TimeZone) -> Date? {
    guard let end = Self.microseconds(before) else { return nil }
    let zone = ZoneTable.table(for: timeZone)
    var span: Int64 = 3_600_000_000
    while span < Self.century {
      if var found = next(after: end - span, zone), found.instant < end {
        while let later = next(after: found.instant, zone), later.instant < end { found = later }
        return Self.due(found).date
      }
      span *= 2
    }
    return nil
  }

  private static let century: Int64 = 100 * 366 * 86_400_000_000
  private static let minute: Int64 = 60_000_000

  private static func microseconds(_ date: Date) -> Int64? {
    let seconds = date.timeIntervalSince1970
    return abs(seconds) < 1e11 ? Int64((seconds * 1e6).rounded(.down)) : nil
  }

  private static func due(_ found: (instant: Int64, shifted: Bool)) -> DueInstant {
    DueInstant(
      date: Date(timeIntervalSince1970: Double(found.instant / 1_000_000)),
      dstShifted: found.shifted)
  }

  private func next(after: Int64, _ zone: ZoneTable) -> (instant: Int64, shifted: Bool)? {
    isFixedTime ? nextFixed(after: after, zone) : nextRhythm(after: after, zone)
  }

  /// Walks the matching local times and places each.
  private func nextFixed(after: Int64, _ zone: ZoneTable) -> (instant: Int64, shifted: Bool)? {
    var local = floorDiv(after + zone.offset(at: after), Self.minute)
    while let match = nextMatch(from: local) {
      let instant = zone.instant(local: match * Self.minute)
      if instant > after {
        let shifted = instant + zone.offset(at: instant) != match * Self.minute
        if shifted, let own = own(at: instant, zone) { return own }
        return (instant, shifted)
      }
      local = match + 1
    }
    return nil
  }

  /// The instant after a gap counts as itself where the schedule names it too.
  private func own(at instant: Int64, _ zone: ZoneTable) -> (instant: Int64, shifted: Bool)? {
    let local = floorDiv(instant + zone.offset(at: instant), Self.minute)
    return nextMatch(from: local) == local ? (instant, false) : nil
  }

  /// Walks the stretches of constant offset, in which local time runs as real time does.
  private func nextRhythm(after: Int64, _ zone: ZoneTable) -> (instant: Int64, shifted: Bool)? {
    var segment = zone.segment(at: after)
    var from = after + 1
    while segment < zone.starts.count {
      let offset = zone.offsets[segment]
      let start = max(from, zone.starts[segment])
      let local = -floorDiv(-(start + offset), Self.minute)
      guard let match = nextMatch(from: local) else { return nil }
      let instant = match * Self.minute - offset
      let end = segment + 1 < zone.starts.count ? zone.starts[segment + 1] : .max
      if instant < end { return (instant, false) }
      from = end
      segment += 1
    }
    return nil
  }

  /// The first matching local minute not before `from`, both counted since 1970 on the wall clock.
  private func nextMatch(from: Int64) -> Int64? {
    var day = Int(floorDiv(from, 1440))
    var minute = Int(floorMod(from, 1440))
    let limit = day + 36_600
    var date = CivilDate.date(days: day)
    while day <= limit {
      let length = CivilDate.length(year: date.year, month: date.month)
      if matches(month: date.month) {
        while date.day <= length {
          if matches(dayOfMonth: date.day, weekday: CivilDate.weekday(days: day)),
            let time = nextTime(from: minute)
          {
            return Int64(day) * 1440 + Int64(time)
          }
          minute = 0
          day += 1
          date.day += 1
        }
      } else {
        minute = 0
        day += length - date.day + 1
      }
      date = (
        date.month == 12 ? date.year + 1 : date.year, date.month == 12 ? 1 : date.month + 1, 1
      )
    }
    return nil
  }

  /// The first matching minute of a day not before `from`.
  private func nextTime(from: Int) -> Int? {
    var hour = from / 60
    var minute = from % 60
    while hour < 24 {
      if hours & 1 << UInt64(hour) != 0 {
        let rest = minutes >> UInt64(minute)
        if rest != 0 { return hour * 60 + minute + rest.trailingZeroBitCount }
      }
      hour += 1
      minute = 0
    }
    return nil
  }
}
