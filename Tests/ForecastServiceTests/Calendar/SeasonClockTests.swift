import ForecastService
import Forecasters
import Foundation
import NumericsCore
import Testing

/// Seasons of steps that count real time, across changes of the clock.
@Suite("Season clock")
struct SeasonClockTests {
  static let grids: [(frequency: String, zone: String)] = [
    ("30 minutes", "Europe/Paris"), ("1 hour", "Europe/Paris"), ("15 minutes", "America/New_York"),
    ("1 hour", "Australia/Sydney"), ("30 minutes", "Australia/Lord_Howe"),
    ("1 hour", "Asia/Kolkata"),
  ]

  private func grid(_ frequency: String, _ zone: String) throws -> CalendarGrid {
    CalendarGrid(
      frequency: try #require(Frequency(frequency)),
      timeZone: try #require(TimeZone(identifier: zone)))
  }

  /// Local minute of the day of the beginning of a step, by Foundation.
  private func minute(_ grid: CalendarGrid, _ ordinal: Int, _ calendar: Calendar) -> Int {
    let date = Date(timeIntervalSince1970: Double(grid.instant(of: ordinal)) / 1e6)
    let parts = calendar.dateComponents([.hour, .minute], from: date)
    return (parts.hour ?? 0) * 60 + (parts.minute ?? 0)
  }

  private func calendar(_ zone: String) throws -> Calendar {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(identifier: zone))
    return calendar
  }

  @Test("the phase of a day is the local time, all year", arguments: grids)
  func phases(of pair: (frequency: String, zone: String)) throws {
    let grid = try grid(pair.frequency, pair.zone)
    let calendar = try calendar(pair.zone)
    let clock = grid.seasonClock
    let stepMinutes = Int((grid.instant(of: 1) - grid.instant(of: 0)) / 60_000_000)
    let day = 1440 / stepMinutes
    let first = grid.ordinal(of: 1_577_836_800_000_000)  // 2020-01-01
    // Half-hour zones begin their hours at a half: the phase is off by the same minutes all year.
    let origin = minute(grid, first, calendar) - clock.phase(of: first, season: day) * stepMinutes
    var wrong = 0
    for ordinal in first..<(first + 366 * day) {
      let local = clock.phase(of: ordinal, season: day) * stepMinutes + origin
      if (local + 1440) % 1440 != minute(grid, ordinal, calendar) { wrong += 1 }
    }
    #expect(wrong == 0)
  }

  @Test(
    "a season earlier is the same local time, but for the hours around a change", arguments: grids)
  func lags(of pair: (frequency: String, zone: String)) throws {
    let grid = try grid(pair.frequency, pair.zone)
    let calendar = try calendar(pair.zone)
    let clock = grid.seasonClock
    let day = Int(86_400_000_000 / (grid.instant(of: 1) - grid.instant(of: 0)))
    let first = grid.ordinal(of: 1_577_836_800_000_000)
    for days in [1, 7] {
      var other = 0
      for ordinal in first..<(first + 366 * day) {
        let earlier = ordinal - clock.lag(at: ordinal, season: day * days)
        if minute(grid, earlier, calendar) != minute(grid, ordinal, calendar) { other += 1 }
      }
      // Two changes a year; at each the local times of one hour have no or two counterparts.
      #expect(other <= 2 * max(1, day / 24), "\(days) days: \(other)")
    }
    #expect(
      clock.lag(at: first + 200 * day, season: day, count: 150)
        != 150 * day || pair.zone == "Asia/Kolkata")
  }

  @Test("seasons that are not whole days count real time")
  func otherSeasons() throws {
    let clock = try grid("30 minutes", "Europe/Paris").seasonClock
    let summer = try grid("30 minutes", "Europe/Paris").ordinal(of: 1_593_561_600_000_000)
    #expect(clock.lag(at: summer, season: 50, count: 200) == 10_000)
    #expect(clock.phase(of: summer, season: 50) == ((summer % 50) + 50) % 50)
    #expect(clock.phase(of: summer, season: 48) == ((summer + 2) % 48 + 48) % 48)
    #expect(SeasonClock.steady.lag(at: .min, season: 7) == 7)
  }

  @Test(
    "a model starts from the same local time of the day before, on both sides of a change",
    arguments: [1_585_440_000_000_000, 1_603_584_000_000_000])  // 2020-03-29, 2020-10-25
  func candidates(day: Int64) throws {
    let grid = try grid("1 hour", "Europe/Paris")
    let calendar = try calendar("Europe/Paris")
    // Two days before the change and the day after it: the last context hours are past the change.
    let first = grid.ordinal(of: day) - 72
    let values = (0..<90).map { Double(minute(grid, first + $0, calendar)) }
    let configuration = ForecasterConfiguration(
      hidden: 2, layers: 1, contextLength: 80, horizon: 24, quantiles: [0.5], seasonality: [24])
    let features = WindowFeatures(configuration)
    let batch = WindowFeatures.Batch<Double>(1, configuration)
    values.withUnsafeBufferPointer {
      features.fill(
        batch, row: 0, values: $0, firstOrdinal: first, clock: grid.seasonClock, end: 90)
    }
    let scaler = batch.scalers[0]
    var wrong = 0
    for h in 0..<24 {
      let start = scaler.unscaled(batch.candidates[h * 3 + 1])
      if abs(start - Double(minute(grid, first + 90 + h, calendar))) > 1e-6 { wrong += 1 }
    }
    // The skipped or doubled hour of the change stands for its neighbour.
    #expect(wrong <= 1)
  }
}
