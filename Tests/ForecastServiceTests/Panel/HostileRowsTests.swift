import ForecastService
import Foundation
import Testing
import Training

@Suite("Rows at the edges")
struct HostileRowsTests {
  private func builder(_ frequency: String) throws -> PanelBuilder {
    PanelBuilder(
      grid: CalendarGrid(frequency: try #require(Frequency(frequency)), timeZone: .gmt),
      options: PanelOptions())
  }

  @Test(
    "integer steps at either end of 64 bits are refused and stop nobody",
    arguments: [Int64.min + 1, Int64.max - 6])
  func extremes(first: Int64) throws {
    var builder = try builder("integer")
    for step in 0..<6 {
      try builder.append(key: "a", time: Int64(step), value: Double(step))
      try builder.append(key: "b", time: first + Int64(step), value: Double(step))
    }
    let built = builder.finish()
    #expect(built.verdicts.map(\.key) == ["a", "b"])
    #expect(built.verdicts.map(\.kind) == [.ok, .badTime])
    #expect(built.panel.keys == ["a"])
  }

  @Test(
    "far integer steps are steps",
    arguments: [-7_999_999_999_999_999_999, 7_999_999_999_999_999_000] as [Int64])
  func far(first: Int64) throws {
    var builder = try builder("integer")
    for key in ["a", "b", "c"] {
      for step in 0..<6 {
        try builder.append(key: key, time: first + Int64(step), value: Double(step))
      }
    }
    let built = builder.finish()
    #expect(built.verdicts.map(\.kind) == [.ok, .ok, .ok])
    #expect(built.panel.values == (0..<18).map { Double($0 % 6) })
    #expect(built.target(series: 2, step: 1000) == first + 1005)
  }

  @Test("a target beyond the calendar is its last instant")
  func beyond() throws {
    var builder = try builder("10000 years")
    for step in 0..<6 {
      try builder.append(key: "a", time: Int64(step) * 315_569_520_000_000_000, value: 1)
    }
    let built = builder.finish()
    #expect(built.target(series: 0, step: 1) < built.target(series: 0, step: 2))
    #expect(built.target(series: 0, step: 10_000) <= .max)
  }

  @Test("an empty key names no series")
  func emptyKey() throws {
    var builder = try builder("integer")
    for step in 0..<5 {
      try builder.append(key: "", time: Int64(step), value: Double(step))
      try builder.append(key: "a", time: Int64(step), value: Double(step))
    }
    try builder.append(key: nil as UnsafeRawBufferPointer?, time: 1, value: 1)
    let built = builder.finish()
    #expect(built.panel.keys == ["a"])
    #expect(built.verdicts.map(\.kind) == [.ok, .nullKey])
    #expect(built.verdicts[1].rows == 6)
    #expect(built.statistics.series == 1)
  }

  @Test("minus zero repeats zero")
  func zeros() throws {
    var builder = try builder("integer")
    for step in 0..<5 { try builder.append(key: "a", time: Int64(step), value: Double(step)) }
    try builder.append(key: "a", time: 0, value: -0.0)
    #expect(builder.finish().verdicts[0].kind == .ok)
  }

  @Test("duplicates are reported with the first time that has them")
  func example() throws {
    var builder = try builder("1 day")
    let day: Int64 = 86_400_000_000
    for step in 0..<5 { try builder.append(key: "a", time: Int64(step) * day, value: Double(step)) }
    try builder.append(key: "a", time: 3 * day, value: 7)
    try builder.append(key: "a", time: 2 * day, value: 7)
    for step in 0..<5 { try builder.append(key: "b", time: Int64(step) * day, value: Double(step)) }
    try builder.append(key: "b", time: day + day / 2, value: 7)
    let built = builder.finish()
    #expect(built.verdicts.map(\.kind) == [.duplicate, .duplicate])
    #expect(built.verdicts[0].detail?.contains("2 times") == true)
    #expect(built.verdicts[0].detail?.contains("1970-01-03 00:00:00 UTC") == true)
    #expect(built.verdicts[1].detail?.contains("1970-01-02 12:00:00 UTC") == true)
  }
}
