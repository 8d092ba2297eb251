import Foundation

/// The standard normal distribution.
package enum NormalDistribution {
  /// Probability of a value at or below `x`.
  package static func cumulative(_ x: Double) -> Double { erfc(-x * 0.5.squareRoot()) / 2 }

  /// The value that is not exceeded with probability `p` in (0, 1): bisection, then Newton's method to full
  /// precision.
  package static func quantile(_ p: Double) -> Double {
    precondition(p > 0 && p < 1)
    // In the lower tail both `erfc` and its slope keep their digits.
    if p > 0.5 { return -quantile(1 - p) }
    var (low, high) = (-39.0, 0.0)
    for _ in 0..<12 {
      let middle = (low + high) / 2
      if cumulative(middle) < p { low = middle } else { high = middle }
    }
    var x = (low + high) / 2
    for _ in 0..<20 {
      let density = exp(-x * x / 2) / (2 * Double.pi).squareRoot()
      let step = (cumulative(x) - p) / density
      x -= step
      if abs(step) <= 1e-15 * max(abs(x), 1e-3) { break }
    }
    return x
  }
}
