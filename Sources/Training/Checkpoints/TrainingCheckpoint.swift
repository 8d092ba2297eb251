import Forecasters
import Foundation
import NumericsCore

/// A training at the end of one of its steps: with the same data and configuration it goes on from here as
/// if it had never stopped.
///
/// Holds parameters, the optimiser's state, averages, best weights and counters. Random streams are
/// counter-based, so their position is a number. As bytes it is a safetensors file.
public struct TrainingCheckpoint: Sendable, Equatable {
  let forecaster: ForecasterConfiguration
  let training: TrainingConfiguration
  let panelDigest: UInt64
  /// Attempts before this one.
  public let retries: Int
  /// Steps of this attempt so far, both phases together.
  public let steps: Int
  /// Seconds of training so far.
  public let seconds: Double
  let outOfTime: Bool
  /// What the first phase came to; nil while it runs.
  let fitted: FittedPhase?
  let state: PhaseSnapshot

  public var phase: TrainingProgress.Phase { fitted == nil ? .fit : .refit }

  /// - Throws: `TrainingError.badCheckpoint` if this is of another training.
  func verify(
    _ network: ForecastNetwork<Float>, _ configuration: TrainingConfiguration, _ panel: Panel
  ) throws {
    func refuse(_ text: String) -> TrainingError {
      TrainingError(.badCheckpoint, "the checkpoint cannot be resumed: \(text)")
    }
    if let difference = try Self.difference(forecaster, network.configuration) {
      throw refuse("it is of a forecaster with \(difference); begin without it")
    }
    if let difference = try Self.difference(training, configuration, except: "timeBudgetSeconds") {
      throw refuse("it is of a training with \(difference); begin without it")
    }
    guard panelDigest == panel.trainingDigest else {
      throw refuse("it is of other data; begin without it")
    }
    let count = network.layout.count
    let moments = configuration.optimiser.hasSecondMoment ? count : 0
    let limit = fitted?.bestStep ?? configuration.steps
    guard
      [state.parameters, state.first, state.average, state.best].allSatisfy({ $0.count == count }),
      state.second.count == moments, fitted.map({ $0.parameters.count == count }) ?? true,
      (0...1).contains(retries), (1...configuration.steps).contains(limit),
      (1...limit).contains(state.taken), (0...state.taken).contains(state.bestStep),
      (0...state.taken).contains(state.worse), steps >= state.taken,
      (0.0...1e12).contains(seconds)
    else { throw refuse("its numbers do not fit together; the file is broken") }
  }

  /// The first key in which two configurations differ, with both values.
  private static func difference<Configuration: Encodable>(
    _ old: Configuration, _ new: Configuration, except ignored: String = ""
  ) throws -> String? {
    func values(_ configuration: Configuration) throws -> [String: NSObject] {
      let json = try JSONSerialization.jsonObject(with: Data(configuration.canonicalJSON().utf8))
      return json as? [String: NSObject] ?? [:]
    }
    func text(_ value: NSObject?) -> String { value.map { "\($0)" } ?? "nothing" }
    let (a, b) = (try values(old), try values(new))
    let keys = Set(a.keys).union(b.keys).subtracting([ignored])
    return keys.sorted().first { a[$0] != b[$0] }.map {
      "\($0) \(text(a[$0])), this one has \(text(b[$0]))"
    }
  }
}

/// When checkpoints are made, and who gets them.
public struct Checkpointing {
  /// Steps from one to the next.
  public var everySteps: Int
  /// Wall-clock seconds that have to pass between two, so that small steps do not spend their time here.
  public var leastSeconds: Double
  /// Keeps the checkpoint; what it throws ends the training.
  public var save: (TrainingCheckpoint) throws -> Void

  /// - Precondition: `everySteps` is at least 1.
  public init(
    everySteps: Int, leastSeconds: Double = 0, save: @escaping (TrainingCheckpoint) throws -> Void
  ) {
    precondition(everySteps >= 1)
    self.everySteps = everySteps
    self.leastSeconds = leastSeconds
    self.save = save
  }
}

/// Makes checkpoints when they are due.
final class CheckpointWriter {
  private let checkpointing: Checkpointing
  private let panelDigest: UInt64
  private var last = Date.distantPast

  init(_ checkpointing: Checkpointing, _ panel: Panel) {
    self.checkpointing = checkpointing
    panelDigest = panel.trainingDigest
  }

  /// - Parameters:
  ///   - step: steps of the phase that are done.
  ///   - make: makes the checkpoint, given the digest of the panel.
  func reached(_ step: Int, _ make: (UInt64) -> TrainingCheckpoint) throws {
    guard step % checkpointing.everySteps == 0 else { return }
    let now = Date()
    guard now.timeIntervalSince(last) >= checkpointing.leastSeconds else { return }
    last = now
    try checkpointing.save(make(panelDigest))
  }
}

extension Panel {
  /// Tells panels apart that train differently; no protection against intent. About 1 ns a value.
  var trainingDigest: UInt64 {
    var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ word: UInt64) {
      digest = (digest ^ word) &* 0x9e37_79b9_7f4a_7c15
      digest ^= digest >> 29
    }
    func add(_ numbers: [Int]) {
      add(UInt64(numbers.count))
      for number in numbers { add(UInt64(bitPattern: Int64(number))) }
    }
    add(offsets)
    add(firstOrdinals)
    // Every NaN says the same: nothing was observed.
    for value in values { add(value.isNaN ? .max : value.bitPattern) }
    add([clock.stepsPerDay])
    add(clock.starts)
    add(clock.shifts)
    return digest
  }
}
