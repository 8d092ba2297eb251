import NumericsCore

/// Exponential moving average of the weights (Polyak & Juditsky 1992 in its usual form).
///
/// What is validated and kept is the average: one run's forecasts then depend far less on which batches
/// came last. The decay grows from 0.1 as (1 + t) / (10 + t) to its final value, so the start is forgotten.
final class WeightAverage {
  let weights: Buffer<Float>
  private let decay: Float
  private var step: Float = 0

  init(_ parameters: Buffer<Float>, decay: Double = 0.98) {
    weights = Buffer(parameters.count)
    weights.copy(from: parameters)
    self.decay = Float(decay)
  }

  func add(_ parameters: Buffer<Float>) {
    step += 1
    let keep = min(decay, (1 + step) / (10 + step))
    let (average, current) = (weights.base, parameters.base)
    for k in 0..<parameters.count { average[k] = keep * average[k] + (1 - keep) * current[k] }
  }
}
