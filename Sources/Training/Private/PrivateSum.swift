import Foundation
package import NumericsCore
package import Privacy

/// The noisy mean of clipped contributions, step by step: sums of several threads, the clipping rule, the noise,
/// the check that it is there.
///
/// Beside the coordinates of the parameters the sum has one for counting (``PrivateClipping/adaptive``), and some that
/// no contribution reaches: what comes out of these is noise and nothing else.
package final class PrivateSum {
  /// Coordinates that are held back for the check.
  static let heldBack = 256
  /// Stabiliser of automatic clipping (Bu et al. 2022).
  static let stabiliser = 0.01

  package let parameters: Int
  /// One for each thread.
  private var sums: [ClippedSum]
  /// Public number that the sum is divided by.
  private let expected: Double
  private let clipping: PrivateClipping
  private var adaptive: AdaptiveNorm?
  private let released: Buffer<Double>
  /// The noisy mean, held-back coordinates included.
  private let mean: Buffer<Float>
  private var check: NoiseCheck
  private var factors: [ClipFactors]

  /// Coordinates of the sums: of the parameters, the count, those held back.
  package var coordinates: Int { mean.count }

  /// - Parameters:
  ///   - expected: units of a batch, in expectation.
  ///   - correlated: the noise, where that of steps is not independent.
  /// - Throws: `PrivacyError`, `TrainingError.badConfiguration`.
  package init(
    parameters: Int, threads: Int, expected: Double, clipping: PrivateClipping,
    clippingNorm: Double,
    quantile: Double = 0.5, noiseMultiplier: Double, correlated: CorrelatedGaussian? = nil
  ) throws {
    self.parameters = parameters
    self.expected = expected
    self.clipping = clipping
    adaptive =
      clipping == .adaptive
      ? AdaptiveNorm(
        norm: clippingNorm, quantile: quantile, expected: expected,
        noiseMultiplier: noiseMultiplier) : nil
    let coordinates = parameters + 1 + Self.heldBack
    let sum = try ClippedSum(
      parameters: coordinates, clippingNorm: adaptive?.sensitivity ?? clippingNorm,
      noiseMultiplier: noiseMultiplier, bits: correlated == nil ? 32 : CorrelatedSteps.bits)
    sums = Array(repeating: sum, count: threads)
    released = Buffer(coordinates)
    mean = Buffer(coordinates)
    check = NoiseCheck(
      parameters: parameters, heldBack: parameters + 1..<coordinates,
      strategy: try correlated?.strategy)
    factors = Array(repeating: ClipFactors(), count: threads)
  }

  /// Norm that contributions are clipped to: for `adaptive` it changes, and is no secret.
  package var clippingNorm: Double { adaptive?.norm ?? sums[0].clippingNorm }

  /// Largest norm of what one unit adds, the coordinate for counting included: what the noise is for.
  package var sensitivity: Double { sums[0].clippingNorm }

  /// One coordinate of what was collected so far, without noise: private. For an audit.
  package func value(_ coordinate: Int) -> Double {
    sums.reduce(0) { $0 + $1.value(coordinate) }
  }

  /// Forgets what was collected. For an audit.
  package func clear() {
    for thread in sums.indices {
      sums[thread].clear()
      factors[thread] = ClipFactors()
    }
  }

  private var rule: ClippedSum.Clipping {
    if let adaptive { return .counted(norm: adaptive.norm, mark: adaptive.mark) }
    return clipping == .automatic ? .automatic(stabiliser: Self.stabiliser) : .flat
  }

  /// The sums of all threads, for the time in which threads use them.
  fileprivate struct Lanes: @unchecked Sendable {  // each thread uses those of its number only
    let sums: UnsafeMutableBufferPointer<ClippedSum>
    let factors: UnsafeMutableBufferPointer<ClipFactors>
  }

  /// Where a thread adds contributions.
  package struct Lane {
    fileprivate let lanes: Lanes
    fileprivate let thread: Int
    fileprivate let rule: ClippedSum.Clipping

    fileprivate init(_ lanes: Lanes, _ thread: Int, _ rule: ClippedSum.Clipping) {
      self.lanes = lanes
      self.thread = thread
      self.rule = rule
    }

    /// Adds one unit's gradient. One that is not finite counts as zero: that is up to the unit alone, so nothing
    /// is learnt from it, whereas ending the training would tell.
    package func add(_ gradient: Buffer<Float>) {
      let clipped = try? lanes.sums[thread].add(
        UnsafeBufferPointer(start: gradient.base, count: gradient.count), rule)
      lanes.factors[thread].count(clipped)
    }
  }

  /// Runs `body` on each thread with the place for its contributions.
  package func collect(_ body: @Sendable (_ thread: Int, Lane) -> Void) {
    let (rule, count) = (rule, sums.count)
    sums.withUnsafeMutableBufferPointer { sums in
      factors.withUnsafeMutableBufferPointer { factors in
        let lanes = Lanes(sums: sums, factors: factors)
        parallel(count: count) { thread in body(thread, Lane(lanes, thread, rule)) }
      }
    }
  }

  /// The noisy mean of what was collected since the last release; its first ``parameters`` numbers are the
  /// gradient.
  ///
  /// - Parameter contributions: that should have been collected.
  /// - Throws: `PrivacyError`, `TrainingError.notPrivate`.
  package func release<Steps: PrivateStepping & ~Copyable>(
    contributions: Int, _ steps: inout Steps
  ) throws -> Buffer<Float> {
    for thread in 1..<max(1, sums.count) {
      sums[0].add(sums[thread])
      sums[thread].clear()
      factors[0].add(factors[thread])
      factors[thread] = ClipFactors()
    }
    let factors = factors[0]
    self.factors[0] = ClipFactors()
    try factors.verify(contributions: contributions, summed: sums[0].count, norm: clippingNorm)
    let (sensitivity, noise) = (sums[0].clippingNorm, sums[0].noiseMultiplier)
    check.before(sums[0])
    try steps.release(
      &sums[0], into: UnsafeMutableBufferPointer(start: released.base, count: released.count),
      threads: sums.count)
    let scale = 1 / expected
    for k in 0..<mean.count { mean[k] = Float(released[k] * scale) }
    try check.after(mean, scale: scale, deviation: sensitivity * noise)
    if var adaptive {
      adaptive.update(counted: released[parameters])
      self.adaptive = adaptive
      for thread in sums.indices { sums[thread].change(clippingNorm: adaptive.sensitivity) }
    }
    return mean
  }
}

/// The clipping norm as a quantile of norms, estimated privately (Andrew et al. 2021, algorithm 1).
///
/// Every unit says whether its norm was below, as `mark` or `-mark` in a coordinate of its own; the noise of that
/// coordinate is that of all others. Contribution and mark together have the norm `sensitivity`, so that the
/// step costs what it costs without: the price is noise that is larger by `sensitivity / norm`.
package struct AdaptiveNorm {
  package private(set) var norm: Double
  private let quantile: Double
  private let expected: Double
  /// `mark / norm`.
  private let share: Double
  private let start: Double
  /// Learning rate of the norm's logarithm, 0.2 in the paper.
  private static var rate: Double { 0.2 }

  package init(norm: Double, quantile: Double, expected: Double, noiseMultiplier: Double) {
    self.norm = norm
    start = norm
    self.quantile = quantile
    self.expected = expected
    // Noise on the count of a twentieth of the batch, as there, as far as that leaves most to the gradient.
    let deviation = max(expected / 20, 2 * noiseMultiplier)
    let ratio = 2 * deviation / noiseMultiplier
    share = 1 / (ratio * ratio - 1).squareRoot()
  }

  package var mark: Double { norm * share }
  package var sensitivity: Double { norm * (1 + share * share).squareRoot() }

  /// - Parameter counted: the sum of the marks with its noise.
  package mutating func update(counted: Double) {
    let below = 0.5 + counted / (2 * mark * expected)
    norm *= exp(-Self.rate * (min(2, max(-1, below)) - quantile))
    // Limits that the data have no part in.
    norm = min(start * 1e6, max(start * 1e-6, norm))
  }
}
