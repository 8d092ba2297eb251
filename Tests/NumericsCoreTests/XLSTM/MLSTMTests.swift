// Names: shape letters B, T, D, N, E.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("mLSTM")
struct MLSTMTests {
  static let fixtures = try? LayerFixture.all {
    $0.weights["W_i"] != nil && $0.outputs["h_parallel"] != nil
  }

  @Test("there are files to check")
  func present() { #expect(LayerFixture.isElsewhere || (!(Self.fixtures ?? []).isEmpty)) }

  @Test("golden: results, states, loss and gradients", arguments: fixtures ?? [], [1, 3, 4, 64])
  func golden(fixture: LayerFixture, chunk: Int) throws {
    try check(fixture, fixture.tolerance.f64, Double.self, chunk: chunk)
    try check(fixture, fixture.tolerance.f32, Float.self, chunk: chunk)
  }

  private func check<Element: Real>(
    _ fixture: LayerFixture, _ tolerance: LayerFixture.Tolerance, _ type: Element.Type, chunk: Int
  ) throws {
    let file = LayerFixtureGraph<Element>(fixture)
    let qkv = Tensor.joined(
      try ["q", "k", "v"].map { try file.tensor($0).exchanged(axis: 0) }, axis: 2)
    let (T, B, E) = (qkv.shape[0], qkv.shape[1], qkv.shape[2] / 3)
    let N = try file.tensor("b_i").shape[0]
    func gate(_ name: String) throws -> Tensor<Element> {
      qkv.linear(
        try file.tensor("W_\(name)").exchanged(axis: 0), bias: try file.tensor("b_\(name)"))
    }
    let (i, f) = (try gate("i"), try gate("f"))
    let gates = Tensor.joined([i, f], axis: 2)
    let epsilon = try #require(fixture.settings["eps"])
    let layer = MLSTM(heads: N, width: E / N, epsilon: epsilon, chunk: chunk)
    let (h, state) = qkv.mlstm(layer, gates: gates)
    // The reference's parallel form does not know m_0 = 0.
    let none = MLSTMState(
      C: file.graph.constant(
        [Element](repeating: 0, count: B * E * E / N), [B, N, E / N, E / N]),
      n: file.graph.constant([Element](repeating: 0, count: B * E), [B, N, E / N]),
      m: file.graph.constant([Element](repeating: -1e30, count: B * N), [B, N]))
    let parallel = qkv.mlstm(layer, gates: gates, initial: none).outputs
    var (ns, ms): ([Tensor<Element>], [Tensor<Element>]) = ([], [])
    for t in 1...T {
      let part = qkv.slice(axis: 0, 0..<t).mlstm(layer, gates: gates.slice(axis: 0, 0..<t)).state
      ns.append(part.n.reshaped([B, N, 1, E / N]))
      ms.append(part.m.reshaped([B, N, 1]))
    }
    func byHead(_ gate: Tensor<Element>) -> Tensor<Element> {
      gate.exchanged(axis: 0).exchanged(axis: 1)
    }
    try file.check(
      main: "h",
      results: [
        "h": h.exchanged(axis: 0), "h_parallel": parallel.exchanged(axis: 0),
        "n_steps": .joined(ns, axis: 2), "m_steps": .joined(ms, axis: 2),
        "igate_preact": byHead(i), "fgate_preact": byHead(f),
      ], states: ["C": state.C, "n": state.n, "m": state.m], tolerance)
  }

  struct Box: Sendable, CustomStringConvertible {
    let (steps, batch, heads, width, chunk): (Int, Int, Int, Int, Int)
    var epsilon = 0.0
    var started = false

    init(
      _ steps: Int, _ batch: Int, _ heads: Int, _ width: Int, chunk: Int, epsilon: Double = 0,
      started: Bool = false
    ) {
      (self.steps, self.batch, self.heads, self.width, self.chunk) = (
        steps, batch, heads, width, chunk
      )
      (self.epsilon, self.started) = (epsilon, started)
    }
    var layer: MLSTM { MLSTM(heads: heads, width: width, epsilon: epsilon, chunk: chunk) }
    var description: String {
      "T \(steps) B \(batch) N \(heads) D \(width) chunk \(chunk) eps \(epsilon)"
        + (started ? " started" : "")
    }
    /// q k v, gates, C, n, m.
    var shapes: [Shape] {
      [
        [steps, batch, 3 * heads * width], [steps, batch, 2 * heads],
        [batch, heads, width, width], [batch, heads, width], [batch, heads],
      ]
    }
    func numbers(seed: UInt64 = 3) -> [[Double]] {
      var random = SeededGenerator(seed: seed)
      return shapes.map { random.normals($0.count) }
    }
  }

  static let boxes = [
    Box(1, 1, 1, 1, chunk: 1), Box(7, 2, 3, 5, chunk: 3), Box(9, 2, 1, 16, chunk: 4, started: true),
    Box(20, 1, 2, 17, chunk: 18, epsilon: 0.01, started: true), Box(6, 3, 2, 4, chunk: 100),
    Box(40, 1, 1, 8, chunk: 16, epsilon: 0.1),
  ]

  /// The recurrent equations step by step: `h` of every step.
  private func naive(_ box: Box, _ x: [[Double]]) -> [Double] {
    let (B, N, D) = (box.batch, box.heads, box.width)
    var h: [Double] = []
    var C = box.started ? x[2] : [Double](repeating: 0, count: B * N * D * D)
    var n = box.started ? x[3] : [Double](repeating: 0, count: B * N * D)
    var m = box.started ? x[4] : [Double](repeating: 0, count: B * N)
    for t in 0..<box.steps {
      for b in 0..<B {
        for head in 0..<N {
          let at = b * N + head
          func operand(_ part: Int, _ d: Int) -> Double {
            x[0][((t * B + b) * 3 + part) * N * D + head * D + d]
          }
          let gate = x[1][((t * B + b) * 2) * N + head]
          let forget = m[at] - log1p(exp(-x[1][((t * B + b) * 2 + 1) * N + head]))
          m[at] = max(forget, gate)
          let (f, i) = (exp(forget - m[at]), exp(gate - m[at]))
          var product = 0.0
          for d in 0..<D {
            let key = operand(1, d) / Double(D).squareRoot()
            n[at * D + d] = f * n[at * D + d] + i * key
            product += n[at * D + d] * operand(0, d)
            for e in 0..<D {
              C[(at * D + d) * D + e] = f * C[(at * D + d) * D + e] + i * key * operand(2, e)
            }
          }
          for e in 0..<D {
            let sum = (0..<D).reduce(0.0) { $0 + C[(at * D + $1) * D + e] * operand(0, $1) }
            h.append(sum / (max(abs(product), exp(-m[at])) + box.epsilon))
          }
        }
      }
    }
    return h
  }

  private func run<Element: Real>(_ box: Box, _ x: [[Double]], _ type: Element.Type) -> [Double] {
    let graph = Graph<Element>()
    let inputs = zip(x, box.shapes).map { graph.constant($0.map { Element($0) }, $1) }
    let h = apply(box, inputs).outputs
    graph.keep(h)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Element>(1).base)
    return (0..<h.shape.count).map { Double(execution.value(h)[$0]) }
  }

  private func apply<Element: Real>(
    _ box: Box, _ inputs: [Tensor<Element>]
  ) -> (outputs: Tensor<Element>, state: MLSTMState<Element>) {
    inputs[0].mlstm(
      box.layer, gates: inputs[1],
      initial: box.started ? MLSTMState(C: inputs[2], n: inputs[3], m: inputs[4]) : nil)
  }

  @Test("every length of a chunk gives the equations", arguments: boxes)
  func forward(box: Box) {
    let x = box.numbers()
    let expected = naive(box, x)
    let largest = max(1, expected.map { abs($0) }.max() ?? 1)
    expectClose(run(box, x, Double.self), expected, absolute: 1e-11 * largest, "\(box)")
    expectClose(run(box, x, Float.self), expected, absolute: 2e-4 * largest, "\(box)")
  }

  @Test("the recurrent form gives the equations", arguments: boxes.filter { !$0.started })
  func stepper(box: Box) {
    let x = box.numbers()
    let expected = naive(box, x)
    let largest = max(1, expected.map { abs($0) }.max() ?? 1)
    let stepper = MLSTMStepper<Double>(box.layer, batch: box.batch)
    let (row, gates) = (box.batch * box.heads * box.width, 2 * box.batch * box.heads)
    for round in 0..<2 {
      var h = [Double](repeating: 0, count: row)
      for t in 0..<box.steps {
        stepper.step(
          Array(x[0][(3 * t * row)..<(3 * (t + 1) * row)]),
          gates: Array(x[1][(t * gates)..<((t + 1) * gates)]), &h)
        expectClose(
          h, Array(expected[(t * row)..<((t + 1) * row)]), absolute: 1e-11 * largest,
          "\(box) round \(round)")
      }
      stepper.reset()
    }
  }

  @Test("gradients agree with differences", arguments: boxes.filter { $0.steps < 30 })
  func gradients(box: Box) {
    let numbers = box.numbers()
    // m of the state has a gradient through epsilon alone.
    let used = box.started ? [0, 1, 2, 3] : [0, 1]
    let shapes = box.shapes
    GraphCase(box.description, used.map { shapes[$0] }) { given in
      let m = given[0].graph.constant(numbers[4], shapes[4])
      return apply(box, given + [m]).outputs
    }.checkGradients(relative: 1e-6, values: used.map { numbers[$0] })
  }

  @Test("two parts with the state handed over are one run, in gradients too", arguments: [0, 0.01])
  func parts(epsilon: Double) {
    let box = Box(11, 2, 2, 5, chunk: 3, epsilon: epsilon)
    let x = box.numbers()
    func results(cut: Int?) -> [Double] {
      let graph = Graph<Double>()
      let inputs = box.shapes[..<2].map { graph.input($0, differentiable: true) }
      var h: Tensor<Double>
      if let cut {
        func part(_ range: Range<Int>, _ state: MLSTMState<Double>?)
          -> (outputs: Tensor<Double>, state: MLSTMState<Double>)
        {
          inputs[0].slice(axis: 0, range).mlstm(
            box.layer, gates: inputs[1].slice(axis: 0, range), initial: state)
        }
        let first = part(0..<cut, nil)
        h = .joined([first.outputs, part(cut..<box.steps, first.state).outputs], axis: 0)
      } else {
        h = inputs[0].mlstm(box.layer, gates: inputs[1]).outputs
      }
      let loss = h.map(.square).sum()
      graph.keep(h)
      let execution = Execution(Plan(graph, loss: loss))
      for (tensor, numbers) in zip(inputs, x) {
        for (k, number) in numbers.enumerated() { execution.input(tensor)[k] = number }
      }
      let none = Buffer<Double>(1)
      execution.forward(parameters: none.base)
      let values = (0..<h.shape.count).map { execution.value(h)[$0] }
      execution.backward(into: none.base)
      return values
        + inputs.flatMap { input in
          (0..<input.shape.count).map { execution.gradient(input)![$0] }
        }
    }
    let whole = results(cut: nil)
    let largest = whole.map { abs($0) }.max() ?? 1
    for cut in [1, 6, 10] { expectClose(results(cut: cut), whole, absolute: 1e-12 * largest) }
  }
}
