// Names: shape letters B, T, F, D, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

@Suite("Encoder and decoder")
struct Seq2SeqTests {
  private static let B = 3
  private static let T = 9
  private static let F = 3

  private struct Setup<Element: Real> {
    let model: Seq2Seq<Element>
    let layout: ParameterLayout
    let parameters: Buffer<Element>

    init(attention: Bool, horizon: Int) {
      var layout = ParameterLayout()
      model = Seq2Seq(
        inputs: Seq2SeqTests.F, hidden: 6, layers: 2, horizon: horizon, quantiles: 3, median: 1,
        attention: attention, dropout: 0, layout: &layout)
      self.layout = layout
      parameters = Buffer(layout.count)
      var stream = RandomStream(seed: 5, purpose: "initialisation")
      model.initialize(parameters, using: &stream)
    }

    func run(_ inputs: [Double]) -> [Double] {
      let graph = Graph<Element>()
      let x = graph.input([Seq2SeqTests.T, Seq2SeqTests.B, Seq2SeqTests.F])
      let raw = model.apply(to: x)
      graph.keep(raw)
      let execution = Execution(Plan(graph))
      for (k, number) in inputs.enumerated() { execution.input(x)[k] = Element(number) }
      execution.forward(parameters: parameters.base)
      return (0..<raw.shape.count).map { Double(execution.value(raw)[$0]) }
    }
  }

  /// Values, a mask of ones, and one more channel.
  private func inputs() -> [Double] {
    var random = SeededGenerator(seed: 9)
    var inputs = random.normals(Self.T * Self.B * Self.F)
    for k in 0..<(Self.T * Self.B) { inputs[k * Self.F + 1] = 1 }
    return inputs
  }

  @Test("a longer horizon begins as a shorter one does", arguments: [true, false])
  func horizon(attention: Bool) {
    let (short, long) = (
      Setup<Double>(attention: attention, horizon: 2),
      Setup<Double>(attention: attention, horizon: 5)
    )
    // No parameter depends on the horizon.
    #expect(short.layout.count == long.layout.count)
    let (few, many) = (short.run(inputs()), long.run(inputs()))
    for row in 0..<Self.B {
      expectClose(
        Array(few[(row * 6)..<(row * 6 + 6)]), Array(many[(row * 15)...].prefix(6)),
        absolute: 1e-14)
    }
  }

  @Test("forecasts start near the linear start, and reach back to the first step")
  func start() {
    let setup = Setup<Double>(attention: true, horizon: 4)
    var inputs = inputs()
    let before = setup.run(inputs)
    #expect(before.allSatisfy { abs($0) < 0.5 })
    inputs[0] += 1
    let after = setup.run(inputs)
    // Only the row that changed.
    #expect(before.prefix(12) != after.prefix(12) && before.dropFirst(12) == after.dropFirst(12))
  }

  @Test("the decoder begins at the last observed value", arguments: [true, false])
  func lastObserved(attention: Bool) {
    let setup = Setup<Double>(attention: attention, horizon: 2)
    // The encoder and the recurrent weights of the decoder made silent: what is written depends on what is read.
    for tensor in setup.layout.tensors
    where tensor.name.hasPrefix("encoder") || tensor.name.hasSuffix("recurrent_weight") {
      for k in 0..<tensor.count { setup.parameters[tensor.offset + k] = 0 }
    }
    var inputs = inputs()
    let row = { (t: Int, b: Int) in (t * Self.B + b) * Self.F }
    // Rows 1 and 2 end with missing values; all three have last seen 0.7.
    for (b, last) in [8, 6, 0].enumerated() {
      inputs[row(last, b)] = 0.7
      for t in (last + 1)..<max(Self.T, last + 1) {
        (inputs[row(t, b)], inputs[row(t, b) + 1]) = (0, 0)
      }
    }
    let raw = setup.run(inputs)
    expectClose(Array(raw[6..<12]), Array(raw[0..<6]), absolute: 1e-14)
    expectClose(Array(raw[12..<18]), Array(raw[0..<6]), absolute: 1e-14)
    for t in 0..<Self.T { inputs[row(t, 2) + 1] = 0 }
    #expect(setup.run(inputs)[12..<18] != raw[12..<18])
  }

  @Test("the last median is read at the next step")
  func feedback() {
    // The output's bias moves what is written, so the first step by itself and the others through what is read.
    let setup = Setup<Double>(attention: true, horizon: 3)
    let inputs = inputs()
    let before = setup.run(inputs)
    let bias = setup.layout.tensors.first { $0.name == "decoder.output_bias" }!
    func moved(_ quantile: Int) -> [Double] {
      setup.parameters[bias.offset + quantile] += 0.5
      defer { setup.parameters[bias.offset + quantile] -= 0.5 }
      return zip(setup.run(inputs), before).map(-)
    }
    for row in 0..<Self.B {
      let (outer, median) = (moved(0), moved(1))
      for step in 0..<3 {
        for quantile in 0..<3 {
          let at = (row * 3 + step) * 3 + quantile
          expectClose(outer[at], quantile == 0 ? 0.5 : 0, absolute: 1e-14)
          if step == 0 {
            expectClose(median[at], quantile == 1 ? 0.5 : 0, absolute: 1e-14)
          } else {
            #expect(abs(median[at] - (quantile == 1 ? 0.5 : 0)) > 1e-6)
          }
        }
      }
    }
  }

  @Test("recomputation over long windows takes a fraction of the memory")
  func memory() {
    var layout = ParameterLayout()
    let model = Seq2Seq<Float>(
      inputs: 4, hidden: 32, layers: 2, horizon: 4, quantiles: 3, median: 1, attention: true,
      dropout: 0, layout: &layout)
    func bytes(_ apply: (Tensor<Float>) -> Tensor<Float>) -> Int {
      let graph = Graph<Float>()
      return Plan(graph, loss: apply(graph.input([1024, 8, 4])).map(.square).mean()).peakBytes
    }
    #expect(bytes(model.applyRecomputed) * 3 < bytes(model.apply))
  }

  @Test("gradients of the inputs agree with differences", arguments: [true, false])
  func inputGradients(attention: Bool) {
    let setup = Setup<Double>(attention: attention, horizon: 3)
    var inputs = inputs()
    // One row ends with a missing value, one has none at all.
    for (t, row) in [(8, 0)] + (0..<Self.T).map({ ($0, 1) }) {
      inputs[(t * Self.B + row) * Self.F + 1] = 0
    }
    let graph = Graph<Double>()
    let x = graph.input([Self.T, Self.B, Self.F], differentiable: true)
    let loss = setup.model.apply(to: x).map(.square).sum()
    let execution = Execution(Plan(graph, loss: loss))
    func run(_ inputs: [Double]) -> Double {
      execution.input(x).update(from: inputs, count: inputs.count)
      execution.forward(parameters: setup.parameters.base)
      return execution.value(loss)[0]
    }
    _ = run(inputs)
    let ofParameters = Buffer<Double>(setup.layout.count)
    execution.backward(into: ofParameters.base)
    #expect(ofParameters.array.contains { $0 != 0 })
    let gradient = (0..<inputs.count).map { execution.gradient(x)![$0] }
    // The mask says where the last value is, and is no number to move.
    for k in inputs.indices where k % Self.F != 1 {
      let number = inputs[k]
      inputs[k] = number + 1e-6
      let above = run(inputs)
      inputs[k] = number - 1e-6
      expectClose(gradient[k], (above - run(inputs)) / 2e-6, absolute: 1e-8)
      inputs[k] = number
    }
  }
}
