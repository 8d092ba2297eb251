/// The steps of a private training, as the trainer sees them: batches come from here, and so does their noise, and
/// what was given is what is accounted for.
public protocol PrivateStepping: ~Copyable {
  var count: StepCount { get }
  /// Of every step.
  var noiseMultiplier: Double { get }

  /// The numbers of the next batch's records. An empty batch is a step like any other, and gets its noise.
  ///
  /// - Throws: `PrivacyError.stepsExhausted` when all planned steps were taken.
  mutating func nextBatch() throws -> [Int]

  /// Writes the sum of a batch's contributions with the step's noise to `result`, and clears the sum.
  ///
  /// - Parameter threads: that share the drawing; each has a stream of its own.
  /// - Throws: `PrivacyError.badNoiseMultiplier` when the sum was made for other noise;
  ///   `PrivacyError.stepsExhausted` when every batch that was drawn has its noise already.
  mutating func release(
    _ sum: inout ClippedSum, into result: UnsafeMutableBufferPointer<Double>, threads: Int
  ) throws
}

extension PrivateStepping where Self: ~Copyable {
  /// How many steps were agreed upon; no more are given.
  public var planned: Int { count.planned }
  /// Steps whose batch was drawn.
  public var taken: Int { count.taken }
  /// Steps whose noise was added.
  public var noised: Int { count.noised }

  public mutating func release(
    _ sum: inout ClippedSum, into result: UnsafeMutableBufferPointer<Double>
  ) throws { try release(&sum, into: result, threads: 1) }

  /// - Throws: `PrivacyError.badNoiseMultiplier`.
  func check(_ sum: borrowing ClippedSum) throws {
    guard sum.noiseMultiplier == noiseMultiplier else {
      throw PrivacyError(
        .badNoiseMultiplier,
        "the sum has noise multiplier \(sum.noiseMultiplier), the steps \(noiseMultiplier)")
    }
  }

  /// How much any claim of delta grows because draws of noise differ a little from a normal distribution and bits
  /// are cut: 2^-104 for each parameter and step.
  public func samplingDelta(parameters: Int) -> Double {
    PrivateSteps.samplingDelta(parameters: parameters, steps: planned)
  }
}

/// How many steps were planned, drawn and noised.
public struct StepCount: Sendable, Equatable {
  public let planned: Int
  public private(set) var taken = 0
  public private(set) var noised = 0

  /// - Throws: `PrivacyError.badSteps`.
  init(planned: Int) throws {
    try PrivacyError.check(steps: planned)
    self.planned = planned
  }

  /// - Throws: `PrivacyError.stepsExhausted`.
  mutating func take() throws {
    guard taken < planned else {
      throw PrivacyError(
        .stepsExhausted, "all \(planned) planned steps were taken; more would cost more privacy")
    }
    taken += 1
  }

  /// - Throws: `PrivacyError.stepsExhausted`.
  mutating func addNoise() throws {
    guard noised < taken else {
      throw PrivacyError(
        .stepsExhausted, "step \(taken) was released already: draw the next batch first")
    }
    noised += 1
  }
}
