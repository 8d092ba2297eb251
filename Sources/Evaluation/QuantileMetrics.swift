/// Quantile losses of one series, or of many pooled: add series, then read.
///
/// The loss of level `q` is `max(q (y - f), (q - 1)(y - f))` (Koenker & Bassett 1978), without the factor
/// 2; the quantities that carry it say so. NaN in `actual` is missing. Nil is undefined. Quantiles are taken
/// as given: crossing ones are not sorted.
public struct QuantileMetrics: Sendable {
  public let levels: [Double]
  private var losses: [Double]
  private var below: [Double]
  private var absoluteActuals = 0.0
  /// Observed steps so far.
  public private(set) var observed = 0

  /// - Parameter levels: in (0, 1).
  public init(levels: [Double]) {
    precondition(!levels.isEmpty)
    self.levels = levels
    losses = [Double](repeating: 0, count: levels.count)
    below = losses
  }

  /// Adds the forecast of one series.
  ///
  /// - Parameter quantiles: `[H, Q]`, row-major, in the order of `levels`.
  public mutating func add(
    actual: some RandomAccessCollection<Double>, quantiles: some RandomAccessCollection<Double>
  ) {
    precondition(quantiles.count == actual.count * levels.count, "quantiles are [H, Q]")
    var values = quantiles.makeIterator()
    for y in actual {
      for k in levels.indices {
        let q = values.next()!
        if y.isNaN { continue }
        losses[k] += max(levels[k] * (y - q), (levels[k] - 1) * (y - q))
        if y <= q { below[k] += 1 }
        if !q.isFinite { (losses[k], below[k]) = (.nan, .nan) }
      }
      if y.isNaN { continue }
      absoluteActuals += abs(y)
      observed += 1
    }
  }

  /// Mean loss of every level.
  public var quantileLossByLevel: [Double?] { losses.map { quotient($0, Double(observed)) } }

  /// Mean loss over steps and levels.
  public var quantileLoss: Double? { meanOverLevels(quantileLossByLevel) }

  /// `2 sum(loss) / sum |y|` of every level; undefined where all actual values are 0.
  public var weightedQuantileLossByLevel: [Double?] {
    losses.map { quotient(2 * $0, absoluteActuals) }
  }

  /// Weighted quantile loss, the mean over levels of `2 sum(loss) / sum |y|`. Over several series the sums
  /// are pooled before the division, as GluonTS and GIFT-Eval (Aksu et al. 2024) do.
  public var weightedQuantileLoss: Double? { meanOverLevels(weightedQuantileLossByLevel) }

  /// Continuous ranked probability score from quantiles, the mean over levels of `2 mean(loss)`
  /// (Gneiting & Ranjan 2011). Unscaled, and only as good as the levels are dense.
  public var crps: Double? { quantileLoss.map { 2 * $0 } }

  /// Scaled quantile loss, `crps / SeasonalError.absolute` (Makridakis et al. 2022). For one series.
  public func scaledQuantileLoss(_ scale: SeasonalError) -> Double? {
    quotient(crps, scale.absolute)
  }

  /// Share of actual values at or below the quantile of every level: near the level when calibrated.
  public var calibrationByLevel: [Double?] { below.map { quotient($0, Double(observed)) } }

  private func meanOverLevels(_ values: [Double?]) -> Double? {
    let defined = values.compactMap { $0 }
    guard defined.count == values.count else { return nil }
    return defined.reduce(0, +) / Double(defined.count)
  }
}

/// How intervals of one nominal coverage did: add series, then read. NaN in `actual` is missing.
public struct IntervalMetrics: Sendable {
  /// Nominal coverage, such as 0.95.
  public let nominal: Double
  private var inside = 0.0
  private var width = 0.0
  private var score = 0.0
  /// Observed steps so far.
  public private(set) var observed = 0

  /// - Parameter nominal: in (0, 1).
  public init(nominal: Double) {
    precondition(nominal > 0 && nominal < 1)
    self.nominal = nominal
  }

  /// Adds the intervals `lower ... upper` of one series.
  public mutating func add(
    actual: some Collection<Double>, lower: some Collection<Double>, upper: some Collection<Double>
  ) {
    precondition(actual.count == lower.count && actual.count == upper.count)
    let factor = 2 / (1 - nominal)
    for (y, (l, u)) in zip(actual, zip(lower, upper)) where !y.isNaN {
      observed += 1
      width += u - l
      score += u - l
      if y < l { score += factor * (l - y) }
      if y > u { score += factor * (y - u) }
      if l <= y, y <= u { inside += 1 }
    }
  }

  /// Share of actual values inside, bounds included.
  public var coverage: Double? {
    width.isFinite ? quotient(inside, Double(observed)) : nil
  }

  public var meanWidth: Double? { quotient(width, Double(observed)) }

  /// Interval score (Winkler 1972; Gneiting & Raftery 2007, eq. 43): mean of the width, plus
  /// `2 / (1 - nominal)` times the distance of a value outside.
  public var winkler: Double? { quotient(score, Double(observed)) }

  /// `winkler / SeasonalError.absolute`, the MSIS of the M4 competition. For one series.
  public func msis(_ scale: SeasonalError) -> Double? { quotient(winkler, scale.absolute) }
}
