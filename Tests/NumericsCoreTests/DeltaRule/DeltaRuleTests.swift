// Names: shape letters B, T, N, K, V, J and the symbols of the papers.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Delta rule")
struct DeltaRuleTests {
  static let fixtures = try? LayerFixture.all {
    $0.inputs["beta_logit"] != nil && $0.outputs["S_steps"] != nil
  }
  static let forms: [(DeltaRule.Form, Int)] = [
    (.recurrent, 3), (.chunkwise, 1), (.chunkwise, 3), (.chunkwise, 64),
  ]

  @Test("there are files to check")
  func present() { #expect(LayerFixture.isElsewhere || (!(Self.fixtures ?? []).isEmpty)) }

  @Test(
    "golden: results, states of every step, loss and gradients", arguments: fixtures ?? [], forms)
  func golden(fixture: LayerFixture, form: (DeltaRule.Form, Int)) throws {
    try check(fixture, fixture.tolerance.f64, Double.self, form)
    try check(fixture, fixture.tolerance.f32, Float.self, form)
  }

  private func check<Element: Real>(
    _ fixture: LayerFixture, _ tolerance: LayerFixture.Tolerance, _ type: Element.Type,
    _ form: (DeltaRule.Form, Int)
  ) throws {
    let file = LayerFixtureGraph<Element>(fixture)
    // Files have the sequence first, then time; updates before heads, as ours.
    func sequence(_ name: String) throws -> Tensor<Element> {
      let tensor = try file.tensor(name)
      let (B, T) = (tensor.shape[0], tensor.shape[1])
      return tensor.reshaped([B, T, tensor.shape.count / (B * T)]).exchanged(axis: 0)
    }
    let k = try file.tensor("k").shape
    let (B, T, J, N, K) = (k[0], k[1], k[2], k[3], k[4])
    let V = try file.tensor("v").shape[4]
    let qkv = Tensor.joined(try ["q", "k", "v"].map(sequence), axis: 2)
    let beta = try sequence("beta_logit").map(.sigmoid).scaled(by: 2)
    let logDecay = try fixture.inputs["alpha_logit"].map { _ in
      try sequence("alpha_logit").map(.logSigmoid)
    }
    let layer = DeltaRule(
      heads: N, keyWidth: K, valueWidth: V, householders: J, epsilon: 0, form: form.0,
      chunk: form.1)
    let initial = fixture.initial["S"].map { state in
      file.graph.constant(state.data.map { Element($0) }, [B * N, V, K]).exchanged(axis: 1)
        .reshaped([B, N, K, V])
    }
    let (y, state) = qkv.deltaRule(layer, beta: beta, logDecay: logDecay, initial: initial)
    // Their state is the transpose of ours.
    func transposed(_ state: Tensor<Element>) -> Tensor<Element> {
      state.reshaped([B * N, K, V]).exchanged(axis: 1)
    }
    let steps = (1...T).map { t in
      func part(_ tensor: Tensor<Element>) -> Tensor<Element> { tensor.slice(axis: 0, 0..<t) }
      let state = part(qkv).deltaRule(
        layer, beta: part(beta), logDecay: logDecay.map(part), initial: initial
      ).state
      return transposed(state).reshaped([B, 1, N, V, K])
    }
    try file.check(
      main: "y",
      results: [
        "y": y.reshaped([T, B, N, V]).exchanged(axis: 0), "S_steps": .joined(steps, axis: 1),
      ], states: ["S": transposed(state)], tolerance)
  }

  struct Box: Sendable, CustomStringConvertible {
    let (steps, batch, heads, keys, values, householders): (Int, Int, Int, Int, Int, Int)
    let chunk: Int
    var gated = false
    var started = false

    init(
      _ steps: Int, _ batch: Int, _ heads: Int, _ keys: Int, _ values: Int, _ householders: Int = 1,
      chunk: Int, gated: Bool = false, started: Bool = false
    ) {
      (self.steps, self.batch, self.heads) = (steps, batch, heads)
      (self.keys, self.values, self.householders) = (keys, values, householders)
      (self.chunk, self.gated, self.started) = (chunk, gated, started)
    }
    func layer(_ form: DeltaRule.Form) -> DeltaRule {
      DeltaRule(
        heads: heads, keyWidth: keys, valueWidth: values, householders: householders,
        epsilon: 0.01, form: form, chunk: chunk)
    }
    var description: String {
      "T \(steps) B \(batch) N \(heads) K \(keys) V \(values) J \(householders) chunk \(chunk)"
        + (gated ? " gated" : "") + (started ? " started" : "")
    }
    var shapes: [Shape] {
      [
        [steps, batch, layer(.recurrent).inputWidth], [steps, batch, householders * heads],
        [steps, batch, heads], [batch, heads, keys, values],
      ]
    }
    /// Queries to values, then numbers of which β, log α and the state are made.
    func numbers(seed: UInt64 = 3) -> [[Double]] {
      var random = SeededGenerator(seed: seed)
      return shapes.map { random.normals($0.count) }
    }
    func apply<Element: Real>(
      _ form: DeltaRule.Form, _ x: [Tensor<Element>]
    ) -> (outputs: Tensor<Element>, state: Tensor<Element>) {
      x[0].deltaRule(
        layer(form), beta: x[1].map(.sigmoid).scaled(by: 2),
        logDecay: gated ? x[2].map(.logSigmoid) : nil, initial: started ? x[3] : nil)
    }
    /// Inputs that matter.
    var used: [Int] { [0, 1] + (gated ? [2] : []) + (started ? [3] : []) }
  }

  static let boxes = [
    Box(1, 1, 1, 1, 1, chunk: 1), Box(7, 2, 3, 5, 3, chunk: 3),
    Box(9, 2, 1, 16, 17, chunk: 4, started: true), Box(8, 1, 2, 6, 9, 2, chunk: 3, gated: true),
    Box(20, 1, 2, 17, 2, chunk: 18, gated: true, started: true),
    Box(6, 3, 2, 4, 4, 3, chunk: 100, started: true), Box(40, 1, 1, 8, 33, chunk: 37, gated: true),
    Box(11, 2, 2, 33, 8, chunk: 5),
  ]

  /// The equations step by step: `y` of every step, then the final state.
  private func naive(_ box: Box, _ x: [[Double]]) -> [Double] {
    let (B, N, K, V, J) = (box.batch, box.heads, box.keys, box.values, box.householders)
    var S = box.started ? x[3] : [Double](repeating: 0, count: B * N * K * V)
    var results: [Double] = []
    let row = box.layer(.recurrent).inputWidth
    func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    for t in 0..<box.steps {
      for b in 0..<B {
        for n in 0..<N {
          let base = (t * B + b) * row
          func unit(_ factor: Int) -> [Double] {
            let from = base + (factor * N + n) * K
            let x = Array(x[0][from..<(from + K)])
            let length = (x.reduce(0) { $0 + $1 * $1 } + 0.01).squareRoot()
            return x.map { $0 / length }
          }
          let at = (b * N + n) * K * V
          let alpha = box.gated ? sigmoid(x[2][(t * B + b) * N + n]) : 1
          for k in 0..<(K * V) { S[at + k] *= alpha }
          for j in 0..<J {
            let k = unit(1 + j)
            let beta = 2 * sigmoid(x[1][((t * B + b) * J + j) * N + n])
            for e in 0..<V {
              let value = x[0][base + N * K * (1 + J) + (j * N + n) * V + e]
              let read = (0..<K).reduce(0.0) { $0 + S[at + $1 * V + e] * k[$1] }
              for d in 0..<K { S[at + d * V + e] += beta * (value - read) * k[d] }
            }
          }
          let q = unit(0)
          for e in 0..<V { results.append((0..<K).reduce(0.0) { $0 + S[at + $1 * V + e] * q[$1] }) }
        }
      }
    }
    return results + S
  }

  private func run<Element: Real>(
    _ box: Box, _ form: DeltaRule.Form, _ x: [[Double]], _ type: Element.Type
  ) -> [Double] {
    let graph = Graph<Element>()
    let inputs = zip(x, box.shapes).map { graph.constant($0.map { Element($0) }, $1) }
    let (y, state) = box.apply(form, inputs)
    for tensor in [y, state] { graph.keep(tensor) }
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Element>(1).base)
    return [y, state].flatMap { tensor in
      (0..<tensor.shape.count).map { Double(execution.value(tensor)[$0]) }
    }
  }

  @Test(
    "both forms and every length of a chunk give the equations", arguments: boxes,
    [DeltaRule.Form.recurrent, .chunkwise])
  func forward(box: Box, form: DeltaRule.Form) {
    let x = box.numbers()
    let expected = naive(box, x)
    let largest = max(1, expected.map { abs($0) }.max() ?? 1)
    expectClose(run(box, form, x, Double.self), expected, absolute: 1e-13 * largest, "\(box)")
    expectClose(run(box, form, x, Float.self), expected, absolute: 1e-5 * largest, "\(box)")
  }

  @Test("the stepper gives the equations", arguments: boxes.filter { !$0.started })
  func stepper(box: Box) {
    let x = box.numbers()
    let expected = naive(box, x)
    let layer = box.layer(.recurrent)
    let stepper = DeltaRuleStepper<Double>(layer, batch: box.batch, gated: box.gated)
    let (row, out) = (box.batch * layer.inputWidth, box.batch * box.heads * box.values)
    let betas = box.batch * box.heads * box.householders
    let decays = box.batch * box.heads
    let beta = x[1].map { 2 / (1 + exp(-$0)) }
    let decay = x[2].map { -log1p(exp(-$0)) }
    for round in 0..<2 {
      var y = [Double](repeating: 0, count: out)
      for t in 0..<box.steps {
        func part(_ numbers: [Double], _ count: Int) -> [Double] {
          Array(numbers[(t * count)..<((t + 1) * count)])
        }
        let decay = part(decay, decays)
        decay.withUnsafeBufferPointer {
          stepper.step(
            part(x[0], row), beta: part(beta, betas), logDecay: box.gated ? $0.baseAddress : nil,
            &y)
        }
        expectClose(
          y, Array(expected[(t * out)..<((t + 1) * out)]), absolute: 1e-13, "\(box) round \(round)")
      }
      expectClose(stepper.state.array, Array(expected[(box.steps * out)...]), absolute: 1e-13)
      stepper.reset()
    }
  }

  @Test(
    "gradients agree with differences", arguments: boxes,
    [DeltaRule.Form.recurrent, .chunkwise])
  func gradients(box: Box, form: DeltaRule.Form) {
    let (numbers, shapes) = (box.numbers(), box.shapes)
    GraphCase("\(box) \(form)", box.used.map { shapes[$0] }) { given in
      var inputs = [given[0], given[0], given[0], given[0]]
      for (slot, tensor) in zip(box.used, given) { inputs[slot] = tensor }
      let (y, state) = box.apply(form, inputs)
      // The state has a gradient of its own.
      return .joined(
        [y.reshaped([y.shape.count]), state.reshaped([state.shape.count]).scaled(by: 0.7)], axis: 0)
    }.checkGradients(relative: 1e-6, values: box.used.map { numbers[$0] })
  }

  /// Results, and gradients of the sum of their squares, with the sequence cut into parts.
  private func results<Element: Real>(
    _ box: Box, _ form: DeltaRule.Form, _ x: [[Double]], cuts: [Int], _ type: Element.Type
  ) -> [Double] {
    let graph = Graph<Element>()
    let inputs = zip(box.used, box.used.map { box.shapes[$0] }).map {
      graph.input($1, differentiable: true)
    }
    var (parts, state): ([Tensor<Element>], Tensor<Element>?) = ([], nil)
    for (from, to) in zip([0] + cuts, cuts + [box.steps]) {
      func part(_ slot: Int) -> Tensor<Element> { inputs[slot].slice(axis: 0, from..<to) }
      let (y, last) = part(0).deltaRule(
        box.layer(form), beta: part(1).map(.sigmoid).scaled(by: 2),
        logDecay: box.gated ? part(2).map(.logSigmoid) : nil, initial: state)
      parts.append(y)
      state = last
    }
    let y = Tensor.joined(parts, axis: 0)
    let loss = y.map(.square).sum()
    graph.keep(y)
    let execution = Execution(Plan(graph, loss: loss))
    for (tensor, slot) in zip(inputs, box.used) {
      for (k, number) in x[slot].enumerated() { execution.input(tensor)[k] = Element(number) }
    }
    let none = Buffer<Element>(1)
    execution.forward(parameters: none.base)
    let values = (0..<y.shape.count).map { Double(execution.value(y)[$0]) }
    execution.backward(into: none.base)
    return values
      + inputs.flatMap { input in
        (0..<input.shape.count).map { Double(execution.gradient(input)![$0]) }
      }
  }

  @Test(
    "parts with the state handed over are one run, in gradients too",
    arguments: [
      Box(11, 2, 2, 5, 3, chunk: 3), Box(11, 2, 2, 5, 3, 2, chunk: 4, gated: true),
    ], [DeltaRule.Form.recurrent, .chunkwise])
  func parts(box: Box, form: DeltaRule.Form) {
    let x = box.numbers()
    let whole = results(box, form, x, cuts: [], Double.self)
    let largest = whole.map { abs($0) }.max() ?? 1
    for cuts in [[1], [6], [10], [3, 7]] {
      expectClose(
        results(box, form, x, cuts: cuts, Double.self), whole, absolute: 1e-13 * largest)
    }
  }

  @Test("long sequences with β near 2 stay finite, and both forms and types agree")
  func long() {
    let box = Box(3000, 1, 2, 16, 16, chunk: 32)
    var x = box.numbers()
    for k in x[1].indices { x[1][k] = 6 + abs(x[1][k]) }  // β from 1.995
    let exact = results(box, .recurrent, x, cuts: [], Double.self)
    #expect(exact.allSatisfy { $0.isFinite })
    let largest = exact.map { abs($0) }.max() ?? 1
    expectClose(
      results(box, .chunkwise, x, cuts: [], Double.self), exact, absolute: 1e-11 * largest)
    for form in [DeltaRule.Form.recurrent, .chunkwise] {
      expectClose(
        results(box, form, x, cuts: [], Float.self), exact, absolute: 2e-4 * largest, "\(form)")
    }
  }

  @Test("a memory that forgets at once and one that never does, in one sequence")
  func decays() {
    let box = Box(50, 1, 1, 6, 7, chunk: 16, gated: true)
    var x = box.numbers()
    for k in x[2].indices { x[2][k] = k % 7 == 3 ? -200 : 30 }
    let exact = results(box, .recurrent, x, cuts: [], Double.self)
    #expect(exact.allSatisfy { $0.isFinite })
    let largest = exact.map { abs($0) }.max() ?? 1
    expectClose(
      results(box, .chunkwise, x, cuts: [], Double.self), exact, absolute: 1e-12 * largest)
    expectClose(
      results(box, .chunkwise, x, cuts: [], Float.self), exact, absolute: 1e-5 * largest)
  }
}
