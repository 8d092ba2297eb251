import Forecasters
import NumericsCore

/// All that changes while one phase of a training runs: what a checkpoint has to hold.
final class PhaseState {
  let parameters: Buffer<Float>
  let optimiser: Optimiser<Float>
  let average: WeightAverage
  var sampler: WindowSampler
  /// Weights of the lowest validation loss.
  private let best: Buffer<Float>
  private var bestLoss = Double.infinity
  private var bestStep = 0
  /// Evaluations since the best.
  private(set) var worse = 0
  /// Loss of the last evaluation.
  private(set) var validationLoss: Double?
  /// Steps taken.
  var taken = 0
  /// Running mean of the training loss over a twentieth of the steps.
  var recent = 0.0

  init(_ network: ForecastNetwork<Float>, _ configuration: TrainingConfiguration) {
    parameters = network.initialParameters(seed: configuration.seed)
    best = Buffer(parameters.count)
    optimiser = Optimiser(
      configuration.optimiser, count: parameters.count, weightDecay: configuration.weightDecay,
      momentum: configuration.momentum, nesterov: configuration.nesterov)
    average = WeightAverage(parameters, configuration.averaging, steps: configuration.steps)
    sampler = WindowSampler(seed: configuration.seed)
  }

  /// Takes note of a validation loss of the averaged weights.
  func judge(_ loss: Double) {
    validationLoss = loss
    if loss < bestLoss {
      bestLoss = loss
      bestStep = taken
      worse = 0
      best.copy(from: average.weights)
    } else {
      worse += 1
    }
  }

  var outcome: FittedPhase {
    // Without a finite validation loss there is no best: keep what the last step left.
    guard bestStep > 0 else {
      return FittedPhase(
        parameters: average.weights.array, bestStep: taken, validationLoss: nil,
        trainingLoss: recent)
    }
    return FittedPhase(
      parameters: best.array, bestStep: bestStep, validationLoss: bestLoss, trainingLoss: recent)
  }

  func snapshot() -> PhaseSnapshot {
    PhaseSnapshot(
      taken: taken, position: sampler.position, bestStep: bestStep, worse: worse,
      bestLoss: bestLoss, validationLoss: validationLoss, recent: recent,
      parameters: parameters.array, first: optimiser.first.array, second: optimiser.second.array,
      average: average.weights.array, best: best.array)
  }

  /// - Precondition: the snapshot is of the same network and optimiser.
  func restore(_ snapshot: PhaseSnapshot) {
    taken = snapshot.taken
    sampler.position = snapshot.position
    bestStep = snapshot.bestStep
    worse = snapshot.worse
    bestLoss = snapshot.bestLoss
    validationLoss = snapshot.validationLoss
    recent = snapshot.recent
    for (buffer, numbers) in [
      (parameters, snapshot.parameters), (optimiser.first, snapshot.first),
      (optimiser.second, snapshot.second), (average.weights, snapshot.average),
      (best, snapshot.best),
    ] {
      precondition(buffer.count == numbers.count)
      numbers.withUnsafeBufferPointer { source in
        if let base = source.baseAddress { buffer.base.update(from: base, count: source.count) }
      }
    }
    optimiser.restore(step: taken)
    average.restore(step: taken)
  }
}

/// What a phase of a training came to.
struct FittedPhase: Sendable, Equatable {
  let parameters: [Float]
  let bestStep: Int
  let validationLoss: Double?
  let trainingLoss: Double
}

/// A ``PhaseState`` at the end of a step, as a value.
struct PhaseSnapshot: Sendable, Equatable {
  let taken: Int
  /// Of the stream that draws windows.
  let position: UInt64
  let bestStep: Int
  let worse: Int
  let bestLoss: Double
  let validationLoss: Double?
  let recent: Double
  let parameters: [Float]
  /// State of the optimiser.
  let first: [Float]
  let second: [Float]
  let average: [Float]
  let best: [Float]
}
