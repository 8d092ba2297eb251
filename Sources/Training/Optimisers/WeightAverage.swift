package import NumericsCore

/// Which average of the weights is validated and kept.
public enum WeightAveraging: String, Codable, Sendable, CaseIterable {
  /// Exponential moving average with decay 0.98 (Polyak & Juditsky 1992 in its usual form).
  case ema
  /// Stochastic weight averaging (Izmailov et al. 2018): the mean of the weights after every step of the
  /// last quarter; before it, the weights themselves.
  case swa
  /// The weights of the last step.
  case none
}

/// The average of the weights so far.
///
/// What is validated and kept is the average: one run's forecasts then depend far less on which batches
/// came last. The EMA's decay grows from 0.1 as (1 + t) / (10 + t) to its final value, so the start is
/// forgotten.
package final class WeightAverage {
  package let weights: Buffer<Float>
  private let kind: WeightAveraging
  private let decay: Float
  /// Steps before the average of `swa` begins.
  private let start: Int
  package private(set) var step = 0

  /// - Parameter steps: steps of the whole training, by which `swa` knows where its last quarter begins.
  package init(
    _ parameters: Buffer<Float>, _ kind: WeightAveraging = .ema, steps: Int, decay: Double = 0.98
  ) {
    weights = Buffer(parameters.count)
    weights.copy(from: parameters)
    self.kind = kind
    self.decay = Float(decay)
    start = steps - (steps + 3) / 4
  }

  /// Takes the state of a run that stopped after `step` steps, the weights apart.
  package func restore(step: Int) { self.step = step }

  package func add(_ parameters: Buffer<Float>) {
    step += 1
    switch kind {
    case .none: return weights.copy(from: parameters)
    case .swa:
      guard step > start + 1 else { return weights.copy(from: parameters) }
      mix(keep: Float(step - start - 1) / Float(step - start), parameters)
    case .ema:
      // In single precision as the weights: whole numbers are exact up to 16 million steps.
      let t = Float(step)
      mix(keep: min(decay, (1 + t) / (10 + t)), parameters)
    }
  }

  private func mix(keep: Float, _ parameters: Buffer<Float>) {
    let (average, current) = (weights.base, parameters.base)
    for k in 0..<parameters.count { average[k] = keep * average[k] + (1 - keep) * current[k] }
  }
}
