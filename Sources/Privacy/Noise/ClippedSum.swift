import Foundation
import NumericsCore

/// The sum of clipped contributions on a grid of integers, with normal noise: one release of the Gaussian
/// mechanism, bit for bit.
///
/// Each contribution is clipped, rounded to the grid, and only then added, in integers. So the sums of neighbouring
/// data sets differ by exactly one contribution, whose norm is at most the clipping norm after rounding; sums of
/// floating-point numbers would differ by rounding errors of all others too, and depend on the order. The grid's
/// step is `noise multiplier × clipping norm × 2^-bits`, so that the noise always is `GridNormal`.
///
/// Sensitivity: with d parameters, rounding to nearest adds at most `sqrt(d) / 2` steps to a norm (triangle
/// inequality). Contributions are clipped to a norm that is smaller by that, and by 2^-24 of it for the
/// rounding of the norm and of the products. Nothing is left for the accountant to add.
public struct ClippedSum: Sendable {
  /// Sensitivity: no contribution is longer.
  public private(set) var clippingNorm: Double
  public let noiseMultiplier: Double
  /// What one unit of the grid is worth.
  public private(set) var step: Double
  /// Norm that contributions are clipped to before they are rounded.
  public private(set) var usableNorm: Double
  /// Contributions added since the last release.
  public private(set) var count = 0

  /// Of the grid below the noise's standard deviation.
  let bits: Int
  private let normal: GridNormal
  private var values: [Int64]
  private let capacity: Int

  /// What a contribution is multiplied with, from its norm.
  public enum Clipping: Sendable, Equatable {
    /// `min(1, C / norm)` (Abadi et al. 2016).
    case flat
    /// `C / (norm + stabiliser)`: every contribution gets nearly the norm C, so that C is merely a unit of the
    /// learning rate (Bu et al. 2022, "Automatic clipping", arXiv 2206.07136, equation 3.2).
    case automatic(stabiliser: Double)
    /// As flat, to the norm `norm` below C, with another coordinate after the contribution's own: `mark` where it was
    /// not clipped, `-mark` where it was. With `norm² + mark² <= C²` the sensitivity is C.
    case counted(norm: Double, mark: Double)
  }

  /// - Parameter bits: of the grid below the noise's standard deviation.
  /// - Throws: `PrivacyError` when a norm or multiplier is not above 0, or the grid is too coarse for so many
  ///   parameters or too fine for 64-bit sums.
  public init(
    parameters: Int, clippingNorm: Double, noiseMultiplier: Double, bits: Int = 32
  ) throws {
    try PrivacyError.check(noiseMultiplier: noiseMultiplier)
    guard clippingNorm > 0, clippingNorm.isFinite else {
      throw PrivacyError(
        .badSensitivity,
        "the clipping norm is \(clippingNorm), expected a finite number above 0")
    }
    let largest = exp2(Double(bits)) / noiseMultiplier
    guard (8...40).contains(bits), parameters >= 1, parameters <= 1 << 28, largest <= 0x1p44 else {
      throw PrivacyError(
        .badGrid,
        "a grid of \(bits) bits does not suit \(parameters) parameters with noise multiplier \(noiseMultiplier)"
      )
    }
    (step, usableNorm) = Self.grid(parameters, clippingNorm, noiseMultiplier, bits)
    guard usableNorm > 0.99 * clippingNorm, step > .leastNormalMagnitude else {
      throw PrivacyError(
        .badGrid,
        "rounding \(parameters) parameters to \(bits) bits costs more than 1 % of the clipping norm: use more bits"
      )
    }
    self.clippingNorm = clippingNorm
    self.noiseMultiplier = noiseMultiplier
    self.bits = bits
    normal = GridNormal(bits: bits)
    values = Array(repeating: 0, count: parameters)
    // Half of the range is left to the noise.
    capacity = Int(min(0x1p62 / max(1, largest), 0x1p40))
  }

  private static func grid(
    _ parameters: Int, _ clippingNorm: Double, _ noiseMultiplier: Double, _ bits: Int
  ) -> (step: Double, usableNorm: Double) {
    let step = noiseMultiplier * clippingNorm * exp2(-Double(bits))
    return (
      step, clippingNorm * (1 - 0x1p-24) - step * Double(parameters).squareRoot() / 2
    )
  }

  /// Another sensitivity from the next contribution on; the noise grows with it.
  ///
  /// - Precondition: nothing was added since the last release.
  public mutating func change(clippingNorm: Double) {
    precondition(count == 0, "the sum has contributions of another norm")
    precondition(clippingNorm > 0x1p-500 && clippingNorm < 0x1p500, "norm \(clippingNorm)")
    self.clippingNorm = clippingNorm
    (step, usableNorm) = Self.grid(parameters, clippingNorm, noiseMultiplier, bits)
  }

  public var parameters: Int { values.count }

  /// One coordinate of the sum as it is, without noise: private. For the check of the noise.
  package func value(_ coordinate: Int) -> Double { Double(values[coordinate]) * step }

  /// Forgets what was added: it is in another sum now.
  package mutating func clear() {
    for i in values.indices { values[i] = 0 }
    count = 0
  }

  /// The sum as it is, without noise: private. For tests.
  package var gridValues: [Int64] { values }

  /// A contribution's norm, and what it was multiplied with.
  public struct Clipped: Sendable, Equatable {
    public let norm: Double
    public let factor: Double
  }

  /// Clips one record's contribution and adds it. Coordinates of the sum beyond the contribution's are left.
  ///
  /// Cost: two passes over it.
  ///
  /// - Throws: `PrivacyError.notFinite`, with the sum as it was.
  @discardableResult
  public mutating func add(
    _ contribution: UnsafeBufferPointer<Float>, _ clipping: Clipping = .flat
  ) throws -> Clipped {
    try addAny(contribution, clipping)
  }

  @discardableResult
  public mutating func add(
    _ contribution: UnsafeBufferPointer<Double>, _ clipping: Clipping = .flat
  ) throws -> Clipped {
    try addAny(contribution, clipping)
  }

  private mutating func addAny<Value: Real>(
    _ contribution: UnsafeBufferPointer<Value>, _ clipping: Clipping
  ) throws -> Clipped {
    precondition(contribution.count <= values.count, "more numbers than there are parameters")
    precondition(count < capacity, "more contributions than the sum has room for")
    guard let source = contribution.baseAddress else { preconditionFailure("no numbers") }
    let norm = Value.sumOfSquares(contribution.count, source).squareRoot()
    guard norm.isFinite else {
      throw PrivacyError(.notFinite, "a record's contribution is not a finite vector")
    }
    var bound = usableNorm
    var mark = 0.0
    switch clipping {
    case .flat: break
    case .automatic(let stabiliser):
      // Below 1 / norm of the flat rule in any case.
      bound = norm > 0 ? min(usableNorm, usableNorm * norm / (norm + max(0, stabiliser))) : 0
    case .counted(let norm, let size):
      // Shorter by what the whole is.
      let share = usableNorm / clippingNorm
      bound = norm * share
      mark = size * share
      precondition(
        bound * bound + mark * mark <= usableNorm * usableNorm * (1 + 0x1p-40)
          && contribution.count < values.count, "a norm of \(norm) with a mark of \(size)")
    }
    let factor: Double
    if case .automatic = clipping {
      factor = norm > 0 ? bound / norm : 0
    } else {
      factor = norm > bound ? bound / norm : 1
    }
    if factor < 1 { mark = -mark }
    let scale = factor / step
    values.withUnsafeMutableBufferPointer { values in
      // The products are at most 2^44.
      Value.addRounded(contribution.count, scale: scale, source, to: values.baseAddress!)
      if mark != 0 { values[contribution.count] &+= Int64((mark / step).rounded()) }
    }
    count += 1
    return Clipped(norm: norm, factor: factor)
  }

  /// Moves the sum in units of `step` to `result`, and starts again at zero.
  mutating func move(to result: UnsafeMutableBufferPointer<Int64>) {
    _ = result.update(from: values)
    clear()
  }

  /// Adds what another thread summed.
  public mutating func add(_ other: ClippedSum) {
    precondition(
      other.step == step && other.usableNorm == usableNorm && other.parameters == parameters,
      "both sums are to be on the same grid")
    precondition(count + other.count <= capacity, "more contributions than the sum has room for")
    for i in values.indices { values[i] &+= other.values[i] }
    count += other.count
  }

  /// Writes the noisy sum to `result` and starts again at zero.
  ///
  /// - Parameter random: a stream for each thread that shares the work.
  mutating func release(
    into result: UnsafeMutableBufferPointer<Double>, _ random: [SecureRandom]
  ) {
    precondition(result.count == values.count && !random.isEmpty)
    let (step, normal, threads) = (step, normal, random.count)
    values.withUnsafeMutableBufferPointer { values in
      let work = Work(random: random, values: values, result: result)
      parallel(count: threads) { thread in
        let range =
          work.values.count * thread / threads..<work.values.count * (thread + 1) / threads
        let values = UnsafeMutableBufferPointer(rebasing: work.values[range])
        let result = UnsafeMutableBufferPointer(rebasing: work.result[range])
        normal.add(to: values, work.random[thread])
        for i in values.indices {
          // The noise was rounded down: its middle is half a step higher.
          result[i] = (Double(values[i]) + 0.5) * step
          values[i] = 0
        }
      }
    }
    count = 0
  }

  private struct Work: @unchecked Sendable {  // threads have a stream and a range of their own
    let random: [SecureRandom]
    let values: UnsafeMutableBufferPointer<Int64>
    let result: UnsafeMutableBufferPointer<Double>
  }
}
