// Names: shape letters B, T, D, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Recurrent decoders")
struct RecurrentDecoderTests {
  struct Box: Sendable, CustomStringConvertible {
    let steps: Int
    let batch: Int
    let width: Int
    var layers = 1
    var outputs = 1
    var fed = 0
    /// Steps of the encoder; 0 without attention.
    var memory = 0
    var addsStart = false
    var decoder: RecurrentDecoder {
      RecurrentDecoder(
        width: width, layers: layers, outputs: outputs, fed: fed, addsStart: addsStart)
    }
    var description: String {
      "H \(steps) B \(batch) D \(width) layers \(layers) Q \(outputs) fed \(fed) T \(memory)"
        + (addsStart ? " adds" : "")
    }
    /// Start, `Wo`, `bo`, of each layer `h0 c0 W R b`, the encoder's outputs, `Wa`, `Wc`.
    var shapes: [Shape] {
      let D = width
      let layers = decoder.cells.flatMap { cell -> [Shape] in
        [[batch, D], [batch, D], cell.inputShape, cell.recurrentShape, cell.biasShape]
      }
      let attention: [Shape] = memory > 0 ? [[memory, batch, D], [D, D], [2 * D, D]] : []
      return [[batch], [D, outputs], [outputs]] + layers + attention
    }
  }

  /// Odd sizes and whole vectors, more rows than a register tile has.
  static let boxes = [
    Box(steps: 1, batch: 1, width: 1),
    Box(steps: 3, batch: 2, width: 5, outputs: 3, fed: 1),
    Box(steps: 4, batch: 3, width: 3, memory: 7),
    Box(steps: 2, batch: 7, width: 16, outputs: 2, fed: 1, memory: 16, addsStart: true),
    Box(steps: 5, batch: 2, width: 7, layers: 2, outputs: 3, fed: 2, memory: 9, addsStart: true),
    Box(steps: 3, batch: 2, width: 6, layers: 3, outputs: 2, memory: 1),
    Box(steps: 4, batch: 8, width: 8, layers: 3, outputs: 17, fed: 8, addsStart: true),
  ]

  private func numbers(_ box: Box) -> [[Double]] {
    var random = SeededGenerator(seed: 6)
    return box.shapes.map { shape in random.normals(shape.count).map { $0 * 0.6 } }
  }

  private func weights<Element: Real>(
    _ box: Box, _ tensors: [Tensor<Element>]
  ) -> (DecoderWeights<Element>, [RecurrentState<Element>]) {
    let layers = (0..<box.layers).map { layer in
      RecurrentWeights(
        input: tensors[5 + 5 * layer], recurrent: tensors[6 + 5 * layer],
        bias: tensors[7 + 5 * layer])
    }
    let states = (0..<box.layers).map { layer in
      RecurrentState(h: tensors[3 + 5 * layer], c: tensors[4 + 5 * layer])
    }
    let at = 4 + 5 * box.layers
    return (
      DecoderWeights(
        layers: layers, output: tensors[1], bias: tensors[2],
        attention: box.memory > 0 ? (tensors[at], tensors[at + 1]) : nil), states
    )
  }

  private func apply<Element: Real>(
    _ box: Box, _ tensors: [Tensor<Element>]
  ) -> DecoderOutput<Element> {
    let (weights, states) = weights(box, tensors)
    return tensors[0].decoded(
      by: box.decoder, weights, from: states,
      attending: box.memory > 0 ? tensors[3 + 5 * box.layers] : nil, steps: box.steps)
  }

  /// The equations, step by step, of the operations of a graph.
  private func unrolled(_ box: Box, _ tensors: [Tensor<Double>]) -> (
    outputs: Tensor<Double>, attention: Tensor<Double>?, states: [RecurrentState<Double>]
  ) {
    let (B, D, Q, T) = (box.batch, box.width, box.outputs, box.memory)
    let (weights, initial) = weights(box, tensors)
    var states = initial
    var read = tensors[0].reshaped([B, 1])
    let start = read
    var outputs: [Tensor<Double>] = []
    var shares: [Tensor<Double>] = []
    for _ in 0..<box.steps {
      var x = read.reshaped([1, B, 1])
      for (layer, cell) in box.decoder.cells.enumerated() {
        let (y, state) = x.recurrent(cell, weights.layers[layer], initial: states[layer])
        (x, states[layer]) = (y, state)
      }
      var h = x.reshaped([B, D])
      if let attention = weights.attention {
        let e = tensors[3 + 5 * box.layers].exchanged(axis: 0)  // [B, T, D]
        let q = h.linear(attention.query).reshaped([B, 1, D])
        let a = q.product(e, otherTransposed: true).softmax()  // [B, 1, T]
        let context = a.product(e).reshaped([B, D])
        shares.append(a.reshaped([B, 1, T]))
        h = Tensor.joined([context, h], axis: 1).linear(attention.combine).map(.tanh)
      }
      let y = h.linear(weights.output, bias: weights.bias)
      outputs.append(y.reshaped([B, 1, Q]))
      read = y.slice(axis: 1, box.fed..<(box.fed + 1))
      if box.addsStart { read = read + start }
    }
    return (
      Tensor.joined(outputs, axis: 1), shares.isEmpty ? nil : Tensor.joined(shares, axis: 1), states
    )
  }

  private func flat(
    _ outputs: Tensor<Double>, _ attention: Tensor<Double>?, _ states: [RecurrentState<Double>]
  ) -> Tensor<Double> {
    let parts = [outputs, attention].compactMap { $0 } + states.flatMap { [$0.h, $0.c!] }
    return Tensor.joined(parts.map { $0.reshaped([$0.shape.count]) }, axis: 0)
  }

  @Test("results are those of the equations step by step", arguments: boxes)
  func forward(box: Box) {
    let numbers = numbers(box)
    let graph = Graph<Double>()
    let tensors = zip(numbers, box.shapes).map { graph.constant($0, $1) }
    let fused = apply(box, tensors)
    let found = flat(fused.outputs, fused.attention, fused.states)
    let (outputs, attention, states) = unrolled(box, tensors)
    let expected = flat(outputs, attention, states)
    graph.keep(found)
    graph.keep(expected)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Double>(1).base)
    let truth = (0..<expected.shape.count).map { execution.value(expected)[$0] }
    expectClose((0..<truth.count).map { execution.value(found)[$0] }, truth, absolute: 1e-13)

    let single = Graph<Float>()
    let fewer = apply(
      box, zip(numbers, box.shapes).map { single.constant($0.map { Float($0) }, $1) })
    single.keep(fewer.outputs)
    let run = Execution(Plan(single))
    run.forward(parameters: Buffer<Float>(1).base)
    expectClose(
      (0..<fewer.outputs.shape.count).map { Double(run.value(fewer.outputs)[$0]) },
      Array(truth.prefix(fewer.outputs.shape.count)), absolute: 1e-5)
  }

  @Test("gradients agree with differences, those of states and attention too", arguments: boxes)
  func gradients(box: Box) {
    let check = GraphCase(box.description, box.shapes) { tensors in
      let fused = apply(box, tensors)
      return flat(fused.outputs, fused.attention, fused.states)
    }
    check.checkGradients(values: numbers(box))
  }

  /// More rows than the L2 cache holds encoder outputs of: the blocks of rows agree with the rows.
  @Test("a batch is its rows, with gradients that add up", arguments: [0, 130])
  func rows(memory: Int) {
    let box = Box(
      steps: 3, batch: 11, width: 70, layers: 2, outputs: 2, fed: 1, memory: memory, addsStart: true
    )
    let numbers = numbers(box)
    // Numbers of the operands that belong to row `row` alone.
    func part(_ index: Int, _ row: Int?) -> [Double] {
      guard let row else { return numbers[index] }
      let shape = box.shapes[index]
      if index == 0 { return [numbers[0][row]] }
      if index >= 3, index < 3 + 5 * box.layers, (index - 3) % 5 < 2 {
        return Array(numbers[index][(row * box.width)..<((row + 1) * box.width)])
      }
      if memory > 0, index == 3 + 5 * box.layers {
        return (0..<memory).flatMap { t in
          let at = (t * box.batch + row) * box.width
          return numbers[index][at..<(at + box.width)]
        }
      }
      precondition(shape.count == numbers[index].count)
      return numbers[index]
    }
    func run(_ row: Int?) -> (outputs: [Double], gradients: [[Double]]) {
      var own = box
      if row != nil {
        own = Box(
          steps: 3, batch: 1, width: 70, layers: 2, outputs: 2, fed: 1, memory: memory,
          addsStart: true)
      }
      let graph = Graph<Double>()
      let tensors = own.shapes.map { graph.input($0, differentiable: true) }
      let outputs = apply(own, tensors).outputs
      let loss = outputs.map(.square).sum()
      graph.keep(outputs)
      let execution = Execution(Plan(graph, loss: loss))
      for (index, tensor) in tensors.enumerated() {
        let numbers = part(index, row)
        execution.input(tensor).update(from: numbers, count: numbers.count)
      }
      let none = Buffer<Double>(1)
      execution.forward(parameters: none.base)
      execution.backward(into: none.base)
      return (
        (0..<outputs.shape.count).map { execution.value(outputs)[$0] },
        tensors.map { tensor in
          (0..<tensor.shape.count).map { execution.gradient(tensor)![$0] }
        }
      )
    }
    let whole = run(nil)
    let single = (0..<box.batch).map { run($0) }
    expectClose(single.flatMap(\.outputs), whole.outputs, absolute: 1e-13)
    for index in box.shapes.indices {
      let found = whole.gradients[index]
      let largest = found.reduce(0) { max($0, abs($1)) }
      if part(index, 0).count == numbers[index].count {
        let sum = single.reduce([Double](repeating: 0, count: found.count)) {
          zip($0, $1.gradients[index]).map(+)
        }
        expectClose(sum, found, absolute: 1e-12 * max(1, largest), "operand \(index)")
      } else if index < 3 + 5 * box.layers {
        expectClose(
          single.flatMap { $0.gradients[index] }, found, absolute: 1e-12 * max(1, largest))
      } else {
        for (row, one) in single.enumerated() {
          let rows = (0..<memory).flatMap { t in
            let at = (t * box.batch + row) * box.width
            return found[at..<(at + box.width)]
          }
          expectClose(one.gradients[index], rows, absolute: 1e-12 * max(1, largest))
        }
      }
    }
  }

  @Test("two stretches with the state handed over are one", arguments: [0, 6])
  func handOver(memory: Int) {
    let box = Box(steps: 5, batch: 3, width: 6, layers: 2, outputs: 2, fed: 1, memory: memory)
    let graph = Graph<Double>()
    let tensors = zip(numbers(box), box.shapes).map { graph.constant($0, $1) }
    let (weights, states) = weights(box, tensors)
    let encoded = memory > 0 ? tensors[3 + 5 * box.layers] : nil
    let whole = apply(box, tensors)
    let first = tensors[0].decoded(
      by: box.decoder, weights, from: states, attending: encoded, steps: 2)
    let read = first.outputs.slice(axis: 1, 1..<2).slice(axis: 2, 1..<2).reshaped([3])
    let second = read.decoded(
      by: box.decoder, weights, from: first.states, attending: encoded, steps: 3)
    let joined = Tensor.joined([first.outputs, second.outputs], axis: 1)
    let found = flat(joined, nil, second.states)
    let expected = flat(whole.outputs, nil, whole.states)
    graph.keep(found)
    graph.keep(expected)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Double>(1).base)
    for k in 0..<expected.shape.count {
      expectClose(execution.value(found)[k], execution.value(expected)[k], absolute: 1e-14)
    }
  }

  @Test("a gradient that arrives through some of the results only", arguments: [0, 5])
  func someResults(memory: Int) {
    let box = Box(steps: 3, batch: 2, width: 5, layers: 2, outputs: 2, memory: memory)
    let results: [@Sendable (DecoderOutput<Double>) -> Tensor<Double>] = [
      { $0.outputs }, { $0.states[1].c! }, { $0.states[0].h },
      { $0.attention ?? $0.outputs },
    ]
    for (index, result) in results.enumerated() {
      let check = GraphCase("\(box) result \(index)", box.shapes) { result(apply(box, $0)) }
      check.checkGradients(values: numbers(box))
    }
  }
}
