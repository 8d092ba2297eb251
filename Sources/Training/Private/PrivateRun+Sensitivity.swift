import Forecasters
import NumericsCore
import Privacy

// How much one unit changes what is added up: looked at, before the noise.
extension PrivateRun {
  /// The largest changes by one unit, in units of what the noise is for: no more than 1 where clipping is right.
  struct Sensitivity {
    /// By a gradient that is made up: long in one tensor, in all of them, or no number at all.
    var crafted = 0.0
    /// By one of the panel's: what a batch adds up to with it and without.
    var real = 0.0
    /// Of the crafted ones, where the largest was.
    var place = ""

    /// Rounding of the gradients of others, which in single precision depends on who shares a pass with them.
    static let tolerance = 1e-4

    var isOff: Bool { !(max(crafted, real) <= 1 + Self.tolerance) }
  }

  /// Units of the panel that are tried, and units in the batch that they are taken from.
  private static let tried = 4
  private static let batch = 16

  private static let everywhere = "all parameters together"

  func sensitivity(_ parameters: Buffer<Float>, _ stages: PrivateStages) -> Sensitivity {
    var result = Sensitivity()
    let length = Float(PrivateAuditor.length * sum.clippingNorm)
    func probe(_ name: String, _ range: Range<Int>, _ value: Float) {
      let gradient = Buffer<Float>(parameters.count)
      for k in range { gradient[k] = k & 1 == 0 ? value : -value }
      let add = stages.add
      sum.collect { thread, lane in if thread == 0 { add(gradient, lane) } }
      let change = norm(takeSum())
      // Of several, the tensor where it is worst; all of them together only where none is wrong alone.
      guard change > result.crafted, name != Self.everywhere || !result.isOff else { return }
      (result.crafted, result.place) = (change, name)
    }
    for tensor in layout.tensors {
      probe(tensor.name, tensor.offset..<tensor.offset + tensor.count, length)
    }
    probe(Self.everywhere, 0..<parameters.count, length)
    probe(Self.everywhere, 0..<parameters.count, .nan)

    for unit in 0..<min(Self.tried, units.count) {
      _ = collect([unit], step: 0, parameters)
      result.real = max(result.real, norm(takeSum()))
    }
    // Dropout gives each place in a batch its own mask, at random: where it is not the same for all, others change with
    // their places.
    guard memory.network.configuration.dropout == 0 else { return result }
    let batch = Array(0..<min(Self.batch, units.count))
    _ = collect(batch, step: 0, parameters)
    let whole = takeSum()
    for number in 0..<min(Self.tried, batch.count) {
      // Not the last ones only: others move up in the passes.
      let left = batch.filter { $0 != batch[number * batch.count / Self.tried] }
      _ = collect(left, step: 0, parameters)
      let without = takeSum()
      result.real = max(result.real, norm(zip(whole, without).map { $0 - $1 }))
    }
    return result
  }

  /// What was collected, all coordinates of it.
  private func takeSum() -> [Double] {
    let values = (0..<sum.coordinates).map(sum.value)
    sum.clear()
    return values
  }

  private func norm(_ values: [Double]) -> Double {
    values.reduce(0) { $0 + $1 * $1 }.squareRoot() / sum.sensitivity
  }
}
