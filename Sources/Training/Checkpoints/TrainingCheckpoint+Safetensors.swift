import Forecasters
import Foundation
import NumericsCore

extension TrainingCheckpoint {
  private static let format = "forecast-training-1"

  /// A safetensors file: state as 32-bit floats, losses as 64-bit floats, counters as whole numbers, both
  /// configurations as JSON in the metadata.
  ///
  /// - Throws: `EncodingError` for a configuration that JSON cannot hold.
  public func encoded() throws -> [UInt8] {
    var file = Safetensors(metadata: [
      "format": Self.format, "forecaster": try forecaster.canonicalJSON(),
      "training": try training.canonicalJSON(), "phase": phase.rawValue,
    ])
    func counter(_ name: String, _ value: Int) { file.add(name, [], [Int64(value)]) }
    // NaN stands for a loss that there is not.
    func loss(_ name: String, _ value: Double?) { file.add(name, [], [value ?? .nan]) }
    func numbers(_ name: String, _ values: [Float]) { file.add(name, [values.count], values) }
    file.add("panel_digest", [], [panelDigest])
    file.add("position", [], [state.position])
    counter("retries", retries)
    counter("steps", steps)
    counter("out_of_time", outOfTime ? 1 : 0)
    counter("taken", state.taken)
    counter("best_step", state.bestStep)
    counter("worse", state.worse)
    loss("seconds", seconds)
    loss("best_loss", state.bestLoss)
    loss("validation_loss", state.validationLoss)
    loss("recent_loss", state.recent)
    if let fitted {
      counter("fitted.best_step", fitted.bestStep)
      loss("fitted.validation_loss", fitted.validationLoss)
      loss("fitted.training_loss", fitted.trainingLoss)
      numbers("fitted.parameters", fitted.parameters)
    }
    numbers("parameters", state.parameters)
    numbers("optimiser.first", state.first)
    numbers("optimiser.second", state.second)
    numbers("average", state.average)
    numbers("best", state.best)
    return file.encoded()
  }

  /// - Throws: `TrainingError.badCheckpoint` naming what is wrong with the bytes.
  public init(decoding bytes: [UInt8]) throws {
    func fail(_ text: String) -> TrainingError {
      TrainingError(.badCheckpoint, "these bytes are no checkpoint of ours: \(text)")
    }
    do {
      let file = try Safetensors(decoding: bytes)
      guard file.metadata["format"] == Self.format else {
        throw fail("the metadata do not say \(Self.format)")
      }
      func configuration<Value: Decodable>(_ key: String) throws -> Value {
        guard let text = file.metadata[key],
          let value = try? JSONDecoder().decode(Value.self, from: Data(text.utf8))
        else { throw fail("the metadata hold no configuration of the \(key)") }
        return value
      }
      func counter(_ name: String) throws -> Int {
        guard let value = Int(exactly: try file.signed(name, shape: [])[0]), value >= 0 else {
          throw fail("\(name) is negative")
        }
        return value
      }
      func loss(_ name: String) throws -> Double? {
        let value: Double = try file.numbers(name, shape: [])[0]
        return value.isNaN ? nil : value
      }
      func needed(_ name: String) throws -> Double {
        guard let value = try loss(name) else { throw fail("\(name) is not a number") }
        return value
      }
      // As they are: a training that is about to diverge is resumed to diverge, and retried then.
      func numbers(_ name: String) throws -> [Float] { try file.numbers(name) }
      forecaster = try configuration("forecaster")
      training = try configuration("training")
      panelDigest = try file.unsigned("panel_digest", shape: [])[0]
      retries = try counter("retries")
      steps = try counter("steps")
      seconds = try needed("seconds")
      outOfTime = try counter("out_of_time") != 0
      switch file.metadata["phase"] {
      case TrainingProgress.Phase.fit.rawValue?: fitted = nil
      case TrainingProgress.Phase.refit.rawValue?:
        fitted = FittedPhase(
          parameters: try numbers("fitted.parameters"),
          bestStep: try counter("fitted.best_step"),
          validationLoss: try loss("fitted.validation_loss"),
          trainingLoss: try needed("fitted.training_loss"))
      default: throw fail("the metadata name no phase")
      }
      state = PhaseSnapshot(
        taken: try counter("taken"), position: try file.unsigned("position", shape: [])[0],
        bestStep: try counter("best_step"), worse: try counter("worse"),
        bestLoss: try needed("best_loss"), validationLoss: try loss("validation_loss"),
        recent: try needed("recent_loss"), parameters: try numbers("parameters"),
        first: try numbers("optimiser.first"), second: try numbers("optimiser.second"),
        average: try numbers("average"), best: try numbers("best"))
    } catch let error as SafetensorsError { throw fail(error.message) }
  }
}
