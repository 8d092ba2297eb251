import Foundation
package import NumericsCore

/// What is done to a gradient before the optimiser sees it: limited by value, then by global norm, then
/// given annealed noise.
package struct GradientShaping {
  /// 0 for none.
  let clippingNorm: Double
  /// 0 for none.
  let clippingValue: Double
  /// Variance of the first step's noise, `eta` of Neelakantan et al. 2015; 0 for none.
  let noise: Double
  let seed: UInt64

  package init(
    clippingNorm: Double = 0, clippingValue: Double = 0, noise: Double = 0, seed: UInt64 = 1
  ) {
    self.clippingNorm = clippingNorm
    self.clippingValue = clippingValue
    self.noise = noise
    self.seed = seed
  }

  /// - Parameter step: 0 for the first.
  /// - Returns: the factor that the optimiser is to apply; nil if the gradient is not finite.
  package func apply(to gradient: Buffer<Float>, step: Int) -> Double? {
    let squares =
      clippingValue > 0
      ? Float.clip(gradient.count, to: clippingValue, gradient.base)
      : Float.sumOfSquares(gradient.count, gradient.base)
    let norm = squares.squareRoot()
    guard norm.isFinite else { return nil }
    let scale = clippingNorm > 0 && norm > clippingNorm ? clippingNorm / norm : 1
    guard noise > 0 else { return scale }
    // After clipping: its size is to be what the schedule says.
    Float.addNoise(
      gradient.count, scale: scale, deviation: deviation(step),
      of: RandomStream(seed: seed, purpose: "gradient noise \(step)"), to: gradient.base)
    return 1
  }

  /// `sigma_t = sqrt(eta / (1 + t)^0.55)` (Neelakantan et al. 2015, eq. 1).
  package func deviation(_ step: Int) -> Double {
    (noise / pow(1 + Double(step), 0.55)).squareRoot()
  }
}
