// Names: shape letters B, T, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Attention")
struct AttentionTests {
  struct Box: Sendable, CustomStringConvertible {
    let (steps, batch): (Int, Int)
    let layer: Attention
    var description: String { "T \(steps) B \(batch) \(layer)" }

    init(
      _ steps: Int, _ batch: Int, heads: Int, width: Int, window: Int? = nil, rotary: Bool = false
    ) {
      (self.steps, self.batch) = (steps, batch)
      layer = Attention(
        heads: heads, width: width, window: window, rotaryBase: rotary ? 100 : nil)
    }

    var shape: Shape { [steps, batch, 3 * layer.heads * layer.width] }
  }

  /// Tiles of 64 steps: one, a part of one, several with a rest; windows inside a tile and across several.
  static let boxes = [
    Box(1, 1, heads: 1, width: 1), Box(7, 2, heads: 3, width: 5),
    Box(7, 2, heads: 2, width: 5, window: 7),
    Box(9, 1, heads: 1, width: 6, window: 3, rotary: true),
    Box(64, 1, heads: 2, width: 16, window: 64), Box(70, 2, heads: 1, width: 17, rotary: true),
    Box(150, 1, heads: 2, width: 8, window: 150, rotary: true),
    Box(200, 1, heads: 1, width: 4, window: 70), Box(131, 1, heads: 1, width: 33, window: 5),
  ]

  /// The definition in double precision, a row of scores at a time.
  private func naive(_ box: Box, _ qkv: [Double]) -> [Double] {
    let (T, B, N, D) = (box.steps, box.batch, box.layer.heads, box.layer.width)
    func row(_ t: Int, _ b: Int, _ part: Int, _ head: Int) -> [Double] {
      Array(
        qkv[
          (((t * B + b) * 3 + part) * N + head) * D..<(((t * B + b) * 3 + part) * N + head + 1) * D]
      )
    }
    func turned(_ x: [Double], _ t: Int) -> [Double] {
      guard let base = box.layer.rotaryBase else { return x }
      var y = x
      for d in 0..<(D / 2) {
        let angle = Double(t) / pow(base, 2 * Double(d) / Double(D))
        y[d] = x[d] * cos(angle) - x[d + D / 2] * sin(angle)
        y[d + D / 2] = x[d + D / 2] * cos(angle) + x[d] * sin(angle)
      }
      return y
    }
    var y = [Double](repeating: 0, count: T * B * N * D)
    for b in 0..<B {
      for head in 0..<N {
        let keys = (0..<T).map { turned(row($0, b, 1, head), $0) }
        for i in 0..<T {
          let q = turned(row(i, b, 0, head), i)
          let read = box.layer.window.map { max(0, i - $0 + 1)...i } ?? 0...(T - 1)
          let scores = read.map { j in
            zip(q, keys[j]).reduce(0) { $0 + $1.0 * $1.1 } / Double(D).squareRoot()
          }
          let most = scores.max()!
          let weights = scores.map { exp($0 - most) }
          let sum = weights.reduce(0, +)
          for (j, weight) in zip(read, weights) {
            let v = row(j, b, 2, head)
            for d in 0..<D { y[((i * B + b) * N + head) * D + d] += weight / sum * v[d] }
          }
        }
      }
    }
    return y
  }

  private func run<Element: Real>(_ box: Box, _ qkv: [Element]) -> [Element] {
    let graph = Graph<Element>()
    let x = graph.input(box.shape)
    let y = x.attention(box.layer)
    graph.keep(y)
    let execution = Execution(Plan(graph))
    execution.input(x).update(from: qkv, count: qkv.count)
    execution.forward(parameters: Buffer<Element>(1).base)
    return (0..<y.shape.count).map { execution.value(y)[$0] }
  }

  private func numbers(_ box: Box, scale: Double = 1) -> [Double] {
    var random = SeededGenerator(seed: 5)
    return random.normals(box.shape.count).map { $0 * scale }
  }

  @Test("tiles give the softmax of the definition", arguments: boxes, [1.0, 20])
  func definition(box: Box, scale: Double) {
    let qkv = numbers(box, scale: scale)
    let expected = naive(box, qkv)
    expectClose(run(box, qkv), expected, absolute: scale == 1 ? 1e-13 : 1e-9)
    // Scores of several thousand lose four digits before the softmax, and values are 20 times as large.
    expectClose(
      run(box, qkv.map { Float($0) }).map { Double($0) }, naive(box, qkv.map { Double(Float($0)) }),
      absolute: scale == 1 ? 4e-6 : 0.2)
  }

  @Test("the last steps alone are those of all", arguments: boxes)
  func lastSteps(box: Box) {
    let first = box.steps - (box.steps + 2) / 3
    GraphCase("\(box) from \(first)", [box.shape]) {
      $0[0].attention(box.layer, from: first)
    }.checkGradients()
    let graph = Graph<Double>()
    let x = graph.input(box.shape)
    let y = x.attention(box.layer, from: first)
    graph.keep(y)
    let execution = Execution(Plan(graph))
    let qkv = numbers(box)
    execution.input(x).update(from: qkv, count: qkv.count)
    execution.forward(parameters: Buffer<Double>(1).base)
    expectClose(
      (0..<y.shape.count).map { execution.value(y)[$0] },
      Array(run(box, qkv).suffix(y.shape.count)), absolute: 1e-13)
  }

  @Test("gradients", arguments: boxes)
  func gradients(box: Box) {
    GraphCase("\(box)", [box.shape]) { $0[0].attention(box.layer) }.checkGradients()
  }

  @Test("the gradient is added where another one is", arguments: [boxes[2], boxes[6]])
  func added(box: Box) {
    GraphCase("\(box)", [box.shape]) {
      $0[0].attention(box.layer) + $0[0].attention(box.layer).map(.square)
    }.checkGradients()
  }

  @Test("single precision follows double precision in the gradient", arguments: boxes)
  func singleGradients(box: Box) {
    func gradient<Element: Real>(_ type: Element.Type) -> [Double] {
      let graph = Graph<Element>()
      let x = graph.input(box.shape, differentiable: true)
      let loss = x.attention(box.layer).map(.square).sum()
      let execution = Execution(Plan(graph, loss: loss))
      for (k, number) in numbers(box).enumerated() {
        execution.input(x)[k] = Element(Float(number))
      }
      execution.forward(parameters: Buffer<Element>(1).base)
      execution.backward(into: Buffer<Element>(1).base)
      return (0..<x.shape.count).map { Double(execution.gradient(x)![$0]) }
    }
    let expected = gradient(Double.self)
    expectClose(
      gradient(Float.self), expected, absolute: 1e-5 * (expected.map(abs).max() ?? 0))
  }

  @Test(
    "steps one by one give the whole sequence", arguments: boxes.filter { $0.layer.window != nil })
  func steps(box: Box) {
    let qkv = numbers(box)
    let expected = run(box, qkv)
    let stepper = AttentionStepper<Double>(box.layer, batch: box.batch)
    let (wide, row) = (box.shape.count / box.steps, expected.count / box.steps)
    for _ in 0..<2 {
      var y = [Double](repeating: 0, count: row)
      for t in 0..<box.steps {
        stepper.step(Array(qkv[(t * wide)..<((t + 1) * wide)]), &y)
        expectClose(y, Array(expected[(t * row)..<((t + 1) * row)]), absolute: 1e-13)
      }
      stepper.reset()
    }
  }

  @Test("rotary scores depend on distances alone")
  func distances() {
    // The window moved by one step: with a window of 20, results from step 20 on are the same one step later.
    let layer = Attention(heads: 2, width: 6, window: 20, rotaryBase: 10)
    var random = SeededGenerator(seed: 3)
    let qkv = random.normals(50 * 36)
    func run(_ numbers: [Double]) -> [Double] {
      let graph = Graph<Double>()
      let x = graph.input([numbers.count / 36, 1, 36])
      let y = x.attention(layer)
      graph.keep(y)
      let execution = Execution(Plan(graph))
      execution.input(x).update(from: numbers, count: numbers.count)
      execution.forward(parameters: Buffer<Double>(1).base)
      return (0..<y.shape.count).map { execution.value(y)[$0] }
    }
    expectClose(
      Array(run(Array(qkv[36...]))[(19 * 12)...]), Array(run(qkv)[(20 * 12)...]), absolute: 1e-13)
  }

  @Test("the memory of training is linear in the steps")
  func memory() {
    func bytes(_ steps: Int) -> Int {
      let graph = Graph<Float>()
      let x = graph.input([steps, 4, 3 * 32], differentiable: true)
      let y = x.attention(Attention(heads: 2, width: 16, window: steps)).map(.square).mean()
      return Plan(graph, loss: y).peakBytes
    }
    let (short, long) = (bytes(512), bytes(4096))
    #expect(long <= 8 * short)
    // One square of scores alone would take more.
    #expect(long < 4 * 4096 * 4096)
  }
}
