import Foundation

/// Quantiles of the standard normal distribution, exact to rounding.
package enum NormalQuantile {
  /// - Parameter level: in (0, 1).
  package static func of(_ level: Double) -> Double {
    precondition(level > 0 && level < 1)
    if level > 0.5 { return -of(1 - level) }
    // The lower half: halving, then Newton's steps on the distribution function.
    var (low, high) = (-40.0, 0.0)
    for _ in 0..<40 {
      let middle = (low + high) / 2
      if below(middle) < level { low = middle } else { high = middle }
    }
    var x = (low + high) / 2
    for _ in 0..<3 {
      let density = exp(-x * x / 2) / (2 * Double.pi).squareRoot()
      if density > 0 { x -= (below(x) - level) / density }
    }
    return x
  }

  private static func below(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }
}
