// Names: shape letters B, T, H, P, G, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("State-space duality")
struct StateSpaceDualityTests {
  struct Box: Sendable, CustomStringConvertible {
    let (T, B, H, P, G, N, chunk): (Int, Int, Int, Int, Int, Int, Int)
    var started = false
    var reversed = false

    init(
      _ T: Int, _ B: Int, heads: (Int, Int), groups: (Int, Int), chunk: Int, started: Bool = false,
      reversed: Bool = false
    ) {
      (self.T, self.B, H, P, G, N) = (T, B, heads.0, heads.1, groups.0, groups.1)
      (self.chunk, self.started, self.reversed) = (chunk, started, reversed)
    }
    var layer: StateSpaceDuality {
      StateSpaceDuality(heads: H, width: P, groups: G, states: N, chunk: chunk)
    }
    var description: String {
      "T \(T) B \(B) H \(H) x \(P) G \(G) x \(N) chunk \(chunk)" + (started ? " started" : "")
        + (reversed ? " reversed" : "")
    }
    /// x B C, steps, log decay, skip, state.
    var shapes: [Shape] {
      [[T, B, H * P + 2 * G * N], [T, B, H], [H], [H], [B, H, N, P]]
    }
    func numbers(seed: UInt64 = 3) -> [[Double]] {
      var random = SeededGenerator(seed: seed)
      return [
        random.normals(shapes[0].count), (0..<(T * B * H)).map { _ in 0.02 + random.uniform() },
        random.normals(H), random.normals(H), random.normals(shapes[4].count),
      ]
    }
  }

  static let boxes = [
    Box(1, 1, heads: (1, 1), groups: (1, 1), chunk: 1),
    Box(7, 2, heads: (3, 5), groups: (1, 4), chunk: 3),
    Box(9, 2, heads: (4, 3), groups: (2, 17), chunk: 4, started: true),
    Box(20, 1, heads: (2, 17), groups: (2, 3), chunk: 18, started: true, reversed: true),
    Box(6, 3, heads: (2, 4), groups: (1, 5), chunk: 100, reversed: true),
    Box(45, 1, heads: (1, 8), groups: (1, 6), chunk: 40),
    Box(30, 1, heads: (2, 16), groups: (1, 16), chunk: 1),
  ]

  /// The recurrence, step by step: results and the last state.
  private func naive(_ box: Box, _ x: [[Double]]) -> (y: [Double], state: [Double]) {
    let (B, H, P, N, row) = (box.B, box.H, box.P, box.N, box.shapes[0][2])
    var y = [Double](repeating: 0, count: box.T * B * H * P)
    var s = box.started ? x[4] : [Double](repeating: 0, count: B * H * N * P)
    for step in 0..<box.T {
      let t = box.reversed ? box.T - 1 - step : step
      for b in 0..<B {
        for h in 0..<H {
          let (at, dt) = ((t * B + b) * row, x[1][(t * B + b) * H + h])
          let keep = exp(-exp(x[2][h]) * dt)
          let selection = at + H * P + h / (H / box.G) * N
          for p in 0..<P {
            let u = x[0][at + h * P + p]
            var sum = x[3][h] * u
            for n in 0..<N {
              let place = ((b * H + h) * N + n) * P + p
              s[place] = keep * s[place] + x[0][selection + n] * dt * u
              sum += x[0][selection + box.G * N + n] * s[place]
            }
            y[(t * B + b) * H * P + h * P + p] = sum
          }
        }
      }
    }
    return (y, s)
  }

  private func apply<Element: Real>(
    _ box: Box, _ inputs: [Tensor<Element>]
  ) -> (outputs: Tensor<Element>, state: Tensor<Element>) {
    inputs[0].dual(
      box.layer, steps: inputs[1], logDecay: inputs[2], skip: inputs[3],
      initial: box.started ? inputs[4] : nil, isReversed: box.reversed)
  }

  private func check<Element: Real>(_ box: Box, tolerance: Double, _ type: Element.Type) {
    let x = box.numbers()
    let graph = Graph<Element>()
    let inputs = zip(x, box.shapes).map { graph.constant($0.map { Element($0) }, $1) }
    let (y, state) = apply(box, inputs)
    graph.keep(y)
    graph.keep(state)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Element>(1).base)
    let expected = naive(box, x)
    let largest = (expected.y + expected.state).reduce(1) { max($0, abs($1)) }
    expectClose(
      (0..<y.shape.count).map { Double(execution.value(y)[$0]) }, expected.y,
      absolute: tolerance * largest, "\(type) \(box)")
    expectClose(
      (0..<state.shape.count).map { Double(execution.value(state)[$0]) }, expected.state,
      absolute: tolerance * largest, "\(type) \(box): last state")
  }

  @Test("every length of a chunk gives the recurrence", arguments: boxes)
  func forward(box: Box) {
    check(box, tolerance: 1e-14, Double.self)
    check(box, tolerance: 3e-6, Float.self)
  }

  @Test("the stepper gives the recurrence", arguments: boxes.filter { !$0.started && !$0.reversed })
  func stepper(box: Box) {
    let x = box.numbers()
    let expected = naive(box, x)
    let largest = expected.y.reduce(1) { max($0, abs($1)) }
    let graph = Graph<Double>()
    let inputs = box.shapes.prefix(2).map { graph.input(Shape([1] + $0.axes.dropFirst())) }
    let stepper = DualStepper<Double>(box.layer, batch: box.B, logDecay: x[2], skip: x[3])
    let y = inputs[0].stepped(
      stepper, with: [inputs[1]], shape: [1, box.B, box.H * box.P])
    graph.keep(y)
    let execution = Execution(Plan(graph))
    for round in 0..<2 {
      for t in 0..<box.T {
        for (input, numbers) in zip(inputs, x) {
          let count = input.shape.count
          for k in 0..<count { execution.input(input)[k] = numbers[t * count + k] }
        }
        execution.forward(parameters: Buffer<Double>(1).base)
        let count = y.shape.count
        expectClose(
          (0..<count).map { execution.value(y)[$0] },
          Array(expected.y[(t * count)..<((t + 1) * count)]), absolute: 1e-13 * largest,
          "\(box) round \(round)")
      }
      if round == 0 { stepper.reset() }
    }
    expectClose(stepper.state.array, expected.state, absolute: 1e-13 * largest)
  }

  @Test("gradients agree with differences, that of the last state too", arguments: boxes)
  func gradients(box: Box) {
    let used = box.started ? [0, 1, 2, 3, 4] : [0, 1, 2, 3]
    let (numbers, shapes) = (box.numbers(), box.shapes)
    GraphCase(box.description, used.map { shapes[$0] }) {
      let (y, state) = apply(box, $0)
      return .joined(
        [y.reshaped([y.shape.count]), state.reshaped([state.shape.count])], axis: 0)
    }.checkGradients(relative: 1e-6, values: used.map { numbers[$0] })
    GraphCase("\(box): added to others", used.map { shapes[$0] }) {
      apply(box, $0).outputs.sum() + ($0[0].map(.square).sum() + $0[1].map(.square).sum())
    }.checkGradients(relative: 1e-6, values: used.map { numbers[$0] })
  }

  @Test("gradients of single precision are those of double, over long sequences and fast decays")
  func single() {
    let box = Box(700, 1, heads: (2, 16), groups: (1, 16), chunk: 64)
    func gradients<Element: Real>(_ type: Element.Type) -> [[Double]] {
      let graph = Graph<Element>()
      let inputs = box.shapes.prefix(4).map { graph.input($0, differentiable: true) }
      let loss = apply(box, inputs).outputs.map(.square).mean()
      let execution = Execution(Plan(graph, loss: loss))
      for (input, numbers) in zip(inputs, box.numbers()) {
        for (k, number) in numbers.enumerated() { execution.input(input)[k] = Element(number) }
      }
      let none = Buffer<Element>(1)
      execution.forward(parameters: none.base)
      execution.backward(into: none.base)
      return inputs.map { input in
        (0..<input.shape.count).map { Double(execution.gradient(input)![$0]) }
      }
    }
    for (one, other) in zip(gradients(Float.self), gradients(Double.self)) {
      expectClose(one, other, absolute: 1e-5 * other.reduce(0) { max($0, abs($1)) })
    }
  }

  @Test(
    "two parts with the state handed over are one run, in gradients too", arguments: [1, 6, 10])
  func parts(cut: Int) {
    let box = Box(11, 2, heads: (2, 5), groups: (1, 3), chunk: 3)
    let x = box.numbers()
    func results(cut: Int?) -> [Double] {
      let graph = Graph<Double>()
      let inputs = box.shapes[..<4].map { graph.input($0, differentiable: true) }
      func part(_ range: Range<Int>, _ state: Tensor<Double>?)
        -> (outputs: Tensor<Double>, state: Tensor<Double>)
      {
        inputs[0].slice(axis: 0, range).dual(
          box.layer, steps: inputs[1].slice(axis: 0, range), logDecay: inputs[2], skip: inputs[3],
          initial: state)
      }
      var y: Tensor<Double>
      if let cut {
        let first = part(0..<cut, nil)
        y = .joined([first.outputs, part(cut..<box.T, first.state).outputs], axis: 0)
      } else {
        y = part(0..<box.T, nil).outputs
      }
      graph.keep(y)
      let execution = Execution(Plan(graph, loss: y.map(.square).sum()))
      for (input, numbers) in zip(inputs, x) {
        execution.input(input).update(from: numbers, count: numbers.count)
      }
      let none = Buffer<Double>(1)
      execution.forward(parameters: none.base)
      let values = (0..<y.shape.count).map { execution.value(y)[$0] }
      execution.backward(into: none.base)
      return values
        + inputs.flatMap { input in
          (0..<input.shape.count).map { execution.gradient(input)![$0] }
        }
    }
    let whole = results(cut: nil)
    let largest = whole.reduce(1) { max($0, abs($1)) }
    expectClose(results(cut: cut), whole, absolute: 1e-12 * largest)
  }
}
