package import Privacy

/// What touches private data, by the public numbers that its cost follows from.
package enum PrivacyMechanism: Sendable, Hashable {
  /// `steps` steps of private training; see `SubsampledGaussian`.
  ///
  /// - Parameter addedDelta: counts in full beside the mechanism: what rounding in the sampler of the noise is
  ///   worth (`PrivateSteps.samplingDelta(parameters:)`).
  case subsampledGaussian(SubsampledGaussian, steps: Int, addedDelta: Double)
  /// A training with correlated noise.
  case correlatedGaussian(CorrelatedGaussian, addedDelta: Double)
  /// Noise on the values of `slots` time slots, in units of their sensitivity; see `InputPerturbation`.
  case inputGaussian(noiseMultiplier: Double, slots: Int, addedDelta: Double)
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
    try check(steps: steps, addedDelta: addedDelta)
    return try checked {
      .subsampledGaussian(
        try SubsampledGaussian(samplingRate: samplingRate, noiseMultiplier: noiseMultiplier),
        steps: steps, addedDelta: addedDelta)
    }
  }

  /// A training with correlated noise, from plain numbers; see `CorrelatedGaussian`.
  ///
  /// - Throws: `ServiceError.badArgument` when one of them is impossible.
  package static func correlated(
    steps: Int, cycle: Int, bands: Int, noiseMultiplier: Double, addedDelta: Double = 0
  ) throws -> PrivacyMechanism {
    try check(steps: steps, addedDelta: addedDelta)
    return try checked {
      .correlatedGaussian(
        try CorrelatedGaussian(
          steps: steps, cycle: cycle, bands: bands, noiseMultiplier: noiseMultiplier),
        addedDelta: addedDelta)
    }
  }

  /// Noise on the values of time slots; see `InputPerturbation`.
  ///
  /// - Throws: `ServiceError.badArgument` when a number is impossible.
  package static func inputs(
    noiseMultiplier: Double, slots: Int, addedDelta: Double = 0
  ) throws -> PrivacyMechanism {
    try check(steps: slots, addedDelta: addedDelta)
    return try checked {
      _ = try GaussianAccountant(noiseMultiplier: noiseMultiplier, steps: slots)
      return .inputGaussian(
        noiseMultiplier: noiseMultiplier, slots: slots, addedDelta: addedDelta)
    }
  }

  /// The same with other noise; a release stays what it is.
  func with(noiseMultiplier: Double) throws -> PrivacyMechanism {
    switch self {
    case .subsampledGaussian(let step, let steps, let added):
      try .training(
        samplingRate: step.samplingRate, noiseMultiplier: noiseMultiplier, steps: steps,
        addedDelta: added)
    case .correlatedGaussian(let run, let added):
      try .correlated(
        steps: run.steps, cycle: run.cycle, bands: run.bands, noiseMultiplier: noiseMultiplier,
        addedDelta: added)
    case .inputGaussian(_, let slots, let added):
      try .inputs(noiseMultiplier: noiseMultiplier, slots: slots, addedDelta: added)
    case .release: self
    }
  }

  private static func check(steps: Int, addedDelta: Double) throws {
    guard (1...mostSteps).contains(steps) else {
      throw bad("the number of steps is \(steps), expected 1 to \(mostSteps)")
    }
    guard addedDelta >= 0, addedDelta < 1 else {
      throw bad("the added delta is \(addedDelta), expected a number from 0 to 1")
    }
  }

  private static func checked(_ make: () throws -> PrivacyMechanism) throws -> PrivacyMechanism {
    do {
      return try make()
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
    case .correlatedGaussian: "correlated-gaussian"
    case .inputGaussian: "input-gaussian"
    case .release: "release"
    }
  }

  package var steps: Int? {
    switch self {
    case .subsampledGaussian(_, let steps, _), .inputGaussian(_, let steps, _): steps
    case .correlatedGaussian(let training, _): training.steps
    case .release: nil
    }
  }

  var noiseMultiplier: Double? {
    switch self {
    case .subsampledGaussian(let step, _, _): step.noiseMultiplier
    case .correlatedGaussian(let training, _): training.noiseMultiplier
    case .inputGaussian(let noise, _, _): noise
    case .release: nil
    }
  }

  var addedDelta: Double {
    switch self {
    case .subsampledGaussian(_, _, let added), .correlatedGaussian(_, let added),
      .inputGaussian(_, _, let added):
      added
    case .release(_, let delta): delta
    }
  }

  private static func bad(_ message: String) -> ServiceError { ServiceError(.badArgument, message) }
}
