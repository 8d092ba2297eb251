import Foundation

/// The steps of one private training: draws their batches, makes their noise, and accounts for them.
///
/// One object, so that sampling and accounting cannot disagree: the rate that records are drawn with is the rate
/// that is accounted for, and a batch that was drawn is a step that was taken, also when nobody is in it or
/// training is broken off afterwards. It cannot be copied: a copy would count for itself.
///
/// `records`, the rate, the noise and the number of steps are public parameters: none may be derived from
/// private data. The order of records within a batch is theirs in the data.
public struct PrivateSteps: PrivateStepping, ~Copyable {
  public let mechanism: SubsampledGaussian
  /// How many records there are to draw from.
  public let records: Int
  public private(set) var count: StepCount
  public var noiseMultiplier: Double { mechanism.noiseMultiplier }

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
    let count = try StepCount(planned: steps)
    guard records >= 0 else {
      throw PrivacyError(.badSteps, "the number of records is \(records), expected 0 or more")
    }
    self.count = count
    self.mechanism = mechanism
    self.records = records
    self.random = random
    // Rounded down: nobody is drawn with more than the rate that is accounted for.
    threshold = samplingRate == 1 ? nil : UInt64(samplingRate * 0x1p64)
  }

  /// Draws the next batch: each of `0..<records` is in it independently. An empty batch is a step like any other, and
  /// gets its noise.
  ///
  /// - Throws: `PrivacyError.stepsExhausted` when all planned steps were taken.
  public mutating func nextBatch() throws -> [Int] {
    try count.take()
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

  public mutating func release(
    _ sum: inout ClippedSum, into result: UnsafeMutableBufferPointer<Double>, threads: Int
  ) throws {
    try check(sum)
    try count.addNoise()
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

  /// How much any claim of delta grows through the sampler of the noise, before there are any steps.
  public static func samplingDelta(parameters: Int, steps: Int) -> Double {
    Double(steps) * Double(parameters) * GridNormal.distance
  }
}
