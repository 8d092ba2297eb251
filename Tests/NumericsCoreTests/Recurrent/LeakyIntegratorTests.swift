import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Leaky integrators")
struct LeakyIntegratorTests {
  @Test(
    "gradients agree with differences",
    arguments: [(1, 2, 3, 1.0), (6, 1, 4, 0.3), (5, 9, 2, 0.8)])
  func gradients(steps: Int, batch: Int, width: Int, leak: Double) {
    GraphCase("T \(steps) B \(batch)", [[steps, batch, width], [width, width]]) {
      $0[0].leakyIntegrator($0[1], leak: leak)
    }.checkGradients()
  }

  @Test("states are those of a naive loop, for few rows and many", arguments: [1, 5, 8, 9, 33])
  func naive(batch: Int) {
    states(batch, Double.self, absolute: 1e-14)
    states(batch, Float.self, absolute: 2e-6)
  }

  private func states<Element: Real>(_ batch: Int, _ type: Element.Type, absolute: Double) {
    let (steps, width, leak) = (11, 21, 0.35)
    var random = SeededGenerator(seed: 7)
    let drive = random.normals(steps * batch * width).map { Element($0) }
    let weight = random.normals(width * width).map { Element($0 * 0.2) }
    let graph = Graph<Element>()
    let result = graph.constant(drive, [steps, batch, width])
      .leakyIntegrator(graph.constant(weight, [width, width]), leak: leak)
    graph.keep(result)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Element>(1).base)
    for row in 0..<batch {
      var x = [Double](repeating: 0, count: width)
      for t in 0..<steps {
        let at = (t * batch + row) * width
        x = (0..<width).map { j in
          let inside = (0..<width).reduce(Double(drive[at + j])) {
            $0 + x[$1] * Double(weight[$1 * width + j])
          }
          return (1 - leak) * x[j] + leak * tanh(inside)
        }
        expectClose(
          (0..<width).map { Double(execution.value(result)[at + $0]) }, x, absolute: absolute)
      }
    }
  }
}
