import ForecastService
import Foundation
import Testing

private func micros(_ text: String) -> Int64 {
  let date = try? Date(text, strategy: .iso8601)
  return Int64((date ?? .distantPast).timeIntervalSince1970) * 1_000_000
}

private func grid(_ frequency: String, _ zone: String) throws -> CalendarGrid {
  CalendarGrid(
    frequency: try #require(Frequency(frequency)),
    timeZone: try #require(TimeZone(identifier: zone)))
}

/// A small generator, so that failures can be repeated.
private struct Random {
  var state: UInt64
  mutating func next(_ bound: Int64) -> Int64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int64(state >> 11) % bound
  }
}

@Suite("Calendar grid")
struct CalendarGridTests {
  static let zones = [
    "UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe",
    "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca",
  ]
  static let frequencies = [
    "1 minute", "15 minutes", "30 minutes", "45 minutes", "1 hour", "2 hours", "5 hours",
    "6 hours", "12 hours", "1 day", "3 days", "1 week", "2 weeks", "1 month", "2 months",
    "1 quarter", "1 year", "5 years",
  ]

  @Test("civil dates agree with counting day by day")
  func civilDates() {
    var expected = (year: 1890, month: 1, day: 1)
    let first = CivilDate.days(year: 1890, month: 1, day: 1)
    #expect(CivilDate.days(year: 1970, month: 1, day: 1) == 0)
    #expect(CivilDate.weekday(days: 0) == 4)
    var wrong = 0
    for day in first..<(first + 100_000) {
      let found = CivilDate.date(days: day)
      if found != expected { wrong += 1 }
      if CivilDate.days(year: found.year, month: found.month, day: found.day) != day { wrong += 1 }
      expected.day += 1
      if expected.day > CivilDate.length(year: expected.year, month: expected.month) {
        expected.day = 1
        expected.month += 1
      }
      if expected.month > 12 { (expected.year, expected.month) = (expected.year + 1, 1) }
    }
    #expect(wrong == 0)
  }

  @Test("offsets agree with Foundation from 1950 to 2100", arguments: zones)
  func offsets(zone: String) throws {
    let timeZone = try #require(TimeZone(identifier: zone))
    let table = ZoneTable.table(for: timeZone)
    var random = Random(state: 11)
    var wrong: [Int64] = []
    for _ in 0..<20_000 {
      let second = micros("1950-01-01T00:00:00Z") / 1_000_000 + random.next(4_733_510_400)
      let expected = timeZone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(second)))
      if table.offset(at: second * 1_000_000) != Int64(expected) * 1_000_000 {
        wrong.append(second)
      }
    }
    #expect(wrong.isEmpty)
  }

  @Test("an instant lies in its step, and ordinals come back", arguments: zones, frequencies)
  func roundTrip(zone: String, frequency: String) throws {
    let grid = try grid(frequency, zone)
    var random = Random(state: 5)
    var wrong: [Int64] = []
    for _ in 0..<2_000 {
      let instant = micros("1950-01-01T00:00:00Z") + random.next(4_733_510_400_000_000)
      let ordinal = grid.ordinal(of: instant)
      let start = grid.instant(of: ordinal)
      if grid.ordinal(of: start) != ordinal || start > instant { wrong.append(instant) }
      if grid.instant(of: ordinal + 1) <= instant { wrong.append(instant) }
    }
    #expect(wrong.isEmpty)
  }

  @Test("hourly steps of a day with a clock change are 23 and 25")
  func hoursOfDay() throws {
    let hours = try grid("1 hour", "Europe/Paris")
    func steps(_ from: String, _ to: String) -> Int {
      hours.ordinal(of: micros(to)) - hours.ordinal(of: micros(from))
    }
    #expect(steps("2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z") == 23)
    #expect(steps("2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z") == 25)
    #expect(steps("2024-06-01T22:00:00Z", "2024-06-02T22:00:00Z") == 24)
  }

  @Test("days keep their season over a clock change")
  func daysKeepSeason() throws {
    let days = try grid("1 day", "Europe/Paris")
    let before = days.ordinal(of: micros("2024-03-29T23:00:00Z"))
    #expect(days.ordinal(of: micros("2024-03-30T22:59:59Z")) == before)
    #expect(days.ordinal(of: micros("2024-03-30T23:00:00Z")) == before + 1)
    #expect(days.ordinal(of: micros("2024-03-31T22:00:00Z")) == before + 2)
    #expect(days.instant(of: before + 2) == micros("2024-03-31T22:00:00Z"))
  }

  @Test("steps of several hours begin at the same local times all year")
  func clockSteps() throws {
    let six = try grid("6 hours", "Europe/Paris")
    let winter = six.ordinal(of: micros("2024-01-10T05:00:00Z"))
    let summer = six.ordinal(of: micros("2024-07-10T04:00:00Z"))
    #expect((summer - winter) % 4 == 0)
    #expect(six.instant(of: summer) == micros("2024-07-10T04:00:00Z"))
  }

  @Test("weeks begin on Monday and quarters in January")
  func anchors() throws {
    let week = try grid("1 week", "UTC")
    let start = week.instant(of: week.ordinal(of: micros("2024-05-30T12:00:00Z")))
    #expect(start == micros("2024-05-27T00:00:00Z"))
    let quarter = try grid("1 quarter", "UTC")
    let found = quarter.instant(of: quarter.ordinal(of: micros("2024-05-30T12:00:00Z")))
    #expect(found == micros("2024-04-01T00:00:00Z"))
    #expect(quarter.ordinal(of: found) % 4 == 1)
  }

  @Test("the day that Samoa skipped keeps its ordinal")
  func skippedDay() throws {
    let days = try grid("1 day", "Pacific/Apia")
    let last = days.ordinal(of: micros("2011-12-30T09:00:00Z"))  // 29 December, local
    let next = days.ordinal(of: micros("2011-12-30T10:00:00Z"))  // 31 December
    #expect(next == last + 2)
    #expect(days.instant(of: last + 1) == days.instant(of: next))
  }

  @Test("integer steps are themselves")
  func integers() throws {
    let grid = CalendarGrid(frequency: .integer, timeZone: .gmt)
    #expect(grid.ordinal(of: -7) == -7)
    #expect(grid.instant(of: 12) == 12)
    #expect(grid.stamp(of: 12, grid.startConvention) == 12)
  }

  @Test("before 1970 periods round down")
  func before1970() throws {
    let month = try grid("1 month", "UTC")
    #expect(month.ordinal(of: micros("1949-01-01T00:00:00Z")) == -252)
    #expect(month.instant(of: -252) == micros("1949-01-01T00:00:00Z"))
    #expect(month.ordinal(of: micros("1969-12-31T23:59:59Z")) == -1)
  }
}

@Suite("Frequency")
struct FrequencyTests {
  @Test(
    "texts are read",
    arguments: [
      ("1 day", "1 day"), ("15 minutes", "15 minutes"), ("60 minutes", "1 hour"),
      ("24 hours", "1 day"), ("1 Quarter", "1 quarter"), ("2 weeks", "2 weeks"),
      ("integer", "integer"), ("30min", "30 minutes"),
    ])
  func read(text: String, canonical: String) throws {
    let frequency = try #require(Frequency(text))
    #expect(frequency.description == canonical)
    let again = try JSONDecoder().decode(
      [Frequency].self, from: JSONEncoder().encode([frequency]))
    #expect(again == [frequency])
  }

  @Test(
    "other texts are not",
    arguments: ["", "day", "0 days", "-1 day", "1 fortnight", "1.5 hours", "1 day 2", "5 integer"])
  func refused(text: String) {
    #expect(Frequency(text) == nil)
  }

  @Test(
    "seasons follow from the frequency",
    arguments: [
      ("1 hour", [24, 168]), ("30 minutes", [48, 336]), ("1 day", [7]), ("1 week", [52]),
      ("1 month", [12]), ("1 quarter", [4]), ("1 year", [1]), ("integer", [1]), ("7 hours", [24]),
      ("12 hours", [2, 14]), ("5 days", [1]),
    ])
  func seasons(text: String, seasons: [Int]) throws {
    #expect(try #require(Frequency(text)).defaultSeasonality == seasons)
  }

  @Test("lengths of time are read and written")
  func spans() throws {
    #expect(TimeSpan("2 hours")?.seconds == 7200)
    #expect(TimeSpan("90 seconds")?.description == "90 seconds")
    #expect(TimeSpan("60 minutes")?.description == "1 hour")
    for wrong in ["", "2", "hours", "0 hours", "2 months", "99999999999999999999 days"] {
      #expect(TimeSpan(wrong) == nil, "\(wrong)")
    }
  }
}
