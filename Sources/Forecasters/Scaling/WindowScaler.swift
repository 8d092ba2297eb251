/// Location and scale of one window, from its own observed values alone: nothing crosses series, so
/// nothing private leaks through a statistic.
public struct WindowScaler: Sendable, Equatable {
  public let location: Double
  public let scale: Double

  /// Mean and standard deviation of the observed values; NaN is skipped.
  ///
  /// The scale of a window that hardly varies is 1/1000 of its level, or 1 for zeros, so that a constant
  /// series stays finite and its intervals narrow.
  public init(_ window: some Sequence<Double>) {
    var count = 0.0
    var mean = 0.0
    var squares = 0.0
    var level = 0.0
    for value in window where !value.isNaN {
      // Welford's update: no loss of digits for series far from zero.
      count += 1
      let step = value - mean
      mean += step / count
      squares += step * (value - mean)
      level = max(level, abs(value))
    }
    // Squares of enormous values overflow; no deviation exceeds the level.
    let deviation = count > 1 ? min((squares / count).squareRoot(), level) : 0
    location = count > 0 ? mean : 0
    let wanted = max(deviation, level * 1e-3)
    scale = wanted > 1e-290 ? wanted : 1  // the inverse stays finite
  }

  public func scaled(_ value: Double) -> Double { (value - location) / scale }
  public func unscaled(_ value: Double) -> Double { value * scale + location }
}
