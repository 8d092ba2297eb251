/// Errors of point forecasts against actual values, in Double.
///
/// NaN in `actual` is a missing value and leaves every mean and sum. Nil is undefined: nothing was
/// observed, a denominator is zero, or a forecast of an observed step is not finite; it is never
/// reported as 0 or infinity. All functions are linear in the horizon.
public enum PointMetrics {
  /// Mean absolute error, `mean |y - f|`.
  public static func mae(_ actual: some Collection<Double>, _ forecast: some Collection<Double>)
    -> Double?
  {
    mean(actual, forecast) { abs($0 - $1) }
  }

  /// Mean squared error, `mean (y - f)²`.
  public static func mse(_ actual: some Collection<Double>, _ forecast: some Collection<Double>)
    -> Double?
  {
    mean(actual, forecast) { ($0 - $1) * ($0 - $1) }
  }

  /// Root of the mean squared error.
  public static func rmse(_ actual: some Collection<Double>, _ forecast: some Collection<Double>)
    -> Double?
  {
    mse(actual, forecast)?.squareRoot()
  }

  /// Mean of `f - y`: positive where forecasts are too high.
  public static func bias(_ actual: some Collection<Double>, _ forecast: some Collection<Double>)
    -> Double?
  {
    mean(actual, forecast) { $1 - $0 }
  }

  /// Symmetric percentage error as in the M4 competition (Makridakis et al. 2020),
  /// `100 mean(2 |y - f| / (|y| + |f|))`, 0 to 200; 0/0 counts as 0.
  public static func smape(_ actual: some Collection<Double>, _ forecast: some Collection<Double>)
    -> Double?
  {
    mean(actual, forecast) {
      let size = abs($0) + abs($1)
      return size == 0 ? 0 : 200 * abs($0 - $1) / size
    }
  }

  /// Mean absolute percentage error, `100 mean(|y - f| / |y|)`; undefined where an actual value is 0.
  public static func mape(_ actual: some Collection<Double>, _ forecast: some Collection<Double>)
    -> Double?
  {
    mean(actual, forecast) { 100 * abs($0 - $1) / abs($0) }
  }

  /// `sum |y - f| / sum |y|`; undefined where all actual values are 0.
  public static func wape(_ actual: some Collection<Double>, _ forecast: some Collection<Double>)
    -> Double?
  {
    guard let error = mae(actual, forecast), let size = mean(actual, actual, { y, _ in abs(y) })
    else { return nil }
    return quotient(error, size)
  }

  /// Mean absolute scaled error (Hyndman & Koehler 2006), `mean |y - f| / SeasonalError.absolute`.
  public static func mase(
    _ actual: some Collection<Double>, _ forecast: some Collection<Double>, scale: SeasonalError
  ) -> Double? {
    quotient(mae(actual, forecast), scale.absolute)
  }

  /// Root mean squared scaled error (Makridakis et al. 2022, M5),
  /// `sqrt(mean (y - f)² / SeasonalError.squared)`.
  public static func rmsse(
    _ actual: some Collection<Double>, _ forecast: some Collection<Double>, scale: SeasonalError
  ) -> Double? {
    quotient(mse(actual, forecast), scale.squared)?.squareRoot()
  }

  /// Mean of `term` over the observed steps.
  private static func mean(
    _ actual: some Collection<Double>, _ forecast: some Collection<Double>,
    _ term: (Double, Double) -> Double
  ) -> Double? {
    precondition(actual.count == forecast.count, "one forecast for each actual value")
    var sum = 0.0
    var count = 0.0
    for (y, f) in zip(actual, forecast) where !y.isNaN {
      sum += term(y, f)
      count += 1
    }
    return quotient(sum, count)
  }
}

/// Mean differences of a history over one season: what scaled errors are measured in.
///
/// Only pairs of two observed values count. Undefined (nil) without any, such as in a history that is not
/// longer than a season.
public struct SeasonalError: Sendable, Equatable {
  /// `mean |x(t) - x(t - m)|`.
  public let absolute: Double?
  /// `mean (x(t) - x(t - m))²`.
  public let squared: Double?

  /// - Parameters:
  ///   - history: oldest first, NaN where missing.
  ///   - seasonality: steps of a season, 1 for none.
  public init(_ history: some RandomAccessCollection<Double>, seasonality: Int) {
    precondition(seasonality >= 1)
    var sum = 0.0
    var squares = 0.0
    var count = 0.0
    for (now, before) in zip(history.dropFirst(seasonality), history) {
      let change = now - before
      if change.isNaN { continue }
      sum += abs(change)
      squares += change * change
      count += 1
    }
    absolute = quotient(sum, count)
    squared = quotient(squares, count)
  }
}

/// A quotient that is undefined where it is not a finite number.
func quotient(_ numerator: Double?, _ denominator: Double?) -> Double? {
  guard let numerator, let denominator, denominator != 0 else { return nil }
  let result = numerator / denominator
  return result.isFinite ? result : nil
}
