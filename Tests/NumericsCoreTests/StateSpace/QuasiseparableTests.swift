// Names: shape letters B, T, H, P, G, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Quasiseparable mixer")
struct QuasiseparableTests {
  struct Box: Sendable, CustomStringConvertible {
    let (T, B, H, P, G, N, chunk): (Int, Int, Int, Int, Int, Int, Int)
    var description: String { "T \(T) B \(B) H \(H) x \(P) G \(G) x \(N) chunk \(chunk)" }
    var layer: StateSpaceDuality {
      StateSpaceDuality(heads: H, width: P, groups: G, states: N, chunk: chunk)
    }
    /// x B C B C, steps of both directions, log decay, diagonal.
    var shapes: [Shape] {
      [[T, B, H * P + 4 * G * N], [T, B, H], [T, B, H], [H], [T, B, H]]
    }
    var numbers: [[Double]] {
      var random = SeededGenerator(seed: 31)
      let steps = (0..<2).map { _ in (0..<(T * B * H)).map { _ in 0.05 + random.uniform() } }
      return [
        random.normals(shapes[0].count), steps[0], steps[1], random.normals(H),
        random.normals(T * B * H),
      ]
    }
  }

  static let boxes = [
    Box(T: 1, B: 1, H: 1, P: 1, G: 1, N: 1, chunk: 4),
    Box(T: 2, B: 2, H: 1, P: 3, G: 1, N: 2, chunk: 1),
    Box(T: 13, B: 2, H: 3, P: 5, G: 1, N: 4, chunk: 4),
    Box(T: 21, B: 1, H: 4, P: 2, G: 2, N: 17, chunk: 64),
  ]

  private func apply<Element: Real>(_ box: Box, _ x: [Tensor<Element>]) -> Tensor<Element> {
    x[0].quasiseparable(
      box.layer, QuasiseparableWeights(steps: (x[1], x[2]), logDecay: x[3], diagonal: x[4]))
  }

  /// By the dense matrix of every head.
  private func dense(_ box: Box) -> [Double] {
    let (x, T, B, H, P, N) = (box.numbers, box.T, box.B, box.H, box.P, box.N)
    let (row, E, each) = (box.shapes[0][2], H * P, H / box.G)
    var y = [Double](repeating: 0, count: T * B * E)
    for b in 0..<B {
      for h in 0..<H {
        let rate = -exp(x[3][h])
        func vector(_ t: Int, _ direction: Int, _ part: Int) -> ArraySlice<Double> {
          let at =
            (t * B + b) * row + E + (2 * direction + part) * box.G * N + h / each * N
          return x[0][at..<(at + N)]
        }
        func step(_ t: Int, _ direction: Int) -> Double { x[1 + direction][(t * B + b) * H + h] }
        for i in 0..<T {
          for j in 0..<T {
            var entry = x[4][(i * B + b) * H + h]
            if i != j {
              let direction = i > j ? 0 : 1
              let last = i > j ? i - 1 : i + 1
              let between = i > j ? Array((j + 1)..<(last + 1)) : Array(last..<j)
              let decay = between.reduce(0) { $0 + rate * step($1, direction) }
              let product = zip(vector(last, direction, 1), vector(j, direction, 0))
                .reduce(0) { $0 + $1.0 * $1.1 }
              entry = product * exp(decay) * step(j, direction)
            }
            for p in 0..<P {
              y[(i * B + b) * E + h * P + p] += entry * x[0][(j * B + b) * row + h * P + p]
            }
          }
        }
      }
    }
    return y
  }

  private func check<Element: Real>(_ box: Box, tolerance: Double, _ type: Element.Type) {
    let graph = Graph<Element>()
    let y = apply(
      box, zip(box.numbers, box.shapes).map { graph.constant($0.map { Element($0) }, $1) })
    graph.keep(y)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Element>(1).base)
    let expected = dense(box)
    let largest = expected.reduce(1) { max($0, abs($1)) }
    expectClose(
      (0..<expected.count).map { Double(execution.value(y)[$0]) }, expected,
      absolute: tolerance * largest, "\(type) \(box)")
  }

  @Test("it is the dense matrix", arguments: boxes)
  func forward(box: Box) {
    check(box, tolerance: 1e-14, Double.self)
    check(box, tolerance: 3e-6, Float.self)
  }

  @Test("gradients agree with differences", arguments: boxes.dropFirst())
  func gradients(box: Box) {
    GraphCase("\(box)", box.shapes) { apply(box, $0) }
      .checkGradients(relative: 1e-6, values: box.numbers)
  }
}
