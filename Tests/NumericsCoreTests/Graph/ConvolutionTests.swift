// Names: shape letters B, T, D, E, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore
import TestSupport
import Testing

@Suite("Causal convolution")
struct ConvolutionTests {
  struct Box: Sendable, CustomStringConvertible {
    let (T, B, D, E, K): (Int, Int, Int, Int, Int)
    var dilation = 1
    var stride = 1
    var description: String { "T \(T) B \(B) D \(D) E \(E) K \(K) by \(dilation), \(stride)" }
    var shapes: [Shape] { [[T, B, D], [K, D, E], [E]] }
  }

  /// Whole vectors and rests, blocks of rows and rests, more taps than steps, a stride beyond the length.
  static let boxes = [
    Box(T: 1, B: 1, D: 1, E: 1, K: 1), Box(T: 7, B: 2, D: 3, E: 5, K: 3),
    Box(T: 9, B: 3, D: 16, E: 16, K: 2, dilation: 3),
    Box(T: 5, B: 1, D: 17, E: 33, K: 4, dilation: 2),
    Box(T: 110, B: 1, D: 2, E: 3, K: 3, dilation: 16),
    Box(T: 40, B: 7, D: 5, E: 4, K: 3, dilation: 1),
    Box(T: 12, B: 2, D: 3, E: 16, K: 3, stride: 2), Box(T: 13, B: 5, D: 16, E: 7, K: 4, stride: 2),
    Box(T: 9, B: 2, D: 3, E: 2, K: 2, stride: 3), Box(T: 6, B: 2, D: 4, E: 3, K: 3, stride: 50),
    Box(T: 30, B: 100, D: 1, E: 2, K: 2, stride: 4),
  ]

  private func run<Element: Real>(_ box: Box, _ type: Element.Type) -> (
    y: [Double], naive: [Double]
  ) {
    var random = SeededGenerator(seed: 7)
    let numbers = box.shapes.map { random.normals($0.count).map { Element($0) } }
    let graph = Graph<Element>()
    let inputs = box.shapes.map { graph.input($0) }
    let y = inputs[0].causallyConvolved(
      inputs[1], bias: inputs[2], dilation: box.dilation, stride: box.stride)
    graph.keep(y)
    let execution = Execution(Plan(graph))
    for (input, numbers) in zip(inputs, numbers) {
      execution.input(input).update(from: numbers, count: numbers.count)
    }
    execution.forward(parameters: Buffer<Element>(1).base)
    let (x, w, bias) = (numbers[0], numbers[1], numbers[2])
    var naive: [Double] = []
    for t in stride(from: (box.T - 1) % box.stride, to: box.T, by: box.stride) {
      for b in 0..<box.B {
        for e in 0..<box.E {
          var sum = Double(bias[e])
          for k in 0..<box.K where t - k * box.dilation >= 0 {
            for d in 0..<box.D {
              sum +=
                Double(x[((t - k * box.dilation) * box.B + b) * box.D + d])
                * Double(w[(k * box.D + d) * box.E + e])
            }
          }
          naive.append(sum)
        }
      }
    }
    return ((0..<y.shape.count).map { Double(execution.value(y)[$0]) }, naive)
  }

  @Test("equals sums over the taps", arguments: boxes)
  func definition(box: Box) {
    let (double, single) = (run(box, Double.self), run(box, Float.self))
    expectClose(double.y, double.naive, absolute: 1e-13)
    expectClose(single.y, single.naive, absolute: 2e-5)
  }

  @Test("gradients", arguments: boxes)
  func gradients(box: Box) {
    GraphCase("\(box)", box.shapes) {
      $0[0].causallyConvolved($0[1], bias: $0[2], dilation: box.dilation, stride: box.stride)
    }.checkGradients()
  }

  @Test("the gradient is added where another one is", arguments: [boxes[1], boxes[2], boxes[6]])
  func added(box: Box) {
    GraphCase("\(box)", box.shapes) {
      func convolved(_ x: Tensor<Double>, _ w: Tensor<Double>) -> Tensor<Double> {
        x.causallyConvolved(w, dilation: box.dilation, stride: box.stride)
      }
      return convolved($0[0], $0[1]) * convolved($0[0], $0[1].map(.square)) + $0[2]
    }.checkGradients()
  }

  @Test("single precision follows double precision in the gradient", arguments: boxes)
  func singleGradients(box: Box) {
    func gradients<Element: Real>(_ type: Element.Type) -> [[Double]] {
      var random = SeededGenerator(seed: 7)
      let graph = Graph<Element>()
      let inputs = box.shapes.map { graph.input($0, differentiable: true) }
      let y = inputs[0].causallyConvolved(
        inputs[1], bias: inputs[2], dilation: box.dilation, stride: box.stride)
      let execution = Execution(Plan(graph, loss: y.map(.square).sum()))
      for input in inputs {
        for (k, number) in random.normals(input.shape.count).enumerated() {
          execution.input(input)[k] = Element(Float(number))
        }
      }
      execution.forward(parameters: Buffer<Element>(1).base)
      execution.backward(into: Buffer<Element>(1).base)
      return inputs.map { input in
        (0..<input.shape.count).map { Double(execution.gradient(input)![$0]) }
      }
    }
    for (single, double) in zip(gradients(Float.self), gradients(Double.self)) {
      expectClose(single, double, absolute: 1e-5 * max(1, double.map(abs).max()!))
    }
  }

  @Test("steps one by one give the whole sequence", arguments: boxes.filter { $0.stride == 1 })
  func steps(box: Box) {
    var random = SeededGenerator(seed: 7)
    let numbers = box.shapes.map { random.normals($0.count) }
    let expected = run(box, Double.self).y
    let stepper = CausalConvolutionStepper<Double>(
      taps: box.K, dilation: box.dilation, inputs: box.D, outputs: box.E, batch: box.B,
      kernel: numbers[1], bias: numbers[2])
    var y = [Double](repeating: 0, count: box.B * box.E)
    for _ in 0..<2 {
      for t in 0..<box.T {
        stepper.step(Array(numbers[0][(t * box.B * box.D)...]), &y)
        expectClose(y, Array(expected[(t * box.B * box.E)...].prefix(y.count)), absolute: 1e-13)
      }
      stepper.reset()
    }
  }
}
