import ForecastService
import Foundation
import Testing
import Training

private func build(
  _ frequency: String, _ zone: String, _ stamps: [Int64]
) throws -> BuiltPanel {
  let grid = CalendarGrid(
    frequency: try #require(Frequency(frequency)),
    timeZone: try #require(TimeZone(identifier: zone)))
  var builder = PanelBuilder(grid: grid, options: PanelOptions())
  for (index, stamp) in stamps.enumerated() {
    try builder.append(key: "a", time: stamp, value: Double(index))
  }
  return builder.finish()
}

private let hour: Int64 = 3_600_000_000

/// 2024-01-01 00:00 UTC.
private let newYear: Int64 = 1_704_067_200_000_000

@Suite("Stamps that ignore the change of clocks")
struct UniversalTimeTests {
  static let zones = [
    "UTC", "Europe/Paris", "Europe/Athens", "America/New_York", "America/Denver",
    "Atlantic/Azores", "Asia/Kolkata", "Australia/Lord_Howe",
  ]

  @Test(
    "series regular in UTC are whole in every time zone",
    arguments: zones,
    [
      ("1 hour", 1), ("2 hours", 2), ("3 hours", 3), ("6 hours", 6), ("12 hours", 12),
      ("1 day", 24),
    ]
      as [(String, Int64)])
  func regular(zone: String, step: (frequency: String, hours: Int64)) throws {
    let distance = step.hours * hour
    for phase in 0..<step.hours {
      let first = newYear + phase * hour
      let stamps = (0..<(2 * 366 * 24 / step.hours)).map { first + $0 * distance }
      let built = try build(step.frequency, zone, stamps)
      #expect(built.verdicts[0].kind == .ok, "phase \(phase)")
      #expect(built.verdicts[0].gaps == 0, "phase \(phase)")
      guard built.panel.count == 1 else { continue }
      #expect(built.panel.values == stamps.indices.map(Double.init), "phase \(phase)")
      for ahead in [1, 2, 1000] {
        #expect(
          built.target(series: 0, step: ahead) == first + distance
            * Int64(stamps.count - 1 + ahead),
          "phase \(phase)")
      }
      #expect(built.target(series: 0, step: 1 - stamps.count) == first, "phase \(phase)")
    }
  }

  @Test(
    "series regular on the wall clock are whole in every time zone", arguments: zones,
    [("2 hours", 2), ("6 hours", 6), ("12 hours", 12), ("1 day", 24)] as [(String, Int)])
  func wallClock(zone: String, step: (frequency: String, hours: Int)) throws {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(identifier: zone))
    func stamp(_ index: Int) throws -> Int64 {
      let time = index * step.hours
      let date = try #require(
        calendar.date(
          from: DateComponents(year: 2024, month: 1, day: 1 + time / 24, hour: time % 24)))
      return Int64(date.timeIntervalSince1970) * 1_000_000
    }
    let count = 2 * 366 * 24 / step.hours
    let stamps = try (0..<count).map(stamp)
    let built = try build(step.frequency, zone, stamps)
    #expect(built.verdicts[0].kind == .ok)
    #expect(built.verdicts[0].gaps == 0)
    #expect(built.panel.values.count == count)
    // Times that a change of clocks skips are at the first instant after it.
    let targets = stamps.indices.map { built.target(series: 0, step: $0 + 1 - count) }
    #expect(targets == stamps)
    let next = try (count..<count + 4000 / step.hours).map(stamp)
    #expect(next.indices.map { built.target(series: 0, step: $0 + 1) } == next)
  }

  @Test(
    "months stamped at midnight UTC keep it in every time zone", arguments: zones, [0, 1, 2, 12])
  func months(zone: String, hours: Int) throws {
    func stamp(_ month: Int) -> Int64 {
      Int64(CivilDate.days(year: 2020 + month / 12, month: month % 12 + 1, day: 1)) * 24 * hour
        + Int64(hours) * hour
    }
    let built = try build("1 month", zone, (0..<36).map(stamp))
    #expect(built.verdicts[0].kind == .ok)
    #expect(built.verdicts[0].gaps == 0)
    #expect((0..<24).map { built.target(series: 0, step: $0 + 1) } == (36..<60).map(stamp))
  }

  @Test("a daily time that was skipped once, and stored an hour later, stays on the grid")
  func skippedOnce() throws {
    // 02:30 in Paris; on 31 March 2024 stored as 03:30.
    let stamps = (0..<10).map { index -> Int64 in
      let day = newYear + Int64(85 + index) * 24 * hour
      return day + (index < 6 ? 90 : 30) * hour / 60
    }
    let built = try build("1 day", "Europe/Paris", stamps)
    #expect(built.verdicts[0].kind == .ok)
    #expect(built.target(series: 0, step: 1) == stamps[9] + 24 * hour)
  }
}
