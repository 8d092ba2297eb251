/// A line chart of a series and its forecast: history, central forecast, interval, actuals.
///
/// Missing values (NaN, infinities) leave gaps. Drawn in braille dots where the terminal has
/// them, in ASCII elsewhere. No line is ever wider than asked.
package struct ForecastChart: Sendable, Equatable {
  package var title: String
  /// Shown at the right of the title: unit, model, cutoff.
  package var subtitle: String
  /// Observed values up to the origin, oldest first.
  package var history: [Double]
  /// The central forecast (median or mean), step 1 first.
  package var forecast: [Double]
  /// Bounds of the interval, as many as `forecast`, or empty for none.
  package var lower: [Double]
  package var upper: [Double]
  /// What was observed after the origin, where known; NaN elsewhere.
  package var actuals: [Double]
  /// A label for each point of history and forecast (dates on the wall clock the caller wants);
  /// empty: steps relative to the origin.
  package var labels: [String]
  package var forecastName: String
  package var intervalName: String
  /// How many of the latest observations are drawn; nil: four times the horizon, at least 48.
  package var historyLimit: Int?

  package init(
    title: String, subtitle: String = "", history: [Double], forecast: [Double],
    lower: [Double] = [], upper: [Double] = [], actuals: [Double] = [], labels: [String] = [],
    forecastName: String = "forecast", intervalName: String = "80 % interval",
    historyLimit: Int? = nil
  ) {
    self.title = title
    self.subtitle = subtitle
    self.history = history
    self.forecast = forecast
    self.lower = lower
    self.upper = upper
    self.actuals = actuals
    self.labels = labels
    self.forecastName = forecastName
    self.intervalName = intervalName
    self.historyLimit = historyLimit
  }

  /// The chart as lines, ending in a newline.
  ///
  /// - Parameters:
  ///   - width: columns; nil takes the terminal's, at most 160.
  ///   - height: rows of the plot itself; nil chooses from the terminal's height, 8 to 24.
  package func render(
    environment: TerminalEnvironment, width: Int? = nil, height: Int? = nil
  ) -> String {
    let width = max(width ?? min(environment.width, 160), 1)
    let height = max(height ?? min(max(environment.height - 10, 8), max(8, width / 6), 24), 2)
    let drawing = ChartDrawing(
      chart: self, width: width, height: height, color: environment.outputColor,
      unicode: environment.unicode, braille: environment.braille)
    return drawing.lines().joined(separator: "\n") + "\n"
  }
}
