import Foundation

/// The steps of one private training: draws their batches, makes their noise, and accounts for them.
///
/// One object, so that sampling and accounting cannot disagree: the rate that records are drawn with is the rate
/// that is accounted for, and a batch that was drawn is a step that was taken, also when nobody is in it or
/// training is broken off afterwards. It cannot be copied: a copy would count for itself.
///
/// `records`, the rate, the noise and the number of steps are public parameters: none may be derived from
/// private data. The order of records within a batch is theirs in the data.
public struct PrivateSteps: ~Copyable {
  public let mechanism: SubsampledGaussian
  /// How many records there are to draw from.
  public let records: Int
  /// How many steps were agreed upon; no more are given.
  public let planned: Int
  /// Steps whose batch was drawn.
  public private(set) var taken = 0
  /// Steps whose noise was added.
  public private(set) var noised = 0

  private let random: SecureRandom
  /// Streams of further threads.
  private var others: [SecureRandom] = []
  /// A record is in a batch when 64 random bits are below; `nil` for always.
  private let threshold: UInt64?

  /// - Throws: `PrivacyError`.
  public init(
    records: Int, samplingRate: Double, noiseMultiplier: Double, steps: Int
  ) throws {
    try self.init(
      records: records, samplingRate: samplingRate, noiseMultiplier: noiseMultiplier, steps: steps,
      random: SecureRandom())
  }

  /// For tests, which must repeat.
  package init(
    records: Int, samplingRate: Double, noiseMultiplier: Double, steps: Int, random: SecureRandom
  ) throws {
    let mechanism = try SubsampledGaussian(
      samplingRate: samplingRate, noiseMultiplier: noiseMultiplier)
    try PrivacyError.check(steps: steps)
    guard records >= 0 else {
      throw PrivacyError(.badSteps, "the number of records is \(records), expected 0 or more")
    }
    self.mechanism = mechanism
    self.records = records
    planned = steps
    self.random = random
    // Rounded down: nobody is drawn with more than the rate that is accounted for.
    threshold = samplingRate == 1 ? nil : UInt64(samplingRate * 0x1p64)
  }

  /// Draws the next batch: the numbers of its records, each of `0..<records` independently. An empty batch is a
  /// step like any other, and gets its noise.
  ///
  /// - Throws: `PrivacyError.stepsExhausted` when all planned steps were taken.
  public mutating func nextBatch() throws -> [Int] {
    guard taken < planned else {
      throw PrivacyError(
        .stepsExhausted, "all \(planned) planned steps were taken; more would cost more privacy")
    }
    taken += 1
    guard let threshold else { return Array(0..<records) }
    var batch: [Int] = []
    batch.reserveCapacity(Int(Double(records) * mechanism.samplingRate * 1.1) + 16)
    let upper = threshold >> 56
    let lower = threshold & (1 << 56 - 1)
    var word: UInt64 = 0
    for record in 0..<records {
      // The first eight of the 64 bits mostly decide; the other 56 are drawn when they do not.
      if record & 7 == 0 { word = random.next() }
      let first = word & 255
      word >>= 8
      if first < upper || (first == upper && random.next() >> 8 < lower) { batch.append(record) }
    }
    return batch
  }

  /// Writes the sum of a batch's contributions with the step's noise to `result`, and clears the sum.
  ///
  /// - Parameter threads: that share the drawing; each has a stream of its own.
  /// - Throws: `PrivacyError.badNoiseMultiplier` when the sum was made for other noise;
  ///   `PrivacyError.stepsExhausted` when every batch that was drawn has its noise already.
  public mutating func release(
    _ sum: inout ClippedSum, into result: UnsafeMutableBufferPointer<Double>, threads: Int = 1
  ) throws {
    guard sum.noiseMultiplier == mechanism.noiseMultiplier else {
      throw PrivacyError(
        .badNoiseMultiplier,
        "the sum has noise multiplier \(sum.noiseMultiplier), the steps \(mechanism.noiseMultiplier)"
      )
    }
    guard noised < taken else {
      throw PrivacyError(
        .stepsExhausted, "step \(taken) was released already: draw the next batch first")
    }
    noised += 1
    while others.count < threads - 1 { others.append(SecureRandom()) }
    sum.release(into: result, [random] + others.prefix(threads - 1))
  }

  /// What the steps taken so far cost.
  public var accountant: PrivacyLossAccountant { account(steps: taken) }

  /// What all planned steps will cost.
  public var plannedAccountant: PrivacyLossAccountant { account(steps: planned) }

  private func account(steps: Int) -> PrivacyLossAccountant {
    // Cannot fail: the mechanism is checked, and so is the number of steps.
    (try? PrivacyLossAccountant(mechanism, steps: steps)) ?? PrivacyLossAccountant()
  }

  /// How much any claim of delta grows because draws of noise differ a little from a normal distribution and bits
  /// are cut: 2^-104 for each parameter and step.
  public func samplingDelta(parameters: Int) -> Double {
    Self.samplingDelta(parameters: parameters, steps: planned)
  }

  /// The same before there are any steps.
  public static func samplingDelta(parameters: Int, steps: Int) -> Double {
    Double(steps) * Double(parameters) * GridNormal.distance
  }
}
