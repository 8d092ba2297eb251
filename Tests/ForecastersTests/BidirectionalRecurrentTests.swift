// Names: shape letters B, T, F, D.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

@Suite("Bidirectional encoders")
struct BidirectionalRecurrentTests {
  private static let B = 3
  private static let T = 8
  private static let F = 4
  private static let D = 5
  private typealias Suite = BidirectionalRecurrentTests

  private struct Setup<Element: Real> {
    let encoder: BidirectionalRecurrent<Element>
    let layout: ParameterLayout
    let parameters: Buffer<Element>

    init(_ kind: RecurrentCell.Kind) {
      var layout = ParameterLayout()
      encoder = BidirectionalRecurrent(
        kind, inputs: Suite.F, hidden: Suite.D, layers: 2, dropout: 0, layout: &layout)
      self.layout = layout
      parameters = Buffer(layout.count)
      var stream = RandomStream(seed: 5, purpose: "initialisation")
      encoder.initialize(parameters, using: &stream)
      var random = SeededGenerator(seed: 8)
      for k in 0..<parameters.count { parameters[k] += Element(random.normal() * 0.1) }
    }

    /// The state `[B, 2 D]` of what `encode` makes of the inputs.
    func run(
      _ inputs: [Double], _ encode: (Tensor<Element>) -> Tensor<Element>
    ) -> [Double] {
      let graph = Graph<Element>()
      let x = graph.input([Suite.T, Suite.B, Suite.F])
      let state = encode(x)
      #expect(state.shape == [Suite.B, 2 * Suite.D] && encoder.width == 2 * Suite.D)
      graph.keep(state)
      let execution = Execution(Plan(graph))
      for (k, number) in inputs.enumerated() { execution.input(x)[k] = Element(number) }
      execution.forward(parameters: parameters.base)
      return (0..<state.shape.count).map { Double(execution.value(state)[$0]) }
    }

    /// One direction of one layer over the rows of one sequence, by single steps.
    func pass(_ kind: RecurrentCell.Kind, _ name: String, _ rows: [[Element]]) -> [[Element]] {
      let cell = RecurrentCell(kind, inputs: rows[0].count, width: Suite.D)
      func tensor(_ part: String) -> UnsafePointer<Element>? {
        layout.tensors.first { $0.name == "backbone.\(name).\(part)" }
          .map { UnsafePointer(parameters.base + $0.offset) }
      }
      let stepper = RecurrentStepper(
        cell, batch: 1, input: tensor("input_weight"), recurrent: tensor("recurrent_weight")!,
        bias: tensor("bias")!, candidateBias: tensor("candidate_bias"))
      return rows.map { row in
        let h = stepper.step(row)
        return (0..<Suite.D).map { h[$0] }
      }
    }
  }

  /// Values, a mask of ones, and two more channels.
  private func inputs() -> [Double] {
    var random = SeededGenerator(seed: 9)
    var inputs = random.normals(Suite.T * Suite.B * Suite.F)
    for k in 0..<(Suite.T * Suite.B) { inputs[k * Suite.F + 1] = 1 }
    return inputs
  }

  /// Both directions over the steps `valid` of every row, and nothing else.
  private func expected(
    _ kind: RecurrentCell.Kind, _ setup: Setup<Double>, _ inputs: [Double], valid: [Range<Int>]
  ) -> [Double] {
    (0..<Suite.B).flatMap { row -> [Double] in
      var x = valid[row].map { t in
        Array(inputs[((t * Suite.B + row) * Suite.F)...].prefix(Suite.F))
      }
      var state: [Double] = []
      for layer in 0..<2 {
        let forward = setup.pass(kind, "\(layer).forward", x)
        let reverse = Array(setup.pass(kind, "\(layer).reverse", x.reversed()).reversed())
        state = forward.last! + reverse.first!
        x = zip(forward, reverse).map(+)
      }
      return state
    }
  }

  @Test(
    "the state is that of two passes by hand",
    arguments: [RecurrentCell.Kind.lstm, .gru, .gruResetBefore])
  func twoPasses(kind: RecurrentCell.Kind) {
    let setup = Setup<Double>(kind)
    let inputs = inputs()
    let expected = expected(
      kind, setup, inputs, valid: [Range](repeating: 0..<Suite.T, count: Suite.B))
    expectClose(setup.run(inputs, setup.encoder.encode), expected, absolute: 1e-13)
    expectClose(setup.run(inputs, setup.encoder.encodeRecomputed), expected, absolute: 1e-13)
    let single = Setup<Float>(kind)
    expectClose(single.run(inputs, single.encoder.encode), expected, absolute: 1e-5)
  }

  @Test("with sequences of different lengths the reverse direction begins at the last valid step")
  func ragged() {
    let setup = Setup<Double>(.lstm)
    let valid = [0..<5, 0..<8, 2..<3]
    let inputs = inputs()
    let mask = (0..<(Suite.T * Suite.B)).map {
      valid[$0 % Suite.B].contains($0 / Suite.B) ? 1.0 : 0
    }
    let found = setup.run(inputs) {
      setup.encoder.encode($0, mask: $0.graph.constant(mask, [Suite.T, Suite.B]))
    }
    expectClose(found, expected(.lstm, setup, inputs, valid: valid), absolute: 1e-13)
  }

  @Test("padding before the start of a series is passed over, gaps in it are read")
  func padding() {
    let setup = Setup<Double>(.gru)
    let valid = [3..<8, 0..<8, 7..<8]
    var inputs = inputs()
    for (row, range) in valid.enumerated() {
      for t in 0..<Suite.T where t < range.lowerBound || (row == 0 && (t == 5 || t == 7)) {
        let at = (t * Suite.B + row) * Suite.F
        (inputs[at], inputs[at + 1]) = (0, 0)
      }
    }
    let expected = expected(.gru, setup, inputs, valid: valid)
    expectClose(setup.run(inputs, setup.encoder.encode), expected, absolute: 1e-13)
    expectClose(setup.run(inputs, setup.encoder.encodeRecomputed), expected, absolute: 1e-13)
    // What stands in the padding does not matter.
    for row in 0..<Suite.B {
      for t in 0..<valid[row].lowerBound { inputs[(t * Suite.B + row) * Suite.F + 2] += 5 }
    }
    expectClose(setup.run(inputs, setup.encoder.encode), expected, absolute: 1e-13)
  }

  @Test("a window without any observation has the zero state")
  func blank() {
    let setup = Setup<Double>(.lstm)
    var inputs = inputs()
    for k in 0..<(Suite.T * Suite.B) { inputs[k * Suite.F + 1] = 0 }
    #expect(setup.run(inputs, setup.encoder.encode).allSatisfy { $0 == 0 })
  }

  @Test("recomputation keeps the outputs of the layers only")
  func memory() {
    var layout = ParameterLayout()
    let encoder = BidirectionalRecurrent<Float>(
      .lstm, inputs: 4, hidden: 32, layers: 4, dropout: 0, layout: &layout)
    func bytes(_ encode: (Tensor<Float>) -> Tensor<Float>) -> Int {
      let graph = Graph<Float>()
      return Plan(graph, loss: encode(graph.input([256, 8, 4])).map(.square).mean()).peakBytes
    }
    #expect(bytes(encoder.encodeRecomputed) * 2 < bytes(encoder.encode))
  }

  @Test("gradients of the inputs agree with differences, and padding has none")
  func inputGradients() {
    let setup = Setup<Double>(.lstm)
    var inputs = inputs()
    for t in 0..<3 { inputs[t * Self.B * Self.F + 1] = 0 }  // row 0
    let ofParameters = Buffer<Double>(setup.layout.count)
    func network(_ encode: (Tensor<Double>) -> Tensor<Double>) -> (
      loss: ([Double]) -> Double, gradient: () -> [Double]
    ) {
      let graph = Graph<Double>()
      let x = graph.input([Self.T, Self.B, Self.F], differentiable: true)
      let loss = encode(x).map(.square).sum()
      let execution = Execution(Plan(graph, loss: loss))
      return (
        { inputs in
          execution.input(x).update(from: inputs, count: inputs.count)
          execution.forward(parameters: setup.parameters.base)
          return execution.value(loss)[0]
        },
        {
          execution.backward(into: ofParameters.base)
          #expect(ofParameters.array.contains { $0 != 0 })
          return (0..<(Self.T * Self.B * Self.F)).map { execution.gradient(x)![$0] }
        }
      )
    }
    let (kept, again) = (network(setup.encoder.encode), network(setup.encoder.encodeRecomputed))
    _ = kept.loss(inputs)
    let gradient = kept.gradient()
    _ = again.loss(inputs)
    expectClose(again.gradient(), gradient, absolute: 1e-14)
    for t in 0..<3 {
      #expect(gradient[(t * Self.B * Self.F)...].prefix(Self.F).allSatisfy { $0 == 0 })
    }
    for k in inputs.indices where k % Self.F != 1 {
      let number = inputs[k]
      inputs[k] = number + 1e-6
      let above = kept.loss(inputs)
      inputs[k] = number - 1e-6
      expectClose(gradient[k], (above - kept.loss(inputs)) / 2e-6, absolute: 1e-8)
      inputs[k] = number
    }
  }
}
