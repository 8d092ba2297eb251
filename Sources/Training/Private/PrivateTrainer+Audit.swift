public import Forecasters
import Foundation
import NumericsCore
import Privacy

extension PrivateTrainer {
  /// Trains as ``fit(_:on:progress:)`` does, on made-up public series with canaries among them, and reports how
  /// many of these are recognised.
  ///
  /// No private data are read, so nothing is to be charged: what is audited is the program and its
  /// configuration. Cost: that of so many steps on some hundred units, and a pass over the parameters for each
  /// canary in a batch.
  ///
  /// - Parameters:
  ///   - canaries: at most one for each parameter of the model; nil for the standard number, or as many as there are
  ///     parameters.
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
    let canaries = canaries ?? min(PrivateAudit.standardCanaries, network.layout.count)
    guard canaries >= 10, canaries <= network.layout.count else {
      throw TrainingError(
        .badConfiguration,
        "canaries is \(canaries), expected 10 to \(network.layout.count): each needs a parameter of the model for itself"
      )
    }
    try PrivateAudit.check(
      steps: steps, of: configuration.steps, name: "the steps of the training",
      confidence: confidence)
    let charge = try charge(network).first(steps ?? configuration.steps)

    let run = try PrivateRun(
      configuration, privacy, charge, forecaster, AuditPanel.make(forecaster, privacy),
      stages: stages)
    let coins = Canaries(count: canaries, random: stages.random())
    let records = run.units.count + coins.isIncluded.count { $0 }
    let (mechanism, equivalent) = try mechanism(
      charge, forecaster, run, canaries: canaries, records: records, stages)
    let auditor = PrivateAuditor(
      coins, mechanism, expected: charge.samplingRate * Double(privacy.units),
      clippingNorm: privacy.clippingNorm, units: run.units.count, layout: run.layout,
      replica: .init(run.makeState()))
    let sensitivity = run.sensitivity(run.makeState().0, stages)
    let fit = try run.fit(auditor: auditor, progress)

    return try PrivateAudit(
      PrivateAudit.Claim(charge), auditor.canaries, equivalent.step, steps: equivalent.steps,
      addedDelta: charge.addedDelta, confidence: confidence,
      findings: [
        auditor.mechanism.finding, .init(auditor.noise), .init(sensitivity),
        .init(follows: auditor.follows(fit.forecaster), steps: charge.steps),
      ], began: began)
  }

  /// How canaries are scored, and the mechanism whose steps have the claimed trade-off curve.
  private func mechanism(
    _ charge: PrivacyCharge, _ forecaster: ForecasterConfiguration, _ run: PrivateRun,
    canaries: Int, records: Int, _ stages: PrivateStages
  ) throws -> (any AuditedMechanism, equivalent: (step: SubsampledGaussian, steps: Int)) {
    guard let correlated = try charge.correlated() else {
      let step = try SubsampledGaussian(
        samplingRate: charge.samplingRate, noiseMultiplier: charge.noiseMultiplier)
      return (AuditedSampling(step, records: records), (step, charge.steps))
    }
    // Turns are to be the same with one series less: the first, after which all others move up.
    let fewer = PrivateUnits(
      AuditPanel.make(forecaster, privacy, from: 1), privacy, forecaster)
    let isOwn = stages.phases(run.units, correlated.cycle).suffix(fewer.count)
      .elementsEqual(stages.phases(fewer, correlated.cycle))
    return (
      try AuditedTurns(correlated, canaries: canaries, records: records, isOwn: isOwn),
      (try correlated.equivalent, 1)
    )
  }
}
