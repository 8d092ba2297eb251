import Foundation

/// Privacy of Gaussian mechanisms without sub-sampling: every record takes part in every release.
///
/// Neighbours differ by adding or removing one record, which moves a release by at most its sensitivity. A
/// release with noise of standard deviation `s` and sensitivity `D` has `mu = D / s`; releases together
/// are one with `mu = sqrt(sum of mu²)` (Dong et al. 2022, corollary 2), also where each depends on the results
/// before it. Its (epsilon, delta) curve is known exactly (Balle & Wang 2018, theorem 8). Results are rounded
/// to the safe side: never below the true epsilon.
///
/// Covers input perturbation: a person who is counted in at most one cell of each of `n` time slots, to which
/// noise of standard deviation `s` was added, has `mu = sqrt(n) / s`; one who may move between two cells
/// `sqrt(2 n) / s`.
public struct GaussianAccountant: Sendable, Equatable {
  /// Sensitivity divided by the standard deviation of the noise, of all together.
  public private(set) var mu: Double

  /// Nothing was released yet.
  public init() { mu = 0 }

  /// `steps` releases with sensitivity 1 and noise of standard deviation `noiseMultiplier`.
  ///
  /// - Throws: `PrivacyError`.
  public init(noiseMultiplier: Double, steps: Int) throws {
    try self.init(sensitivity: 1, noise: noiseMultiplier, releases: steps)
  }

  /// `releases` releases with noise of standard deviation `noise`, in the unit of `sensitivity`.
  ///
  /// - Throws: `PrivacyError`.
  public init(sensitivity: Double, noise: Double, releases: Int) throws {
    try PrivacyError.check(noiseMultiplier: noise)
    try PrivacyError.check(steps: releases)
    guard sensitivity >= 0, sensitivity.isFinite else {
      throw PrivacyError(
        .badSensitivity, "the sensitivity is \(sensitivity), expected a finite number from 0 up")
    }
    let mu = Double(releases).squareRoot() * sensitivity / noise
    self.mu = mu == 0 && releases > 0 && sensitivity > 0 ? .leastNormalMagnitude : mu.nextUp.nextUp
    if releases == 0 || sensitivity == 0 { self.mu = 0 }
  }

  init(mu: Double) throws {
    try self.init(sensitivity: mu, noise: 1, releases: 1)
  }

  /// Adds what `other` accounted for.
  public mutating func compose(_ other: GaussianAccountant) {
    if other.mu == 0 { return }
    // A rounding to the nearest could lose a small charge for ever.
    mu = mu == 0 ? other.mu : (mu * mu + other.mu * other.mu).squareRoot().nextUp.nextUp
  }

  /// The same as one step of private training without sampling.
  ///
  /// - Throws: `PrivacyError.badNoiseMultiplier` where nothing was released yet.
  package var equivalent: SubsampledGaussian {
    get throws { try SubsampledGaussian(samplingRate: 1, noiseMultiplier: (1 / mu).nextDown) }
  }

  /// The smallest delta for which `epsilon` holds.
  ///
  /// - Throws: `PrivacyError.badEpsilon` below 0.
  public func delta(atEpsilon epsilon: Double) throws -> Double {
    try PrivacyError.check(epsilon: epsilon)
    if mu == 0 || epsilon == .infinity { return 0 }
    return bound(epsilon)
  }

  /// The smallest epsilon that holds at `delta`, above the true one by 1e-12 of it at most.
  ///
  /// - Returns: infinity where it is beyond the largest number.
  /// - Throws: `PrivacyError.badDelta` outside of (0, 1).
  public func epsilon(atDelta delta: Double) throws -> Double {
    try PrivacyError.check(delta: delta)
    if mu == 0 || bound(0) <= delta { return 0 }
    var high = 1.0
    while bound(high) > delta {
      high *= 2
      if high > 1e300 { return .infinity }
    }
    var low = high > 1 ? high / 2 : 0
    while high - low > 1e-13 * high {
      let middle = low + (high - low) / 2
      if bound(middle) <= delta { high = middle } else { low = middle }
    }
    return high  // its delta was seen to hold
  }

  /// The smallest noise multiplier with which `steps` steps keep `epsilon` at `delta`.
  ///
  /// - Throws: `PrivacyError` for epsilon not above 0 or delta outside of (0, 1).
  public static func noiseMultiplier(
    forEpsilon epsilon: Double, delta: Double, steps: Int
  ) throws -> Double {
    try PrivacyError.check(targetEpsilon: epsilon)
    guard steps >= 1 else {
      throw PrivacyError(.badSteps, "the number of steps is \(steps), expected at least 1")
    }
    try PrivacyError.check(delta: delta)
    func holds(_ noise: Double) throws -> Bool {
      try GaussianAccountant(noiseMultiplier: noise, steps: steps).bound(epsilon) <= delta
    }
    var high = 1.0
    while try !holds(high) { high *= 2 }
    var low = high / 2
    while try holds(low) {
      high = low
      low /= 2
    }
    while high - low > 1e-13 * high {
      let middle = low + (high - low) / 2
      if try holds(middle) { high = middle } else { low = middle }
    }
    return high
  }

  /// Delta at `epsilon`, plus what rounding may have taken from it.
  ///
  /// `delta = Phi(-y) - e^epsilon Phi(-x)` with `y = epsilon / mu - mu / 2` and `x = y + mu`. As
  /// `x² = y² + 2 epsilon`, the second term is `exp(-y² / 2) erfcx(x / sqrt 2) / 2`, which cannot overflow.
  private func bound(_ epsilon: Double) -> Double {
    let y = epsilon / mu - mu / 2
    let x = epsilon / mu + mu / 2
    let root = 0.5.squareRoot()
    let density = exp(-y * y / 2) / 2
    let first = y > 0 ? density * ScaledErrorFunction.erfcx(y * root) : erfc(y * root) / 2
    let second = density * ScaledErrorFunction.erfcx(x * root)
    // Rounding of y² alone moves the density by y² ulps.
    let margin = (64 + y * y + abs(epsilon / mu) * abs(y)) * .ulpOfOne * (first + second)
    return min(1, max(0, first - second) + margin)
  }
}

/// `erfcx(z) = exp(z²) erfc(z)` for `z >= 0`.
enum ScaledErrorFunction {
  static func erfcx(_ z: Double) -> Double {
    if z < 2.5 { return exp(z * z) * erfc(z) }
    // Continued fraction, from the inside out (Abramowitz & Stegun 7.1.14).
    var fraction = z
    for k in stride(from: 80, through: 1, by: -1) { fraction = z + Double(k) / 2 / fraction }
    return 1 / (fraction * Double.pi.squareRoot())
  }
}
