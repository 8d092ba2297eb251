import Foundation

/// How a forecaster is trained. Together with data, build and thread count it determines the weights.
public struct TrainingConfiguration: Codable, Sendable, Equatable {
  /// Optimiser steps at most.
  public var steps: Int
  /// Times that a window is drawn at most, on average: a panel of few windows is learned by heart otherwise, long
  /// before a validation of few windows can tell. It takes 20 steps in any case; 0 is no limit.
  public var epochs: Int
  /// Windows of a micro-batch: as many as are in memory at a time.
  public var batch: Int
  /// Micro-batches of a step, whose gradients are added: as one batch of `accumulate` times the windows, in
  /// the memory of one.
  public var accumulate: Int
  /// Whether activations are computed again for the backward pass in place of being kept: less memory, one
  /// forward pass more.
  public var recompute: Bool
  /// Share of the steps whose windows read 2, 4, 8 or 16 contexts, as far as the series reach back and the batch
  /// has windows for each thread, so that the state of a recurrent backbone holds in a longer stream
  /// (Buitrago & Gu 2025, arXiv 2507.02782). As many fewer windows make up for it. 0 switches it off; models that
  /// read windows of one length only, and private training, know no such steps. They come late: a training that
  /// ends early may have none.
  public var longContexts: Double
  /// Peak of the learning rate.
  public var learningRate: Double
  public var schedule: ScheduleKind
  /// Steps that the rate rises to its peak; nil for what suits the schedule, a twentieth of the steps for
  /// `cosine`.
  public var warmup: Int?
  /// Factor of the `step` schedule.
  public var gamma: Double
  /// Steps between two factors of the `step` schedule; nil for a third of the steps.
  public var stepSize: Int?
  public var optimiser: OptimiserKind
  /// Decoupled for `adamw`, where it is 0.01 unless given; an L2 penalty, and none, for the others.
  public var weightDecay: Double
  /// Of `sgd`.
  public var momentum: Double
  /// Whether the momentum of `sgd` is Nesterov's.
  public var nesterov: Bool
  /// The gradient's global norm is clipped to this; 0 switches it off.
  public var clippingNorm: Double
  /// Each number of the gradient is clipped to this, before the norm is; 0 switches it off.
  public var clippingValue: Double
  /// Variance `eta` of annealed gradient noise at the first step (Neelakantan et al. 2015; 0.01, 0.3 and 1
  /// there); 0 switches it off.
  public var gradientNoise: Double
  public var averaging: WeightAveraging
  public var seed: UInt64
  public var threads: Int
  /// Windows held out at the end of every long enough series for early stopping; 0 switches it off.
  public var validationWindows: Int
  /// Evaluations (20 in all) without improvement after which training stops.
  public var patience: Int
  /// Train again on everything, held-out windows included, for as many steps as were best.
  public var refitOnAll: Bool
  /// Wall-clock seconds after which training stops with what it has; nil: no limit.
  public var timeBudgetSeconds: Double?

  public init(
    steps: Int = 500, epochs: Int = 50, batch: Int = 64, accumulate: Int = 1,
    recompute: Bool = false, longContexts: Double = 0.2, learningRate: Double = 2e-3,
    schedule: ScheduleKind = .cosine, warmup: Int? = nil, gamma: Double = 0.1,
    stepSize: Int? = nil, optimiser: OptimiserKind = .adam, weightDecay: Double? = nil,
    momentum: Double = 0.9, nesterov: Bool = false, clippingNorm: Double = 1,
    clippingValue: Double = 0, gradientNoise: Double = 0, averaging: WeightAveraging = .ema,
    seed: UInt64 = 1, threads: Int = 1, validationWindows: Int = 1, patience: Int = 10,
    refitOnAll: Bool = true, timeBudgetSeconds: Double? = nil
  ) {
    self.steps = steps
    self.epochs = epochs
    self.batch = batch
    self.accumulate = accumulate
    self.recompute = recompute
    self.longContexts = longContexts
    self.learningRate = learningRate
    self.schedule = schedule
    self.warmup = warmup
    self.gamma = gamma
    self.stepSize = stepSize
    self.optimiser = optimiser
    self.weightDecay = weightDecay ?? optimiser.defaultWeightDecay
    self.momentum = momentum
    self.nesterov = nesterov
    self.clippingNorm = clippingNorm
    self.clippingValue = clippingValue
    self.gradientNoise = gradientNoise
    self.averaging = averaging
    self.seed = seed
    self.threads = threads
    self.validationWindows = validationWindows
    self.patience = patience
    self.refitOnAll = refitOnAll
    self.timeBudgetSeconds = timeBudgetSeconds
  }

  /// The same with no more steps than `epochs` allow.
  ///
  /// - Parameter windows: that a training draws from.
  package func limited(to windows: Int) -> TrainingConfiguration {
    guard epochs > 0 else { return self }
    let drawn = batch * accumulate
    let (product, overflows) = windows.multipliedReportingOverflow(by: epochs)
    guard !overflows, product / drawn < steps else { return self }
    var limited = self
    limited.steps = min(steps, max(20, (product + drawn - 1) / drawn))
    limited.warmup = warmup.map { min($0, limited.steps) }
    return limited
  }

  /// - Throws: `TrainingError.badConfiguration`.
  public func validate() throws {
    func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if !holds { throw TrainingError(.badConfiguration, text()) }
    }
    func requireCount(_ value: Int, _ name: String, atLeast: Int = 1) throws {
      try require(
        value >= atLeast,
        "\(name) is \(value), expected \(atLeast == 0 ? "0 or more" : "at least \(atLeast)")")
    }
    func requireAmount(_ value: Double, _ name: String) throws {
      try require(value >= 0 && value.isFinite, "\(name) is \(value), expected 0 or more")
    }
    try requireCount(steps, "steps")
    try requireCount(epochs, "epochs", atLeast: 0)
    try requireCount(batch, "batch")
    try requireCount(accumulate, "accumulate")
    try require(
      longContexts >= 0 && longContexts <= 1,
      "longContexts is \(longContexts), expected a share of the steps, 0 to 1")
    try require(
      learningRate > 0 && learningRate.isFinite, "learningRate is \(learningRate), expected above 0"
    )
    if let warmup {
      try require(
        (0...steps).contains(warmup), "warmup is \(warmup), expected 0 to \(steps), all steps")
    }
    try require(gamma > 0 && gamma <= 1, "gamma is \(gamma), expected above 0 and at most 1")
    if let stepSize { try requireCount(stepSize, "stepSize") }
    try requireAmount(weightDecay, "weightDecay")
    try require(
      momentum >= 0 && momentum < 1, "momentum is \(momentum), expected at least 0 and below 1")
    try require(
      !nesterov || momentum > 0, "momentum is 0, expected above 0 for Nesterov's momentum")
    try requireAmount(clippingNorm, "clippingNorm")
    try requireAmount(clippingValue, "clippingValue")
    try requireAmount(gradientNoise, "gradientNoise")
    try requireCount(threads, "threads")
    try requireCount(validationWindows, "validationWindows", atLeast: 0)
    try requireCount(patience, "patience")
  }
}

/// What stopped a training, in one sentence.
public struct TrainingError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable {
    case badConfiguration, noWindows, notFinite
    /// The checkpoint is broken, or of another configuration or other data.
    case badCheckpoint
    /// A private training did not do what is accounted for.
    case notPrivate
  }

  public let code: Code
  public let message: String
  public var isTransient: Bool { false }
  public var description: String { message }

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }
}

/// How far a training is.
public struct TrainingProgress: Sendable {
  public enum Phase: String, Sendable { case fit, refit }

  public let phase: Phase
  public let step: Int
  public let steps: Int
  /// Mean quantile loss of the step's windows, in scaled units.
  public let trainingLoss: Double
  /// The same on the held-out windows, at the last evaluation.
  public let validationLoss: Double?

  /// Fraction of all work that is done, 0 to 1.
  public let fraction: Double
}
