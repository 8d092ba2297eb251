import Foundation

/// The number of successes in `trials` independent trials: exact tails, for tests whose false alarms are known.
package struct BinomialTails {
  package let trials: Int
  package let probability: Double

  package init(trials: Int, probability: Double) {
    self.trials = trials
    self.probability = probability
  }

  /// Logarithm of the probability of exactly `successes`.
  package func logMass(_ successes: Int) -> Double {
    guard successes >= 0, successes <= trials else { return -.infinity }
    let (k, n) = (Double(successes), Double(trials))
    if probability <= 0 { return successes == 0 ? 0 : -.infinity }
    if probability >= 1 { return successes == trials ? 0 : -.infinity }
    return Self.logGamma(n + 1) - Self.logGamma(k + 1) - Self.logGamma(n - k + 1)
      + k * log(probability) + (n - k) * log1p(-probability)
  }

  /// Probability of `successes` or more.
  package func upper(_ successes: Int) -> Double { tail(from: max(0, successes), by: 1) }

  /// Probability of `successes` or fewer.
  package func lower(_ successes: Int) -> Double { tail(from: min(trials, successes), by: -1) }

  /// Probability of a number as far out as `successes`, on whichever side: twice the smaller tail.
  package func twoSided(_ successes: Int) -> Double {
    min(1, 2 * min(upper(successes), lower(successes)))
  }

  /// The largest probability for which `successes` or fewer still have a chance of `significance` (Clopper &
  /// Pearson 1934): an upper bound that holds with 1 - `significance`.
  package static func upperBound(_ successes: Int, of trials: Int, significance: Double) -> Double {
    if successes >= trials { return 1 }
    var (low, high) = (Double(successes) / Double(trials), 1.0)
    while high - low > 1e-9 {
      let middle = (low + high) / 2
      let tails = BinomialTails(trials: trials, probability: middle)
      if tails.lower(successes) > significance { low = middle } else { high = middle }
    }
    return high
  }

  /// Terms rise up to the mode and then fall faster than geometrically: the sum ends when nothing can change.
  private func tail(from start: Int, by stride: Int) -> Double {
    guard start >= 0, start <= trials else { return 0 }
    if probability <= 0 { return stride > 0 ? (start == 0 ? 1 : 0) : 1 }
    if probability >= 1 { return stride > 0 ? 1 : (start == trials ? 1 : 0) }
    let odds = probability / (1 - probability)
    var term = exp(logMass(start))
    // Far out in the other tail, all of the distribution lies ahead.
    let mode = Int(Double(trials + 1) * probability)
    if term == 0, stride > 0 ? start < mode : start > mode { return 1 }
    var (k, sum) = (start, 0.0)
    while k >= 0, k <= trials {
      sum += term
      let ratio =
        stride > 0
        ? Double(trials - k) / Double(k + 1) * odds : Double(k) / (Double(trials - k + 1) * odds)
      term *= ratio
      if ratio < 1, term < 0x1p-60 * sum * (1 - ratio) { break }
      k += stride
    }
    return min(1, sum)
  }

  /// `lgamma` writes its sign to a global variable; all arguments here are positive.
  private static func logGamma(_ x: Double) -> Double { lgamma(x).0 }
}
