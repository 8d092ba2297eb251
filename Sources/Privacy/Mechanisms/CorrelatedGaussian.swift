import Foundation

/// Training with correlated noise and without sampling: every record takes part once in every `cycle` steps.
///
/// What is released is C x + z, x the clipped sums of all steps, C a banded Toeplitz matrix, z independent noise:
/// one Gaussian mechanism with the sensitivity of C under the pattern of participation (Choquette-Choo et al.
/// 2023, arXiv 2306.08153; Kalinin & Lampert 2024). The steps' gradients `x + C^-1 z` are made of it.
///
/// Neighbours differ by one record, added or removed; in which steps a record takes part must not depend on other
/// records.
public struct CorrelatedGaussian: Sendable, Hashable {
  public let steps: Int
  /// Steps from one participation of a record to its next.
  public let cycle: Int
  public let bands: Int
  /// Standard deviation of z divided by the clipping norm.
  public let noiseMultiplier: Double

  /// Memory is two numbers for each parameter and band.
  public static let mostBands = 256

  /// - Throws: `PrivacyError`.
  public init(steps: Int, cycle: Int, bands: Int, noiseMultiplier: Double) throws {
    try PrivacyError.check(noiseMultiplier: noiseMultiplier)
    try Self.check(steps: steps, cycle: cycle, bands: bands)
    (self.steps, self.cycle, self.bands) = (steps, cycle, bands)
    self.noiseMultiplier = noiseMultiplier
  }

  /// The least noise that keeps `epsilon` at `delta`.
  ///
  /// - Parameter bands: nil for those with the least error (``suitableBands(steps:cycle:)``).
  /// - Throws: `PrivacyError`.
  public init(steps: Int, cycle: Int, bands: Int? = nil, epsilon: Double, delta: Double) throws {
    try Self.check(steps: steps, cycle: cycle, bands: bands ?? 1)
    let bands = try bands ?? Self.suitableBands(steps: steps, cycle: cycle)
    let multiplier = try GaussianAccountant.noiseMultiplier(
      forEpsilon: epsilon, delta: delta, steps: 1)
    let sensitivity = try Self.strategy(bands: bands).sensitivity(
      Self.participation(steps: steps, cycle: cycle))
    // A little more than the quotient: the accountant's own last digits, and those of a ledger with twelve decimals, are
    // not to lift epsilon above what was asked for.
    try self.init(
      steps: steps, cycle: cycle, bands: bands,
      noiseMultiplier: multiplier * sensitivity * (1 + 1e-11))
  }

  private static func check(steps: Int, cycle: Int, bands: Int) throws {
    guard (1...1 << 24).contains(steps) else {
      throw PrivacyError(.badSteps, "the number of steps is \(steps), expected 1 to \(1 << 24)")
    }
    guard cycle >= 1, (1...mostBands).contains(bands) else {
      throw PrivacyError(
        .badParticipation,
        "a record takes part every \(cycle) steps with \(bands) bands, expected at least 1 step and 1 to \(mostBands) bands"
      )
    }
  }

  /// The earliest steps are taken: the first at 0, then every `cycle`.
  private static func participation(steps: Int, cycle: Int) throws -> Participation {
    try Participation(steps: steps, times: (steps - 1) / cycle + 1, separation: cycle)
  }

  private static func strategy(bands: Int) throws -> BandedToeplitz {
    try BandedToeplitz.squareRoot(bands: bands).rounded
  }

  /// How often a record takes part, and how close together.
  public var participation: Participation {
    get throws { try Self.participation(steps: steps, cycle: cycle) }
  }

  /// C: coefficients of the square root of prefix sums, cut after `bands` and rounded to 12 binary digits.
  public var strategy: BandedToeplitz { get throws { try Self.strategy(bands: bands) } }

  /// Euclidean sensitivity of C x, in clipping norms.
  public var sensitivity: Double {
    get throws { try strategy.sensitivity(participation) }
  }

  /// The whole training as one Gaussian release.
  public var accountant: GaussianAccountant {
    get throws { try account(steps: steps) }
  }

  /// The first `taken` steps of it.
  package func account(steps taken: Int) throws -> GaussianAccountant {
    guard taken > 0 else { return GaussianAccountant() }
    return try GaussianAccountant(
      strategy: strategy, participation: Self.participation(steps: taken, cycle: cycle),
      noiseMultiplier: noiseMultiplier)
  }

  /// The same as a step of private training without sampling, to compose with others.
  public var equivalent: SubsampledGaussian { get throws { try accountant.equivalent } }

  /// The number of bands, a power of two up to 64, whose prefix sums have the least mean variance at equal privacy.
  ///
  /// With b the bands, `sensitivity² × mean prefix variance` is compared; both are known without data. Cost:
  /// some milliseconds for ten thousand steps.
  public static func suitableBands(steps: Int, cycle: Int) throws -> Int {
    let participation = try participation(steps: steps, cycle: cycle)
    var best = (bands: 1, error: Double.infinity)
    var bands = 1
    while bands <= min(64, steps) {
      let strategy = try strategy(bands: bands)
      let sensitivity = strategy.sensitivity(participation)
      let variance = strategy.prefixVariances(count: steps).reduce(0, +) / Double(steps)
      let error = sensitivity * sensitivity * variance
      if error < best.error { best = (bands, error) }
      bands *= 2
    }
    return best.bands
  }
}
