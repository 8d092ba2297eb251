import Forecasters
import Foundation
import NumericsCore

/// One attempt at a training: a fit with early stopping, then a refit on everything.
final class TrainingRun {
  private let memory: TrainingMemory
  private let panel: Panel
  /// With the steps that the panel allows.
  private let configuration: TrainingConfiguration
  /// As it was given: what checkpoints are of.
  private let given: TrainingConfiguration
  private let held: WindowIndex
  /// Attempts before this one; each lowers the learning rate to a tenth.
  private let retries: Int
  private let began: Date
  private let checkpoints: CheckpointWriter?
  private let schedule: LearningRateSchedule
  private let shaping: GradientShaping
  private let contexts: ContextSchedule
  private let gradient: BatchGradient
  private let validation: Validation
  /// Steps in all.
  private var steps = 0
  private var outOfTime = false
  /// What the first phase came to.
  private var fitted: FittedPhase?

  /// - Throws: `TrainingError.noWindows`.
  init(
    memory: TrainingMemory, panel: Panel, configuration: TrainingConfiguration, retries: Int,
    began: Date, checkpoints: CheckpointWriter?
  ) throws {
    given = configuration
    self.memory = memory
    self.panel = panel
    held = try WindowIndex(
      panel, memory.network.configuration, validationWindows: configuration.validationWindows)
    let configuration = configuration.limited(to: held.count)
    self.configuration = configuration
    self.retries = retries
    self.began = began
    self.checkpoints = checkpoints
    var rate = configuration.learningRate
    for _ in 0..<retries { rate /= 10 }
    schedule = LearningRateSchedule(
      configuration.schedule, peak: rate, steps: configuration.steps, warmup: configuration.warmup,
      gamma: configuration.gamma, stepSize: configuration.stepSize)
    shaping = GradientShaping(
      clippingNorm: configuration.clippingNorm, clippingValue: configuration.clippingValue,
      noise: configuration.gradientNoise, seed: configuration.seed)
    gradient = BatchGradient(
      memory: memory, panel: panel, accumulate: configuration.accumulate,
      seed: configuration.seed)
    contexts = configuration.contexts(memory.network, threads: memory.threads, held)
    validation = Validation(memory: memory, panel: panel)
  }

  /// - Parameter checkpoint: where to go on; nil to begin.
  func fit(
    from checkpoint: TrainingCheckpoint?, _ progress: (TrainingProgress) throws -> Void
  ) throws -> TrainingResult {
    let c = memory.network.configuration
    let validates = !held.validation.isEmpty
    let refits = validates && configuration.refitOnAll
    let share = refits ? 0.5 : 1.0
    if let checkpoint {
      steps = checkpoint.steps
      outOfTime = checkpoint.outOfTime
      fitted = checkpoint.fitted
    }

    var result: FittedPhase
    if let fitted {
      result = fitted
    } else {
      result = try train(
        on: held, steps: configuration.steps, phase: .fit, fractions: (0, share),
        from: checkpoint?.state, progress)
    }
    let (bestStep, validationLoss) = (result.bestStep, result.validationLoss)
    if refits, !outOfTime || fitted != nil, bestStep > 0 {
      let resumed = fitted != nil ? checkpoint?.state : nil
      fitted = result
      let second = try train(
        on: WindowIndex(panel, c, validationWindows: 0), steps: bestStep, phase: .refit,
        fractions: (share, 1), from: resumed,
        progress)
      // A refit that ran out of time is half-trained: the validated weights are better.
      if !outOfTime { result = second }
    }
    return TrainingResult(
      forecaster: TrainedForecaster(configuration: c, parameters: result.parameters),
      bestStep: bestStep, steps: steps, validationLoss: validationLoss,
      trainingLoss: result.trainingLoss, windows: held.count, retries: retries,
      seconds: Date().timeIntervalSince(began), stoppedByTimeBudget: outOfTime)
  }

  private func train(
    on index: WindowIndex, steps limit: Int, phase: TrainingProgress.Phase,
    fractions: (Double, Double), from snapshot: PhaseSnapshot?,
    _ progress: (TrainingProgress) throws -> Void
  ) throws -> FittedPhase {
    let state = PhaseState(memory.network, configuration)
    if let snapshot { state.restore(snapshot) }
    let evaluations = max(1, configuration.steps / 20)
    while state.taken < limit, !outOfTime, state.worse < configuration.patience {
      let step = state.taken
      let contexts = contexts.contexts(at: step)
      state.sampler.draw(
        configuration.batch / contexts * configuration.accumulate, from: index,
        reaching: contexts > 1 ? contexts * memory.network.configuration.contextLength : 0)
      let loss = try self.step(step, state)
      state.average.add(state.parameters)
      state.recent = step == 0 ? loss : 0.95 * state.recent + 0.05 * loss
      steps += 1
      state.taken = step + 1
      outOfTime =
        configuration.timeBudgetSeconds.map { Date().timeIntervalSince(began) > $0 } ?? false
      let last = step == limit - 1 || outOfTime
      // Weights of the first quarter are hardly trained: one lucky validation window of a short panel
      // would keep them, so they do not stand for election.
      let evaluates = (step + 1) % evaluations == 0 && step + 1 >= configuration.steps / 4
      if !index.validation.isEmpty, evaluates || last {
        state.judge(validation.loss(index.validation, state.average.weights))
      }
      try checkpoints?.reached(state.taken) {
        TrainingCheckpoint(
          forecaster: memory.network.configuration, training: given,
          panelDigest: $0, retries: retries, steps: steps,
          seconds: Date().timeIntervalSince(began), outOfTime: outOfTime, fitted: fitted,
          state: state.snapshot())
      }
      try progress(
        TrainingProgress(
          phase: phase, step: step + 1, steps: limit, trainingLoss: loss,
          validationLoss: state.validationLoss,
          fraction: fractions.0 + (fractions.1 - fractions.0) * Double(step + 1) / Double(limit)))
    }
    return state.outcome
  }

  /// One optimiser step; returns the mean loss of its windows.
  private func step(_ step: Int, _ state: PhaseState) throws -> Double {
    let contexts = contexts.contexts(at: step)
    let loss = gradient.compute(
      step, state.parameters, state.sampler.windows, contexts: contexts)
    guard loss.isFinite, let scale = shaping.apply(to: memory.gradient, step: step) else {
      throw TrainingError(
        .notFinite,
        "the loss or its gradient was not finite at step \(step + 1), \(gradient.diagnosis(state.parameters, state.sampler.windows, contexts: contexts))"
      )
    }
    state.optimiser.step(
      state.parameters, memory.gradient, rate: schedule.rate(step), scale: scale)
    return loss
  }
}
