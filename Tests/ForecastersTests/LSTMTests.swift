// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

@Suite("LSTM")
struct LSTMTests {
  static let boxes = [
    (B: 1, T: 1, F: 1, D: 1, layers: 1), (2, 3, 1, 5, 1), (3, 4, 5, 3, 2), (1, 6, 2, 4, 3),
    (5, 2, 7, 1, 3),
  ]

  final class Setup<Element: Real> {
    let lstm: LSTM<Element>
    let layout: ParameterLayout
    let parameters: Buffer<Element>
    let inputs: Buffer<Element>
    let box: (B: Int, T: Int, F: Int, D: Int, layers: Int)

    init(_ box: (B: Int, T: Int, F: Int, D: Int, layers: Int), dropout: Double = 0) {
      self.box = box
      var layout = ParameterLayout()
      lstm = LSTM(
        inputs: box.F, hidden: box.D, layers: box.layers, dropout: dropout, layout: &layout)
      self.layout = layout
      parameters = Buffer(layout.count)
      var stream = RandomStream(seed: 5, purpose: "initialisation")
      lstm.initialize(parameters, using: &stream)
      var random = SeededGenerator(seed: 8)
      for k in 0..<parameters.count { parameters[k] += Element(random.normal() * 0.1) }
      inputs = Buffer(random.normals(box.T * box.B * box.F).map { Element($0) })
    }

    func outputs(_ stream: RandomStream? = nil, _ workspace: BackboneWorkspace<Element>? = nil)
      -> [Element]
    {
      var dropout = stream
      let workspace = workspace ?? lstm.makeWorkspace()
      defer { withExtendedLifetime(workspace) {} }
      let y = lstm.forward(
        time: box.T, batch: box.B, inputs: inputs.base, parameters: parameters.base,
        workspace: workspace, dropout: &dropout)
      return (0..<(box.T * box.B * box.D)).map { y[$0] }
    }
  }

  @Test("gradients equal central differences, also under dropout", arguments: boxes, [0, 0.4])
  func gradients(box: (B: Int, T: Int, F: Int, D: Int, layers: Int), dropout: Double) {
    let setup = Setup<Double>(box, dropout: dropout)
    let stream = dropout > 0 ? RandomStream(seed: 3, purpose: "dropout") : nil
    var random = SeededGenerator(seed: 9)
    let weights = random.normals(box.T * box.B * box.D)
    func loss() -> Double { zip(setup.outputs(stream), weights).reduce(0) { $0 + $1.0 * $1.1 } }

    let workspace = setup.lstm.makeWorkspace()
    _ = setup.outputs(stream, workspace)
    let gradient = Buffer<Double>(setup.layout.count)
    let dOutputs = Buffer(weights)
    defer { withExtendedLifetime((setup, gradient, dOutputs)) {} }  // pointers into them are used
    setup.lstm.backward(
      time: box.T, batch: box.B, inputs: setup.inputs.base, parameters: setup.parameters.base,
      dOutputs: dOutputs.base, gradient: gradient.base, workspace: workspace)
    let numeric = centralDifferences(setup.parameters, loss)
    expectClose(gradient.array, numeric, absolute: 1e-8, relative: 1e-6, "\(box)")
  }

  @Test("steps one by one give the whole sequence", arguments: boxes)
  func step(box: (B: Int, T: Int, F: Int, D: Int, layers: Int)) {
    let setup = Setup<Double>(box)
    let whole = setup.outputs()
    for row in 0..<box.B {
      let state = Buffer<Double>(setup.lstm.stateCount)
      let output = Buffer<Double>(box.D)
      defer { withExtendedLifetime((setup, state, output)) {} }
      for t in 0..<box.T {
        let at = t * box.B + row
        setup.lstm.step(
          input: setup.inputs.base + at * box.F, parameters: setup.parameters.base,
          state: state.base, output: output.base)
        expectClose(output.array, whole[(at * box.D)...].prefix(box.D), absolute: 1e-13)
      }
    }
  }

  @Test("two parts with the state handed over are one run")
  func parts() {
    let box = (B: 2, T: 7, F: 3, D: 4, layers: 2)
    let setup = Setup<Double>(box)
    let first = 3
    let workspaces = (0..<3).map { _ in setup.lstm.makeWorkspace() }
    let whole = setup.outputs(nil, workspaces[0])
    let state = Buffer<Double>(box.layers * 2 * box.B * box.D)
    defer { withExtendedLifetime((setup, state)) {} }
    var none: RandomStream?
    func run(_ time: Int, from t: Int, _ initial: UnsafePointer<Double>?, _ workspace: Int)
      -> [Double]
    {
      let y = setup.lstm.forward(
        time: time, batch: box.B, inputs: setup.inputs.base + t * box.B * box.F,
        parameters: setup.parameters.base, initial: initial, workspace: workspaces[workspace],
        dropout: &none)
      return (0..<(time * box.B * box.D)).map { y[$0] }
    }
    var joined = run(first, from: 0, nil, 1)
    setup.lstm.finalState(
      time: first, batch: box.B, workspace: workspaces[1], to: state.base)
    joined += run(box.T - first, from: first, UnsafePointer(state.base), 2)
    expectClose(joined, whole, absolute: 1e-13)
  }

  @Test("a batch is its rows one by one")
  func rows() {
    let box = (B: 4, T: 5, F: 2, D: 3, layers: 2)
    let setup = Setup<Double>(box)
    let whole = setup.outputs()
    for row in 0..<box.B {
      let one = Setup<Double>((B: 1, T: box.T, F: box.F, D: box.D, layers: box.layers))
      for t in 0..<box.T {
        for f in 0..<box.F {
          one.inputs[t * box.F + f] = setup.inputs[(t * box.B + row) * box.F + f]
        }
      }
      let outputs = one.outputs()
      for t in 0..<box.T {
        expectClose(
          outputs[(t * box.D)...].prefix(box.D),
          whole[((t * box.B + row) * box.D)...].prefix(box.D), absolute: 1e-13)
      }
    }
  }

  @Test("outputs do not depend on later inputs")
  func causal() {
    let box = (B: 2, T: 6, F: 3, D: 4, layers: 2)
    let setup = Setup<Float>(box)
    let before = setup.outputs()
    for k in (3 * box.B * box.F)..<setup.inputs.count { setup.inputs[k] += 10 }
    let after = setup.outputs()
    let kept = 3 * box.B * box.D
    #expect(before.prefix(kept) == after.prefix(kept))
    #expect(before.dropFirst(kept) != after.dropFirst(kept))
  }

  @Test("recurrent weights start orthogonal and the forget bias at one")
  func start() throws {
    var layout = ParameterLayout()
    let D = 7
    let lstm = LSTM<Double>(inputs: 3, hidden: D, layers: 1, dropout: 0, layout: &layout)
    let parameters = Buffer<Double>(layout.count)
    var stream = RandomStream(seed: 1, purpose: "initialisation")
    lstm.initialize(parameters, using: &stream)
    let r = try #require(layout.tensors.first { $0.name.hasSuffix("recurrent_weight") }).offset
    for gate in 0..<4 {
      for i in 0..<D {
        for j in 0..<D {
          let dot = (0..<D).reduce(0.0) {
            $0 + parameters[r + i * 4 * D + gate * D + $1]
              * parameters[r + j * 4 * D + gate * D + $1]
          }
          expectClose(dot, i == j ? 1 : 0, absolute: 1e-12)
        }
      }
    }
    let bias = try #require(layout.tensors.first { $0.name.hasSuffix("bias") }).offset
    for k in 0..<(4 * D) { #expect(parameters[bias + k] == (k / D == 1 ? 1 : 0)) }
  }
}

/// Central differences of `loss` with respect to every element of `values`, step 1e-6.
func centralDifferences(_ values: Buffer<Double>, _ loss: () -> Double) -> [Double] {
  (0..<values.count).map { k in
    let value = values[k]
    values[k] = value + 1e-6
    let up = loss()
    values[k] = value - 1e-6
    let down = loss()
    values[k] = value
    return (up - down) / 2e-6
  }
}
