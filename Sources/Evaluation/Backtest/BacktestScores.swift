import Forecasters
public import Training

/// What forecasts from rolling origins came to, over all series and origins.
public struct BacktestScores: Sendable {
  /// Mean over series and origins of the mean absolute scaled error of the median (Hyndman & Koehler 2006); the
  /// scale is the seasonal error of what was learned from.
  public let mase: Double?
  /// Of the median, in percent, 0 to 200.
  public let smape: Double?
  /// Weighted quantile loss, pooled.
  public let weightedQuantileLoss: Double?
  /// Share of actual values between the outermost quantiles.
  public let coverage: Double?
  /// Mean squared and absolute error of the median, in units of the series' standard deviation over what was
  /// learned from: the protocol of the ETT data sets (Zhou et al. 2021).
  public let standardisedMSE: Double?
  public let standardisedMAE: Double?
  /// Of the median in units of the data, over all origins of a series, then the mean over series: root of the mean
  /// squared error and mean absolute error.
  public let rmse: Double?
  public let mae: Double?
  /// Mean absolute error over the actual value, of the median, in percent.
  public let mape: Double?

  /// Forecasts every series from every origin.
  ///
  /// - Parameters:
  ///   - seasonality: of the scale of MASE.
  ///   - unitSteps: steps at the start of a series whose deviation is its unit; nil for all that was learned from.
  ///   - threads: that forecast.
  /// - Throws: `ForecasterError`.
  public init(
    _ forecaster: TrainedForecaster, _ origins: RollingOrigins, seasonality: Int,
    unitSteps: Int? = nil, threads: Int
  ) throws {
    let configuration = forecaster.configuration
    let levels = configuration.quantiles
    precondition(configuration.horizon == origins.horizon)
    let median = levels.indices.min { abs(levels[$0] - 0.5) < abs(levels[$1] - 0.5) }!
    let training = origins.training
    var scales: [SeasonalError] = []
    var deviations: [Double] = []
    for series in 0..<training.count {
      let values = training.values[training.range(of: series)]
      scales.append(SeasonalError(values, seasonality: seasonality))
      deviations.append(WindowDeviation.of(values.prefix(unitSteps ?? values.count)))
    }
    var (scaled, percent, relative) = (Mean(), Mean(), Mean())
    var squared = [Mean](repeating: Mean(), count: training.count)
    var absolute = squared
    var losses = QuantileMetrics(levels: levels)
    var intervals = IntervalMetrics(nominal: max(0.01, levels[levels.count - 1] - levels[0]))
    // A network reads its context alone; the memory of many short histories is small, that of long ones is not.
    let newest = Registry.isNetwork(configuration.kind) ? configuration.contextLength : nil
    let together = newest == nil ? 1 : 64
    for first in stride(from: 0, to: origins.count, by: together) {
      let part = first..<min(first + together, origins.count)
      try forecaster.predict(origins.histories(part, newest: newest), threads: threads) {
        forecast in
        let series = forecast.series % training.count
        let actual = origins.actual(first + forecast.series / training.count, series: series)
        func column(_ level: Int) -> [Double] {
          stride(from: level, to: forecast.quantiles.count, by: levels.count).map {
            forecast.quantiles[$0]
          }
        }
        let point = column(median)
        scaled.add(PointMetrics.mase(actual, point, scale: scales[series]))
        percent.add(PointMetrics.smape(actual, point))
        relative.add(PointMetrics.mape(actual, point))
        squared[series].add(PointMetrics.mse(actual, point))
        absolute[series].add(PointMetrics.mae(actual, point))
        losses.add(actual: actual, quantiles: forecast.quantiles)
        intervals.add(actual: actual, lower: column(0), upper: column(levels.count - 1))
      }
    }
    mase = scaled.value
    smape = percent.value
    mape = relative.value
    weightedQuantileLoss = losses.weightedQuantileLoss
    coverage = intervals.coverage
    func mean(_ errors: [Mean], _ body: (Double, _ unit: Double) -> Double?) -> Double? {
      var mean = Mean()
      for (error, unit) in zip(errors, deviations) {
        mean.add(error.value.flatMap { body($0, unit) })
      }
      return mean.value
    }
    standardisedMSE = mean(squared) { $1 > 0 ? $0 / ($1 * $1) : nil }
    standardisedMAE = mean(absolute) { $1 > 0 ? $0 / $1 : nil }
    rmse = mean(squared) { error, _ in error.squareRoot() }
    mae = mean(absolute) { error, _ in error }
  }
}

/// A mean of what is defined.
private struct Mean {
  private var sum = 0.0
  private var count = 0.0

  mutating func add(_ value: Double?) {
    guard let value else { return }
    sum += value
    count += 1
  }

  var value: Double? { count > 0 ? sum / count : nil }
}

private enum WindowDeviation {
  /// Population standard deviation of what was observed.
  static func of(_ values: some Collection<Double>) -> Double {
    var mean = Mean()
    for value in values where !value.isNaN { mean.add(value) }
    guard let center = mean.value else { return 0 }
    var square = Mean()
    for value in values where !value.isNaN { square.add((value - center) * (value - center)) }
    return (square.value ?? 0).squareRoot()
  }
}
