/// The benchmark of the M4 competition (Makridakis et al. 2020): the last value of the series without its
/// season, times the season, where a test finds one.
public enum Naive2 {
  /// - Parameters:
  ///   - history: complete, oldest first.
  ///   - seasonality: steps of a season, 1 for none.
  /// - Returns: `horizon` values; nil for an empty or incomplete history.
  public static func forecast(
    _ history: some RandomAccessCollection<Double>, seasonality: Int, horizon: Int
  ) -> [Double]? {
    precondition(seasonality >= 1 && horizon >= 1)
    let x = Array(history)
    guard let last = x.last, x.allSatisfy(\.isFinite) else { return nil }
    guard let indices = seasonalIndices(x, seasonality: seasonality) else {
      return [Double](repeating: last, count: horizon)
    }
    let level = last / indices[(x.count - 1) % seasonality]
    return (0..<horizon).map { level * indices[(x.count + $0) % seasonality] }
  }

  /// Indices of a classical multiplicative decomposition, by phase from the first value, with mean 1; nil
  /// where the series is shorter than three seasons, the test finds no season, or one has index 0.
  public static func seasonalIndices(_ x: [Double], seasonality m: Int) -> [Double]? {
    guard m > 1, x.count >= 3 * m, isSeasonal(x, m) else { return nil }
    var sums = [Double](repeating: 0, count: m)
    var counts = sums
    let half = m / 2
    for t in half..<(x.count - half) {
      var trend = 0.0
      if m.isMultiple(of: 2) {
        for k in (t - half)...(t + half) { trend += x[k] }
        trend -= (x[t - half] + x[t + half]) / 2
      } else {
        for k in (t - half)...(t + half) { trend += x[k] }
      }
      sums[t % m] += x[t] / (trend / Double(m))
      counts[t % m] += 1
    }
    let means = zip(sums, counts).map { $0 / $1 }
    let mean = means.reduce(0, +) / Double(m)
    let indices = means.map { $0 / mean }
    return indices.allSatisfy { $0.isFinite && $0 != 0 } ? indices : nil
  }

  /// Autocorrelation at lag `m` outside of its 90 % interval (Bartlett).
  private static func isSeasonal(_ x: [Double], _ m: Int) -> Bool {
    let n = Double(x.count)
    let mean = x.reduce(0, +) / n
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    guard variance > 0 else { return false }
    let r = (1...m).map { lag -> Double in
      var sum = 0.0
      for t in lag..<x.count { sum += (x[t] - mean) * (x[t - lag] - mean) }
      return sum / variance
    }
    let spread = r.dropLast().reduce(1) { $0 + 2 * $1 * $1 }
    return abs(r[m - 1]) > 1.645 * (spread / n).squareRoot()
  }
}

/// Overall weighted average of the M4 competition (Makridakis et al. 2020).
public enum OWA {
  /// sMAPE and MASE of one series under one method.
  public struct Errors: Sendable {
    public let smape: Double
    public let mase: Double

    public init(smape: Double, mase: Double) {
      self.smape = smape
      self.mase = mase
    }
  }

  /// `(mean sMAPE / mean sMAPE of Naive2 + mean MASE / mean MASE of Naive2) / 2`; means over series first.
  public static func value(_ method: [Errors], naive2: [Errors]) -> Double? {
    precondition(method.count == naive2.count, "both methods on the same series")
    func sum(_ errors: [Errors], _ path: KeyPath<Errors, Double>) -> Double {
      errors.reduce(0) { $0 + $1[keyPath: path] }
    }
    guard let smape = quotient(sum(method, \.smape), sum(naive2, \.smape)),
      let mase = quotient(sum(method, \.mase), sum(naive2, \.mase))
    else { return nil }
    return (smape + mase) / 2
  }
}
