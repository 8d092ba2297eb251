public import Forecasters
import Foundation
import NumericsCore
import Privacy

/// Fits one forecaster to all series of a panel with differential privacy (Abadi et al. 2016; Kairouz et al. 2021).
///
/// Every step draws each unit independently (Poisson), or lets units take turns (``PrivateMechanism/correlated``),
/// computes one gradient for each unit in the batch, clips it, adds noise to the sum, and divides by a public
/// number; the optimiser goes on as usual. The number of
/// steps is fixed, nothing is held out, and no loss is looked at: each would be a release of its own. Of the
/// training configuration `clippingNorm`, `validationWindows`, `patience` and `refitOnAll` have no meaning here.
///
/// A training cannot be repeated: the noise has no seed.
public struct PrivateTrainer: Sendable {
  public let configuration: TrainingConfiguration
  public let privacy: PrivacyConfiguration

  public init(_ configuration: TrainingConfiguration, privacy: PrivacyConfiguration) {
    self.configuration = configuration
    self.privacy = privacy
  }

  /// What ``fit(_:on:progress:)`` will cost. It needs no data: a ledger reserves it before they are read.
  ///
  /// - Throws: `TrainingError.badConfiguration`, `ForecasterError`, `PrivacyError`.
  public func charge(_ forecaster: ForecasterConfiguration) throws -> PrivacyCharge {
    try charge(validate(forecaster))
  }

  func charge(_ network: ForecastNetwork<Float>) throws -> PrivacyCharge {
    try PrivacyCharge(privacy, configuration, parameters: network.layout.count)
  }

  func validate(_ forecaster: ForecasterConfiguration) throws -> ForecastNetwork<Float> {
    func refuse(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if holds { throw TrainingError(.badConfiguration, text()) }
    }
    try configuration.validate()
    try privacy.validate()
    try refuse(
      configuration.timeBudgetSeconds != nil,
      "timeBudgetSeconds is set, expected none: a private training takes all its steps")
    try refuse(
      configuration.clippingValue > 0 || configuration.gradientNoise > 0,
      "clippingValue or gradientNoise is set, expected neither: privacy clips and adds noise itself"
    )
    try forecaster.validate()
    let entry = Registry.entry(forecaster.kind) as? any NetworkArchitecture.Type
    guard entry?.fitting == .gradient else {
      throw TrainingError(
        .badConfiguration,
        "\(forecaster.kind) is not trained by gradients, expected a model that is: only these can be trained privately"
      )
    }
    if let length = privacy.blockLength {
      let least = TrainedForecaster.minimumObservations(forecaster) + (forecaster.horizon + 1) / 2
      try refuse(
        length < least, "blockLength is \(length), expected at least \(least) for one window")
    }
    return try ForecastNetwork<Float>(forecaster)
  }

  /// - Parameter progress: called after every step; what it throws ends the training, which has cost what
  ///   was charged for it all the same.
  /// - Throws: `TrainingError`, `ForecasterError`, `PrivacyError`, and what `progress` throws.
  public func fit(
    _ forecaster: ForecasterConfiguration, on panel: Panel,
    progress: (PrivateProgress) throws -> Void = { _ in }
  ) throws -> PrivateFit {
    let charge = try charge(validate(forecaster))
    guard privacy.unit != .series || panel.count > 1 else {
      throw TrainingError(
        .badConfiguration,
        "the unit is series and there is one series: a model of it alone cannot hide it; use the unit block or window"
      )
    }
    let run = try PrivateRun(configuration, privacy, charge, forecaster, panel)
    return try run.fit(progress)
  }

  /// Bytes that ``fit(_:on:progress:)`` will take, panel apart: all that is planned before the first step.
  ///
  /// - Throws: `TrainingError.badConfiguration`, `ForecasterError`.
  public func plannedBytes(_ forecaster: ForecasterConfiguration) throws -> Int {
    let network = try validate(forecaster)
    let threads = min(configuration.threads, configuration.batch)
    let pass = PrivatePass(network, configuration, privacy, threads: threads)
    let step =
      pass.units > 1
      ? network.unitBytes(pass.units, windows: pass.windows)
      : network.trainingBytes(pass.windows, recompute: configuration.recompute)
    // For each thread a gradient and a sum of 64 bits; weights, average, two moments, the noisy sum and mean.
    let each = network.layout.count * MemoryLayout<Float>.stride
    // Of correlated noise a sum and a gradient for each band, of 64 bits.
    let bands = try charge(network).bands ?? 0
    return threads * (step + 3 * each) + (7 + 4 * bands) * each
  }
}

/// How far a private training is. It says nothing about how good the model is: that is private.
public struct PrivateProgress: Sendable {
  public let step: Int
  public let steps: Int
  /// Fraction of all work that is done, 0 to 1.
  public var fraction: Double { Double(step) / Double(steps) }
}

/// A privately fitted forecaster and what it cost.
public struct PrivateFit: Sendable {
  public let forecaster: TrainedForecaster
  public let charge: PrivacyCharge
  /// Clipping norm of the last step; it differs from the first one for adaptive clipping.
  public let clippingNorm: Double
  public let seconds: Double
}

/// One private training.
final class PrivateRun {
  private let configuration: TrainingConfiguration
  private let charge: PrivacyCharge
  let memory: TrainingMemory
  let units: PrivateUnits
  private let pass: PrivatePass
  let sum: PrivateSum
  private let stages: PrivateStages
  private let began = Date()
  /// Masks go by the position in a batch, so others' masks change with one unit less: only their distribution stays,
  /// and that is enough where nobody knows them.
  private let dropoutSeed = UInt64.random(in: .min ... .max)

  init(
    _ configuration: TrainingConfiguration, _ privacy: PrivacyConfiguration,
    _ charge: PrivacyCharge, _ forecaster: ForecasterConfiguration, _ panel: Panel,
    stages: PrivateStages = PrivateStages()
  ) throws {
    self.configuration = configuration
    self.charge = charge
    self.stages = stages
    memory = try TrainingMemory(
      forecaster, threads: min(configuration.threads, configuration.batch),
      recompute: configuration.recompute)
    units = PrivateUnits(panel, privacy, forecaster)
    pass = PrivatePass(memory.network, configuration, privacy, threads: memory.threads)
    sum = try PrivateSum(
      parameters: memory.network.layout.count, threads: memory.threads,
      expected: charge.samplingRate * Double(privacy.units), clipping: privacy.clipping,
      clippingNorm: privacy.clippingNorm, quantile: privacy.quantile,
      noiseMultiplier: charge.noiseMultiplier, correlated: charge.correlated())
  }

  var layout: ParameterLayout { memory.network.layout }

  /// - Parameter auditor: adds records of its own and looks on; nil in a job.
  func fit(
    auditor: PrivateAuditor? = nil, _ progress: (PrivateProgress) throws -> Void
  ) throws -> PrivateFit {
    let records = units.count + (auditor?.records ?? 0)
    if let correlated = try charge.correlated() {
      var steps = try CorrelatedSteps(
        correlated,
        phases: stages.phases(units, correlated.cycle) + (auditor?.phases ?? []),
        parameters: sum.coordinates, clippingNorm: sum.clippingNorm, random: stages.random())
      return try fit(&steps, records: records, auditor: auditor, progress)
    }
    var steps = try PrivateSteps(
      records: records, samplingRate: charge.samplingRate,
      noiseMultiplier: charge.noiseMultiplier, steps: charge.steps, random: stages.random())
    return try fit(&steps, records: records, auditor: auditor, progress)
  }

  private func fit<Steps: PrivateStepping & ~Copyable>(
    _ steps: inout Steps, records: Int, auditor: PrivateAuditor?,
    _ progress: (PrivateProgress) throws -> Void
  ) throws -> PrivateFit {
    let (parameters, optimiser, average) = makeState()
    let schedule = LearningRateSchedule(
      configuration.schedule, peak: configuration.learningRate, steps: charge.steps,
      warmup: configuration.warmup, gamma: configuration.gamma, stepSize: configuration.stepSize)
    for step in 0..<charge.steps {
      let batch = try stages.draw(records) { try steps.nextBatch() }
      var contributions = collect(batch, step: step, parameters)
      contributions += auditor?.contribute(batch, to: sum, stages) ?? 0
      let gradient = try stages.release(sum, contributions) {
        try sum.release(contributions: $0, &steps)
      }
      auditor?.observe(gradient)
      stages.apply(optimiser, parameters, gradient, schedule.rate(step))
      auditor?.replay(gradient, rate: schedule.rate(step))
      // The weights are no secret, nor is whether they are finite.
      guard Float.sumOfSquares(parameters.count, parameters.base).isFinite else {
        throw TrainingError(
          .notFinite, "the weights have diverged at step \(step + 1): lower the learning rate")
      }
      average.add(parameters)
      try progress(PrivateProgress(step: step + 1, steps: charge.steps))
    }
    guard steps.taken == charge.steps, steps.noised == steps.taken else {
      throw TrainingError(
        .notPrivate,
        "\(steps.noised) of \(steps.taken) steps had noise where \(charge.steps) were accounted for: report this"
      )
    }
    return PrivateFit(
      forecaster: TrainedForecaster(
        configuration: memory.network.configuration, parameters: average.weights.array),
      charge: charge, clippingNorm: sum.clippingNorm, seconds: Date().timeIntervalSince(began))
  }

  /// The weights at the beginning, the optimiser's state, and the average of the weights.
  func makeState() -> (Buffer<Float>, Optimiser<Float>, WeightAverage) {
    let parameters = memory.network.initialParameters(
      seed: configuration.seed, wideIntervals: true)
    return (
      parameters,
      Optimiser<Float>(
        configuration.optimiser, count: parameters.count, weightDecay: configuration.weightDecay,
        momentum: configuration.momentum, nesterov: configuration.nesterov),
      WeightAverage(parameters, configuration.averaging, steps: charge.steps)
    )
  }

  /// Adds the clipped gradients of a batch; returns how many there were. An empty batch has none.
  func collect(_ batch: [Int], step: Int, _ parameters: Buffer<Float>) -> Int {
    var windows: [WindowIndex.Window] = []
    windows.reserveCapacity(batch.count * pass.windows)
    for unit in batch where unit < units.count {
      units.draw(unit, seed: configuration.seed, step: step, into: &windows)
    }
    let count = windows.count / pass.windows
    let (network, workspaces, threads) = (memory.network, memory.workspaces, memory.threads)
    let (pass, panel, seed, add) = (pass, units.panel, dropoutSeed, stages.add)
    sum.collect { [windows] thread, lane in
      let workspace = workspaces[thread]
      let mine = Shard(of: count, over: threads, number: thread).range
      for first in stride(from: mine.lowerBound, to: mine.upperBound, by: pass.units) {
        let units = min(pass.units, mine.upperBound - first)
        let batch = workspace.prepare(units: units, windows: pass.windows)
        network.fill(
          batch, windows, first * pass.windows..<(first + units) * pass.windows, of: panel)
        network.unitGradients(
          parameters: parameters, workspace, seed: seed, run: step << 32 | first
        ) { _ in add(workspace.gradient, lane) }
      }
    }
    return count
  }
}
