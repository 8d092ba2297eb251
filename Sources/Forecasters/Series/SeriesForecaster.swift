/// Forecasts each series from its own values. One per thread: it owns its workspace.
public protocol SeriesForecaster: AnyObject {
  /// Series that are best forecast at a time.
  var batch: Int { get }

  /// Writes quantiles `[series.count, H, Q]`, never decreasing in `Q`, in the units of the data.
  ///
  /// - Throws: `ForecasterError` where a series cannot be forecast.
  func forecast(
    _ series: [SeriesValues], into quantiles: UnsafeMutablePointer<Double>
  ) throws
}

/// One series as a forecaster sees it.
public struct SeriesValues {
  /// Oldest first, NaN where missing.
  public let values: UnsafeBufferPointer<Double>
  /// Grid ordinal of `values[0]`.
  public let firstOrdinal: Int
  /// Where the grid's steps are on the wall clock, for the seasons.
  public let clock: SeasonClock

  public init(
    _ values: UnsafeBufferPointer<Double>, firstOrdinal: Int = 0, clock: SeasonClock = .steady
  ) {
    self.values = values
    self.firstOrdinal = firstOrdinal
    self.clock = clock
  }
}
