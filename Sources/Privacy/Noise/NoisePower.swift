/// Whether numbers that should be noise have the power that is accounted for.
///
/// The sum of squares of n standard normal numbers leaves `n - 2 sqrt(n x) ... n + 2 sqrt(n x) + 2 x` with
/// probability at most `2 exp(-x)` (Laurent & Massart 2000, lemma 1).
package struct NoisePower: Sendable {
  /// `x`: a false alarm in 1e16 times.
  package static let strictness = 40.0

  private var squares = 0.0
  package private(set) var count = 0

  package init() {}

  /// - Parameter deviate: in units of the standard deviation that it should have.
  package mutating func add(_ deviate: Double) {
    squares += deviate * deviate
    count += 1
  }

  package mutating func add(_ other: NoisePower) {
    squares += other.squares
    count += other.count
  }

  /// Standard deviation of the noise, in units of what it should be.
  package var deviation: Double { (squares / Double(count)).squareRoot() }

  /// The same; nil where it is what it should be.
  package var fault: Double? {
    let (n, x) = (Double(count), Self.strictness)
    let room = 2 * (n * x).squareRoot()
    guard squares >= n - room, squares <= n + room + 2 * x else {
      return deviation
    }
    return nil
  }
}
