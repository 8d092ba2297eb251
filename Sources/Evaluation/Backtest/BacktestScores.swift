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

  /// Forecasts every series from every origin.
  ///
  /// - Parameters:
  ///   - seasonality: of the scale of MASE.
  ///   - threads: that forecast.
  /// - Throws: `ForecasterError`.
  public init(
    _ forecaster: TrainedForecaster, _ origins: RollingOrigins, seasonality: Int, threads: Int
  ) throws {
    let levels = forecaster.configuration.quantiles
    precondition(forecaster.configuration.horizon == origins.horizon)
    let median = levels.indices.min { abs(levels[$0] - 0.5) < abs(levels[$1] - 0.5) }!
    let training = origins.training
    var scales: [SeasonalError] = []
    var deviations: [Double] = []
    for series in 0..<training.count {
      let values = training.values[training.range(of: series)]
      scales.append(SeasonalError(values, seasonality: seasonality))
      deviations.append(WindowDeviation.of(values))
    }
    var (scaled, percent, squared, absolute) = (Mean(), Mean(), Mean(), Mean())
    var losses = QuantileMetrics(levels: levels)
    var intervals = IntervalMetrics(nominal: max(0.01, levels[levels.count - 1] - levels[0]))
    for origin in 0..<origins.count {
      try forecaster.predict(origins.history(origin), threads: threads) { forecast in
        let actual = origins.actual(origin, series: forecast.series)
        func column(_ level: Int) -> [Double] {
          stride(from: level, to: forecast.quantiles.count, by: levels.count).map {
            forecast.quantiles[$0]
          }
        }
        let point = column(median)
        scaled.add(PointMetrics.mase(actual, point, scale: scales[forecast.series]))
        percent.add(PointMetrics.smape(actual, point))
        let unit = deviations[forecast.series]
        if unit > 0 {
          squared.add(PointMetrics.mse(actual, point).map { $0 / (unit * unit) })
          absolute.add(PointMetrics.mae(actual, point).map { $0 / unit })
        }
        losses.add(actual: actual, quantiles: forecast.quantiles)
        intervals.add(actual: actual, lower: column(0), upper: column(levels.count - 1))
      }
    }
    mase = scaled.value
    smape = percent.value
    weightedQuantileLoss = losses.weightedQuantileLoss
    coverage = intervals.coverage
    standardisedMSE = squared.value
    standardisedMAE = absolute.value
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
