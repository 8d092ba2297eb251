import NumericsCore
import TestSupport
import Testing

@Suite("Linear recurrences")
struct LinearScanTests {
  enum Kind: Hashable, Sendable {
    case real, complex
    case block(Int)
  }

  struct Box: Sendable, CustomStringConvertible {
    let kind: Kind
    let steps: Int
    let batch: Int
    let width: Int
    /// Axes of a factor that does not change: nil for one that does.
    var constantAxes: Int?
    var started = true
    var reverse = false
    var threads = 1
    var channels: Int { batch * width }
    var columns: Int { if case .block(let k) = kind { k } else { 1 } }
    /// `[k, k]` of a block, nothing of a number.
    var matrix: [Int] { if case .block(let k) = kind { [k, k] } else { [] } }
    var column: [Int] { if case .block(let k) = kind { [k] } else { [] } }
    var parts: Int { kind == .complex ? 2 : 1 }
    var factor: Shape {
      let axes = [batch, width]
      guard let constantAxes else { return Shape([steps] + matrix + axes) }
      return Shape(matrix + axes.suffix(constantAxes))
    }
    var input: Shape { Shape([steps] + column + [batch, width]) }
    var initial: Shape { Shape(column + [batch, width]) }
    /// Factors, inputs, initial states; two of each where complex.
    var shapes: [Shape] {
      [factor, input, initial].prefix(started ? 3 : 2).flatMap {
        [Shape](repeating: $0, count: parts)
      }
    }
    var description: String {
      "\(kind) T \(steps) B \(batch) D \(width) threads \(threads)"
        + (constantAxes.map { " constant \($0)" } ?? "") + (started ? " started" : "")
        + (reverse ? " reverse" : "")
    }
  }

  static let kinds: [Kind] = [.real, .complex] + (1...8).map { Kind.block($0) }

  /// Odd sizes, every number of vectors in a strip, sequential and divided both ways.
  static let boxes: [Box] = kinds.flatMap { kind in
    [
      Box(kind: kind, steps: 1, batch: 1, width: 1),
      Box(kind: kind, steps: 5, batch: 3, width: 7, started: false),
      Box(kind: kind, steps: 37, batch: 1, width: 19, reverse: true),
      Box(kind: kind, steps: 4, batch: 5, width: 27),
      Box(kind: kind, steps: 6, batch: 3, width: 5, constantAxes: 1),
      Box(kind: kind, steps: 6, batch: 2, width: 9, constantAxes: 2, reverse: true),
    ]
  }
  /// Many channels, divided among threads.
  static let wide: [Box] = kinds.flatMap { kind in
    [
      Box(kind: kind, steps: 3, batch: 9, width: 33, threads: 3),
      Box(kind: kind, steps: 3, batch: 9, width: 33, constantAxes: 1, started: false, threads: 2),
    ]
  }
  /// Few channels and many steps: divided in time where the state is small.
  static let long: [Box] = [Kind.real, .complex, .block(2), .block(3)].flatMap { kind in
    [
      Box(kind: kind, steps: 403, batch: 1, width: 3, threads: 4),
      Box(kind: kind, steps: 391, batch: 1, width: 3, started: false, reverse: true, threads: 4),
      Box(kind: kind, steps: 263, batch: 1, width: 5, started: false, threads: 2),
      Box(kind: kind, steps: 387, batch: 2, width: 2, constantAxes: 1, threads: 5),
    ]
  }

  private func numbers(_ box: Box) -> [[Double]] {
    var random = SeededGenerator(seed: 3)
    return box.shapes.enumerated().map { index, shape in
      // Factors that neither explode nor forget at once.
      let scale = index < box.parts ? 0.7 / Double(box.columns).squareRoot() : 1
      return random.normals(shape.count).map { $0 * scale }
    }
  }

  /// The recurrence by its definition, one channel after the other, in complex numbers throughout.
  private func naive(_ box: Box, _ n: [[Double]]) -> [[Double]] {
    let (k, C) = (box.columns, box.channels)
    let period = box.factor.count / box.matrix.reduce(box.constantAxes == nil ? box.steps : 1, *)
    var all = [[Double]](
      repeating: [Double](repeating: 0, count: box.input.count), count: box.parts)
    func number(_ operand: Int, _ at: Int) -> (Double, Double) {
      box.parts == 2 ? (n[2 * operand][at], n[2 * operand + 1][at]) : (n[operand][at], 0)
    }
    for c in 0..<C {
      var h = (0..<k).map { box.started ? number(2, $0 * C + c) : (0, 0) }
      for step in 0..<box.steps {
        let t = box.reverse ? box.steps - 1 - step : step
        let before = h
        for row in 0..<k {
          h[row] = number(1, (t * k + row) * C + c)
          for column in 0..<k {
            let entry = row * k + column
            let a = number(
              0,
              box.constantAxes == nil
                ? (t * k * k + entry) * C + c : entry * period + c % period)
            h[row].0 += a.0 * before[column].0 - a.1 * before[column].1
            h[row].1 += a.0 * before[column].1 + a.1 * before[column].0
          }
          all[0][(t * k + row) * C + c] = h[row].0
          if box.parts == 2 { all[1][(t * k + row) * C + c] = h[row].1 }
        }
      }
    }
    return all
  }

  private static func apply<Element: Real>(_ box: Box, _ x: [Tensor<Element>]) -> [Tensor<Element>]
  {
    if box.parts == 2 {
      let pairs = stride(from: 0, to: x.count, by: 2).map {
        ComplexTensor(real: x[$0], imaginary: x[$0 + 1])
      }
      let h = pairs[1].linearScan(
        factor: pairs[0], initial: box.started ? pairs[2] : nil, reverse: box.reverse,
        threads: box.threads)
      return [h.real, h.imaginary]
    }
    let initial = box.started ? x[2] : nil
    if case .block = box.kind {
      return [
        x[1].blockLinearScan(
          matrices: x[0], initial: initial, reverse: box.reverse, threads: box.threads)
      ]
    }
    return [
      x[1].linearScan(factor: x[0], initial: initial, reverse: box.reverse, threads: box.threads)
    ]
  }

  private func run<Element: Real>(
    _ box: Box, _ numbers: [[Double]], _ type: Element.Type
  ) -> [[Element]] {
    let graph = Graph<Element>()
    let inputs = box.shapes.map { graph.input($0) }
    let results = Self.apply(box, inputs)
    for result in results { graph.keep(result) }
    let execution = Execution(Plan(graph))
    for (input, values) in zip(inputs, numbers) {
      for (k, value) in values.enumerated() { execution.input(input)[k] = Element(value) }
    }
    execution.forward(parameters: Buffer<Element>(1).base)
    return results.map { result in
      (0..<result.shape.count).map { execution.value(result)[$0] }
    }
  }

  @Test("states are those of the definition", arguments: boxes + wide + long)
  func forward(box: Box) {
    let numbers = numbers(box)
    let expected = naive(box, numbers)
    let largest = max(1, expected.joined().map { abs($0) }.max() ?? 1)
    for (double, (single, values)) in zip(
      run(box, numbers, Double.self), zip(run(box, numbers, Float.self), expected))
    {
      expectClose(double, values, absolute: 1e-13 * largest, "\(box)")
      expectClose(single.map { Double($0) }, values, absolute: 4e-6 * largest, "\(box)")
    }
  }

  @Test("gradients agree with differences", arguments: boxes)
  func gradients(box: Box) {
    let check = GraphCase(box.description, box.shapes) { inputs in
      let results = Self.apply(box, inputs)
      let flat = results.map { $0.reshaped([$0.shape.count]) }
      return flat.count == 1 ? flat[0] : Tensor.joined(flat, axis: 0)
    }
    check.checkGradients(values: numbers(box))
  }

  @Test("a part of a complex number without a gradient has none", arguments: [0, 1])
  func onePart(part: Int) {
    let box = Box(kind: .complex, steps: 5, batch: 2, width: 3)
    GraphCase("part \(part)", box.shapes) { Self.apply(box, $0)[part] }
      .checkGradients(values: numbers(box))
  }

  /// Results and gradients of all inputs.
  private func differentiated(_ box: Box, _ numbers: [[Double]]) -> [[Double]] {
    let graph = Graph<Double>()
    let inputs = box.shapes.map { graph.input($0, differentiable: true) }
    let results = Self.apply(box, inputs)
    for result in results { graph.keep(result) }
    let losses = results.map { result in
      let weights = (0..<result.shape.count).map { Double(($0 * 37 + 11) % 17) / 8 - 1 }
      return (result * graph.constant(weights, result.shape)).sum()
    }
    let loss = losses.count == 2 ? losses[0] + losses[1] : losses[0]
    let execution = Execution(Plan(graph, loss: loss))
    for (input, values) in zip(inputs, numbers) {
      execution.input(input).update(from: values, count: values.count)
    }
    let none = Buffer<Double>(1)
    execution.forward(parameters: none.base)
    execution.backward(into: none.base)
    return results.map { result in (0..<result.shape.count).map { execution.value(result)[$0] } }
      + inputs.map { input in
        (0..<input.shape.count).map { execution.gradient(input)![$0] }
      }
  }

  @Test(
    "threads give the sequential results and gradients, the same ones each time",
    arguments: wide + long)
  func threads(box: Box) {
    let numbers = numbers(box)
    let divided = differentiated(box, numbers)
    var sequential = box
    sequential.threads = 1
    for (values, expected) in zip(divided, differentiated(sequential, numbers)) {
      let largest = max(1, expected.map { abs($0) }.max() ?? 1)
      expectClose(values, expected, absolute: 1e-12 * largest, "\(box)")
    }
    for _ in 0..<3 { #expect(differentiated(box, numbers) == divided) }
  }

  @Test("two halves with the state handed over are one run", arguments: kinds)
  func halves(kind: Kind) {
    let whole = Box(kind: kind, steps: 9, batch: 2, width: 5)
    let numbers = numbers(whole)
    let expected = run(whole, numbers, Double.self)
    let first = Box(kind: kind, steps: 4, batch: 2, width: 5)
    let second = Box(kind: kind, steps: 5, batch: 2, width: 5)
    let parts = whole.parts
    func slice(_ box: Box, from step: Int, initial: [[Double]]) -> [[Double]] {
      let rows = whole.shapes.prefix(2 * parts).map { $0.count / whole.steps }
      return zip(numbers, rows).map { Array($0[(step * $1)..<((step + box.steps) * $1)]) } + initial
    }
    let start = run(
      first, slice(first, from: 0, initial: Array(numbers.suffix(parts))), Double.self)
    let state = start.map { Array($0.suffix(whole.initial.count)) }
    let rest = run(second, slice(second, from: 4, initial: state), Double.self)
    for part in 0..<parts { #expect(start[part] + rest[part] == expected[part]) }
  }
}
