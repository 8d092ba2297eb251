import ForecastService
import Foundation
import Testing
import Training

@Suite("Rows of blocks of time that were paid for")
struct BlockedRowsTests {
  private static let day: Int64 = 86_400_000_000

  /// Daily rows from day 0, whose values are the days; blocks of ten days.
  private func panel(_ blocks: [Range<Int64>], days: Range<Int64>, order: [Int64]? = nil) throws
    -> Panel
  {
    var rows = BlockedRows(
      blocks.enumerated().map {
        .init(
          name: "b\($0.offset)", from: $0.element.lowerBound * Self.day,
          until: $0.element.upperBound * Self.day)
      }, grid: CalendarGrid(frequency: Frequency(1, .day), timeZone: .gmt),
      options: PanelOptions(maxSeries: 2))
    for key in ["a", "b"] {
      for day in order ?? Array(days) {
        try Array(key.utf8).withUnsafeBytes {
          try rows.append(key: $0, time: day * Self.day, value: Double(day))
        }
      }
    }
    try rows.append(key: nil, time: 0, value: 1e9)
    try Array("a".utf8).withUnsafeBytes { try rows.append(key: $0, time: nil, value: 1e9) }
    return rows.finish()
  }

  @Test("rows outside are left out, and what a series has in a block is a series of its own")
  func cut() throws {
    let panel = try panel([10..<20, 20..<30, 40..<50], days: 0..<60)
    #expect(panel.keys == ["a in b0", "a in b1", "a in b2", "b in b0", "b in b1", "b in b2"])
    for (index, first) in [10, 20, 40, 10, 20, 40].enumerated() {
      #expect(
        Array(panel.values[panel.range(of: index)]) == (first..<first + 10).map(Double.init))
      #expect(panel.firstOrdinals[index] == first)
    }
  }

  @Test("neither the order of blocks nor that of rows matters")
  func order() throws {
    let sorted = try panel([10..<20, 40..<50], days: 0..<60)
    let mixed = try panel(
      [10..<20, 40..<50], days: 0..<60, order: Array(Int64(0)..<60).reversed())
    #expect(sorted.keys == mixed.keys && sorted.values == mixed.values)
    #expect(try panel([], days: 0..<60).count == 0)
  }
}
