import Foundation

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
  public let clippingNorm: Double
  public let noiseMultiplier: Double
  /// What one unit of the grid is worth.
  public let step: Double
  /// Norm that contributions are clipped to before they are rounded.
  public let usableNorm: Double
  /// Contributions added since the last release.
  public private(set) var count = 0

  private let normal: GridNormal
  private var values: [Int64]
  private let capacity: Int

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
    step = noiseMultiplier * clippingNorm * exp2(-Double(bits))
    usableNorm = clippingNorm * (1 - 0x1p-24) - step * Double(parameters).squareRoot() / 2
    guard usableNorm > 0.99 * clippingNorm, step > .leastNormalMagnitude else {
      throw PrivacyError(
        .badGrid,
        "rounding \(parameters) parameters to \(bits) bits costs more than 1 % of the clipping norm: use more bits"
      )
    }
    self.clippingNorm = clippingNorm
    self.noiseMultiplier = noiseMultiplier
    normal = GridNormal(bits: bits)
    values = Array(repeating: 0, count: parameters)
    // Half of the range is left to the noise.
    capacity = Int(min(0x1p62 / max(1, largest), 0x1p40))
  }

  public var parameters: Int { values.count }

  /// The sum as it is, without noise: private. For tests.
  package var gridValues: [Int64] { values }

  /// Clips one record's contribution and adds it.
  ///
  /// - Returns: the factor it was multiplied with, at most 1.
  /// - Throws: `PrivacyError.notFinite`, with the sum as it was.
  @discardableResult
  public mutating func add(_ contribution: UnsafeBufferPointer<Float>) throws -> Double {
    try addAny(contribution)
  }

  @discardableResult
  public mutating func add(_ contribution: UnsafeBufferPointer<Double>) throws -> Double {
    try addAny(contribution)
  }

  // Compiled for each of the two types: unspecialised it is 60 times slower.
  @inline(__always)
  private mutating func addAny<Value: BinaryFloatingPoint>(
    _ contribution: UnsafeBufferPointer<Value>
  ) throws -> Double {
    precondition(contribution.count == values.count, "a contribution has one number per parameter")
    precondition(count < capacity, "more contributions than the sum has room for")
    // Four sums: independent additions, and errors that grow with a quarter of the terms.
    var squares = SIMD4<Double>()
    let whole = contribution.count & ~3
    for i in stride(from: 0, to: whole, by: 4) {
      let x = SIMD4(
        Double(contribution[i]), Double(contribution[i + 1]), Double(contribution[i + 2]),
        Double(contribution[i + 3]))
      squares += x * x
    }
    var square = squares.sum()
    for i in whole..<contribution.count {
      square += Double(contribution[i]) * Double(contribution[i])
    }
    guard square.isFinite else {
      throw PrivacyError(.notFinite, "a record's contribution is not a finite vector")
    }
    let norm = square.squareRoot()
    let factor = norm > usableNorm ? usableNorm / norm : 1
    let scale = factor / step
    // Adding 1.5 × 2^52 leaves the nearest integer in the lower bits of the sum: below 2^51, and they are at
    // most 2^44.
    let magic = 0x1.8p52
    let bias = Int64(bitPattern: magic.bitPattern)
    values.withUnsafeMutableBufferPointer { values in
      for i in 0..<contribution.count {
        let shifted = Double(contribution[i]) * scale + magic
        values[i] &+= Int64(bitPattern: shifted.bitPattern) &- bias
      }
    }
    count += 1
    return factor
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
  mutating func release(into result: UnsafeMutableBufferPointer<Double>, _ random: SecureRandom) {
    precondition(result.count == values.count)
    let step = step
    values.withUnsafeMutableBufferPointer { values in
      normal.add(to: values, random)
      for i in values.indices {
        // The noise was rounded down: its middle is half a step higher.
        result[i] = (Double(values[i]) + 0.5) * step
        values[i] = 0
      }
    }
    count = 0
  }
}
