// Names: shape letters B, T, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing

/// State spaces over observations at any times, beside what is known of them in closed form.
@Suite("Irregular times")
struct IrregularTimeTests {
  /// `x'' + 2 d x' + (d^2 + w^2) x = u` from rest, with `u` held between observations; as one mode `A = -d + i w` and
  /// `C = -i / (2 w)`.
  private struct Oscillator {
    let d = 0.15
    let w = 2.3
    let T = 60
    let B = 2
    let inputs: [Double]
    let gaps: [Double]

    init() {
      var random = SeededGenerator(seed: 12)
      inputs = random.normals(T * B)
      // From a thousandth of a unit to several periods at once, and each sequence at times of its own.
      gaps = (0..<(T * B)).map { _ in exp(-7 + 9 * random.uniform()) }
    }

    /// Position after a time under `u = 1`.
    func response(_ t: Double) -> Double {
      (1 - exp(-d * t) * (cos(w * t) + d / w * sin(w * t))) / (d * d + w * w)
    }

    /// The position at every observation: each held input is a step up and, later, a step down.
    var positions: [Double] {
      (0..<(T * B)).map { place in
        let (t, b) = (place / B, place % B)
        var (since, sum) = (0.0, 0.0)
        for k in stride(from: t, through: 0, by: -1) {
          let until = since + gaps[k * B + b]
          sum += inputs[k * B + b] * (response(until) - response(since))
          since = until
        }
        return sum
      }
    }
  }

  @Test("one mode for each channel follows a damped oscillator exactly")
  func channels() {
    let system = Oscillator()
    let graph = Graph<Double>()
    let weights = S4DWeights(
      logStep: graph.constant([0], [1]), logDecay: graph.constant([log(system.d)], [1, 1]),
      frequency: graph.constant([system.w], [1, 1]),
      output: graph.constant([0, -1 / (2 * system.w)], [1, 1, 2]))
    let y = graph.constant(system.inputs, [system.T, system.B, 1]).s4d(
      weights, gaps: graph.constant(system.gaps, [system.T, system.B]))
    graph.keep(y)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Double>(1).base)
    expectClose(
      (0..<y.shape.count).map { execution.value(y)[$0] }, system.positions, absolute: 1e-12)
  }

  @Test("shared modes follow it too")
  func shared() {
    let system = Oscillator()
    let graph = Graph<Double>()
    let driven = system.inputs.flatMap { [$0, 0.0] }
    let s = graph.constant(driven, [system.T, system.B, 2]).diagonalScan(
      logStep: graph.constant([0], [1]), logDecay: graph.constant([log(system.d)], [1]),
      frequency: graph.constant([system.w], [1]),
      gaps: graph.constant(system.gaps, [system.T, system.B]))
    graph.keep(s)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Double>(1).base)
    // 2 Re(-i s / (2 w)).
    let found = (0..<(system.T * system.B)).map { execution.value(s)[2 * $0 + 1] / system.w }
    expectClose(found, system.positions, absolute: 1e-12)
  }

  @Test("what selective state spaces hold decays with the true time")
  func selective() {
    let (T, rate, step) = (40, 0.7, 0.3)
    var random = SeededGenerator(seed: 4)
    let gaps = (0..<T).map { _ in exp(-6 + 7 * random.uniform()) }
    let graph = Graph<Double>()
    // An input at the first step alone; C is 1.
    let impulse = (0..<T).map { $0 == 0 ? 1.0 : 0 }
    let irregular = graph.constant(gaps, [T, 1])
    let x = graph.constant(impulse, [T, 1, 1])
    let ones = graph.constant([Double](repeating: 1, count: 2 * T), [T, 1, 2])
    let delta = graph.constant([Double](repeating: log(expm1(step)), count: T), [T, 1, 1])
    let decay = graph.constant([log(rate)], [1, 1])
    let scanned = x.selectiveScan(
      delta: delta, bc: ones, logDecay: decay, skip: graph.constant([0], [1]), gaps: irregular
    ).outputs
    let dual = Tensor.joined([x, ones], axis: 2).dual(
      StateSpaceDuality(heads: 1, width: 1, states: 1, chunk: 7),
      steps: delta.map(.softplus) * irregular.reshaped([T, 1, 1]), logDecay: decay.reshaped([1])
    ).outputs
    graph.keep(scanned)
    graph.keep(dual)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Double>(1).base)
    var elapsed = 0.0
    for t in 0..<T {
      elapsed += t == 0 ? 0 : step * gaps[t]
      let expected = step * gaps[0] * exp(-rate * elapsed)
      expectClose(execution.value(scanned)[t], expected, absolute: 1e-14)
      expectClose(execution.value(dual)[t], expected, absolute: 1e-14)
    }
  }

  struct Box: Sendable, CustomStringConvertible {
    let (T, B, D, N): (Int, Int, Int, Int)
    let rule: Discretisation
    var description: String { "T \(T) B \(B) D \(D) N \(N) \(rule)" }
    var shapes: [Shape] { [[T, B, D], [D], [D, N], [D, N], [D, N, 2], [D]] }
    var numbers: [[Double]] {
      var random = SeededGenerator(seed: 5)
      return [
        random.normals(T * B * D), (0..<D).map { _ in -3 + 2.5 * random.uniform() },
        random.normals(D * N).map { $0 * 0.5 }, random.normals(D * N).map { $0 * 2 },
        random.normals(2 * D * N), random.normals(D),
      ]
    }
    var gaps: [Double] {
      var random = SeededGenerator(seed: 6)
      return (0..<(T * B)).map { _ in 0.05 + 3 * random.uniform() }
    }
  }

  static let boxes = Discretisation.allCases.flatMap { rule in
    [(1, 1, 1, 1), (5, 2, 3, 2), (17, 1, 17, 3), (24, 3, 2, 5)].map { Box($0, rule) }
  }

  private func apply<Element: Real>(
    _ box: Box, _ operands: [Tensor<Element>], gaps: [Double]
  ) -> Tensor<Element> {
    operands[0].s4d(
      S4DWeights(
        logStep: operands[1], logDecay: operands[2], frequency: operands[3], output: operands[4],
        skip: operands[5]), rule: box.rule,
      gaps: operands[0].graph.constant(gaps.map { Element($0) }, [box.T, box.B]))
  }

  @Test("the sequence is the steps one by one; gaps of 1 are the convolution", arguments: boxes)
  func forms(box: Box) {
    check(box, tolerance: 1e-12, Double.self)
    check(box, tolerance: 1e-5, Float.self)
  }

  private func check<Element: Real>(_ box: Box, tolerance: Double, _ type: Element.Type) {
    let numbers = box.numbers.map { $0.map { Element($0) } }
    let graph = Graph<Element>()
    let operands = zip(numbers, box.shapes).map { graph.constant($0, $1) }
    let irregular = apply(box, operands, gaps: box.gaps)
    let even = apply(box, operands, gaps: [Double](repeating: 1, count: box.T * box.B))
    let convolved = operands[0].s4d(
      S4DWeights(
        logStep: operands[1], logDecay: operands[2], frequency: operands[3], output: operands[4],
        skip: operands[5]), rule: box.rule)
    for tensor in [irregular, even, convolved] { graph.keep(tensor) }
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Element>(1).base)
    let count = irregular.shape.count
    func values(_ tensor: Tensor<Element>) -> [Double] {
      (0..<count).map { Double(execution.value(tensor)[$0]) }
    }
    let largest = values(irregular).reduce(1) { max($0, abs($1)) }
    expectClose(values(even), values(convolved), absolute: tolerance * largest, "\(type) \(box)")
    let stepper = S4DStepper<Element>(
      width: box.D, modes: box.N, rule: box.rule, batch: box.B, logStep: numbers[1],
      logDecay: numbers[2], frequency: numbers[3], output: numbers[4], skip: numbers[5])
    let row = box.B * box.D
    var y = [Element](repeating: 0, count: row)
    for t in 0..<box.T {
      stepper.step(
        Array(numbers[0][(t * row)..<((t + 1) * row)]),
        gaps: box.gaps[(t * box.B)..<((t + 1) * box.B)].map { Element($0) }, &y)
      expectClose(
        Array(values(irregular)[(t * row)..<((t + 1) * row)]), y.map { Double($0) },
        absolute: tolerance * largest, "\(type) \(box) at \(t)")
    }
  }

  @Test("gradients agree with differences", arguments: boxes)
  func gradients(box: Box) {
    GraphCase("\(box)", box.shapes) {
      apply(box, $0, gaps: box.gaps) + $0[0]
    }.checkGradients(relative: 1e-6, values: box.numbers)
  }

  @Test("gradients of a selective scan with gaps agree with differences")
  func selectiveGradients() {
    let (T, B, E, N) = (11, 2, 5, 2)
    var random = SeededGenerator(seed: 9)
    let gaps = (0..<(T * B)).map { _ in 0.1 + 2 * random.uniform() }
    GraphCase("selective", [[T, B, E], [T, B, E], [T, B, 2 * N], [E, N], [E]]) {
      let graph = $0[0].graph
      return $0[0].selectiveScan(
        delta: $0[1], bc: $0[2], logDecay: $0[3], skip: $0[4],
        gaps: graph.constant(gaps, [T, B])
      ).outputs
    }.checkGradients()
  }
}

extension IrregularTimeTests.Box {
  fileprivate init(_ sizes: (Int, Int, Int, Int), _ rule: Discretisation) {
    ((T, B, D, N), self.rule) = (sizes, rule)
  }
}
