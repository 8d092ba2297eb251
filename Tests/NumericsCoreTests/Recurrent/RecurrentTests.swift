import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Fused recurrent cells")
struct RecurrentTests {
  struct Box: Sendable, CustomStringConvertible {
    let kind: RecurrentCell.Kind
    let steps: Int
    let batch: Int
    let inputs: Int
    let width: Int
    var heads = 1
    var reverse = false
    var masked = false
    var started = false
    var cell: RecurrentCell { RecurrentCell(kind, inputs: inputs, width: width, heads: heads) }
    var description: String {
      "\(kind) T \(steps) B \(batch) F \(inputs) D \(width) heads \(heads)"
        + (reverse ? " reverse" : "") + (masked ? " masked" : "") + (started ? " started" : "")
    }
  }

  /// Odd and whole-vector sizes, every kind, with and without heads, mask, start, in both directions.
  static let boxes: [Box] = RecurrentCell.Kind.allCases.flatMap { kind in
    [
      Box(kind: kind, steps: 1, batch: 1, inputs: 1, width: 2),
      Box(kind: kind, steps: 4, batch: 3, inputs: 2, width: 5, started: true),
      Box(kind: kind, steps: 5, batch: 7, inputs: 3, width: 16, reverse: true),
      Box(kind: kind, steps: 3, batch: 2, inputs: 17, width: 20, masked: true, started: true),
      Box(kind: kind, steps: 6, batch: 5, inputs: 8, width: 32, reverse: true, masked: true),
      Box(kind: kind, steps: 3, batch: 4, inputs: 3, width: 32, heads: 2, started: true),
      Box(kind: kind, steps: 4, batch: 3, inputs: 2, width: 12, heads: 3, masked: true),
      Box(
        kind: kind, steps: 3, batch: 2, inputs: 70, width: 8, heads: 2, reverse: true,
        masked: true, started: true),
    ]
  }

  /// Operands of a box, the first for which rectifiers pass anything: x, weights, mask, state.
  private func numbers(_ box: Box) -> [[Double]] {
    var seed: UInt64 = 4
    while true {
      let numbers = numbers(box, seed: seed)
      if naive(box, numbers).all.contains(where: { $0 != 0 }) { return numbers }
      seed += 1
    }
  }

  private func numbers(_ box: Box, seed: UInt64) -> [[Double]] {
    var random = SeededGenerator(seed: seed)
    let cell = box.cell
    let counts = [
      box.steps * box.batch * box.inputs, cell.inputShape.count, cell.recurrentShape.count,
      cell.biasShape.count, cell.width, box.batch * box.width, box.batch * box.width,
      box.batch * box.width, box.batch * box.width,
    ]
    var numbers = counts.map { count in random.normals(count).map { $0 * 0.5 } }
    // The normaliser of an sLSTM is positive.
    numbers[7] = numbers[7].map { 0.5 + abs($0) }
    return numbers
  }

  private func mask(_ box: Box) -> [Double] {
    (0..<(box.steps * box.batch)).map { ($0 * 7 + 3) % 4 == 0 ? 0 : 1 }
  }

  /// All h, the last h and the last of the memory cells that does not depend on the stabiliser, by the
  /// equations and nothing else. The exponentials of the sLSTM are small enough to go without stabiliser.
  private func naive(_ box: Box, _ n: [[Double]]) -> (all: [Double], h: [Double], c: [Double]) {
    let (B, F, D, G) = (box.batch, box.inputs, box.width, box.cell.gates)
    let size = D / box.heads
    var h = box.started ? n[5] : [Double](repeating: 0, count: B * D)
    var c = box.started ? n[6] : [Double](repeating: 0, count: B * D)
    var normaliser = [Double](repeating: 0, count: B * D)
    if box.started && box.cell.memories == 3 {
      for k in 0..<(B * D) { (c[k], normaliser[k]) = (c[k] * exp(n[8][k]), n[7][k] * exp(n[8][k])) }
    }
    var all = [Double](repeating: 0, count: box.steps * B * D)
    let mask = mask(box)
    func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    let rectifies: [RecurrentCell.Kind] = [.elmanReLU, .lstmReLU, .gruReLU, .gruResetBeforeReLU]
    func activate(_ x: Double) -> Double { rectifies.contains(box.kind) ? max(0, x) : tanh(x) }
    for s in 0..<box.steps {
      let t = box.reverse ? box.steps - 1 - s : s
      for b in 0..<B where !box.masked || mask[t * B + b] != 0 {
        let before = Array(h[(b * D)..<((b + 1) * D)])
        func input(_ gate: Int, _ unit: Int) -> Double {
          (0..<F).reduce(n[3][gate * D + unit]) {
            $0 + n[0][(t * B + b) * F + $1] * n[1][$1 * G * D + gate * D + unit]
          }
        }
        func state(_ gate: Int, _ unit: Int, _ from: [Double]) -> Double {
          let head = unit / size
          return (0..<size).reduce(0) {
            $0 + from[head * size + $1]
              * n[2][(head * size + $1) * G * size + gate * size + unit % size]
          }
        }
        var reset = [Double](repeating: 0, count: D)
        if G == 3 { for u in 0..<D { reset[u] = sigmoid(input(0, u) + state(0, u, before)) } }
        let product = zip(reset, before).map(*)
        for u in 0..<D {
          let at = b * D + u
          switch box.kind {
          case .elman, .elmanReLU: h[at] = activate(input(0, u) + state(0, u, before))
          case .lstm, .lstmReLU:
            let gates = (0..<4).map { input($0, u) + state($0, u, before) }
            c[at] = sigmoid(gates[1]) * c[at] + sigmoid(gates[0]) * activate(gates[2])
            h[at] = sigmoid(gates[3]) * activate(c[at])
          case .slstm, .slstmExponential:
            let gates = (0..<4).map { input($0, u) + state($0, u, before) }
            let forget = box.kind == .slstm ? sigmoid(gates[1]) : exp(gates[1])
            c[at] = forget * c[at] + exp(gates[0]) * tanh(gates[2])
            normaliser[at] = forget * normaliser[at] + exp(gates[0])
            h[at] = sigmoid(gates[3]) * c[at] / normaliser[at]
          case .gru, .gruReLU, .gruResetBefore, .gruResetBeforeReLU:
            let z = sigmoid(input(1, u) + state(1, u, before))
            let inner =
              box.cell.hasCandidateBias
              ? reset[u] * (state(2, u, before) + n[4][u]) : state(2, u, product)
            let candidate = activate(input(2, u) + inner)
            h[at] = (1 - z) * candidate + z * before[u]
          }
        }
      }
      for k in 0..<(B * D) { all[t * B * D + k] = h[k] }
    }
    if box.cell.memories == 3 { c = zip(c, normaliser).map { $1 == 0 ? 0 : $0 / $1 } }
    return (all, h, c)
  }

  /// `c`, or of an sLSTM `c / n`, which does not depend on the stabiliser.
  private func memory<Element: Real>(_ state: RecurrentState<Element>) -> Tensor<Element>? {
    guard let c = state.c, let n = state.n else { return state.c }
    return c / n
  }

  private func apply<Element: Real>(
    _ box: Box, _ tensors: [Tensor<Element>], _ graph: Graph<Element>
  ) -> (outputs: Tensor<Element>, state: RecurrentState<Element>) {
    let cell = box.cell
    return tensors[0].recurrent(
      cell,
      RecurrentWeights(
        input: tensors[1], recurrent: tensors[2], bias: tensors[3],
        candidateBias: cell.hasCandidateBias ? tensors[4] : nil),
      mask: box.masked
        ? graph.constant(mask(box).map { Element($0) }, [box.steps, box.batch]) : nil,
      initial: box.started
        ? RecurrentState(
          h: tensors[5], c: cell.memories > 0 ? tensors[6] : nil,
          n: cell.memories == 3 ? tensors[7] : nil, m: cell.memories == 3 ? tensors[8] : nil)
        : nil,
      reverse: box.reverse)
  }

  private func shapes(_ box: Box) -> [Shape] {
    let cell = box.cell
    return [
      [box.steps, box.batch, box.inputs], cell.inputShape, cell.recurrentShape, cell.biasShape,
      [cell.width], [box.batch, box.width], [box.batch, box.width], [box.batch, box.width],
      [box.batch, box.width],
    ]
  }

  private func checkForward<Element: Real>(_ box: Box, tolerance: Double, _ type: Element.Type) {
    let graph = Graph<Element>()
    let numbers = numbers(box)
    let tensors = zip(numbers, shapes(box)).map { numbers, shape in
      graph.constant(numbers.map { Element($0) }, shape)
    }
    let (outputs, state) = apply(box, tensors, graph)
    let memory = memory(state)
    for tensor in [outputs, state.h, memory].compactMap({ $0 }) { graph.keep(tensor) }
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Element>(1).base)
    let expected = naive(box, numbers)
    func values(_ tensor: Tensor<Element>) -> [Double] {
      (0..<tensor.shape.count).map { Double(execution.value(tensor)[$0]) }
    }
    // A rectifier's states grow from step to step.
    let largest = max(1, expected.all.map { abs($0) }.max() ?? 1)
    let tolerance = tolerance * largest
    expectClose(values(outputs), expected.all, absolute: tolerance, "\(type) \(box)")
    expectClose(values(state.h), expected.h, absolute: tolerance, "\(type) \(box): last h")
    if let memory {
      // 0 / 0 where every step was masked.
      expectClose(
        values(memory).map { $0.isNaN ? 0 : $0 }, expected.c, absolute: tolerance,
        "\(type) \(box): last c")
    }
  }

  @Test("results are those of the equations", arguments: boxes)
  func forward(box: Box) {
    checkForward(box, tolerance: 1e-13, Double.self)
    checkForward(box, tolerance: 4e-6, Float.self)
  }

  @Test("gradients agree with differences, those of both final states too", arguments: boxes)
  func gradients(box: Box) {
    // The slope of a rectifier jumps, and a difference across it is no gradient.
    let numbers = numbers(box)
    // The stabiliser of an sLSTM has no gradient.
    let used = (0..<8).filter {
      ($0 != 4 || box.cell.hasCandidateBias) && ($0 != 5 || box.started)
        && ($0 < 6 || (box.started && $0 - 6 < box.cell.memories))
    }
    let shapes = shapes(box)
    let check = GraphCase(box.description, used.map { shapes[$0] }) { inputs in
      let graph = inputs[0].graph
      var tensors = [Tensor<Double>](repeating: inputs[0], count: 9)
      tensors[8] = graph.constant(numbers[8], shapes[8])
      for (slot, index) in used.enumerated() { tensors[index] = inputs[slot] }
      let (outputs, state) = apply(box, tensors, graph)
      let flat = [box.steps * box.batch * box.width]
      var parts = [outputs.reshaped(Shape(flat)), state.h.reshaped([box.batch * box.width])]
      if let c = memory(state) { parts.append(c.reshaped([box.batch * box.width])) }
      return Tensor.joined(parts, axis: 0)
    }
    check.checkGradients(values: used.map { numbers[$0] })
  }

  @Test(
    "a gradient that arrives through the last state alone is the same",
    arguments: [
      RecurrentCell.Kind.lstm, .lstmReLU, .gru, .gruReLU, .elman, .slstm,
    ])
  func lastOnly(kind: RecurrentCell.Kind) {
    let box = Box(kind: kind, steps: 4, batch: 3, inputs: 2, width: 16)
    func gradients(viaState: Bool) -> [Double] {
      let graph = Graph<Double>()
      let tensors = shapes(box).map { graph.input($0, differentiable: true) }
      let (outputs, state) = apply(box, tensors, graph)
      let loss = (viaState ? state.h : outputs[box.steps - 1]).map(.square).sum()
      let execution = Execution(Plan(graph, loss: loss))
      for (tensor, numbers) in zip(tensors, numbers(box)) {
        for (k, number) in numbers.enumerated() { execution.input(tensor)[k] = number }
      }
      let none = Buffer<Double>(1)
      execution.forward(parameters: none.base)
      execution.backward(into: none.base)
      return (0..<4).flatMap { index in
        (0..<tensors[index].shape.count).map { execution.gradient(tensors[index])![$0] }
      }
    }
    expectClose(gradients(viaState: true), gradients(viaState: false), absolute: 1e-14)
  }

  @Test(
    "steps one by one give the whole sequence", arguments: RecurrentCell.Kind.allCases, [5, 32])
  func stepper(kind: RecurrentCell.Kind, width: Int) {
    let box = Box(kind: kind, steps: 6, batch: 2, inputs: 3, width: width)
    let n = numbers(box)
    let stepper = RecurrentStepper<Double>(
      box.cell, batch: 2, input: n[1], recurrent: n[2], bias: n[3],
      candidateBias: box.cell.hasCandidateBias ? n[4] : nil)
    let expected = naive(box, n).all
    for round in 0..<2 {
      for t in 0..<box.steps {
        let x = Array(n[0][(t * 2 * 3)..<((t + 1) * 2 * 3)])
        let h = stepper.step(x)
        for b in 0..<2 {
          let row = (0..<width).map { h[b * stepper.rowLength + $0] }
          let at = (t * 2 + b) * width
          expectClose(row, Array(expected[at..<(at + width)]), absolute: 1e-13, "round \(round)")
        }
      }
      stepper.reset()
    }
  }

  @Test("gates computed elsewhere give what the cell computes itself", arguments: [5, 16, 32])
  func givenGates(width: Int) {
    let box = Box(
      kind: .slstm, steps: 5, batch: 3, inputs: 3, width: width, heads: width % 2 == 0 ? 2 : 1,
      masked: true, started: true)
    let n = numbers(box)
    func results(given: Bool) -> [Double] {
      let graph = Graph<Double>()
      let shapes = shapes(box)
      let tensors = (0..<9).map { graph.input(shapes[$0], differentiable: $0 < 8) }
      let weights = RecurrentWeights(
        input: given ? nil : tensors[1], recurrent: tensors[2], bias: tensors[3])
      let state = RecurrentState(h: tensors[5], c: tensors[6], n: tensors[7], m: tensors[8])
      let mask = graph.constant(mask(box), [box.steps, box.batch])
      let x = given ? tensors[0].linear(tensors[1]) : tensors[0]
      let cell =
        given ? RecurrentCell(gatesOf: .slstm, width: width, heads: box.heads) : box.cell
      let y = x.recurrent(cell, weights, mask: mask, initial: state).outputs
      let loss = y.map(.square).sum()
      graph.keep(y)
      let execution = Execution(Plan(graph, loss: loss))
      for (tensor, numbers) in zip(tensors, n) {
        for (k, number) in numbers.enumerated() { execution.input(tensor)[k] = number }
      }
      let none = Buffer<Double>(1)
      execution.forward(parameters: none.base)
      let values = (0..<y.shape.count).map { execution.value(y)[$0] }
      execution.backward(into: none.base)
      return values
        + [0, 1, 2, 3, 5, 6, 7].flatMap { index in
          (0..<shapes[index].count).map { execution.gradient(tensors[index])![$0] }
        }
    }
    expectClose(results(given: true), results(given: false), absolute: 1e-12)
  }
}
