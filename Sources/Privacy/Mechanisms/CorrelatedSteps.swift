import Foundation
import NumericsCore

/// The steps of one training with correlated noise: who takes part when, the noise, and the account of both.
///
/// One object, so that they cannot disagree: a record is in the batches of its phase and in no other, and that
/// pattern is what the sensitivity is computed for. It cannot be copied: a copy would count for itself.
///
/// A step's sum goes to the grid's integers, is mixed with those before it by integer coefficients, and gets noise
/// on a finer grid: this is C x + z, bit for bit. The gradient is computed from that, by `g_t = (y_t -
/// sum of c_j g_(t - j)) / c_0`, and is the step's own sum plus correlated noise.
///
/// Memory: 16 bytes for each parameter and band.
public struct CorrelatedSteps: PrivateStepping, ~Copyable {
  public let mechanism: CorrelatedGaussian
  public private(set) var count: StepCount
  public var noiseMultiplier: Double { mechanism.noiseMultiplier }

  /// Grid of the sums below the noise's standard deviation; the noise has `BandedToeplitz.digits` bits more.
  package static let bits = 28

  private let strategy: BandedToeplitz
  private let members: [[Int]]
  private var random: [SecureRandom]
  private let normal = GridNormal(bits: bits + BandedToeplitz.digits)
  /// Sums and gradients of the last steps, a ring of `bands` rows each; private and released.
  private var sums: [Int64]
  private var gradients: [Double]
  private var mixed: [Int64]
  /// Contributions of a step whose mixture surely fits 64 bits, and leaves half of the range to the noise.
  private let capacity: Int
  private let parameters: Int
  private let clippingNorm: Double

  /// - Parameters:
  ///   - phases: for each record the step of a cycle that it takes part in, `0..<cycle`. It must be up to the record
  ///     alone (its key, its time), not to other records: see ``phase(of:cycle:)``.
  ///   - parameters: coordinates of a sum.
  /// - Throws: `PrivacyError`.
  public init(
    _ mechanism: CorrelatedGaussian, phases: [Int], parameters: Int, clippingNorm: Double
  ) throws {
    try self.init(
      mechanism, phases: phases, parameters: parameters, clippingNorm: clippingNorm,
      random: SecureRandom())
  }

  /// For tests, which must repeat.
  package init(
    _ mechanism: CorrelatedGaussian, phases: [Int], parameters: Int, clippingNorm: Double,
    random: SecureRandom
  ) throws {
    guard phases.allSatisfy((0..<mechanism.cycle).contains) else {
      throw PrivacyError(
        .badParticipation,
        "a record's phase is not one of the \(mechanism.cycle) steps of a cycle")
    }
    guard parameters >= 1, clippingNorm > 0, clippingNorm.isFinite else {
      throw PrivacyError(
        .badSensitivity,
        "there are \(parameters) parameters and the clipping norm is \(clippingNorm)")
    }
    let strategy = try mechanism.strategy
    count = try StepCount(planned: mechanism.steps)
    self.strategy = strategy
    self.mechanism = mechanism
    var members: [[Int]] = Array(repeating: [], count: mechanism.cycle)
    for (record, phase) in phases.enumerated() { members[phase].append(record) }
    self.members = members
    self.random = [random]
    self.parameters = parameters
    self.clippingNorm = clippingNorm
    let bands = mechanism.bands
    sums = Array(repeating: 0, count: bands * parameters)
    gradients = Array(repeating: 0, count: bands * parameters)
    mixed = Array(repeating: 0, count: parameters)
    let largest =
      exp2(Double(Self.bits + BandedToeplitz.digits)) / mechanism.noiseMultiplier
      * strategy.coefficients.reduce(0, +)
    capacity = Int(min(0x1p61 / largest, 0x1p40))
  }

  /// A phase that is up to a record's name alone, evenly spread (FNV-1a, 64 bits, mixed at the end).
  public static func phase(of name: String, cycle: Int) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
    return Int((hash ^ hash >> 33).multipliedFullWidth(by: UInt64(cycle)).high)
  }

  /// A sum that these steps release.
  ///
  /// - Throws: `PrivacyError.badGrid`.
  public func makeSum() throws -> ClippedSum {
    try ClippedSum(
      parameters: parameters, clippingNorm: clippingNorm, noiseMultiplier: noiseMultiplier,
      bits: Self.bits)
  }

  /// The records whose turn it is, in their order in the data.
  ///
  /// - Throws: `PrivacyError.stepsExhausted`, also where the last batch has not been released: noise depends on all
  ///   steps before.
  public mutating func nextBatch() throws -> [Int] {
    guard count.noised == count.taken else {
      throw PrivacyError(
        .stepsExhausted, "step \(count.taken) is to be released before the next batch is drawn")
    }
    try count.take()
    return members[(count.taken - 1) % mechanism.cycle]
  }

  public mutating func release(
    _ sum: inout ClippedSum, into result: UnsafeMutableBufferPointer<Double>, threads: Int
  ) throws {
    try check(sum)
    guard sum.bits == Self.bits, sum.parameters == parameters, result.count == parameters,
      sum.clippingNorm == clippingNorm
    else {
      throw PrivacyError(.badGrid, "the sum was not made by these steps: use makeSum()")
    }
    guard sum.count <= capacity else {
      throw PrivacyError(
        .badGrid, "more than \(capacity) contributions to a step: take smaller batches")
    }
    try count.addNoise()
    while random.count < threads { random.append(SecureRandom()) }
    let (normal, parameters) = (normal, parameters)
    let step = count.noised - 1
    let bands = mechanism.bands
    let row = step % bands
    let fine = sum.step * exp2(-Double(BandedToeplitz.digits))
    // Row of the step `back` steps before, and its coefficient.
    let terms = (0...min(step, bands - 1)).map { back in
      (row: (step - back) % bands * parameters, coefficient: strategy.coefficients[back])
    }
    let random = random
    sums.withUnsafeMutableBufferPointer { sums in
      sum.move(
        to: UnsafeMutableBufferPointer(rebasing: sums[row * parameters..<(row + 1) * parameters]))
      gradients.withUnsafeMutableBufferPointer { gradients in
        mixed.withUnsafeMutableBufferPointer { mixed in
          let work = Work(
            random: random, sums: sums, gradients: gradients, mixed: mixed, result: result,
            terms: terms, own: row * parameters, fine: fine)
          parallel(count: threads) { thread in
            work.release(
              parameters * thread / threads..<parameters * (thread + 1) / threads, normal,
              work.random[thread])
          }
        }
      }
    }
  }

  /// A step's release, for threads that have a stream and a range of coordinates of their own.
  private struct Work: @unchecked Sendable {
    let random: [SecureRandom]
    let sums: UnsafeMutableBufferPointer<Int64>
    let gradients: UnsafeMutableBufferPointer<Double>
    let mixed: UnsafeMutableBufferPointer<Int64>
    let result: UnsafeMutableBufferPointer<Double>
    let terms: [(row: Int, coefficient: Double)]
    /// Where the step's own row begins.
    let own: Int
    /// What one unit of the mixture is worth.
    let fine: Double

    func release(_ mine: Range<Int>, _ normal: GridNormal, _ random: SecureRandom) {
      for i in mine { mixed[i] = 0 }
      for term in terms {
        let factor = Int64(term.coefficient * exp2(Double(BandedToeplitz.digits)))
        for i in mine { mixed[i] &+= factor &* sums[term.row + i] }
      }
      normal.add(to: UnsafeMutableBufferPointer(rebasing: mixed[mine]), random)
      // The noise was rounded down: its middle is half a step higher. From here on it is post-processing.
      for i in mine { result[i] = (Double(mixed[i]) + 0.5) * fine }
      for term in terms.dropFirst() {
        for i in mine { result[i] -= term.coefficient * gradients[term.row + i] }
      }
      let first = terms[0].coefficient
      for i in mine {
        result[i] /= first
        gradients[own + i] = result[i]
      }
    }
  }

  /// What the steps taken so far cost.
  ///
  /// - Throws: `PrivacyError`, which cannot be as the mechanism was checked.
  public var accountant: GaussianAccountant {
    get throws { try mechanism.account(steps: taken) }
  }

  /// What all planned steps will cost.
  public var plannedAccountant: GaussianAccountant { get throws { try mechanism.accountant } }
}
