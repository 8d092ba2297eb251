/// The discrete Gaussian distribution on all integers: probabilities proportional to `exp(-k² / (2 variance))`.
///
/// Exact, in integer arithmetic on uniform bits (Canonne, Kamath & Steinke 2020, algorithms 1 to 3). Some
/// hundred nanoseconds a draw: for counts and other small releases; gradients get `GridNormal`. With integer
/// sensitivity D its Rényi divergence of order a is at most `a D² / (2 variance)`, as for the Gaussian (ibid.,
/// proposition 5), so `RenyiAccountant` covers it.
public struct DiscreteGaussian: Sendable {
  /// Of the distribution's parameter; the variance itself is a little smaller.
  public let variance: UInt64
  /// Scale of the discrete Laplace distribution that candidates come from.
  private let scale: UInt64

  /// - Throws: `PrivacyError.badNoiseMultiplier` unless 1 <= `variance` <= 2^40.
  public init(variance: UInt64) throws {
    guard variance >= 1, variance <= 1 << 40 else {
      throw PrivacyError(
        .badNoiseMultiplier, "the variance is \(variance), expected a number from 1 to 2^40")
    }
    self.variance = variance
    scale = UInt64(Double(variance).squareRoot()) + 1
  }

  public func next(_ random: SecureRandom) -> Int64 {
    while true {
      let (magnitude, isNegative) = laplace(random)
      // exp(-(|y| - variance / scale)² / (2 variance)), over a common denominator. Magnitudes above 2^20 scales
      // have probability exp(-2^20).
      guard magnitude < scale << 20 else { continue }
      let product = magnitude * scale
      let difference = UInt128(product > variance ? product - variance : variance - product)
      let denominator = 2 * UInt128(variance) * UInt128(scale) * UInt128(scale)
      if Self.bernoulli(exponent: difference * difference, over: denominator, random) {
        return isNegative ? -Int64(magnitude) : Int64(magnitude)
      }
    }
  }

  /// Discrete Laplace: probabilities proportional to `exp(-|k| / scale)` (algorithm 2).
  private func laplace(_ random: SecureRandom) -> (magnitude: UInt64, isNegative: Bool) {
    while true {
      let rest = random.index(below: scale)
      guard Self.bernoulli(exponent: UInt128(rest), over: UInt128(scale), random) else { continue }
      var whole: UInt64 = 0
      while Self.bernoulli(exponent: 1, over: 1, random) { whole += 1 }
      let magnitude = rest + whole * scale
      let isNegative = random.next() & 1 == 1
      if magnitude > 0 || !isNegative { return (magnitude, isNegative) }
    }
  }

  /// True with probability `exp(-exponent / over)` (algorithm 1).
  package static func bernoulli(
    exponent: UInt128, over denominator: UInt128, _ random: SecureRandom
  ) -> Bool {
    var rest = exponent
    while rest > denominator {
      guard bernoulliBelowOne(exponent: denominator, over: denominator, random) else {
        return false
      }
      rest -= denominator
    }
    return bernoulliBelowOne(exponent: rest, over: denominator, random)
  }

  private static func bernoulliBelowOne(
    exponent: UInt128, over denominator: UInt128, _ random: SecureRandom
  ) -> Bool {
    var k: UInt128 = 1
    while random.index(below: denominator * k) < exponent { k += 1 }
    return k & 1 == 1
  }
}
