// Training steps and streaming steps of stacks of xLSTM blocks, to be measured in turn with
// Benchmarks/peers/xlstm_layers.py.

import Forecasters
import Foundation
import NumericsCore

/// One stack of xLSTM blocks behind a linear layer of the same width.
struct BlockMeasurement {
  let width: Int
  let blocks: [XLSTMBlock]

  /// - Parameter kind: `slstm` or `mlstm`: one block with four heads and a convolution of length 4.
  init?(kind: String, width: Int) {
    self.width = width
    switch kind {
    case "slstm": blocks = [.slstm(heads: 4)]
    case "mlstm": blocks = [.mlstm(heads: 4)]
    default: return nil
    }
  }

  private func model() -> (XLSTM<Float>, Buffer<Float>) {
    var layout = ParameterLayout()
    let model = XLSTM<Float>(
      inputs: width, hidden: width, blocks: blocks, dropout: 0, layout: &layout)
    let parameters = Buffer<Float>(layout.count)
    var stream = RandomStream(seed: 1, purpose: "initialisation")
    model.initialize(parameters, using: &stream)
    return (model, parameters)
  }

  private struct Part: @unchecked Sendable {  // each thread uses its own
    let execution: Execution<Float>
    let gradient: Buffer<Float>
  }

  /// Milliseconds of the best training step (forward, backward, Adam), the batch split over threads, and the
  /// numbers in memory beside the parameters, in MB.
  func training(batch: Int, length: Int, threads: Int, seconds: Double) -> (
    milliseconds: Double, plannedMB: Double
  ) {
    let (model, parameters) = model()
    let (first, second) = (Buffer<Float>(parameters.count), Buffer<Float>(parameters.count))
    var adam = OptimiserStep(.adam, rate: 1e-4)
    (adam.beta1, adam.beta2, adam.epsilon) = (0.9, 0.999, 1e-8)
    var random = RandomStream(seed: 2, purpose: "bench")
    let parts = (0..<threads).map { thread in
      let rows = batch * (thread + 1) / threads - batch * thread / threads
      let graph = Graph<Float>()
      let x = graph.input([length, rows, width])
      // The loss is the mean square of all outputs, so the gradient reaches every step.
      let loss = model.apply(to: x).all.map(.square).mean()
      graph.keep(loss)
      let execution = Execution(Plan(graph, loss: loss))
      for k in 0..<x.shape.count { execution.input(x)[k] = Float(random.normal()) }
      return Part(execution: execution, gradient: Buffer(parameters.count))
    }
    let milliseconds = Self.best(seconds) {
      parallel(count: threads) { thread in
        let part = parts[thread]
        part.execution.forward(parameters: parameters.base, training: true)
        part.gradient.zero()
        part.execution.backward(into: part.gradient.base, scale: 1 / Float(threads))
      }
      for part in parts.dropFirst() {
        Float.add(parameters.count, part.gradient.base, to: parts[0].gradient.base)
      }
      Float.optimise(
        adam, parameters.count, parameters.base, parts[0].gradient.base, first.base, second.base)
    }
    let planned = parts.reduce(0) { $0 + $1.execution.plan.peakBytes }
    return (milliseconds, Double(planned) / 1e6)
  }

  /// Milliseconds of one step of one sequence.
  func streaming(seconds: Double) -> Double {
    let (model, parameters) = model()
    let stepper = model.makeStepper(parameters.base, batch: 1)
    var random = RandomStream(seed: 2, purpose: "bench")
    let x = Buffer<Float>((0..<width).map { _ in Float(random.normal()) })
    let y = Buffer<Float>(width)
    let repeats = 200
    return Self.best(seconds) {
      for _ in 0..<repeats { stepper.step(x.base, y.base) }
    } / Double(repeats)
  }

  private static func best(_ seconds: Double, _ body: () -> Void) -> Double {
    let clock = ContinuousClock()
    body()
    body()
    var best = Duration.seconds(1_000_000)
    let end = clock.now + .seconds(seconds)
    repeat { best = min(best, clock.measure(body)) } while clock.now < end
    return Double(best.components.attoseconds) / 1e15 + Double(best.components.seconds) * 1e3
  }
}
