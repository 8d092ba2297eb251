/// Repeats the last season: the forecast to beat.
public enum SeasonalNaive {
  /// The newest observation of the phase of every step ahead; for a phase that was never observed, the
  /// newest observation of all.
  ///
  /// - Parameters:
  ///   - history: oldest first, NaN where missing.
  ///   - seasonality: steps of a season; 1 repeats the last observation.
  ///   - firstOrdinal: grid ordinal of the first value.
  ///   - clock: where the grid's steps are on the wall clock.
  /// - Returns: `horizon` values, or nil where nothing was observed.
  public static func forecast(
    _ history: some RandomAccessCollection<Double>, seasonality: Int, horizon: Int,
    firstOrdinal: Int = 0, clock: SeasonClock = .steady
  ) -> [Double]? {
    precondition(seasonality >= 1 && horizon >= 1)
    guard let last = history.last(where: { !$0.isNaN }) else { return nil }
    return (0..<horizon).map {
      newest(
        history, at: history.count + $0, seasonality: seasonality, firstOrdinal: firstOrdinal,
        clock: clock) ?? last
    }
  }

  /// The newest observation of the phase of `position`, at least one season before it.
  static func newest(
    _ history: some RandomAccessCollection<Double>, at position: Int, seasonality: Int,
    firstOrdinal: Int, clock: SeasonClock
  ) -> Double? {
    var seasons = max(1, (position - history.count) / seasonality + 1)
    while true {
      let lag = clock.lag(at: firstOrdinal + position, season: seasonality, count: seasons)
      guard lag <= position else { return nil }
      if position - lag < history.count {
        let value = history[history.index(history.startIndex, offsetBy: position - lag)]
        if !value.isNaN { return value }
      }
      seasons += 1
    }
  }
}
