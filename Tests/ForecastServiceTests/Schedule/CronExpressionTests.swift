import ForecastService
import Foundation
import Testing

private func date(_ text: String) -> Date {
  (try? Date(text, strategy: .iso8601)) ?? .distantPast
}

private func zone(_ name: String) throws -> TimeZone { try #require(TimeZone(identifier: name)) }

@Suite("Cron expressions")
struct CronExpressionTests {
  @Test(
    "the next instant in UTC",
    arguments: [
      ("* * * * *", "2024-01-01T00:00:00Z", "2024-01-01T00:01:00Z"),
      ("*/15 * * * *", "2024-01-01T00:15:00Z", "2024-01-01T00:30:00Z"),
      ("0 2 * * *", "2024-01-01T02:00:00Z", "2024-01-02T02:00:00Z"),
      ("0 2 * * *", "2024-01-01T01:59:59Z", "2024-01-01T02:00:00Z"),
      ("30 6 1,15 * *", "2024-02-15T07:00:00Z", "2024-03-01T06:30:00Z"),
      ("0 0 29 2 *", "2024-03-01T00:00:00Z", "2028-02-29T00:00:00Z"),
      ("0 0 29 2 *", "2097-03-01T00:00:00Z", "2104-02-29T00:00:00Z"),
      ("0 3 * * mon", "2024-05-29T00:00:00Z", "2024-06-03T03:00:00Z"),
      ("0 3 * * 7", "2024-05-29T00:00:00Z", "2024-06-02T03:00:00Z"),
      ("0 3 * * FRI-7", "2024-06-01T04:00:00Z", "2024-06-02T03:00:00Z"),
      ("0 12 13 * FRI", "2024-06-01T00:00:00Z", "2024-06-07T12:00:00Z"),
      ("0 12 13 * *", "2024-06-01T00:00:00Z", "2024-06-13T12:00:00Z"),
      ("0 12 */2 * MON", "2024-06-01T00:00:00Z", "2024-06-03T12:00:00Z"),
      ("0 0 1 jan,JUL ?", "2024-02-01T00:00:00Z", "2024-07-01T00:00:00Z"),
      ("5/20 8-18/5 * * *", "2024-02-01T08:45:00Z", "2024-02-01T13:05:00Z"),
      ("@yearly", "2024-02-01T00:00:00Z", "2025-01-01T00:00:00Z"),
      ("@annually", "2024-02-01T00:00:00Z", "2025-01-01T00:00:00Z"),
      ("@monthly", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
      ("@weekly", "2024-05-29T00:00:00Z", "2024-06-02T00:00:00Z"),
      ("@Daily", "2024-05-29T00:00:00Z", "2024-05-30T00:00:00Z"),
      ("@midnight", "2024-05-29T00:00:00Z", "2024-05-30T00:00:00Z"),
      ("@hourly", "2024-05-29T00:00:00Z", "2024-05-29T01:00:00Z"),
    ])
  func next(text: String, after: String, expected: String) throws {
    let cron = try CronExpression(text)
    #expect(cron.next(after: date(after), in: .gmt) == date(expected))
    #expect(
      cron.previous(before: date(expected).addingTimeInterval(1), in: .gmt) == date(expected))
  }

  @Test(
    "what cannot be read names field and character",
    arguments: [
      ("0 25 * * *", "hour", 3), ("60 0 * * *", "minute", 1), ("0 0 0 * *", "day of month", 5),
      ("0 0 * 13 *", "month", 7), ("0 0 * * 8", "day of week", 9),
      ("0 0 * * foo", "day of week", 9),
      ("1-x 0 * * *", "minute", 3), ("5-1 0 * * *", "minute", 3), ("*/0 0 * * *", "minute", 3),
      ("1, 0 * * *", "minute", 3), ("0 0 30 2 *", "day of month", 5),
      ("0 0 31 4,6,9,11 *", "day of month", 5), ("? 0 * * *", "minute", 1),
      ("0 0 L * *", "day of month", 5), ("0 2 * *", nil, 8), ("0 2 * * * *", nil, 11),
      ("", nil, 1), ("@reboot", nil, 1), ("@daily 3", nil, 1),
      ("99999999999999999999 * * * *", "minute", 1),
    ] as [(String, String?, Int)])
  func refused(text: String, field: String?, position: Int) {
    let error = #expect(throws: CronError.self) { try CronExpression(text) }
    #expect(error?.field == field)
    #expect(error?.position == position)
  }

  @Test("a skipped local time runs once, after the gap, and is flagged")
  func skippedTime() throws {
    let cron = try CronExpression("30 2 * * *")
    let due = cron.dueInstants(
      after: date("2024-03-30T12:00:00Z"), through: date("2024-04-01T12:00:00Z"),
      in: try zone("Europe/Paris"), limit: 10)
    #expect(due.map(\.date) == [date("2024-03-31T01:00:00Z"), date("2024-04-01T00:30:00Z")])
    #expect(due.map(\.dstShifted) == [true, false])
  }

  @Test("several times in the gap become one")
  func severalSkipped() throws {
    let cron = try CronExpression("0,15,30 2,3 * * *")
    let due = cron.dueInstants(
      after: date("2024-03-31T00:00:00Z"), through: date("2024-03-31T02:00:00Z"),
      in: try zone("Europe/Paris"), limit: 10)
    #expect(
      due.map(\.date) == [
        date("2024-03-31T01:00:00Z"), date("2024-03-31T01:15:00Z"), date("2024-03-31T01:30:00Z"),
      ])
    #expect(due.map(\.dstShifted) == [false, false, false])
  }

  @Test("a repeated local time runs once, at the first")
  func repeatedTime() throws {
    let cron = try CronExpression("30 2 * * *")
    let due = cron.dueInstants(
      after: date("2024-10-26T12:00:00Z"), through: date("2024-10-28T12:00:00Z"),
      in: try zone("Europe/Paris"), limit: 10)
    #expect(due.map(\.date) == [date("2024-10-27T00:30:00Z"), date("2024-10-28T01:30:00Z")])
    #expect(due.allSatisfy { !$0.dstShifted })
  }

  @Test("a rhythm runs every real hour of days with 23 and 25")
  func everyHour() throws {
    let cron = try CronExpression("0 * * * *")
    let paris = try zone("Europe/Paris")
    for (from, to, hours) in [
      ("2024-03-30T22:59:59Z", "2024-03-31T21:59:59Z", 23),
      ("2024-10-26T21:59:59Z", "2024-10-27T22:59:59Z", 25),
    ] {
      let due = cron.dueInstants(after: date(from), through: date(to), in: paris, limit: 100)
      #expect(due.count == hours)
      #expect(zip(due, due.dropFirst()).allSatisfy { $1.date.timeIntervalSince($0.date) == 3600 })
    }
  }

  @Test("half an hour of summer time and a skipped day")
  func oddZones() throws {
    let lordHowe = try CronExpression("15 2 * * *").dueInstants(
      after: date("2024-10-05T12:00:00Z"), through: date("2024-10-06T12:00:00Z"),
      in: try zone("Australia/Lord_Howe"), limit: 5)
    #expect(lordHowe.map(\.date) == [date("2024-10-05T15:30:00Z")])
    #expect(lordHowe.map(\.dstShifted) == [true])
    let apia = try CronExpression("0 8 * * *").dueInstants(
      after: date("2011-12-29T18:00:00Z"), through: date("2011-12-31T12:00:00Z"),
      in: try zone("Pacific/Apia"), limit: 5)
    #expect(apia.map(\.dstShifted) == [false, true, false].suffix(apia.count))
    #expect(apia.last?.date == date("2011-12-30T18:00:00Z"))
  }

  @Test(
    "agrees with trying every minute",
    arguments: ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "UTC"],
    ["17 */3 * * *", "*/20 2 * * *", "0 0 1-7 * 1", "45 1,2,3 * * SUN"])
  func exhaustive(zoneName: String, text: String) throws {
    let zone = try zone(zoneName)
    let cron = try CronExpression(text)
    let isRhythm = text.split(separator: " ").prefix(2).contains { $0.hasPrefix("*") }
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = zone
    for (from, days) in [("2024-03-01T00:00:00Z", 40), ("2024-10-01T00:00:00Z", 40)] {
      let start = date(from)
      let end = start.addingTimeInterval(Double(days) * 86_400)
      let due = cron.dueInstants(after: start, through: end, in: zone, limit: 100_000)
      var expected: [Date] = []
      var seen: Set<DateComponents> = []
      for minute in 1...(days * 1440) {
        let instant = start.addingTimeInterval(Double(minute) * 60)
        let parts = calendar.dateComponents(
          [.year, .month, .day, .hour, .minute, .weekday], from: instant)
        guard matches(text, parts) else { continue }
        if isRhythm || seen.insert(parts).inserted { expected.append(instant) }
      }
      #expect(due.filter { !$0.dstShifted }.map(\.date) == expected)
      #expect(due.map(\.date) == due.map(\.date).sorted())
    }
  }

  /// The four expressions above, written out.
  private func matches(_ text: String, _ parts: DateComponents) -> Bool {
    guard let hour = parts.hour, let minute = parts.minute, let day = parts.day,
      let weekday = parts.weekday
    else { return false }
    switch text {
    case "17 */3 * * *": return minute == 17 && hour % 3 == 0
    case "*/20 2 * * *": return minute % 20 == 0 && hour == 2
    case "0 0 1-7 * 1": return minute == 0 && hour == 0 && (day <= 7 || weekday == 2)
    default: return minute == 45 && (1...3).contains(hour) && weekday == 1
    }
  }

  @Test("the limit holds and an empty span has none")
  func limit() throws {
    let cron = try CronExpression("* * * * *")
    let now = date("2024-01-01T00:00:00Z")
    #expect(
      cron.dueInstants(after: now, through: now.addingTimeInterval(1e6), in: .gmt, limit: 7).count
        == 7)
    #expect(cron.dueInstants(after: now, through: now, in: .gmt, limit: 7).isEmpty)
  }

  @Test(
    "words",
    arguments: [
      ("0 2 * * *", "every day at 02:00"), ("@hourly", "every hour"),
      ("*/15 * * * *", "every 15 minutes"), ("0 3 * * mon", "at 03:00, on Mondays"),
      ("30 2 1 * *", "at 02:30, on day 1 of the month"),
      ("0 9 * * 1-5", "at 09:00, on weekdays"), ("0 0 1 1 *", "at 00:00, on 1 January"),
      ("0 12 13 * FRI", "on \"0 12 13 * FRI\""),
    ])
  func words(text: String, expected: String) throws {
    #expect(try CronExpression(text).inWords == expected)
  }
}
