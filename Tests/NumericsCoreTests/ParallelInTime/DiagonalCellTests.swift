import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Cells with diagonal recurrent weights")
struct DiagonalCellTests {
  struct Box: Sendable, CustomStringConvertible {
    let kind: DiagonalCell.Kind
    let steps: Int
    let batch: Int
    let width: Int
    var started = true
    var form = RecurrenceForm.sequential
    var threads = 1
    var limits = NewtonLimits()
    /// Of the recurrent weights.
    var scale = 0.6
    var cell: DiagonalCell { DiagonalCell(kind, width: width) }
    /// Weighted inputs, recurrent weights, peepholes, initial h and c.
    var shapes: [Shape] {
      [[steps, batch, 3 * width], cell.recurrentShape] + (cell.peepholeShape.map { [$0] } ?? [])
        + [Shape](repeating: [batch, width], count: started ? (cell.hasMemory ? 2 : 1) : 0)
    }
    var description: String {
      "\(kind) T \(steps) B \(batch) D \(width) \(form) threads \(threads)"
        + (started ? " started" : "")
    }
    func with(_ form: RecurrenceForm, threads: Int) -> Box {
      var box = self
      (box.form, box.threads) = (form, threads)
      return box
    }
  }

  static let boxes: [Box] = DiagonalCell.Kind.allCases.flatMap { kind in
    [
      Box(kind: kind, steps: 1, batch: 1, width: 1),
      Box(kind: kind, steps: 7, batch: 3, width: 5, started: false),
      Box(kind: kind, steps: 9, batch: 2, width: 19),
      Box(kind: kind, steps: 5, batch: 1, width: 37),
    ]
  }
  static let ways: [(form: RecurrenceForm, threads: Int)] = [
    (.sequential, 1), (.sequential, 3), (.newton, 1), (.newton, 3),
  ]

  private func numbers(_ box: Box, seed: UInt64 = 9) -> [[Double]] {
    var random = SeededGenerator(seed: seed)
    return box.shapes.enumerated().map { index, shape in
      random.normals(shape.count).map { number in
        // Initial states lie where states do.
        index > (box.cell.hasMemory ? 2 : 1) ? tanh(number) : number * (index == 0 ? 1 : box.scale)
      }
    }
  }

  /// All h and all c, by the equations and nothing else.
  private func naive(_ box: Box, _ n: [[Double]]) -> [[Double]] {
    let (B, D) = (box.batch, box.width)
    let memory = box.cell.hasMemory
    func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    var all = [[Double]](
      repeating: [Double](repeating: 0, count: box.steps * B * D), count: memory ? 2 : 1)
    for b in 0..<B {
      for d in 0..<D {
        var h = box.started ? n[memory ? 3 : 2][b * D + d] : 0
        var c = box.started && memory ? n[4][b * D + d] : 0
        for t in 0..<box.steps {
          func u(_ gate: Int) -> Double { n[0][((t * B + b) * 3 + gate) * D + d] }
          func a(_ gate: Int) -> Double { n[1][gate * D + d] }
          if memory {
            let f = sigmoid(u(0) + a(0) * h + n[2][d] * c)
            let g = tanh(u(2) + a(2) * h)
            c = f * c + (1 - f) * g
            h = sigmoid(u(1) + a(1) * h + n[2][D + d] * c) * tanh(c)
            all[1][(t * B + b) * D + d] = c
          } else {
            let z = sigmoid(u(0) + a(0) * h)
            let r = sigmoid(u(1) + a(1) * h)
            h = (1 - z) * h + z * tanh(u(2) + a(2) * (r * h))
          }
          all[0][(t * B + b) * D + d] = h
        }
      }
    }
    return all
  }

  private static func apply<Element: Real>(
    _ box: Box, _ x: [Tensor<Element>]
  ) -> (outputs: Tensor<Element>, state: RecurrentState<Element>) {
    let memory = box.cell.hasMemory
    let initial =
      box.started ? RecurrentState(h: x[memory ? 3 : 2], c: memory ? x[4] : nil) : nil
    return x[0].diagonalRecurrent(
      box.cell, recurrent: x[1], peephole: memory ? x[2] : nil, initial: initial, form: box.form,
      threads: box.threads, limits: box.limits)
  }

  /// All h, then the last h and c.
  private func run<Element: Real>(
    _ box: Box, _ numbers: [[Double]], _ type: Element.Type
  ) -> [[Element]] {
    let graph = Graph<Element>()
    let inputs = box.shapes.map { graph.input($0) }
    let (outputs, state) = Self.apply(box, inputs)
    let results = [outputs, state.h, state.c].compactMap { $0 }
    for result in results { graph.keep(result) }
    let execution = Execution(Plan(graph))
    for (input, values) in zip(inputs, numbers) {
      for (k, value) in values.enumerated() { execution.input(input)[k] = Element(value) }
    }
    execution.forward(parameters: Buffer<Element>(1).base)
    return results.map { result in (0..<result.shape.count).map { execution.value(result)[$0] } }
  }

  @Test("states are those of the equations in every form", arguments: boxes, 0..<4)
  func forward(box: Box, way: Int) {
    let box = box.with(Self.ways[way].form, threads: Self.ways[way].threads)
    let numbers = numbers(box)
    let all = naive(box, numbers)
    let expected = [all[0]] + all.map { Array($0.suffix(box.batch * box.width)) }
    let (double, single) = (run(box, numbers, Double.self), run(box, numbers, Float.self))
    for (index, values) in expected.enumerated() {
      expectClose(double[index], values, absolute: 1e-13, "\(box)")
      expectClose(single[index].map { Double($0) }, values, absolute: 4e-6, "\(box)")
    }
  }

  @Test("gradients agree with differences in every form", arguments: boxes, 0..<4)
  func gradients(box: Box, way: Int) {
    let box = box.with(Self.ways[way].form, threads: Self.ways[way].threads)
    GraphCase(box.description, box.shapes) { inputs in
      let (outputs, state) = Self.apply(box, inputs)
      let parts = [outputs, state.h, state.c].compactMap { $0 }
      return Tensor.joined(parts.map { $0.reshaped([$0.shape.count]) }, axis: 0)
    }.checkGradients(values: numbers(box))
  }

  @Test(
    "Newton's gradients are the sequential ones", arguments: DiagonalCell.Kind.allCases, [1, 4])
  func newtonGradients(kind: DiagonalCell.Kind, threads: Int) {
    func differentiated<Element: Real>(_ box: Box, _ type: Element.Type) -> [[Element]] {
      let graph = Graph<Element>()
      let inputs = box.shapes.map { graph.input($0, differentiable: true) }
      let loss = Self.apply(box, inputs).outputs.map(.square).sum()
      let execution = Execution(Plan(graph, loss: loss))
      for (input, values) in zip(inputs, numbers(box)) {
        for (k, value) in values.enumerated() { execution.input(input)[k] = Element(value) }
      }
      let none = Buffer<Element>(1)
      execution.forward(parameters: none.base)
      execution.backward(into: none.base)
      return inputs.map { input in
        (0..<input.shape.count).map { execution.gradient(input)![$0] }
      }
    }
    // Enough steps for the linear recurrence to be divided in time.
    var box = Box(kind: kind, steps: 701, batch: 2, width: 3)
    box.scale = 0.3
    let newton = box.with(.newton, threads: threads)
    // Else the sequential form would be compared with itself.
    #expect(iterations(newton, Double.self) != nil && iterations(newton, Float.self) != nil)
    func compare<Element: Real>(_ type: Element.Type, _ relative: Element) {
      let pairs = zip(differentiated(newton, type), differentiated(box, type))
      for (values, expected) in pairs {
        let largest = expected.map { abs($0) }.max() ?? 1
        expectClose(values, expected, absolute: relative * largest, "\(type) \(newton)")
      }
    }
    compare(Double.self, 1e-12)
    compare(Float.self, 1e-5)
  }

  /// Runs Newton's method by itself.
  private func iterations<Element: Real>(_ box: Box, _ type: Element.Type) -> Int? {
    func buffer(_ values: [Double]) -> Buffer<Element> { Buffer(values.map { Element($0) }) }
    let buffers = numbers(box).map(buffer)
    let recurrence = DiagonalRecurrence<Element>(
      box.cell, steps: box.steps, batch: box.batch, threads: box.threads, limits: box.limits)
    let count = box.steps * box.batch * box.width
    let (h, c) = (Buffer<Element>(count), Buffer<Element>(count))
    let (gates, jacobian) = (
      Buffer<Element>(recurrence.gateCount), Buffer<Element>(recurrence.jacobianCount)
    )
    let scratch = Buffer<Element>(recurrence.newtonScratchCount)
    let memory = box.cell.hasMemory
    let whole = [h, c, gates, jacobian, scratch]
    return withExtendedLifetime((buffers, whole)) {
      recurrence.newton(
        .init(
          u: buffers[0].base, recurrent: buffers[1].base,
          peephole: memory ? buffers[2].base : nil, h0: nil, c0: nil, h: h.base,
          c: memory ? c.base : nil, gates: gates.base, jacobian: jacobian.base),
        scratch: scratch.base)
    }
  }

  @Test("Newton's method converges in a few iterations", arguments: DiagonalCell.Kind.allCases)
  func convergence(kind: DiagonalCell.Kind) throws {
    var box = Box(kind: kind, steps: 1000, batch: 2, width: 9, started: false, threads: 2)
    box.scale = 0.3
    #expect(try #require(iterations(box, Double.self)) <= 7)
    #expect(try #require(iterations(box, Float.self)) <= 5)
  }

  @Test("without convergence the sequential form takes over", arguments: DiagonalCell.Kind.allCases)
  func fallback(kind: DiagonalCell.Kind) {
    var box = Box(kind: kind, steps: 40, batch: 2, width: 5, form: .newton, threads: 2)
    box.limits = NewtonLimits(iterations: 1)
    #expect(iterations(box, Double.self) == nil)
    let numbers = numbers(box)
    #expect(
      run(box, numbers, Double.self) == run(box.with(.sequential, threads: 1), numbers, Double.self)
    )
    GraphCase(box.description, box.shapes) { [box] in Self.apply(box, $0).outputs }
      .checkGradients(values: numbers)
  }

  @Test(
    "two halves with the state handed over are one run", arguments: DiagonalCell.Kind.allCases,
    RecurrenceForm.allCases)
  func halves(kind: DiagonalCell.Kind, form: RecurrenceForm) {
    let whole = Box(kind: kind, steps: 11, batch: 3, width: 5, form: form, threads: 2)
    let first = Box(kind: kind, steps: 4, batch: 3, width: 5, form: form, threads: 2)
    let second = Box(kind: kind, steps: 7, batch: 3, width: 5, form: form, threads: 2)
    let numbers = numbers(whole)
    let expected = run(whole, numbers, Double.self)
    let cut = first.shapes[0].count
    let start = run(first, [Array(numbers[0].prefix(cut))] + numbers.dropFirst(), Double.self)
    let weights = numbers[1...(whole.cell.hasMemory ? 2 : 1)]
    let rest = run(
      second, [Array(numbers[0].dropFirst(cut))] + weights + start.dropFirst(), Double.self)
    expectClose(start[0] + rest[0], expected[0], absolute: form == .newton ? 1e-13 : 0)
    expectClose(rest[1], expected[1], absolute: form == .newton ? 1e-13 : 0)
  }

  @Test("steps one by one give the whole sequence", arguments: DiagonalCell.Kind.allCases, [5, 32])
  func stepper(kind: DiagonalCell.Kind, width: Int) {
    let (B, F, T) = (3, 2, 5)
    let box = Box(kind: kind, steps: T, batch: B, width: width, started: false)
    var random = SeededGenerator(seed: 2)
    let x = random.normals(T * B * F)
    let w = random.normals(F * 3 * width)
    let bias = random.normals(3 * width)
    var numbers = numbers(box)
    for row in 0..<(T * B) {
      for k in 0..<(3 * width) {
        numbers[0][row * 3 * width + k] = (0..<F).reduce(bias[k]) {
          $0 + x[row * F + $1] * w[$1 * 3 * width + k]
        }
      }
    }
    let expected = naive(box, numbers)[0]
    let (weights, biases, recurrent) = (Buffer(w), Buffer(bias), Buffer(numbers[1]))
    let peephole = box.cell.hasMemory ? Buffer(numbers[2]) : nil
    let stepper = DiagonalCellStepper<Double>(
      box.cell, inputs: F, batch: B, input: weights.base, bias: biases.base,
      recurrent: recurrent.base, peephole: peephole.map { UnsafePointer($0.base) })
    // The stepper reads the parameters where they lie.
    defer { withExtendedLifetime((weights, biases, recurrent, peephole)) {} }
    for round in 0..<2 {
      for t in 0..<T {
        let h = stepper.step(Array(x[(t * B * F)..<((t + 1) * B * F)]))
        let at = t * B * width
        expectClose(
          (0..<(B * width)).map { h[$0] }, Array(expected[at..<(at + B * width)]), absolute: 1e-13,
          "round \(round)")
      }
      stepper.reset()
    }
  }

  @Test("the rule takes Newton's form only with more threads than units can use")
  func rule() {
    let rule = ParallelInTimeRule<Float>()
    for kind in DiagonalCell.Kind.allCases {
      for (batch, width) in [(1, 32), (1, 128), (16, 32), (64, 128)] {
        let cell = DiagonalCell(kind, width: width)
        let crossover = rule.crossover(cell, batch: batch)
        #expect(crossover > batch)
        #expect(rule.form(cell, steps: 1 << 20, batch: batch, threads: crossover) == .newton)
        #expect(
          rule.form(cell, steps: 1 << 20, batch: batch, threads: crossover - 1) == .sequential)
        #expect(rule.form(cell, steps: 16, batch: batch, threads: crossover) == .sequential)
      }
    }
  }
}
