public import Forecasters
import Foundation
import NumericsCore

/// Fits one forecaster to all series of a panel.
///
/// Mini-batches of windows drawn uniformly from all windows, Adam, gradient clipping, early stopping on the
/// last windows. Each batch is split over threads, gradients are added in the order of the threads, and
/// random streams are counter-based, so equal data, configuration, build and thread count give equal bytes.
public struct Trainer: Sendable {
  public let configuration: TrainingConfiguration

  public init(_ configuration: TrainingConfiguration) { self.configuration = configuration }

  /// - Parameter progress: called after every step; what it throws ends the training.
  /// - Throws: `ForecasterError`, `TrainingError`, and what `progress` throws.
  public func fit(
    _ forecaster: ForecasterConfiguration, on panel: Panel,
    progress: (TrainingProgress) throws -> Void
  ) throws -> TrainingResult {
    try configuration.validate()
    let network = try ForecastNetwork<Float>(forecaster)
    let began = Date()
    var rate = configuration.learningRate
    var retries = 0
    while true {
      do {
        let run = TrainingRun(
          network: network, panel: panel, configuration: configuration, rate: rate, began: began)
        return try run.fit(retries: retries, progress)
      } catch let error as TrainingError where error.code == .notFinite && retries == 0 {
        // One retry at a tenth of the rate; it is recorded in the result.
        retries += 1
        rate /= 10
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
  /// Mean training loss of the last twentieth of the steps.
  public let trainingLoss: Double
  public let windows: Int
  public let retries: Int
  public let seconds: Double
  public let stoppedByTimeBudget: Bool
}

/// One attempt at a training.
private final class TrainingRun {
  private let network: ForecastNetwork<Float>
  private let panel: Panel
  private let configuration: TrainingConfiguration
  private let schedule: WarmupCosine
  private let began: Date
  private let threads: Int
  private let workspaces: Workspaces
  private let gradient: Buffer<Float>
  private var steps = 0
  private var outOfTime = false

  init(
    network: ForecastNetwork<Float>, panel: Panel, configuration: TrainingConfiguration,
    rate: Double, began: Date
  ) {
    self.network = network
    self.panel = panel
    self.configuration = configuration
    self.began = began
    schedule = WarmupCosine(peak: rate, steps: configuration.steps)
    threads = min(configuration.threads, configuration.batch)
    workspaces = Workspaces((0..<threads).map { _ in network.makeWorkspace(training: true) })
    gradient = Buffer(network.layout.count)
  }

  func fit(
    retries: Int, _ progress: (TrainingProgress) throws -> Void
  ) throws -> TrainingResult {
    let c = network.configuration
    let minimum = TrainedForecaster.minimumObservations(c)
    func index(_ validationWindows: Int) -> WindowIndex {
      WindowIndex(
        panel, horizon: c.horizon, contextLength: c.contextLength,
        validationWindows: validationWindows, minimumContext: minimum)
    }
    var held = index(configuration.validationWindows)
    if held.count == 0 { held = index(0) }
    guard held.count > 0 else {
      throw TrainingError(
        .noWindows,
        "no series is long enough to train on: a window needs \(minimum) observations and \((c.horizon + 1) / 2) steps after them"
      )
    }
    let validates = !held.validation.isEmpty
    let refits = validates && configuration.refitOnAll
    let share = refits ? 0.5 : 1.0

    let first = try train(
      on: held, steps: configuration.steps, phase: .fit, fractions: (0, share), progress)
    var parameters = first.parameters
    var trainingLoss = first.trainingLoss
    if refits, !outOfTime, first.bestStep > 0 {
      let second = try train(
        on: index(0), steps: first.bestStep, phase: .refit,
        fractions: (share, 1), progress)
      // A refit that ran out of time is half-trained: the validated weights are better.
      if !outOfTime {
        parameters = second.parameters
        trainingLoss = second.trainingLoss
      }
    }
    return TrainingResult(
      forecaster: TrainedForecaster(configuration: c, parameters: parameters.array),
      bestStep: first.bestStep, steps: steps, validationLoss: first.validationLoss,
      trainingLoss: trainingLoss, windows: held.count, retries: retries,
      seconds: Date().timeIntervalSince(began), stoppedByTimeBudget: outOfTime)
  }

  private struct Trained {
    let parameters: Buffer<Float>
    let bestStep: Int
    let validationLoss: Double?
    let trainingLoss: Double
  }

  private func train(
    on index: WindowIndex, steps limit: Int, phase: TrainingProgress.Phase,
    fractions: (Double, Double), _ progress: (TrainingProgress) throws -> Void
  ) throws -> Trained {
    let parameters = network.initialParameters(seed: configuration.seed)
    let best = Buffer<Float>(parameters.count)
    let adam = Adam(count: parameters.count)
    let average = WeightAverage(parameters)
    var stream = RandomStream(seed: configuration.seed, purpose: "windows")
    var windows: [WindowIndex.Window] = []
    let evaluations = max(1, configuration.steps / 20)
    var bestLoss = Double.infinity
    var bestStep = 0
    var worse = 0
    var taken = 0
    var validationLoss: Double?
    var recent = 0.0
    for step in 0..<limit {
      windows.removeAll(keepingCapacity: true)
      for _ in 0..<configuration.batch {
        windows.append(index.window(stream.index(below: index.count)))
      }
      let loss = try self.step(step, parameters, adam, windows)
      average.add(parameters)
      recent = step == 0 ? loss : 0.95 * recent + 0.05 * loss
      steps += 1
      taken = step + 1
      outOfTime =
        outOfTime
        || configuration.timeBudgetSeconds.map { Date().timeIntervalSince(began) > $0 } ?? false
      let last = step == limit - 1 || outOfTime
      // Weights of the first quarter are hardly trained: one lucky validation window of a short panel
      // would keep them, so they do not stand for election.
      let evaluates = (step + 1) % evaluations == 0 && step + 1 >= configuration.steps / 4
      if !index.validation.isEmpty, evaluates || last {
        let loss = validate(index.validation, average.weights)
        validationLoss = loss
        if loss < bestLoss {
          bestLoss = loss
          bestStep = step + 1
          worse = 0
          best.copy(from: average.weights)
        } else {
          worse += 1
        }
      }
      try progress(
        TrainingProgress(
          phase: phase, step: step + 1, steps: limit, trainingLoss: loss,
          validationLoss: validationLoss,
          fraction: fractions.0 + (fractions.1 - fractions.0) * Double(step + 1) / Double(limit)))
      if outOfTime || worse >= configuration.patience { break }
    }
    // Without a finite validation loss there is no best: keep what the last step left.
    guard bestStep > 0 else {
      return Trained(
        parameters: average.weights, bestStep: taken, validationLoss: nil, trainingLoss: recent)
    }
    return Trained(
      parameters: best, bestStep: bestStep, validationLoss: bestLoss, trainingLoss: recent)
  }

  /// One optimiser step; returns the batch's mean loss.
  private func step(
    _ step: Int, _ parameters: Buffer<Float>, _ adam: Adam, _ windows: [WindowIndex.Window]
  ) throws -> Double {
    let count = windows.count
    let losses = Buffer<Double>(threads)
    let network = network
    let panel = panel
    let workspaces = workspaces
    let threads = threads
    let seed = configuration.seed
    parallel(count: threads) { thread in
      let rows = Shard(of: count, over: threads, number: thread).range
      let workspace = workspaces[thread]
      fill(workspace.prepare(rows.count, training: true), windows, rows, panel, network)
      losses[thread] = network.lossAndGradient(
        weightOfRow: 1 / Float(count), parameters: parameters, workspace, seed: seed,
        run: step * threads + thread)
    }
    var loss = 0.0
    for thread in 0..<threads { loss += losses[thread] }
    gradient.copy(from: workspaces[0].gradient)
    for thread in 1..<max(threads, 1) {
      Float.add(gradient.count, workspaces[thread].gradient.base, to: gradient.base)
    }
    let norm = Float.sumOfSquares(gradient.count, gradient.base).squareRoot()
    guard loss.isFinite, norm.isFinite else {
      throw TrainingError(
        .notFinite, "the loss or its gradient was not finite at step \(step + 1)")
    }
    let scale = norm > configuration.clippingNorm ? configuration.clippingNorm / norm : 1
    adam.step(parameters, gradient, rate: schedule.rate(step), scale: scale)
    return loss
  }

  /// Mean quantile loss over the held-out windows.
  private func validate(
    _ windows: [WindowIndex.Window], _ parameters: Buffer<Float>
  ) -> Double {
    let sums = Buffer<Double>(threads)
    let rows = Buffer<Double>(threads)
    let network = network
    let panel = panel
    let workspaces = workspaces
    let threads = threads
    parallel(count: threads) { thread in
      let mine = Shard(of: windows.count, over: threads, number: thread).range
      let workspace = workspaces[thread]
      for start in stride(from: mine.lowerBound, to: mine.upperBound, by: 256) {
        let part = start..<min(start + 256, mine.upperBound)
        fill(workspace.prepare(part.count, training: false), windows, part, panel, network)
        let (sum, count) = network.loss(parameters: parameters, workspace)
        sums[thread] += sum
        rows[thread] += Double(count)
      }
    }
    var sum = 0.0
    var count = 0.0
    for thread in 0..<threads {
      sum += sums[thread]
      count += rows[thread]
    }
    return count > 0 ? sum / count : .infinity
  }
}

/// Workspaces, one per thread.
private struct Workspaces: @unchecked Sendable {  // each thread uses the one of its number only
  private let all: [ForecastNetwork<Float>.Workspace]
  init(_ all: [ForecastNetwork<Float>.Workspace]) { self.all = all }
  subscript(thread: Int) -> ForecastNetwork<Float>.Workspace { all[thread] }
}

/// The rows of one of several threads: contiguous, sizes differing by one at most.
struct Shard {
  let range: Range<Int>

  init(of count: Int, over shards: Int, number: Int) {
    let start = count * number / shards
    range = start..<(count * (number + 1) / shards)
  }
}

/// Fills `batch` with the windows at `rows`.
private func fill(
  _ batch: WindowFeatures.Batch<Float>, _ windows: [WindowIndex.Window], _ rows: Range<Int>,
  _ panel: Panel, _ network: ForecastNetwork<Float>
) {
  panel.values.withUnsafeBufferPointer { values in
    for (row, number) in rows.enumerated() {
      let window = windows[number]
      let start = panel.offsets[window.series]
      network.features.fill(
        batch, row: row,
        values: UnsafeBufferPointer(rebasing: values[start..<(start + window.limit)]),
        firstOrdinal: panel.firstOrdinals[window.series], clock: panel.clock, end: window.end)
    }
  }
}
