import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Fourier transforms")
struct RealTransformTests {
  static let lengths = [8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]

  @Test("the transform is the sum, and its inverse gives the sequence back", arguments: lengths)
  func sums(steps: Int) {
    check(steps, tolerance: 2e-15, Double.self)
    check(steps, tolerance: 1e-6, Float.self)
  }

  private func check<Element: Real>(_ n: Int, tolerance: Double, _ type: Element.Type) {
    let columns = 19
    var random = SeededGenerator(seed: 1)
    let x = random.normals(n * columns)
    let graph = Graph<Element>()
    let input = graph.constant(x.map { Element($0) }, [n, columns])
    let (re, im) = input.realTransform()
    let back = Tensor.inverseRealTransform(real: re, imaginary: im)
    for tensor in [re, im, back] { graph.keep(tensor) }
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Element>(1).base)
    for column in [0, 15, 16, 18] {
      for k in 0...(n / 2) {
        var sum = (0.0, 0.0)
        for t in 0..<n {
          let angle = 2 * .pi * Double(k * t % n) / Double(n)
          sum.0 += x[t * columns + column] * cos(angle)
          sum.1 -= x[t * columns + column] * sin(angle)
        }
        let at = k * columns + column
        let bound = tolerance * Double(n)
        expectClose(Double(execution.value(re)[at]), sum.0, absolute: bound, "\(n) re \(k)")
        expectClose(Double(execution.value(im)[at]), sum.1, absolute: bound, "\(n) im \(k)")
      }
    }
    expectClose(
      x.indices.map { Double(execution.value(back)[$0]) }, x, absolute: 10 * tolerance, "\(n)")
  }

  @Test("gradients agree with differences", arguments: [8, 16, 24, 32, 48])
  func gradients(steps: Int) {
    GraphCase("forward \(steps)", [[steps, 3]]) {
      let (re, im) = $0[0].realTransform()
      return re.map(.square) + im * re + $0[0].slice(axis: 0, 0..<(steps / 2 + 1))
    }.checkGradients()
    GraphCase("real part \(steps)", [[steps, 2]]) { $0[0].realTransform().real }.checkGradients()
    GraphCase("inverse \(steps)", [[steps / 2 + 1, 2], [steps / 2 + 1, 2]]) {
      let sequence = Tensor.inverseRealTransform(real: $0[0], imaginary: $0[1])
      return sequence.slice(axis: 0, 0..<(steps / 2 + 1)) * $0[0] + $0[1]
    }.checkGradients()
  }
}
