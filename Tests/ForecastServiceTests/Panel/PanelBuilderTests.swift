import ForecastService
import Foundation
import Testing
import Training

private func micros(_ text: String) -> Int64 {
  let date = try? Date(text.count == 10 ? text + "T00:00:00Z" : text, strategy: .iso8601)
  return Int64((date ?? .distantPast).timeIntervalSince1970) * 1_000_000
}

private func iso(_ micros: Int64) -> String {
  Date(timeIntervalSince1970: Double(micros / 1_000_000)).formatted(.iso8601)
}

private typealias InputRow = (key: String?, time: Int64?, value: Double?)

private func build(_ frequency: String, _ rows: [InputRow]) throws -> BuiltPanel {
  try build(frequency, PanelOptions(), rows)
}

private func build(
  _ frequency: String, zone: String = "UTC", _ options: PanelOptions, _ rows: [InputRow]
) throws -> BuiltPanel {
  let grid = CalendarGrid(
    frequency: try #require(Frequency(frequency)),
    timeZone: try #require(TimeZone(identifier: zone)))
  var builder = PanelBuilder(grid: grid, options: options)
  for row in rows {
    if let key = row.key {
      try builder.append(key: key, time: row.time, value: row.value)
    } else {
      try builder.append(key: nil as UnsafeRawBufferPointer?, time: row.time, value: row.value)
    }
  }
  return builder.finish()
}

/// Integer steps 0, 1, 2 … with these values; nil leaves a step out.
private func series(_ key: String, _ values: [Double?], from first: Int64 = 0) -> [InputRow] {
  values.enumerated().compactMap { index, value in
    value.map { (key, first + Int64(index), $0) }
  }
}

@Suite("Panel builder")
struct PanelBuilderTests {
  @Test("rows in any order make the same panel, verdicts and digest")
  func order() throws {
    var rows: [InputRow] = []
    for key in 0..<50 {
      for step in 0..<40 where (key + step) % 7 != 0 {
        rows.append(("series-\(key % 10)-\(key)", Int64(step), Double((step * 31 + key) % 17)))
      }
    }
    let first = try build("integer", rows)
    var state: UInt64 = 3
    for index in rows.indices.reversed() {
      state = state &* 6_364_136_223_846_793_005 &+ 1
      rows.swapAt(index, Int(state >> 33) % (index + 1))
    }
    let second = try build("integer", rows)
    #expect(first.panel.keys == first.panel.keys.sorted())
    #expect(first.panel.keys == second.panel.keys)
    #expect(first.panel.offsets == second.panel.offsets)
    #expect(first.panel.values.map(\.bitPattern) == second.panel.values.map(\.bitPattern))
    #expect(first.verdicts == second.verdicts)
    #expect(first.digest == second.digest)
    #expect(first.statistics == second.statistics)
    #expect(first.statistics.rows == rows.count && first.statistics.series == 50)
    rows[0].value = 99
    #expect(try build("integer", rows).digest != first.digest)
  }

  @Test(
    "gaps are filled as the job says",
    arguments: [
      (GapPolicy.mask, [1, nil, nil, 4, nil, 6]), (.zero, [1, 0, 0, 4, 0, 6]),
      (.forwardFill, [1, 1, 1, 4, 4, 6]),
    ] as [(GapPolicy, [Double?])])
  func gaps(policy: GapPolicy, expected: [Double?]) throws {
    var rows = series("a", [1, nil, nil, 4, nil, 6], from: 10)
    rows.append(("a", 14, nil))
    rows.append(("a", 17, nil))
    let built = try build("integer", PanelOptions(gaps: policy), rows)
    #expect(built.panel.values.map { $0.isNaN ? nil : $0 } == expected)
    #expect(built.panel.firstOrdinals == [10])
    #expect(built.verdicts[0].gaps == 3)
    #expect(built.verdicts[0].nulls == 2)
    #expect(built.verdicts[0].kind == .ok)
    #expect(built.target(series: 0, step: 1) == 16)
  }

  @Test("each kind of bad series has its verdict and stops nobody")
  func verdicts() throws {
    var rows = series("ok", [1, 2, 3, 4, 5])
    rows += series("constant", [3, 3, 3, 3, 3])
    rows += series("short", [1])
    rows += series("brief", [1, 2])
    rows += [("empty", 0, nil), ("empty", 1, .nan)]
    rows += series("twice", [1, 2, 3, 4]) + [("twice", 3, 5)]
    rows += series("repeated", [1, 2, 3, 4]) + [("repeated", 3, 4)]
    rows += series("infinite", [1, .infinity, .nan, -.infinity, 2])
    rows += series("one-nan", [1, 2, .nan, 4, 5])
    rows += [("sparse", 0, 1), ("sparse", 9_000_000_000_000, 2)]
    rows += [("extreme", -7_000_000_000_000_000_000, 1), ("extreme", 7_000_000_000_000_000_000, 2)]
    rows += series("timeless", [1, 2, 3, 4]) + [("timeless", nil, 5), ("timeless", .max, 5)]
    rows += [(nil, 0, 1), (nil, 1, 1)]
    let built = try build("integer", rows)
    let found = Dictionary(uniqueKeysWithValues: built.verdicts.map { ($0.key, $0) })
    let expected: [(String, SeriesVerdict.Kind, Bool, Bool)] = [
      ("ok", .ok, true, true), ("constant", .constant, false, true),
      ("short", .tooShort, false, false), ("brief", .tooShort, false, true),
      ("empty", .empty, false, false), ("twice", .duplicate, false, false),
      ("repeated", .ok, true, true), ("infinite", .nonFinite, false, false),
      ("one-nan", .ok, true, true), ("sparse", .tooSparse, false, false),
      ("extreme", .tooSparse, false, false), ("timeless", .badTime, false, false),
      ("(null)", .nullKey, false, false),
    ]
    #expect(built.verdicts.count == expected.count)
    for (key, kind, trainable, predictable) in expected {
      let verdict = try #require(found[key])
      #expect(verdict.kind == kind, "\(key)")
      #expect(verdict.trainable == trainable, "\(key)")
      #expect(verdict.predictable == predictable, "\(key)")
      #expect((verdict.panelIndex != nil) == predictable)
      #expect(verdict.panelIndex.map { built.panel.keys[$0] == key } != false)
      #expect((verdict.detail == nil) == (kind == .ok && verdict.duplicates == 0), "\(key)")
    }
    #expect(built.panel.count == expected.count { $0.3 })
    #expect(built.trainingPanel.keys == ["ok", "one-nan", "repeated"])
    #expect(found["repeated"]?.duplicates == 1)
    #expect(found["repeated"]?.observations == 4)
    #expect(found["infinite"]?.nonFinite == 3)
    #expect(found["timeless"]?.rows == 6)
    #expect(found["(null)"]?.rows == 2)
    #expect(built.statistics.rows == rows.count)
    #expect(
      SeriesVerdict.Kind.allCases.allSatisfy {
        $0.rawValue.wholeMatch(of: /[a-z]+(-[a-z]+)*/) != nil
      })
  }

  @Test("gaps: error refuses the series with gaps alone")
  func gapsError() throws {
    let built = try build(
      "integer", PanelOptions(gaps: .error),
      series("a", [1, 2, nil, 4]) + series("b", [1, 2, 3, 4]))
    #expect(built.verdicts.map(\.kind) == [.gaps, .ok])
    #expect(built.panel.keys == ["b"])
  }

  @Test("too many series are an error with the limit")
  func tooMany() throws {
    let error = #expect(throws: PanelError.self) {
      try build(
        "integer", PanelOptions(maxSeries: 2),
        series("a", [1]) + series("b", [1]) + series("a", [2]) + series("c", [1]))
    }
    #expect(error?.limit == 2)
    #expect(error?.description.contains("limits.maxSeries") == true)
  }

  @Test("no rows make an empty panel")
  func noRows() throws {
    let built = try build("1 day", [])
    #expect(built.panel.count == 0)
    #expect(built.verdicts.isEmpty)
    #expect(built.statistics.first == nil)
    #expect(built.digest.count == 32)
  }

  @Test(
    "targets stand where the stamps stand",
    arguments: [
      ("1 month", "UTC", ["2023-11-01", "2023-12-01", "2024-01-01"], "2024-02-01T00:00:00Z"),
      ("1 month", "UTC", ["2023-11-30", "2023-12-31", "2024-01-31"], "2024-02-29T00:00:00Z"),
      ("1 month", "UTC", ["2023-11-30", "2023-12-30", "2024-01-30"], "2024-02-29T00:00:00Z"),
      ("1 month", "UTC", ["2023-11-15", "2023-12-15", "2024-01-15"], "2024-02-15T00:00:00Z"),
      ("1 quarter", "UTC", ["2023-06-30", "2023-09-30", "2023-12-31"], "2024-03-31T00:00:00Z"),
      ("1 quarter", "UTC", ["2023-05-01", "2023-08-01", "2023-11-01"], "2024-02-01T00:00:00Z"),
      ("1 year", "UTC", ["2021-12-31", "2022-12-31", "2023-12-31"], "2024-12-31T00:00:00Z"),
      ("1 week", "UTC", ["2024-05-12", "2024-05-19", "2024-05-26"], "2024-06-02T00:00:00Z"),
      (
        "1 day", "UTC", ["2024-05-12T09:00:00Z", "2024-05-13T09:00:00Z", "2024-05-14T09:00:00Z"],
        "2024-05-15T09:00:00Z"
      ),
      (
        "1 day", "Europe/Paris",
        ["2024-03-28T23:00:00Z", "2024-03-29T23:00:00Z", "2024-03-30T23:00:00Z"],
        "2024-03-31T22:00:00Z"
      ),
      (
        "1 day", "Europe/Paris",
        ["2024-03-30T06:00:00Z", "2024-03-31T06:00:00Z", "2024-04-01T06:00:00Z"],
        "2024-04-02T06:00:00Z"
      ),
      (
        "1 hour", "Asia/Kolkata",
        ["2024-05-12T09:30:00Z", "2024-05-12T10:30:00Z", "2024-05-12T11:30:00Z"],
        "2024-05-12T12:30:00Z"
      ),
      (
        "1 hour", "UTC",
        ["2024-05-12T09:59:59Z", "2024-05-12T10:59:59Z", "2024-05-12T11:59:59Z"],
        "2024-05-12T12:59:59Z"
      ),
      (
        "6 hours", "Europe/Paris",
        ["2024-03-30T11:00:00Z", "2024-03-30T17:00:00Z", "2024-03-30T23:00:00Z"],
        "2024-03-31T04:00:00Z"
      ),
      (
        "1 hour", "Australia/Lord_Howe",
        ["2024-10-05T13:30:00Z", "2024-10-05T14:30:00Z", "2024-10-05T16:00:00Z"],
        "2024-10-05T17:00:00Z"
      ),
    ])
  func conventions(frequency: String, zone: String, stamps: [String], next: String) throws {
    let rows: [InputRow] = stamps.enumerated().map { ("a", micros($1), Double($0)) }
    let built = try build(frequency, zone: zone, PanelOptions(minimumTrainingSteps: 2), rows)
    #expect(built.verdicts[0].kind == .ok)
    #expect(built.panel.values == [0, 1, 2])
    #expect(iso(built.target(series: 0, step: 1)) == next)
  }

  @Test("mixed stamps count for their period and are reported")
  func offGrid() throws {
    let rows: [InputRow] = [
      "2024-05-12T09:00:00Z", "2024-05-13T11:00:00Z", "2024-05-14", "2024-05-15",
    ]
    .enumerated().map { ("a", micros($1), Double($0)) }
    let built = try build("1 day", rows)
    #expect(built.verdicts[0].kind == .offGrid)
    #expect(built.verdicts[0].trainable)
    #expect(built.panel.values == [0, 1, 2, 3])
    #expect(iso(built.target(series: 0, step: 2)) == "2024-05-17T00:00:00Z")
  }

  @Test("two stamps in one period are never merged in silence")
  func crowded() throws {
    let rows: [InputRow] = ["2024-05-12T09:00:00Z", "2024-05-12T11:00:00Z", "2024-05-14"]
      .map { ("a", micros($0), 1) }
    let verdict = try build("1 day", rows).verdicts[0]
    #expect(verdict.kind == .duplicate)
    #expect(verdict.detail?.contains("aggregate") == true)
  }

  @Test("a stamp in the year 9999 exhausts no memory")
  func farFuture() throws {
    let rows: [InputRow] = ["2024-05-12", "2024-05-13", "9999-12-31"].map { ("a", micros($0), 1) }
    let built = try build("1 minute", rows)
    #expect(built.verdicts[0].kind == .tooSparse)
    #expect(built.panel.values.isEmpty)
  }

  @Test("PostgreSQL's times keep their infinities")
  func epochs() {
    #expect(PanelBuilder.unixMicroseconds(sincePostgresEpoch: 0) == 946_684_800_000_000)
    #expect(PanelBuilder.unixMicroseconds(sincePostgresEpoch: .max) == .max)
    #expect(PanelBuilder.unixMicroseconds(sincePostgresEpoch: .min) == .min)
  }

  @Test("many series over chunk and table borders keep their own values")
  func many() throws {
    var rows: [InputRow] = []
    for step in 0..<30 {
      for key in 0..<5000 { rows.append(("k\(key)", Int64(step), Double(key * 100 + step))) }
    }
    let built = try build("integer", rows)
    #expect(built.panel.count == 5000)
    var wrong = 0
    for (index, key) in built.panel.keys.enumerated() {
      let number = try #require(Int(key.dropFirst()))
      let expected = (0..<30).map { Double(number * 100 + $0) }
      if Array(built.panel.values[built.panel.range(of: index)]) != expected { wrong += 1 }
    }
    #expect(wrong == 0)
  }
}
