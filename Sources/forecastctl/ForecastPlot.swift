import ForecastService
import Foundation
import Terminal

/// One series with its forecast, drawn.
enum ForecastPlot {
  static func draw(_ picture: ForecastPicture, environment: TerminalEnvironment) -> String {
    let chart = ForecastChart(
      title: "\(picture.job) · \(picture.series)", subtitle: picture.subtitle,
      history: picture.history, forecast: picture.center, lower: picture.lower,
      upper: picture.upper, labels: picture.labels, forecastName: "median",
      intervalName: picture.intervalName)
    return chart.render(environment: environment)
  }
}
