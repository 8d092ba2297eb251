import Foundation

/// Which accountant answers.
public enum AccountantKind: String, Sendable, CaseIterable {
  /// Privacy loss distributions: within 0.1 % of the true epsilon.
  case pld
  /// Rényi divergence: looser, and comparable with other tools.
  case rdp

  /// An epsilon that holds at `delta` after `steps` steps of `mechanism`.
  ///
  /// - Throws: `PrivacyError`.
  public func epsilon(
    of mechanism: SubsampledGaussian, steps: Int, delta: Double
  ) throws -> Double {
    switch self {
    case .pld: return try PrivacyLossAccountant(mechanism, steps: steps).epsilon(atDelta: delta)
    case .rdp:
      var accountant = try RenyiAccountant()
      try accountant.compose(mechanism, steps: steps)
      return try accountant.epsilon(atDelta: delta)
    }
  }
}

/// The noise that a wanted epsilon needs.
public struct NoiseCalibration: Sendable, Equatable {
  /// The smallest noise multiplier found whose epsilon is not above the wanted one.
  public let noiseMultiplier: Double
  /// What it has: at most what was wanted.
  public let epsilon: Double

  /// Searched down to here: with less noise than that, clipped contributions stand out one by one.
  public static let leastNoise = 0x1p-6

  /// Finds the noise multiplier for `steps` steps with `samplingRate` to keep `epsilon` at `delta`.
  ///
  /// The root is bracketed all the time; what is returned is the upper end, whose epsilon was computed and is not
  /// above the wanted one. It is within 1e-4 of the least such noise.
  ///
  /// - Throws: `PrivacyError`.
  public init(
    epsilon target: Double, samplingRate: Double, steps: Int, delta: Double,
    accountant: AccountantKind = .pld
  ) throws {
    try PrivacyError.check(targetEpsilon: target)
    try PrivacyError.check(samplingRate: samplingRate)
    try PrivacyError.check(delta: delta)
    try PrivacyError.check(steps: steps)
    func epsilon(_ noise: Double) throws -> Double {
      try accountant.epsilon(
        of: SubsampledGaussian(samplingRate: samplingRate, noiseMultiplier: noise), steps: steps,
        delta: delta)
    }
    var low = (noise: Self.leastNoise, epsilon: try epsilon(Self.leastNoise))
    if low.epsilon <= target {
      noiseMultiplier = low.noise
      self.epsilon = low.epsilon
      return
    }
    // Without the help of sub-sampling the noise would surely do.
    let without = try GaussianAccountant.noiseMultiplier(
      forEpsilon: target, delta: delta, steps: steps)
    var high = (noise: max(without, 2 * low.noise), epsilon: Double.infinity)
    high.epsilon = try epsilon(high.noise)
    while high.epsilon > target {
      guard high.noise < 1e12 else {
        throw PrivacyError(
          .unreachable, "no noise multiplier keeps epsilon \(target) at delta \(delta)")
      }
      high.noise *= 2
      high.epsilon = try epsilon(high.noise)
    }
    // The epsilon of the lower end is meaningless where it is infinite; a factor 2 at a time brings it near.
    while low.noise < high.noise / 2 {
      let noise = high.noise / 2
      let found = try epsilon(noise)
      if found <= target {
        high = (noise, found)
      } else {
        low = (noise, found)
        break
      }
    }
    // Regula falsi on logarithms with halved weights (the Illinois rule), halving where that is slow.
    var (lowWeight, highWeight) = (1.0, 1.0)
    var rounds = 0
    while high.noise > low.noise * (1 + 1e-5), high.epsilon < target * (1 - 1e-5) {
      let (a, b) = (log(low.noise), log(high.noise))
      let fa = log(low.epsilon / target) * lowWeight
      let fb = max(log(high.epsilon / target), -50) * highWeight
      var share = fa / (fa - fb)
      if !share.isFinite || rounds % 4 == 3 { share = 0.5 }
      // A little beyond the root, so that the upper end moves.
      let noise = exp(a + (b - a) * min(0.999, max(0.001, share + 2e-6)))
      let found = try epsilon(noise)
      if found <= target {
        high = (noise, found)
        highWeight = 1
        lowWeight /= 2
      } else {
        low = (noise, found)
        lowWeight = 1
        highWeight /= 2
      }
      rounds += 1
    }
    noiseMultiplier = high.noise
    self.epsilon = high.epsilon
  }
}
