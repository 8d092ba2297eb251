import Foundation

/// Privacy of the Gaussian mechanism without sub-sampling: every record takes part in every step.
///
/// Neighbours differ by adding or removing one record, whose contribution has a norm of at most 1 after
/// division by the clipping norm. `steps` such mechanisms together are one with `mu = sqrt(steps) / noise
/// multiplier` (Dong et al. 2022), whose (epsilon, delta) curve is known exactly (Balle & Wang 2018,
/// theorem 8). Results are rounded to the safe side: never below the true epsilon.
public struct GaussianAccountant: Sendable, Equatable {
  /// Standard deviation of the noise divided by the clipping norm.
  public let noiseMultiplier: Double
  public let steps: Int

  /// - Throws: `PrivacyError`.
  public init(noiseMultiplier: Double, steps: Int) throws {
    guard noiseMultiplier > 0, noiseMultiplier.isFinite else {
      throw PrivacyError(
        .badNoiseMultiplier,
        "the noise multiplier is \(noiseMultiplier), expected a finite number above 0")
    }
    guard steps >= 0 else {
      throw PrivacyError(.badSteps, "the number of steps is \(steps), expected 0 or more")
    }
    self.noiseMultiplier = noiseMultiplier
    self.steps = steps
  }

  /// The smallest delta for which `epsilon` holds.
  ///
  /// - Throws: `PrivacyError.badEpsilon` below 0.
  public func delta(atEpsilon epsilon: Double) throws -> Double {
    guard epsilon >= 0 else {
      throw PrivacyError(.badEpsilon, "epsilon is \(epsilon), expected 0 or more")
    }
    if steps == 0 || epsilon == .infinity { return 0 }
    return bound(epsilon)
  }

  /// The smallest epsilon that holds at `delta`, above the true one by 1e-12 of it at most.
  ///
  /// - Returns: infinity where it is beyond the largest number.
  /// - Throws: `PrivacyError.badDelta` outside of (0, 1).
  public func epsilon(atDelta delta: Double) throws -> Double {
    try Self.check(delta: delta)
    if steps == 0 || bound(0) <= delta { return 0 }
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
    guard epsilon > 0, epsilon.isFinite else {
      throw PrivacyError(.badEpsilon, "epsilon is \(epsilon), expected a finite number above 0")
    }
    guard steps >= 1 else {
      throw PrivacyError(.badSteps, "the number of steps is \(steps), expected at least 1")
    }
    try check(delta: delta)
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

  private static func check(delta: Double) throws {
    guard delta > 0, delta < 1 else {
      throw PrivacyError(.badDelta, "delta is \(delta), expected a number between 0 and 1")
    }
  }

  /// Delta at `epsilon`, plus what rounding may have taken from it.
  ///
  /// `delta = Phi(-y) - e^epsilon Phi(-x)` with `y = epsilon / mu - mu / 2` and `x = y + mu`. As
  /// `x² = y² + 2 epsilon`, the second term is `exp(-y² / 2) erfcx(x / sqrt 2) / 2`, which cannot overflow.
  private func bound(_ epsilon: Double) -> Double {
    let mu = (Double(steps).squareRoot() / noiseMultiplier).nextUp.nextUp
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

/// What is wrong with a question about privacy, in one sentence.
public struct PrivacyError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable { case badNoiseMultiplier, badSteps, badEpsilon, badDelta }

  public let code: Code
  public let message: String
  public var isTransient: Bool { false }
  public var description: String { message }

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }
}
