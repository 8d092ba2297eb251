import Foundation
import Terminal

/// 2026-11-21 05:00:00 UTC.
let now = Date(timeIntervalSince1970: 1_795_237_200)

func terminal(
  _ width: Int, color: Bool = false, unicode: Bool = true
) -> TerminalEnvironment {
  TerminalEnvironment(
    width: width, height: 24, outputIsTerminal: true, errorIsTerminal: true, outputColor: color,
    errorColor: color, unicode: unicode)
}

func statusTable() -> Table {
  var table = Table([
    Column("job", priority: .essential), Column("state", priority: .essential),
    Column("last_run_at", title: "last run"), Column("next_run_at", title: "next run"),
    Column("series"), Column("failed", priority: .low), Column("mase", title: "MASE"),
    Column("coverage", priority: .low), Column("duration_seconds", title: "took", priority: .low),
    Column("epsilon", title: "ε spent", priority: .extra), Column("message"),
  ])
  table.append([
    "store-demand", .text("succeeded", .ok), .date(now - 3700), .date(now + 7200), 12345, 0,
    .real(0.8123), .percent(0.812), .duration(184), .real(1.2), nil,
  ])
  table.append([
    "airline", .text("running", .accent), .date(now - 30), nil, 1, 0, .real(nil), .percent(nil),
    .duration(3.2), nil, "fit 420/1000",
  ])
  table.append([
    "mobilité 日本", .text("failed", .bad), .date(now - 90000), .date(now + 400_000), 7,
    .integer(3, .bad), .real(1.31, .warn), .percent(0.64, .warn), .duration(7400), .real(2),
    "no rows at cutoff 2026-11-20; check the \"WHERE\" clause,\nthen retry",
  ])
  return table
}

/// The airline passengers of 1956 to 1960 and a made-up forecast of the last year.
func airlineChart() -> ForecastChart {
  let values: [Double] = [
    284, 277, 317, 313, 318, 374, 413, 405, 355, 306, 271, 306, 315, 301, 356, 348, 355, 422, 465,
    467, 404, 347, 305, 336, 340, 318, 362, 348, 363, 435, 491, 505, 404, 359, 310, 337, 360, 342,
    406, 396, 420, 472, 548, 559, 463, 407, 362, 405, 417, 391, 419, 461, 472, 535, 622, 606, 508,
    461, 390, 432,
  ]
  let history = Array(values.prefix(48))
  let forecast = history.suffix(12).map { $0 * 1.11 }
  let spread = forecast.indices.map { 0.03 + 0.008 * Double($0) }
  let labels = values.indices.map {
    "\(1956 + $0 / 12)-" + ($0 % 12 < 9 ? "0" : "") + "\($0 % 12 + 1)"
  }
  return ForecastChart(
    title: "airline  AirPassengers", subtitle: "thousands of passengers", history: history,
    forecast: forecast, lower: zip(forecast, spread).map { $0 * (1 - $1) },
    upper: zip(forecast, spread).map { $0 * (1 + $1) }, actuals: Array(values.suffix(12)),
    labels: labels, forecastName: "median")
}

/// Every golden text: its name and how it is made.
func goldenTexts() -> [(name: String, text: String)] {
  var result: [(String, String)] = []
  let table = statusTable()
  for width in [60, 80, 140] {
    result.append(("table\(width)", table.render(.table, environment: terminal(width), now: now)))
    result.append(
      ("chart\(width)", airlineChart().render(environment: terminal(width), height: 10)))
  }
  result.append(
    (
      "tableASCII",
      table.render(.table, environment: terminal(80, unicode: false), now: now)
    ))
  result.append(
    ("tableColor", table.render(.table, environment: terminal(80, color: true), now: now)))
  result.append(
    (
      "chartASCII",
      airlineChart().render(environment: terminal(80, unicode: false), height: 10)
    ))
  result.append(
    ("chartColor", airlineChart().render(environment: terminal(60, color: true), height: 6)))
  result.append(("json", table.render(.json, environment: terminal(80), now: now)))
  result.append(("csv", table.render(.csv, environment: terminal(80), now: now)))
  return result
}
