import ArgumentParser
import Evaluation
import ForecastService
import Forecasters
import Foundation
import Training

/// What Benchmarks/architectures asks: every registered kind, one after another.
struct Kinds: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the registered architectures, one JSON object a line.")

  private struct Kind: Encodable {
    let kind: String
    let help: String
    let time: String
    let memory: String
    let reference: String
    let streams: Bool
    /// Whether it can be fitted as it is, without a file that the user has.
    let isComplete: Bool
  }

  func run() throws {
    for entry in Registry.entries {
      try printJSON(
        Kind(
          kind: entry.kind, help: entry.help, time: entry.time, memory: entry.memory,
          reference: entry.reference, streams: entry is any BackboneArchitecture.Type,
          isComplete: !entry.options.contains(where: \.isRequired)))
    }
  }
}

/// Fits one architecture to what lies before the first origin of a panel and scores its forecasts from all.
struct Backtest: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Score one architecture on one panel; the request is JSON on standard input.")

  struct Request: Decodable {
    /// Lines of `KEY FIRST-ORDINAL VALUE VALUE …`, separated by tabs; `nan` where missing.
    let panel: String
    let model: ForecasterConfiguration
    let steps: Int
    let batch: Int
    let learningRate: Double
    let seed: UInt64
    let threads: Int
    /// Of the training; nil for its default.
    let longContexts: Double?
    let held: Int
    let stride: Int
    /// Of the scale of MASE.
    let season: Int
    /// Horizons at the end of what is learned from that serve as validation alone; nil for what a job does.
    let validation: Int?
    /// Steps at the start of a series whose deviation is its unit; nil for all that is learned from.
    let unitSteps: Int?
  }

  struct Answer: Encodable {
    let scores: Scores
    let parameters: Int
    let steps: Int
    let fitSeconds: Double
    /// Of all threads: hardly changes when the machine is shared.
    let fitProcessorSeconds: Double
    let forecastSeconds: Double
    /// One step of a stream of one series; nil where the kind has none.
    let stepMicroseconds: Double?
  }

  struct Scores: Encodable {
    let mase, smape, weightedQuantileLoss, coverage, mse, mae: Double?
    /// In units of the data.
    let rmse, error, mape: Double?
  }

  func run() throws {
    let request = try JSONDecoder().decode(
      Request.self, from: FileHandle.standardInput.readDataToEndOfFile())
    let origins = RollingOrigins(
      try Self.panel(request.panel), held: request.held, horizon: request.model.horizon,
      stride: request.stride)
    let (began, processor) = (ContinuousClock.now, Self.processorSeconds())
    var training = TrainingConfiguration(
      steps: request.steps, batch: request.batch, learningRate: request.learningRate,
      seed: request.seed, threads: request.threads)
    training.longContexts = request.longContexts ?? training.longContexts
    if let windows = request.validation {
      training.validationWindows = windows
      training.refitOnAll = false
    }
    let result = try Trainer(training).fit(request.model, on: origins.training)
    let fitted = (ContinuousClock.now - began).seconds
    let used = Self.processorSeconds() - processor
    let before = ContinuousClock.now
    let scores = try BacktestScores(
      result.forecaster, origins, seasonality: request.season, unitSteps: request.unitSteps,
      threads: request.threads)
    try printJSON(
      Answer(
        scores: Scores(
          mase: scores.mase, smape: scores.smape,
          weightedQuantileLoss: scores.weightedQuantileLoss, coverage: scores.coverage,
          mse: scores.standardisedMSE, mae: scores.standardisedMAE, rmse: scores.rmse,
          error: scores.mae, mape: scores.mape),
        parameters: result.forecaster.parameterCount, steps: result.steps, fitSeconds: fitted,
        fitProcessorSeconds: used, forecastSeconds: (ContinuousClock.now - before).seconds,
        stepMicroseconds: Self.stepMicroseconds(request.model)))
  }

  private static func processorSeconds() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }

  private static func stepMicroseconds(_ model: ForecasterConfiguration) -> Double? {
    guard Registry.entry(model.kind) is any BackboneArchitecture.Type else { return nil }
    let stream = BackboneMeasurement(
      model, mode: .stream, batch: 1, length: 2, inputs: model.featureCount, threads: 1)
    var best = Double.infinity
    for _ in 0..<50 {
      let began = ContinuousClock.now
      stream.run()
      best = min(best, (ContinuousClock.now - began).seconds)
    }
    return best * 1e6 / Double(BackboneMeasurement.streamedSteps)
  }

  private static func panel(_ path: String) throws -> Panel {
    var panel = Panel(keys: [], offsets: [0], values: [], firstOrdinals: [])
    for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
      let fields = line.split(separator: "\t")
      guard fields.count > 2, let first = Int(fields[1]) else {
        throw ValidationError("\(path): a line is no series: \(line.prefix(40))")
      }
      panel.keys.append(String(fields[0]))
      panel.firstOrdinals.append(first)
      for field in fields.dropFirst(2) {
        guard let value = Double(field) else {
          throw ValidationError("\(path), series \(fields[0]): \"\(field)\" is no number")
        }
        panel.values.append(value)
      }
      panel.offsets.append(panel.values.count)
    }
    return panel
  }
}

/// What the state of one architecture can do, within the length it is trained at and beyond.
struct Tasks: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Train one backbone on a synthetic task; print its score at 1, 4 and 16 times the length.")

  @Option var kind: String
  @Option var task: String
  @Option var hidden = 32
  @Option var layers = 2
  @Option var length = 32
  @Option var steps = 1500
  @Option(help: "Share of the steps that read longer; default: the trainer's for wave, else 0.")
  var longContexts: Double?

  struct Answer: Encodable {
    let kind: String
    let task: String
    let classification: Bool
    let parameters: Int
    /// At 1, 4 and 16 times the length.
    let scores: [Double]
    let seconds: Double
  }

  func run() throws {
    guard let task = SequenceTask(rawValue: task) else {
      throw ValidationError("no task \(task)")
    }
    guard Registry.entry(kind) is any BackboneArchitecture.Type else {
      throw ValidationError("\(kind) is no causal backbone")
    }
    let trial = try SequenceTaskTrial(
      task,
      ForecasterConfiguration(
        kind: kind, hidden: hidden, layers: layers, contextLength: length, horizon: 1))
    let began = ContinuousClock.now
    trial.train(
      steps: steps,
      longContexts: longContexts ?? (task == .wave ? TrainingConfiguration().longContexts : 0))
    try printJSON(
      Answer(
        kind: kind, task: task.rawValue, classification: task.isClassification,
        parameters: trial.parameterCount,
        scores: [1, 4, 16].map { trial.score(steps: $0 * length, streaming: $0 == 16) },
        seconds: (ContinuousClock.now - began).seconds))
  }
}

private func printJSON(_ value: some Encodable) throws {
  print(String(decoding: try JSONEncoder().encode(value), as: UTF8.self))
}
