import Terminal
import Testing

@Suite("Forecast charts")
struct ChartTests {
  private static let shapes: [(String, [Double], [Double])] = [
    ("empty", [], []), ("one point", [1], []), ("only a forecast", [], [1, 2, 3]),
    ("constant", Array(repeating: 5, count: 30), Array(repeating: 5, count: 7)),
    ("zero", [0, 0, 0], [0]), ("all missing", [.nan, .nan], [.nan]),
    ("gaps", (0..<60).map { $0 % 13 < 4 ? .nan : Double($0) }, [60, .nan, 62]),
    ("negative", (0..<40).map { -Double($0) }, [-41, -42]),
    ("tiny", [1e-300, 2e-300, 3e-300], [4e-300]), ("huge", [1e300, -1e300], [1e300]),
    ("extreme", [.greatestFiniteMagnitude, -.greatestFiniteMagnitude], [0]),
    ("infinite", [1, .infinity, 2], [-.infinity, 3]),
    ("close together", [1e9, 1e9 + 1, 1e9 + 2], [1e9 + 3]),
    ("many", (0..<5000).map { Double($0 % 100) }, Array(repeating: 50, count: 48)),
  ]

  @Test("any series fits any terminal", arguments: shapes.indices)
  func fits(_ index: Int) {
    let (name, history, forecast) = Self.shapes[index]
    let chart = ForecastChart(
      title: "series \(name)", subtitle: "a unit", history: history, forecast: forecast,
      lower: forecast.map { $0 - 1 }, upper: forecast.map { $0 + 1 }, actuals: forecast.reversed(),
      historyLimit: 5000)
    for width in [1, 2, 5, 8, 13, 20, 40, 60, 80, 140] {
      for height in [2, 3, 8, 20] {
        for (unicode, color) in [(true, true), (true, false), (false, false)] {
          let text = chart.render(
            environment: terminal(width, color: color, unicode: unicode), height: height)
          #expect(widest(text) <= width, "\(name), \(width) by \(height)")
          if !unicode { #expect(text.utf8.allSatisfy { $0 < 0x80 }) }
          if !color { #expect(!text.contains("\u{1B}")) }
        }
      }
    }
  }

  private func labels(_ values: [Double]) -> [String] {
    let text = ForecastChart(title: "", history: values, forecast: []).render(
      environment: terminal(60), height: 12)
    return text.split(separator: "\n").compactMap { line in
      guard let mark = line.firstIndex(of: "┤") else { return nil }
      return line[..<mark].trimmingPrefix { $0 == " " }.split(separator: " ").first.map(String.init)
    }.reversed()
  }

  @Test("the vertical axis has round numbers")
  func ticks() {
    #expect(labels([112, 622]) == ["100", "200", "300", "400", "500", "600"])
    #expect(labels([0, 1]) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"])
    #expect(labels([0, 1.2e6]) == ["0.00", "0.25M", "0.50M", "0.75M", "1.00M"])
    #expect(labels([5, 5]).contains("5.0"))
    #expect(labels([-3e-7, 3e-7]) == ["-2e-7", "0", "2e-7"])
    let distinct = labels([1e9, 1e9 + 3])
    #expect(Set(distinct).count == distinct.count)
  }

  @Test("a rising series rises, and a gap stays empty")
  func direction() {
    let text = ForecastChart(title: "", history: [0, 1, 2, .nan, .nan, 5, 6, 7], forecast: [])
      .render(environment: terminal(40, unicode: false), height: 8)
    let lines = text.split(separator: "\n").prefix(8).map {
      Array($0.drop { $0 != "|" && $0 != "+" })
    }
    func columns(_ line: [Character]) -> [Int] {
      line.indices.dropFirst().filter { line[$0] != " " }
    }
    let top = columns(lines[0])
    let bottom = columns(lines[7])
    #expect(!top.isEmpty && !bottom.isEmpty)
    #expect(bottom.max()! < top.min()!)
    let middle = lines.flatMap(columns).filter { (13...22).contains($0) }
    #expect(middle.isEmpty)
  }

  @Test("the legend names only what is drawn")
  func legend() {
    func legend(_ chart: ForecastChart) -> String {
      String(chart.render(environment: terminal(80, color: true)).split(separator: "\n").last ?? "")
    }
    let plain = ForecastChart(title: "", history: [1, 2], forecast: [3])
    #expect(!legend(plain).contains("interval"))
    #expect(!legend(plain).contains("actual"))
    #expect(legend(airlineChart()).contains("80 % interval"))
    #expect(legend(airlineChart()).contains("actual"))
  }
}
