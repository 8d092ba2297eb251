import Foundation

/// Input perturbation: normal noise on every value, before anything is computed from it.
///
/// Values are arranged in cells of time slots, such as counts of regions at half hours. Neighbours differ by one
/// person, who changes the cells of a slot by at most `sensitivity` in the Euclidean norm (1 for a count that a
/// person adds to in one cell, sqrt 2 if the person may also be moved from one cell to another), in at
/// most `slots` slots. Slots compose exactly: `mu = sqrt(slots) sensitivity / deviation`
/// (``GaussianAccountant``). Whatever is computed from the noisy values, training, selection and forecasts
/// included, is post-processing.
///
/// The promise is about one perturbation of each value: the same value with noise drawn again is another
/// release, and costs as much again. Which cells exist, and which of them are missing (NaN), is public.
///
/// Values are rounded to a grid of `deviation × 2^-32` before the noise is drawn on it (`GridNormal`), so that no low
/// bits of floating-point numbers tell anything; what rounding may add to the sensitivity is accounted for, in slots
/// of at most ``mostCells`` cells.
public struct InputPerturbation: Sendable, Hashable {
  /// In the unit of the values.
  public let sensitivity: Double
  /// Most slots in which one person's data are.
  public let slots: Int
  /// Standard deviation of the noise, in the unit of the values.
  public let deviation: Double

  /// Cells of one slot for which the accounting holds.
  public static let mostCells = 1 << 20
  private static let bits = 32
  /// In standard deviations: each of two values is off by at most one step of the grid, in each cell.
  private static let rounding = 2 * Double(mostCells).squareRoot() * 0x1p-32

  /// Noise of a given size.
  ///
  /// - Throws: `PrivacyError` unless all are finite and above 0.
  public init(sensitivity: Double, slots: Int, deviation: Double) throws {
    try Self.check(sensitivity: sensitivity, slots: slots)
    guard deviation > 0x1p-400, deviation < 0x1p400, sensitivity / deviation < 0x1p20 else {
      throw PrivacyError(
        .badNoiseMultiplier,
        "the noise's standard deviation is \(deviation) with sensitivity \(sensitivity), expected a finite number above 0 that is not out of all proportion"
      )
    }
    self.sensitivity = sensitivity
    self.slots = slots
    self.deviation = deviation
  }

  /// The least noise that keeps `epsilon` at `delta`.
  ///
  /// - Throws: `PrivacyError`, `.unreachable` for an epsilon that needs noise beyond a million sensitivities.
  public init(sensitivity: Double, slots: Int, epsilon: Double, delta: Double) throws {
    try Self.check(sensitivity: sensitivity, slots: slots)
    let share = 1 / (try Self.multiplier(slots: slots, epsilon: epsilon, delta: delta))
    // A little more than the quotient, as in CorrelatedGaussian.
    try self.init(
      sensitivity: sensitivity, slots: slots,
      deviation: sensitivity / (share - Self.rounding) * (1 + 1e-11))
  }

  private static func multiplier(slots: Int, epsilon: Double, delta: Double) throws -> Double {
    try PrivacyError.check(delta: delta)
    let usable = delta - samplingDelta(slots: slots)
    guard usable > delta / 2 else {
      throw PrivacyError(.badDelta, "delta is \(delta), which is too small for \(slots) slots")
    }
    let multiplier = try GaussianAccountant.noiseMultiplier(
      forEpsilon: epsilon, delta: usable, steps: slots)
    guard multiplier < 0x1p20 else {
      throw PrivacyError(
        .unreachable,
        "epsilon \(epsilon) over \(slots) slots needs noise of more than a million sensitivities")
    }
    return multiplier
  }

  private static func check(sensitivity: Double, slots: Int) throws {
    guard sensitivity > 0, sensitivity.isFinite else {
      throw PrivacyError(
        .badSensitivity, "the sensitivity is \(sensitivity), expected a finite number above 0")
    }
    guard (1...1 << 40).contains(slots) else {
      throw PrivacyError(.badSteps, "the number of slots is \(slots), expected at least 1")
    }
  }

  /// Noise in sensitivities, of one slot, rounding included.
  public var noiseMultiplier: Double {
    1 / (sensitivity / deviation + Self.rounding).nextUp.nextUp
  }

  /// Of the grid that values and noise are on, in the unit of the values.
  package var step: Double { deviation * exp2(-Double(Self.bits)) }

  /// What all slots of a person cost.
  public var accountant: GaussianAccountant {
    // Cannot fail: the parameters are checked.
    (try? GaussianAccountant(noiseMultiplier: noiseMultiplier, steps: slots))
      ?? GaussianAccountant()
  }

  /// The smallest epsilon that holds at `delta` for all slots of a person.
  ///
  /// - Throws: `PrivacyError.badDelta` outside of (0, 1), or where it is too small.
  public func epsilon(atDelta delta: Double) throws -> Double {
    try PrivacyError.check(delta: delta)
    return try accountant.epsilon(atDelta: delta - Self.samplingDelta(slots: slots))
  }

  /// How much any claim of delta grows because draws of noise differ a little from a normal distribution: 2^-104 for
  /// each cell.
  public static func samplingDelta(slots: Int) -> Double {
    Double(slots) * Double(mostCells) * GridNormal.distance
  }

  /// Puts noise on every value but NaN, from a key of the operating system; there is no seed.
  ///
  /// Values beyond `2^29` standard deviations are cut there: noise of such a size protects nothing in them.
  ///
  /// - Throws: `PrivacyError.notNoisy` when what was drawn is no noise of this size (a fault of this program);
  ///   the values are not to be used then.
  public func perturb(_ values: inout [Double]) throws { try perturb(&values, SecureRandom()) }

  /// From a key that somebody else holds: for tests and audits.
  package func perturb(_ values: inout [Double], _ random: SecureRandom) throws {
    let step = step
    let largest = step * 0x1p61
    let normal = GridNormal(bits: Self.bits)
    var power = NoisePower()
    for i in values.indices where !values[i].isNaN {
      let value = min(largest, max(-largest, values[i]))
      let near = (value / step).rounded()
      // What the quotient of large numbers lost, so that no value is off by more than a step.
      let rest = (value.addingProduct(-near, step) / step).rounded()
      let noisy = Int64(near) + Int64(rest) + normal.next(random)
      // The noise was rounded down: its middle is half a step higher.
      values[i] = (Double(noisy) + 0.5) * step
      power.add((values[i] - value) / deviation)
    }
    if let fault = power.fault {
      throw PrivacyError(
        .notNoisy,
        "the noise on the values is \(fault) times what is accounted for: they are not to be used, report this"
      )
    }
  }
}
