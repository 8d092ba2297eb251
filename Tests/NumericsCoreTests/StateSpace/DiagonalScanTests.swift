import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Diagonal scans")
struct DiagonalScanTests {
  struct Box: Sendable, CustomStringConvertible {
    let steps: Int
    let batch: Int
    let modes: Int
    let rule: Discretisation
    let isIrregular: Bool
    var description: String {
      "T \(steps) B \(batch) P \(modes) \(rule)" + (isIrregular ? " irregular" : "")
    }
  }

  static let boxes: [Box] = Discretisation.allCases.flatMap { rule in
    [false, true].flatMap { isIrregular in
      [(1, 1, 1), (5, 2, 3), (7, 3, 17), (12, 1, 32)].map {
        Box(steps: $0.0, batch: $0.1, modes: $0.2, rule: rule, isIrregular: isIrregular)
      }
    }
  }

  private func values(_ box: Box) -> (operands: [[Double]], gaps: [Double]) {
    var random = SeededGenerator(seed: 17)
    let (T, B, P) = (box.steps, box.batch, box.modes)
    let operands = [
      random.normals(T * B * 2 * P), (0..<P).map { _ in -3 + 2.5 * random.uniform() },
      random.normals(P).map { $0 * 0.5 }, random.normals(P).map { $0 * 3 },
    ]
    return (operands, (0..<(T * B)).map { _ in 0.1 + 3 * random.uniform() })
  }

  /// By the equations, with complex arithmetic written out.
  private func naive(_ box: Box) -> [Double] {
    let (v, gaps) = values(box)
    let (B, P) = (box.batch, box.modes)
    var y = [Double](repeating: 0, count: v[0].count)
    for t in 0..<box.steps {
      for b in 0..<B {
        for p in 0..<P {
          let dt = exp(v[1][p]) * (box.isIrregular ? gaps[t * B + b] : 1)
          let (ar, ai) = (-exp(v[2][p]), v[3][p])
          func over(_ x: (Double, Double), _ y: (Double, Double)) -> (Double, Double) {
            let norm = y.0 * y.0 + y.1 * y.1
            return ((x.0 * y.0 + x.1 * y.1) / norm, (x.1 * y.0 - x.0 * y.1) / norm)
          }
          let a: (Double, Double)
          let c: (Double, Double)
          if box.rule == .bilinear {
            let below = (1 - dt * ar / 2, -dt * ai / 2)
            a = over((1 + dt * ar / 2, dt * ai / 2), below)
            c = over((dt, 0), below)
          } else {
            a = (exp(dt * ar) * cos(dt * ai), exp(dt * ar) * sin(dt * ai))
            c = over((a.0 - 1, a.1), (ar, ai))
          }
          let at = (t * B + b) * 2 * P + p
          let s = t > 0 ? (y[at - B * 2 * P], y[at - B * 2 * P + P]) : (0, 0)
          let u = (v[0][at], v[0][at + P])
          y[at] = a.0 * s.0 - a.1 * s.1 + c.0 * u.0 - c.1 * u.1
          y[at + P] = a.0 * s.1 + a.1 * s.0 + c.0 * u.1 + c.1 * u.0
        }
      }
    }
    return y
  }

  private func check<Element: Real>(_ box: Box, tolerance: Double, _ type: Element.Type) {
    let (v, gaps) = values(box)
    let (T, B, P) = (box.steps, box.batch, box.modes)
    let graph = Graph<Element>()
    func constant(_ numbers: [Double], _ shape: Shape) -> Tensor<Element> {
      graph.constant(numbers.map { Element($0) }, shape)
    }
    let y = constant(v[0], [T, B, 2 * P]).diagonalScan(
      logStep: constant(v[1], [P]), logDecay: constant(v[2], [P]),
      frequency: constant(v[3], [P]), rule: box.rule,
      gaps: box.isIrregular ? constant(gaps, [T, B]) : nil)
    graph.keep(y)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Element>(1).base)
    let expected = naive(box)
    let largest = expected.reduce(1) { max($0, abs($1)) }
    expectClose(
      (0..<expected.count).map { Double(execution.value(y)[$0]) }, expected,
      absolute: tolerance * largest, "\(type) \(box)")

    let stepper = DiagonalScanStepper<Element>(
      modes: P, rule: box.rule, batch: B, logStep: v[1].map { Element($0) },
      logDecay: v[2].map { Element($0) }, frequency: v[3].map { Element($0) })
    var s = [Element](repeating: 0, count: B * 2 * P)
    for t in 0..<T {
      let row = v[0][(t * B * 2 * P)..<((t + 1) * B * 2 * P)].map { Element($0) }
      if box.isIrregular {
        stepper.step(row, gaps: gaps[(t * B)..<((t + 1) * B)].map { Element($0) }, &s)
      } else {
        stepper.step(row, &s)
      }
      expectClose(
        s.map { Double($0) }, Array(expected[(t * B * 2 * P)..<((t + 1) * B * 2 * P)]),
        absolute: tolerance * largest, "\(type) \(box): step \(t)")
    }
  }

  @Test("results are those of the equations, and steps give them too", arguments: boxes)
  func forward(box: Box) {
    check(box, tolerance: 1e-13, Double.self)
    check(box, tolerance: 3e-6, Float.self)
  }

  @Test("gradients agree with differences", arguments: boxes)
  func gradients(box: Box) {
    let (v, gaps) = values(box)
    let (T, B, P) = (box.steps, box.batch, box.modes)
    GraphCase("\(box)", [[T, B, 2 * P], [P], [P], [P]]) {
      let graph = $0[0].graph
      let s = $0[0].diagonalScan(
        logStep: $0[1], logDecay: $0[2], frequency: $0[3], rule: box.rule,
        gaps: box.isIrregular ? graph.constant(gaps, [T, B]) : nil)
      return s + $0[0]
    }.checkGradients(values: v)
  }
}
