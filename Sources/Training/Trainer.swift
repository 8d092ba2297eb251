public import Forecasters
import Foundation
import NumericsCore

/// Fits one forecaster to all series of a panel.
///
/// Mini-batches of windows drawn uniformly from all windows, gradient clipping, an optimiser under a schedule,
/// an average of the weights, early stopping on the last windows. Each batch is split over threads, gradients
/// are added in the order of the threads, and random streams are counter-based, so equal data, configuration,
/// build and thread count give equal bytes.
public struct Trainer: Sendable {
  public let configuration: TrainingConfiguration

  public init(_ configuration: TrainingConfiguration) { self.configuration = configuration }

  /// - Parameters:
  ///   - resume: a checkpoint of the same training, from which it goes on; the result is, byte for byte, that
  ///     of a training that was never interrupted.
  ///   - checkpointing: when checkpoints are made, and who gets them; what is fitted by least squares makes none.
  ///   - progress: called after every step; what it throws ends the training.
  /// - Throws: `ForecasterError`, `TrainingError`, and what `checkpointing` and `progress` throw.
  public func fit(
    _ forecaster: ForecasterConfiguration, on panel: Panel, resume: TrainingCheckpoint? = nil,
    checkpointing: Checkpointing? = nil,
    progress: (TrainingProgress) throws -> Void = { _ in }
  ) throws -> TrainingResult {
    try configuration.validate()
    try forecaster.validate()
    if !Registry.isNetwork(forecaster.kind) {
      return TrainingResult(nothingFitted: forecaster)
    }
    let memory = try makeMemory(forecaster)
    if Registry.fitting(forecaster.kind) == .leastSquares {
      guard resume == nil else {
        throw TrainingError(
          .badCheckpoint,
          "\(forecaster.kind) is fitted by least squares in one go: there is no checkpoint to go on from"
        )
      }
      return try LeastSquaresFit(memory: memory, panel: panel, configuration: configuration)
        .fit(progress)
    }
    return try fit(
      on: panel, memory, resume: resume, checkpointing: checkpointing, progress: progress)
  }

  /// - Throws: `ForecasterError.badConfiguration`.
  func makeMemory(_ forecaster: ForecasterConfiguration) throws -> TrainingMemory {
    if Registry.fitting(forecaster.kind) == .leastSquares, configuration.recompute {
      throw TrainingError(
        .badConfiguration,
        "recompute is true, but \(forecaster.kind) is fitted by least squares, which keeps no activations: leave it out"
      )
    }
    return try TrainingMemory(
      forecaster, threads: min(configuration.threads, configuration.batch),
      recompute: configuration.recompute)
  }

  /// Bytes that ``fit(_:on:resume:checkpointing:progress:)`` will take, panel and checkpoints apart: all that is
  /// planned before the first step.
  ///
  /// - Throws: `ForecasterError.badConfiguration`.
  public func plannedBytes(_ forecaster: ForecasterConfiguration) throws -> Int {
    try forecaster.validate()
    if !Registry.isNetwork(forecaster.kind) { return 0 }
    let network = try ForecastNetwork<Float>(forecaster)
    if Registry.fitting(forecaster.kind) == .leastSquares {
      return LeastSquaresFit.plannedBytes(network, threads: configuration.threads)
    }
    let threads = min(configuration.threads, configuration.batch)
    let windows = (configuration.batch + threads - 1) / threads
    let contexts = configuration.contexts(network, threads: threads)
    let step = contexts.all.map {
      network.trainingBytes(
        (windows + $0 - 1) / $0, contexts: $0, recompute: configuration.recompute)
    }.max()!
    // Weights, their average and the best; two moments; gradients of the threads and their sum.
    return threads * step + (6 + threads) * network.layout.count * MemoryLayout<Float>.stride
  }

  /// The same with a valid configuration and memory that was there before.
  func fit(
    on panel: Panel, _ memory: TrainingMemory, resume: TrainingCheckpoint? = nil,
    checkpointing: Checkpointing? = nil, progress: (TrainingProgress) throws -> Void
  ) throws -> TrainingResult {
    try resume?.verify(memory.network, configuration, panel)
    let began = Date() - (resume?.seconds ?? 0)
    let writer = checkpointing.map { CheckpointWriter($0, panel) }
    var checkpoint = resume
    var retries = resume?.retries ?? 0
    while true {
      do {
        let run = try TrainingRun(
          memory: memory, panel: panel, configuration: configuration, retries: retries,
          began: began, checkpoints: writer)
        return try run.fit(from: checkpoint, progress)
      } catch let error as TrainingError where error.code == .notFinite && retries == 0 {
        // One retry from the start at a tenth of the rate; it is recorded in the result.
        retries += 1
        checkpoint = nil
      }
    }
  }
}

/// A fitted forecaster and how it came about.
public struct TrainingResult: Sendable {
  public let forecaster: TrainedForecaster
  /// Steps of the weights that were kept.
  public let bestStep: Int
  /// Steps taken in all, refit included.
  public let steps: Int
  /// Mean quantile loss on the held-out windows, scaled; nil without held-out windows.
  public let validationLoss: Double?
  /// Mean training loss of the last twentieth of the steps; nil where nothing was fitted.
  public let trainingLoss: Double?
  public let windows: Int
  public let retries: Int
  /// Of all attempts, and of what came before a resumption.
  public let seconds: Double
  public let stoppedByTimeBudget: Bool
}

extension TrainingResult {
  /// Of a forecaster that fits each series when it forecasts.
  init(nothingFitted forecaster: ForecasterConfiguration) {
    self.init(
      forecaster: TrainedForecaster(configuration: forecaster, parameters: []), bestStep: 0,
      steps: 0, validationLoss: nil, trainingLoss: nil, windows: 0, retries: 0, seconds: 0,
      stoppedByTimeBudget: false)
  }
}
