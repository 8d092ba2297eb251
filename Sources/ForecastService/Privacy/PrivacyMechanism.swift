package import Privacy

/// What touches private data, by the public numbers that its cost follows from.
package enum PrivacyMechanism: Sendable, Hashable {
  /// `steps` steps of private training; see `SubsampledGaussian`.
  ///
  /// - Parameter addedDelta: counts in full beside the mechanism: what rounding in the sampler of the noise is
  ///   worth (`PrivateSteps.samplingDelta(parameters:)`).
  case subsampledGaussian(SubsampledGaussian, steps: Int, addedDelta: Double)
  /// Anything else that is known to be (epsilon, delta)-differentially private.
  case release(epsilon: EpsilonAmount, delta: Double)

  /// From plain numbers.
  ///
  /// - Throws: `ServiceError.badArgument` when one of them is impossible: no charge is made for parameters that
  ///   the accountant could not compose.
  package static func training(
    samplingRate: Double, noiseMultiplier: Double, steps: Int, addedDelta: Double = 0
  ) throws -> PrivacyMechanism {
    guard samplingRate > 0, samplingRate <= 1 else {
      throw bad("the sampling rate is \(samplingRate), expected a number above 0 and up to 1")
    }
    guard noiseMultiplier > 0, noiseMultiplier.isFinite else {
      throw bad("the noise multiplier is \(noiseMultiplier), expected a finite number above 0")
    }
    guard (1...mostSteps).contains(steps) else {
      throw bad("the number of steps is \(steps), expected 1 to \(mostSteps)")
    }
    guard addedDelta >= 0, addedDelta < 1 else {
      throw bad("the added delta is \(addedDelta), expected a number from 0 to 1")
    }
    do {
      return .subsampledGaussian(
        try SubsampledGaussian(samplingRate: samplingRate, noiseMultiplier: noiseMultiplier),
        steps: steps, addedDelta: addedDelta)
    } catch let error as PrivacyError {
      throw bad(error.message)
    }
  }

  /// A release with an (epsilon, delta) of its own.
  ///
  /// - Throws: `ServiceError.badArgument` when one of them is impossible.
  package static func release(epsilon: Double, delta: Double) throws -> PrivacyMechanism {
    guard let amount = EpsilonAmount(roundingUp: epsilon), amount > .zero else {
      throw bad("epsilon is \(epsilon), expected a number above 0 and below 1e15")
    }
    guard delta >= 0, delta < 1 else {
      throw bad("delta is \(delta), expected a number from 0 to 1")
    }
    return .release(epsilon: amount, delta: delta)
  }

  package static let mostSteps = 1_000_000_000_000

  /// As in `forecast.privacy_charge.mechanism`.
  package var name: String {
    switch self {
    case .subsampledGaussian: "subsampled-gaussian"
    case .release: "release"
    }
  }

  package var steps: Int? {
    if case .subsampledGaussian(_, let steps, _) = self { steps } else { nil }
  }

  var addedDelta: Double {
    switch self {
    case .subsampledGaussian(_, _, let added): added
    case .release(_, let delta): delta
    }
  }

  private static func bad(_ message: String) -> ServiceError { ServiceError(.badArgument, message) }
}
