public import Forecasters
import Foundation
import NumericsCore
import Privacy

/// What an attack on one private training found out, beside what the training claims.
public struct PrivateAudit: Sendable {
  /// Of the steps that were audited, with the noise of the whole training.
  public let claim: PrivacyCharge
  /// Of all bounds and of the verdict; see ``OneRunAudit``.
  public let confidence: Double
  public let canaries: Int
  /// How many of them were in the data.
  public let included: Int
  /// Epsilon is not below it, whatever the mechanism is.
  public let bound: Bound
  /// Epsilon is not below it, if the mechanism is the claimed one with some other noise; see ``CurveAudit``.
  public let curveBound: Double
  /// What `bound` would be if every guess had been right: it cannot refute a claim above.
  public let ceiling: Double
  /// Whether the guesses contradict what is claimed, by one of the two.
  public let isRefuted: Bool
  public let findings: [Finding]
  public let seconds: Double

  public struct Bound: Sendable, Equatable {
    public let epsilon: Double
    /// Of the guesses that it comes from.
    public let guesses: Int
    public let correct: Int
  }

  /// Something that was looked at beside the guesses.
  public struct Finding: Sendable, Equatable {
    public enum Name: String, Sendable, CaseIterable {
      /// Every unit independently in every batch, with the rate that is accounted for.
      case sampling
      /// Noise of the standard deviation that is accounted for, new in every step.
      case noise
      /// No unit changes the sum by more than the clipping norm.
      case sensitivity
      /// The model follows from the noisy sums and nothing else.
      case postProcessing = "post-processing"
    }
    public let name: Name
    public let isRight: Bool
    /// What was seen.
    public let detail: String
  }

  /// Whether nothing speaks against the claim.
  public var isConsistent: Bool { !isRefuted && findings.allSatisfy(\.isRight) }
}

extension PrivateTrainer {
  /// Canaries of an audit that says nothing else, where the model has so many parameters.
  public static let standardCanaries = 1000

  /// Trains as ``fit(_:on:progress:)`` does, on made-up public series with canaries among them, and reports how
  /// many of these are recognised.
  ///
  /// No private data are read, so nothing is to be charged: what is audited is the program and its
  /// configuration. Cost: that of so many steps on some hundred units, and a pass over the parameters for each
  /// canary in a batch.
  ///
  /// - Parameters:
  ///   - canaries: at most one for each parameter of the model; nil for the standard number.
  ///   - steps: of the training that are audited, from the first on; nil for all. The claim is that of these steps.
  ///   - confidence: of the bounds; 1 - confidence is how often a right training is called wrong at most, by
  ///     guesses.
  /// - Throws: `TrainingError`, `ForecasterError`, `PrivacyError`, and what `progress` throws.
  public func audit(
    _ forecaster: ForecasterConfiguration, canaries: Int? = nil, steps: Int? = nil,
    confidence: Double = 0.95, progress: (PrivateProgress) throws -> Void = { _ in }
  ) throws -> PrivateAudit {
    try audit(
      forecaster, canaries: canaries, steps: steps, confidence: confidence,
      stages: PrivateStages(), progress: progress)
  }

  /// - Parameter stages: what the training is made of; others than the standard ones are for tests.
  package func audit(
    _ forecaster: ForecasterConfiguration, canaries: Int? = nil, steps: Int? = nil,
    confidence: Double = 0.95, stages: PrivateStages,
    progress: (PrivateProgress) throws -> Void = { _ in }
  ) throws -> PrivateAudit {
    let began = Date()
    let network = try validate(forecaster)
    func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if !holds { throw TrainingError(.badConfiguration, text()) }
    }
    let canaries = canaries ?? min(Self.standardCanaries, network.layout.count)
    try require(
      (10...network.layout.count).contains(canaries),
      "canaries is \(canaries), expected 10 to \(network.layout.count): each needs a parameter of the model for itself"
    )
    try require(
      steps.map { (1...configuration.steps).contains($0) } ?? true,
      "steps is \(steps ?? 0), expected 1 to \(configuration.steps), the steps of the training")
    try require(
      confidence >= 0.5 && confidence < 1,
      "confidence is \(confidence), expected at least 0.5 and less than 1")
    let whole = try charge(network)
    try require(
      whole.mechanism == .gradients,
      "the mechanism is \(whole.mechanism.rawValue), expected gradients: only batches that are sampled are audited"
    )
    let claim = try whole.first(steps ?? configuration.steps)
    let mechanism = try SubsampledGaussian(
      samplingRate: claim.samplingRate, noiseMultiplier: claim.noiseMultiplier)

    let run = try PrivateRun(
      configuration, privacy, claim, forecaster, AuditPanel.make(forecaster, privacy),
      stages: stages)
    let auditor = PrivateAuditor(
      Canaries(count: canaries, random: stages.random()), claim: mechanism,
      expected: claim.samplingRate * Double(privacy.units), clippingNorm: privacy.clippingNorm,
      units: run.units.count, layout: run.layout, replica: .init(run.makeState()))
    let sensitivity = run.sensitivity(run.makeState().0, stages)
    let fit = try run.fit(auditor: auditor, progress)

    let delta = claim.delta - claim.addedDelta
    // Both bounds together hold with the confidence.
    let each = (1 + confidence) / 2
    let audit = OneRunAudit(auditor.canaries, confidence: each)
    let curve = try TradeOffCurve(PrivacyLossAccountant(mechanism, steps: claim.steps))
    let curveAudit = CurveAudit(auditor.canaries, curve, confidence: each)
    let (bound, ceiling) = (audit.bound(delta: delta), audit.ceiling(delta: delta))
    return PrivateAudit(
      claim: claim, confidence: confidence, canaries: canaries, included: auditor.records,
      bound: .init(bound),
      curveBound: try curveAudit.bound(mechanism, steps: claim.steps, delta: delta),
      ceiling: ceiling,
      isRefuted: bound.epsilon > claim.epsilon || curveAudit.refutes(curve),
      findings: [
        .init(auditor.sampling), .init(auditor.noise), .init(sensitivity),
        .init(follows: auditor.follows(fit.forecaster), steps: claim.steps),
      ],
      seconds: Date().timeIntervalSince(began))
  }
}

extension PrivateAudit.Bound {
  init(_ bound: OneRunAudit.Bound) {
    self.init(epsilon: bound.epsilon, guesses: bound.guesses, correct: bound.correct)
  }
}

extension PrivateAudit.Finding {
  private static func number(_ value: Double) -> String {
    value.formatted(.number.precision(.significantDigits(1...4)).grouping(.never))
  }

  init(_ sampling: SamplingCheck) {
    let faults = sampling.faults
    name = .sampling
    isRight = faults.isEmpty
    detail = (faults.isEmpty ? Array(sampling.counts.prefix(1)) : faults).map {
      "\($0.observed) \($0.name), expected \(Self.number($0.expected))"
    }.joined(separator: "; ")
  }

  init(_ noise: NoiseWitness) {
    name = .noise
    isRight = !noise.isOff
    let isRepeated =
      noise.isOff && noise.sums.count > 0
      && abs(noise.sums.deviation - noise.differences.deviation) > 0.1 * noise.all.deviation
    detail =
      "\(Self.number(noise.all.deviation)) times the noise that is claimed, in \(noise.all.count) numbers"
      + (isRepeated ? "; that of one step comes again in the next" : "")
  }

  init(_ sensitivity: PrivateRun.Sensitivity) {
    name = .sensitivity
    isRight = !sensitivity.isOff
    let isCrafted = sensitivity.crafted >= sensitivity.real
    detail =
      "at most \(Self.number(max(sensitivity.crafted, sensitivity.real))) clipping norms"
      + (sensitivity.isOff ? isCrafted ? ", in \(sensitivity.place)" : ", by a series" : "")
  }

  init(follows: Bool, steps: Int) {
    name = .postProcessing
    isRight = follows
    detail =
      follows
      ? "the weights are those that the noisy sums of \(steps) step\(steps == 1 ? "" : "s") give"
      : "the weights are not those that the noisy sums give"
  }
}

/// Made-up series that stand for the data of others in an audit.
enum AuditPanel {
  /// Series, or blocks.
  private static let count = 128

  static func make(_ forecaster: ForecasterConfiguration, _ privacy: PrivacyConfiguration) -> Panel
  {
    // One block each, or room for a few windows.
    let length =
      privacy.blockLength
      ?? TrainedForecaster.minimumObservations(forecaster) + 2 * forecaster.horizon
    var stream = RandomStream(seed: 1, purpose: "series of an audit")
    let season = Double(forecaster.seasonality.last ?? 1)
    var values: [Double] = []
    values.reserveCapacity(count * length)
    for _ in 0..<count {
      let (level, phase) = (10 + 90 * stream.uniform(), stream.uniform())
      for t in 0..<length {
        let angle = 2 * Double.pi * (Double(t) / max(2, season) + phase)
        values.append(level + 5 * sin(angle) + 4 * (stream.uniform() - 0.5))
      }
    }
    return Panel(
      keys: (0..<count).map { "series \($0)" }, offsets: (0...count).map { $0 * length },
      values: values, firstOrdinals: Array(repeating: 0, count: count))
  }
}
