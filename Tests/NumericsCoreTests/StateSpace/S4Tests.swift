// Names: shape letters B, T, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("S4")
struct S4Tests {
  struct Box: Sendable, CustomStringConvertible {
    let size: Int
    let width: Int
    let modes: Int
    var description: String { "n \(size) D \(width) N \(modes)" }
    var shapes: [Shape] {
      [
        [width], [width, modes], [width, modes], [width, modes, 2], [width, modes, 2],
        [width, modes, 2],
      ]
    }
    /// log dt, log decay, frequency, P, B, C.
    var numbers: [[Double]] {
      var random = SeededGenerator(seed: 13)
      let count = width * modes
      return [
        (0..<width).map { _ in -4 + 2.5 * random.uniform() },
        random.normals(count).map { $0 * 0.3 - 0.7 }, random.normals(count).map { $0 * 4 },
        random.normals(2 * count).map { $0 * 0.7 }, random.normals(2 * count),
        random.normals(2 * count),
      ]
    }
  }

  static let boxes = [
    Box(size: 8, width: 1, modes: 1), Box(size: 16, width: 3, modes: 2),
    Box(size: 24, width: 17, modes: 3), Box(size: 64, width: 2, modes: 5),
  ]

  /// The dense system of one channel with all `2 N` complex states, conjugates written out.
  private struct Dense {
    let n: Int
    /// `A_bar` and `B_bar` by real and imaginary part, interleaved.
    let transition: [Complex]
    let input: [Complex]

    init(_ box: Box, channel d: Int, _ v: [[Double]]) {
      let (N, dt) = (box.modes, exp(v[0][d]))
      func pairs(_ numbers: [Double]) -> [Complex] {
        let half = (0..<N).map {
          Complex(numbers[(d * N + $0) * 2], numbers[(d * N + $0) * 2 + 1])
        }
        return half + half.map(\.conjugate)
      }
      let half = (0..<N).map { Complex(-exp(v[1][d * N + $0]), v[2][d * N + $0]) }
      let (lambda, p, b) = (half + half.map(\.conjugate), pairs(v[3]), pairs(v[4]))
      n = 2 * N
      var (left, right) = ([[Complex]](), [[Complex]]())
      for i in 0..<n {
        let row = (0..<n).map { j in
          (i == j ? lambda[i] : Complex(0, 0)) - p[i] * p[j].conjugate
        }
        left.append(row.enumerated().map { Complex(i == $0 ? 1 : 0, 0) - Complex(dt / 2, 0) * $1 })
        right.append(
          row.enumerated().map { Complex(i == $0 ? 1 : 0, 0) + Complex(dt / 2, 0) * $1 }
            + [Complex(dt, 0) * b[i]])
      }
      // Gauss-Jordan.
      for k in left.indices {
        let pivot = (k..<left.count).max { left[$0][k].size < left[$1][k].size }!
        left.swapAt(k, pivot)
        right.swapAt(k, pivot)
        let inverse = left[k][k].inverse
        left[k] = left[k].map { inverse * $0 }
        right[k] = right[k].map { inverse * $0 }
        for i in left.indices where i != k {
          let factor = left[i][k]
          for j in left[i].indices { left[i][j] = left[i][j] - factor * left[k][j] }
          for j in right[i].indices { right[i][j] = right[i][j] - factor * right[k][j] }
        }
      }
      transition = right.flatMap { $0.dropLast() }
      input = right.map { $0.last! }
    }

    /// A row times `A_bar`.
    func advanced(_ c: [Complex]) -> [Complex] {
      (0..<n).map { j in
        (0..<n).reduce(Complex(0, 0)) { $0 + c[$1] * transition[$1 * n + j] }
      }
    }
  }

  struct Complex {
    var re: Double
    var im: Double
    init(_ re: Double, _ im: Double) { (self.re, self.im) = (re, im) }
    var conjugate: Complex { Complex(re, -im) }
    var size: Double { re * re + im * im }
    var inverse: Complex { Complex(re / size, -im / size) }
    static func + (a: Complex, b: Complex) -> Complex { Complex(a.re + b.re, a.im + b.im) }
    static func - (a: Complex, b: Complex) -> Complex { Complex(a.re - b.re, a.im - b.im) }
    static func * (a: Complex, b: Complex) -> Complex {
      Complex(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)
    }
  }

  /// The kernel `C A_bar^l B_bar`, and `C (1 - A_bar^n)`.
  private func recurrence(_ box: Box, _ v: [[Double]]) -> (kernel: [Double], truncated: [Double]) {
    var kernel = [Double](repeating: 0, count: box.size * box.width)
    var truncated = [Double](repeating: 0, count: 2 * box.width * box.modes)
    for d in 0..<box.width {
      let dense = Dense(box, channel: d, v)
      let half = (0..<box.modes).map {
        Complex(v[5][(d * box.modes + $0) * 2], v[5][(d * box.modes + $0) * 2 + 1])
      }
      let start = half + half.map(\.conjugate)
      var c = start
      for l in 0..<box.size {
        kernel[l * box.width + d] =
          zip(c, dense.input).reduce(Complex(0, 0)) { $0 + $1.0 * $1.1 }.re
        c = dense.advanced(c)
      }
      for n in 0..<box.modes {
        truncated[(d * box.modes + n) * 2] = start[n].re - c[n].re
        truncated[(d * box.modes + n) * 2 + 1] = start[n].im - c[n].im
      }
    }
    return (kernel, truncated)
  }

  private func weights<Element: Real>(_ t: [Tensor<Element>]) -> S4Weights<Element> {
    S4Weights(
      logStep: t[0], logDecay: t[1], frequency: t[2], lowRank: t[3], input: t[4], output: t[5])
  }

  private func pointers<Element: Real>(_ buffers: [Buffer<Element>]) -> S4Pointers<Element> {
    S4Pointers(
      logStep: buffers[0].base, logDecay: buffers[1].base, frequency: buffers[2].base,
      lowRank: buffers[3].base, input: buffers[4].base, output: buffers[5].base)
  }

  @Test("the kernel is that of the dense recurrence", arguments: boxes)
  func kernel(box: Box) {
    check(box, tolerance: 1e-12, Double.self)
    check(box, tolerance: 2e-5, Float.self)
  }

  @Test("the kernel goes on beyond its taps as the recurrence does", arguments: boxes)
  func continuation(box: Box) {
    check(box, tolerance: 1e-11, Double.self)
    check(box, tolerance: 5e-5, Float.self)

    func check<Element: Real>(_ box: Box, tolerance: Double, _ type: Element.Type) {
      let T = 3 * box.size + 2
      let stepper: S4Stepper<Element>
      let buffers = box.numbers.map { Buffer($0.map { Element($0) }) }
      stepper = withExtendedLifetime(buffers) {
        S4Stepper(
          width: box.width, modes: box.modes, size: box.size, batch: 1, weights: pointers(buffers))
      }
      let graph = Graph<Element>()
      let tensors = zip(box.numbers, box.shapes).map { graph.constant($0.map { Element($0) }, $1) }
      let x = SeededGenerator.numbers(T * box.width).map { Element($0) }
      let y = graph.constant(x, [T, 1, box.width]).s4(weights(tensors), size: box.size)
      graph.keep(y)
      let execution = Execution(Plan(graph))
      execution.forward(parameters: Buffer<Element>(1).base)
      let found = (0..<y.shape.count).map { Double(execution.value(y)[$0]) }
      let largest = found.reduce(0) { max($0, abs($1)) }
      var row = [Element](repeating: 0, count: box.width)
      for t in 0..<T {
        let places = (t * box.width)..<((t + 1) * box.width)
        stepper.step(Array(x[places]), &row)
        expectClose(
          row.map { Double($0) }, Array(found[places]), absolute: tolerance * largest,
          "\(type) \(box) step \(t)")
      }
    }
  }

  private func check<Element: Real>(_ box: Box, tolerance: Double, _ type: Element.Type) {
    var v = box.numbers
    let (expected, truncated) = recurrence(box, v)
    let largest = expected.reduce(0) { max($0, abs($1)) }
    let buffers = v.map { Buffer($0.map { Element($0) }) }
    let ours = withExtendedLifetime(buffers) {
      pointers(buffers).truncated(v[5], width: box.width, modes: box.modes, size: box.size)
    }
    expectClose(
      ours, truncated, absolute: tolerance * truncated.reduce(1) { max($0, abs($1)) }, "\(box)")
    v[5] = truncated
    let graph = Graph<Element>()
    let tensors = zip(v, box.shapes).map { graph.constant($0.map { Element($0) }, $1) }
    let kernel = weights(tensors).kernel(size: box.size)
    graph.keep(kernel)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Element>(1).base)
    expectClose(
      (0..<kernel.shape.count).map { Double(execution.value(kernel)[$0]) }, expected,
      absolute: tolerance * largest, "\(type) \(box)")
    // Single steps of an impulse, and again after a reset.
    for (k, number) in truncated.enumerated() { buffers[5][k] = Element(number) }
    let stepper = withExtendedLifetime(buffers) {
      S4Stepper<Element>(
        width: box.width, modes: box.modes, size: box.size, batch: 2, weights: pointers(buffers))
    }
    var y = [Element](repeating: 0, count: 2 * box.width)
    for _ in 0..<2 {
      for l in 0..<box.size {
        stepper.step([Element](repeating: l == 0 ? 1 : 0, count: 2 * box.width), &y)
        for row in 0..<2 {
          expectClose(
            (0..<box.width).map { Double(y[row * box.width + $0]) },
            Array(expected[(l * box.width)..<((l + 1) * box.width)]),
            absolute: 30 * tolerance * largest, "\(type) \(box) step \(l)")
        }
      }
      stepper.reset()
    }
  }

  @Test("gradients agree with differences", arguments: boxes)
  func gradients(box: Box) {
    GraphCase("\(box)", box.shapes) {
      weights($0).kernel(size: box.size)
    }.checkGradients(relative: 1e-6, values: box.numbers)
    GraphCase("\(box) beyond its taps", box.shapes) {
      weights($0).kernel(steps: 2 * box.size + 3, size: box.size)
    }.checkGradients(relative: 1e-6, values: box.numbers)
    GraphCase("\(box) convolved", [[7, 2, box.width]] + box.shapes) {
      $0[0].s4(weights(Array($0[1...])), size: box.size)
    }.checkGradients(
      relative: 1e-6, values: [SeededGenerator.numbers(14 * box.width)] + box.numbers)
  }

  @Test("starting values are HiPPO-LegS", arguments: [2, 8, 64])
  func start(size: Int) {
    let start = StateMatrix.NormalPlusLowRank(size: size)
    let golden = StateMatrix.legS.eigenvalues(size: size)
    let scale = Double(size)
    expectClose(start.real, golden.real, absolute: 0)
    expectClose(start.imaginary, golden.imaginary, absolute: 1e-12 * scale * scale)
    // V (diag(lambda) - P P^*) V^*, conjugates included.
    var a = [Double](repeating: 0, count: size * size)
    var (p, b) = ([Double](repeating: 0, count: size), [Double](repeating: 0, count: size))
    for mode in 0..<(size / 2) {
      func component(_ i: Int) -> Complex {
        Complex(
          start.vectors[(mode * size + i) * 2], start.vectors[(mode * size + i) * 2 + 1])
      }
      let lambda = Complex(start.real[mode], start.imaginary[mode])
      for i in 0..<size {
        for j in 0..<size {
          a[i * size + j] += 2 * (component(i) * lambda * component(j).conjugate).re
        }
        p[i] +=
          2 * (component(i) * Complex(start.lowRank[2 * mode], start.lowRank[2 * mode + 1])).re
        b[i] += 2 * (component(i) * Complex(start.input[2 * mode], start.input[2 * mode + 1])).re
      }
    }
    for i in 0..<size { for j in 0..<size { a[i * size + j] -= p[i] * p[j] } }
    expectClose(a, StateMatrix.hippoLegS(size), absolute: 1e-11 * scale)
    expectClose(p, (0..<size).map { (Double($0) + 0.5).squareRoot() }, absolute: 1e-11 * scale)
    expectClose(b, (0..<size).map { Double(2 * $0 + 1).squareRoot() }, absolute: 1e-11 * scale)
  }
}

@Suite("Linear state space")
struct LinearStateSpaceTests {
  @Test("convolution, steps and the implicit equations agree", arguments: [0.5, 0.8, 1])
  func forms(blend: Double) {
    let (T, B, D, N) = (90, 2, 6, 5)
    let system = LinearStateSpace(order: N, steps: [0.003, 0.08], blend: blend)
    var random = SeededGenerator(seed: 3)
    let (x, c) = (random.normals(T * B * D), random.normals(N * D))
    let graph = Graph<Double>()
    let y = graph.constant(x, [T, B, D]).linearStateSpace(
      system, output: graph.constant(c, [2, N, D / 2]))
    graph.keep(y)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Double>(1).base)
    let stepper = LinearStateSpaceStepper<Double>(system, width: D, batch: B, output: c)
    let a = StateMatrix.hippoLegS(N)
    var states = [Double](repeating: 0, count: B * D * N)
    var row = [Double](repeating: 0, count: B * D)
    for t in 0..<T {
      stepper.step(Array(x[(t * B * D)..<((t + 1) * B * D)]), &row)
      expectClose(
        (0..<(B * D)).map { execution.value(y)[t * B * D + $0] }, row, absolute: 1e-11)
      for k in 0..<(B * D) {
        let (r, u) = (k % D / (D / 2), x[t * B * D + k])
        let (dt, old) = (system.steps[r], Array(states[(k * N)..<((k + 1) * N)]))
        // x' - x = dt (A (alpha x' + (1 - alpha) x) + B u), forward in the rows of a triangle.
        var new = old
        for i in 0..<N {
          var sum = old[i] + dt * Double(2 * i + 1).squareRoot() * u
          for j in 0...i { sum += dt * (1 - blend) * a[i * N + j] * old[j] }
          for j in 0..<i { sum += dt * blend * a[i * N + j] * new[j] }
          new[i] = sum / (1 - dt * blend * a[i * N + i])
        }
        states.replaceSubrange((k * N)..<((k + 1) * N), with: new)
        let expected = (0..<N).reduce(0.0) {
          $0 + c[(r * N + $1) * (D / 2) + k % (D / 2)] * new[$1]
        }
        expectClose(row[k], expected, absolute: 1e-11)
      }
    }
  }

  @Test("gradients agree with differences")
  func gradients() {
    let system = LinearStateSpace(order: 3, steps: [0.01, 0.1])
    GraphCase("lssl", [[9, 2, 4], [2, 3, 2]]) {
      $0[0].linearStateSpace(system, output: $0[1])
    }.checkGradients()
  }
}

extension SeededGenerator {
  fileprivate static func numbers(_ count: Int) -> [Double] {
    var random = SeededGenerator(seed: 40)
    return random.normals(count)
  }
}
