/// Whether numbers have the variance of standard normal ones.
///
/// The sum of squares of n of these leaves `n - 2 sqrt(n x) ... n + 2 sqrt(n x) + 2 x` with probability at most
/// `2 exp(-x)` (Laurent & Massart 2000, lemma 1).
package struct NormalSquares: Sendable {
  package private(set) var sum = 0.0
  package private(set) var count = 0

  package init() {}

  package mutating func add(_ deviate: Double) {
    sum += deviate * deviate
    count += 1
  }

  package mutating func add(_ other: NormalSquares) {
    sum += other.sum
    count += other.count
  }

  /// Standard deviation, in units of what it should be.
  package var deviation: Double { (sum / Double(count)).squareRoot() }

  /// Whether the variance is too small or too large.
  ///
  /// - Parameter strictness: `x`; a false alarm has probability `2 exp(-x)` at most.
  package func isOff(strictness x: Double) -> Bool {
    let n = Double(count)
    let room = 2 * (n * x).squareRoot()
    // Written so that a sum which is no number counts as wrong.
    return !(sum >= n - room && sum <= n + room + 2 * x)
  }
}
