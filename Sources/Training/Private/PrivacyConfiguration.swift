import Forecasters
import Foundation
public import Privacy

/// What a guarantee of privacy is about: whatever the sampler draws and clips as one, and nothing larger.
public enum PrivacyUnit: String, Codable, Sendable, CaseIterable {
  /// All of a series.
  case series
  /// A stretch of time of a series.
  case block
  /// One window of context and horizon. Windows overlap: an observation is in many.
  case window
}

/// How contributions are brought to a bounded norm.
public enum PrivateClipping: String, Codable, Sendable, CaseIterable {
  /// `min(1, C / norm)` (Abadi et al. 2016).
  case flat
  /// `C / (norm + 0.01)` (Bu et al. 2022, arXiv 2206.07136): no norm to tune.
  case automatic
  /// Flat, with a norm that follows a quantile of the norms, which is counted privately (Andrew et al. 2021, arXiv
  /// 1905.03871); the count is paid for from the same epsilon.
  case adaptive
}

/// What makes the gradients of a training private.
public enum PrivateMechanism: String, Codable, Sendable, CaseIterable {
  /// Every unit is in a batch independently, and steps have independent noise: DP-SGD (Abadi et al. 2016).
  case gradients
  /// Every unit takes its turn, and noises of steps are correlated such that they cancel in sums: DP-FTRL (Kairouz et
  /// al. 2021; Choquette-Choo et al. 2023).
  case correlated
}

/// How a training is made private. All of it is public: none of these numbers may come from the data.
public struct PrivacyConfiguration: Codable, Sendable, Equatable {
  public var mechanism: PrivateMechanism
  public var unit: PrivacyUnit
  /// For everything that this training releases, at `delta`.
  public var epsilon: Double
  public var delta: Double
  /// How many units there are to draw from, as is known publicly; gradients are divided by the sampling rate times
  /// this. If the data have more or fewer, the promise holds all the same.
  public var units: Int
  /// Probability of a unit to be in a step's batch; nil for the training's batch (times `accumulate`) / `units`.
  /// Of `gradients`: in `correlated` noise every unit takes part once in `units / batch` steps, rounded up.
  public var samplingRate: Double?
  /// `C`; for `adaptive` where it starts.
  public var clippingNorm: Double
  public var clipping: PrivateClipping
  /// Windows that are drawn from each series or block of a batch, with replacement; their gradients are averaged
  /// before clipping.
  public var windowsPerSeries: Int
  /// Steps of the grid in a block; `block` only. Blocks begin where the grid's ordinal is a multiple.
  public var blockLength: Int?
  /// Of `adaptive`: the share of norms that is to lie below the clipping norm.
  public var quantile: Double
  public var accountant: AccountantKind
  /// Of `correlated`: of how many steps the noise is mixed; nil for what suits. Memory is 16 bytes for each parameter
  /// and band.
  public var bands: Int?

  public init(
    mechanism: PrivateMechanism = .gradients, unit: PrivacyUnit = .series, epsilon: Double,
    delta: Double, units: Int,
    samplingRate: Double? = nil, clippingNorm: Double = 1, clipping: PrivateClipping = .flat,
    windowsPerSeries: Int = 1, blockLength: Int? = nil, quantile: Double = 0.5,
    accountant: AccountantKind = .pld, bands: Int? = nil
  ) {
    self.mechanism = mechanism
    self.bands = bands
    self.unit = unit
    self.epsilon = epsilon
    self.delta = delta
    self.units = units
    self.samplingRate = samplingRate
    self.clippingNorm = clippingNorm
    self.clipping = clipping
    self.windowsPerSeries = windowsPerSeries
    self.blockLength = blockLength
    self.quantile = quantile
    self.accountant = accountant
  }

  /// - Throws: `TrainingError.badConfiguration`.
  public func validate() throws {
    func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if !holds { throw TrainingError(.badConfiguration, text()) }
    }
    try require(
      epsilon > 0 && epsilon.isFinite, "epsilon is \(epsilon), expected a finite number above 0")
    try require(
      delta > 0 && delta < 1, "delta is \(delta), expected a number between 0 and 1")
    try require(units >= 1, "units is \(units), expected at least 1")
    try require(
      delta < 1 / Double(units),
      "delta is \(delta) with \(units) units, expected less than 1 / units: else giving one of them away would be allowed"
    )
    if let samplingRate {
      try require(
        samplingRate > 0 && samplingRate <= 1,
        "samplingRate is \(samplingRate), expected above 0 and at most 1")
    }
    try require(
      clippingNorm >= 1e-6 && clippingNorm <= 1e6,
      "clippingNorm is \(clippingNorm), expected 1e-6 to 1e6")
    try require(
      windowsPerSeries >= 1, "windowsPerSeries is \(windowsPerSeries), expected at least 1")
    try require(
      unit != .window || windowsPerSeries == 1,
      "windowsPerSeries is \(windowsPerSeries), expected 1 where the unit is a window")
    if unit == .block {
      try require(
        blockLength != nil, "blockLength is missing, expected one where the unit is a block")
    } else {
      try require(
        blockLength == nil,
        "blockLength is \(blockLength ?? 0), expected none: the unit is no block")
    }
    if let blockLength {
      try require(blockLength >= 2, "blockLength is \(blockLength), expected at least 2")
    }
    switch mechanism {
    case .gradients:
      try require(
        bands == nil, "bands is \(bands ?? 0), expected none: only correlated noise has bands")
    case .correlated:
      try require(
        samplingRate == nil,
        "samplingRate is \(samplingRate ?? 0), expected none: with correlated noise units take turns and are not sampled"
      )
      try require(
        clipping != .adaptive,
        "clipping is adaptive, expected flat or automatic: correlated noise is of one size in all steps"
      )
      try require(
        accountant == .pld,
        "accountant is \(accountant.rawValue), expected none: correlated noise is one Gaussian release, whose epsilon is exact"
      )
      try require(
        bands.map { (1...CorrelatedGaussian.mostBands).contains($0) } ?? true,
        "bands is \(bands ?? 0), expected 1 to \(CorrelatedGaussian.mostBands)")
    }
    try require(
      quantile > 0 && quantile < 1, "quantile is \(quantile), expected above 0 and below 1")
  }

  /// The probability that a unit is in a batch.
  func rate(_ training: TrainingConfiguration) -> Double {
    samplingRate ?? min(1, Double(training.batch * training.accumulate) / Double(units))
  }

  /// Steps in which every unit takes part once.
  func cycle(_ training: TrainingConfiguration) -> Int {
    let batch = training.batch * training.accumulate
    return (units + batch - 1) / batch
  }
}

extension AccountantKind: Codable {}

extension PrivacyConfiguration {
  /// What was stored before there were mechanisms is about gradients.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      mechanism: try values.decodeIfPresent(PrivateMechanism.self, forKey: .mechanism)
        ?? .gradients,
      unit: try values.decode(PrivacyUnit.self, forKey: .unit),
      epsilon: try values.decode(Double.self, forKey: .epsilon),
      delta: try values.decode(Double.self, forKey: .delta),
      units: try values.decode(Int.self, forKey: .units),
      samplingRate: try values.decodeIfPresent(Double.self, forKey: .samplingRate),
      clippingNorm: try values.decode(Double.self, forKey: .clippingNorm),
      clipping: try values.decode(PrivateClipping.self, forKey: .clipping),
      windowsPerSeries: try values.decode(Int.self, forKey: .windowsPerSeries),
      blockLength: try values.decodeIfPresent(Int.self, forKey: .blockLength),
      quantile: try values.decode(Double.self, forKey: .quantile),
      accountant: try values.decode(AccountantKind.self, forKey: .accountant),
      bands: try values.decodeIfPresent(Int.self, forKey: .bands))
  }
}

/// What a private training costs, known before it reads anything private: what a ledger has to reserve.
///
/// The mechanism is `steps` steps of the Poisson-sampled Gaussian mechanism, or of correlated noise; neighbouring data
/// differ by one unit, added or removed. Charges of trainings on the same data compose: with ``losses()``, or by
/// hand from the parameters.
public struct PrivacyCharge: Codable, Sendable, Equatable {
  public let mechanism: PrivateMechanism
  public let unit: PrivacyUnit
  /// Steps of the grid in a block.
  public let blockLength: Int?
  /// What was asked for, at most.
  public let epsilon: Double
  public let delta: Double
  /// Share of the units in a step: where they are sampled, the probability of each.
  public let samplingRate: Double
  public let noiseMultiplier: Double
  /// Of correlated noise: steps from one participation of a unit to its next, and of how many steps noise is mixed.
  public let cycle: Int?
  public let bands: Int?
  public let steps: Int
  public let accountant: AccountantKind
  /// What of `delta` goes to draws of noise that differ a little from normal ones.
  public let addedDelta: Double

  /// The composed privacy losses of all steps.
  ///
  /// - Throws: `PrivacyError`.
  public func losses() throws -> PrivacyLossAccountant {
    if let correlated = try correlated() {
      return try PrivacyLossAccountant(correlated.equivalent, steps: 1)
    }
    return try PrivacyLossAccountant(
      SubsampledGaussian(samplingRate: samplingRate, noiseMultiplier: noiseMultiplier),
      steps: steps)
  }

  /// The mechanism where noise is correlated; nil else.
  ///
  /// - Throws: `PrivacyError`.
  public func correlated() throws -> CorrelatedGaussian? {
    guard let cycle, let bands else { return nil }
    return try CorrelatedGaussian(
      steps: steps, cycle: cycle, bands: bands, noiseMultiplier: noiseMultiplier)
  }

  /// The first `steps` steps of it alone: what these cost, with the noise that is made for all.
  ///
  /// - Throws: `PrivacyError`.
  func first(_ steps: Int) throws -> PrivacyCharge { try PrivacyCharge(self, steps: steps) }

  private init(_ whole: PrivacyCharge, steps: Int) throws {
    (mechanism, cycle, bands) = (whole.mechanism, whole.cycle, whole.bands)
    (unit, blockLength, delta) = (whole.unit, whole.blockLength, whole.delta)
    (samplingRate, noiseMultiplier) = (whole.samplingRate, whole.noiseMultiplier)
    (self.steps, accountant, addedDelta) = (steps, whole.accountant, whole.addedDelta)
    guard steps < whole.steps else {
      epsilon = whole.epsilon
      return
    }
    let usable = delta - addedDelta
    if let correlated = try whole.correlated() {
      epsilon = try correlated.account(steps: steps).epsilon(atDelta: usable)
    } else {
      epsilon = try accountant.epsilon(
        of: SubsampledGaussian(samplingRate: samplingRate, noiseMultiplier: noiseMultiplier),
        steps: steps, delta: usable)
    }
  }

  /// - Parameter parameters: of the model; draws of noise differ a little from normal ones, which is taken off delta
  ///   for each.
  /// - Throws: `TrainingError.badConfiguration`, `PrivacyError`.
  init(_ privacy: PrivacyConfiguration, _ training: TrainingConfiguration, parameters: Int) throws {
    try privacy.validate()
    unit = privacy.unit
    blockLength = privacy.blockLength
    delta = privacy.delta
    mechanism = privacy.mechanism
    steps = training.steps
    accountant = privacy.accountant
    addedDelta = PrivateSteps.samplingDelta(parameters: parameters, steps: steps)
    let usable = delta - addedDelta
    guard usable > delta / 2 else {
      throw TrainingError(
        .badConfiguration, "delta is \(delta), which is too small for \(steps) steps")
    }
    switch privacy.mechanism {
    case .gradients:
      samplingRate = privacy.rate(training)
      let calibration = try NoiseCalibration(
        epsilon: privacy.epsilon, samplingRate: samplingRate, steps: steps, delta: usable,
        accountant: privacy.accountant)
      noiseMultiplier = calibration.noiseMultiplier
      epsilon = calibration.epsilon
      (cycle, bands) = (nil, nil)
    case .correlated:
      let correlated = try CorrelatedGaussian(
        steps: steps, cycle: privacy.cycle(training), bands: privacy.bands,
        epsilon: privacy.epsilon, delta: usable)
      samplingRate = 1 / Double(correlated.cycle)
      noiseMultiplier = correlated.noiseMultiplier
      epsilon = try correlated.accountant.epsilon(atDelta: usable)
      (cycle, bands) = (correlated.cycle, correlated.bands)
    }
  }
}
