import NumericsCore
import TestSupport
import Testing

@Suite("Long convolutions")
struct LongConvolutionTests {
  struct Box: Sendable, CustomStringConvertible {
    let steps: Int
    let batch: Int
    let width: Int
    let taps: Int
    var description: String { "T \(steps) B \(batch) D \(width) L \(taps)" }
  }

  /// Lengths around powers of two and three times those, kernels shorter and longer than the sequence.
  static let boxes: [Box] = [
    Box(steps: 1, batch: 1, width: 1, taps: 1), Box(steps: 5, batch: 3, width: 2, taps: 5),
    Box(steps: 12, batch: 1, width: 7, taps: 20), Box(steps: 16, batch: 2, width: 16, taps: 16),
    Box(steps: 23, batch: 2, width: 17, taps: 23), Box(steps: 31, batch: 1, width: 5, taps: 9),
    Box(steps: 47, batch: 2, width: 9, taps: 47), Box(steps: 64, batch: 1, width: 33, taps: 64),
    Box(steps: 65, batch: 3, width: 4, taps: 65), Box(steps: 100, batch: 2, width: 3, taps: 100),
    Box(steps: 129, batch: 1, width: 16, taps: 40), Box(steps: 300, batch: 1, width: 2, taps: 300),
  ]

  private func naive(_ box: Box, _ x: [Double], _ kernel: [Double]) -> [Double] {
    let row = box.batch * box.width
    var y = [Double](repeating: 0, count: box.steps * row)
    for t in 0..<box.steps {
      for k in 0...min(t, box.taps - 1) {
        for c in 0..<row {
          y[t * row + c] += kernel[k * box.width + c % box.width] * x[(t - k) * row + c]
        }
      }
    }
    return y
  }

  private func check<Element: Real>(
    _ box: Box, _ method: ConvolutionMethod, tolerance: Double, _ type: Element.Type
  ) {
    var random = SeededGenerator(seed: 3)
    let x = random.normals(box.steps * box.batch * box.width)
    let kernel = random.normals(box.taps * box.width)
    let graph = Graph<Element>()
    let y = graph.constant(x.map { Element($0) }, [box.steps, box.batch, box.width])
      .fftConvolution(
        graph.constant(kernel.map { Element($0) }, [box.taps, box.width]), method: method)
    graph.keep(y)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Element>(1).base)
    let expected = naive(box, x, kernel)
    let largest = expected.reduce(0) { max($0, abs($1)) }
    expectClose(
      (0..<expected.count).map { Double(execution.value(y)[$0]) }, expected,
      absolute: tolerance * largest, "\(type) \(box) \(method)")
  }

  @Test(
    "results are those of the sum", arguments: boxes,
    [ConvolutionMethod.direct, .transform])
  func forward(box: Box, method: ConvolutionMethod) {
    check(box, method, tolerance: 2e-15, Double.self)
    check(box, method, tolerance: 1e-6, Float.self)
  }

  @Test(
    "gradients agree with differences", arguments: boxes.dropLast(3),
    [ConvolutionMethod.direct, .transform])
  func gradients(box: Box, method: ConvolutionMethod) {
    GraphCase(
      "\(box) \(method)", [[box.steps, box.batch, box.width], [box.taps, box.width]]
    ) { $0[0].fftConvolution($0[1], method: method) }.checkGradients()
  }

  @Test("gradients by transforms are those of the sum, for long sequences and added ones")
  func longGradients() {
    let box = Box(steps: 700, batch: 2, width: 20, taps: 700)
    var random = SeededGenerator(seed: 9)
    let x = random.normals(box.steps * box.batch * box.width)
    let k = random.normals(box.taps * box.width)
    func run(_ method: ConvolutionMethod) -> [Double] {
      let graph = Graph<Double>()
      let input = graph.input([box.steps, box.batch, box.width], differentiable: true)
      let kernel = graph.input([box.taps, box.width], differentiable: true)
      // The input is read twice, so one of the gradients is added to the other.
      let y = input.fftConvolution(kernel, method: method) + input
      let loss = y.map(.square).sum()
      let execution = Execution(Plan(graph, loss: loss))
      execution.input(input).update(from: x, count: x.count)
      execution.input(kernel).update(from: k, count: k.count)
      let none = Buffer<Double>(1)
      execution.forward(parameters: none.base)
      execution.backward(into: none.base)
      return (0..<x.count).map { execution.gradient(input)![$0] }
        + (0..<k.count).map { execution.gradient(kernel)![$0] }
    }
    let direct = run(.direct)
    let largest = direct.reduce(0) { max($0, abs($1)) }
    expectClose(run(.transform), direct, absolute: 1e-13 * largest)
  }
}
