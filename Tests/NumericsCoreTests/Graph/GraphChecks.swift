import NumericsCore
import TestSupport
import Testing

/// A computation under test: named inputs with their shapes, and the tensor made of them.
struct GraphCase: Sendable, CustomStringConvertible {
  let description: String
  let shapes: [Shape]
  /// Inputs are drawn from this range.
  var range: ClosedRange<Double> = -1.5...1.5
  let build: @Sendable ([Tensor<Double>]) -> Tensor<Double>

  init(
    _ description: String, _ shapes: [Shape], range: ClosedRange<Double> = -1.5...1.5,
    _ build: @escaping @Sendable ([Tensor<Double>]) -> Tensor<Double>
  ) {
    self.description = description
    self.shapes = shapes
    self.range = range
    self.build = build
  }

  func values(seed: UInt64 = 1) -> [[Double]] {
    var random = SeededGenerator(seed: seed)
    return shapes.map { shape in
      (0..<shape.count).map { _ in
        range.lowerBound + (range.upperBound - range.lowerBound) * random.uniform()
      }
    }
  }

  /// The graph, made once: a weighted sum of the result, so that every element has a gradient of its own.
  private final class Run {
    let inputs: [Tensor<Double>]
    let loss: Tensor<Double>
    let execution: Execution<Double>
    let none = Buffer<Double>(1)

    init(_ case: GraphCase) {
      let graph = Graph<Double>()
      inputs = `case`.shapes.map { graph.input($0, differentiable: true) }
      let result = `case`.build(inputs)
      let weights = (0..<result.shape.count).map { Double(($0 * 37 + 11) % 17) / 8 - 1 }
      loss = (result * graph.constant(weights, result.shape)).sum()
      execution = Execution(Plan(graph, loss: loss))
    }

    func loss(_ values: [[Double]]) -> Double {
      for (input, numbers) in zip(inputs, values) {
        execution.input(input).update(from: numbers, count: numbers.count)
      }
      execution.forward(parameters: none.base)
      return execution.value(loss)[0]
    }

    func gradients() -> [[Double]] {
      execution.backward(into: none.base)
      return inputs.map { input in
        (0..<input.shape.count).map { execution.gradient(input)?[$0] ?? 0 }
      }
    }
  }

  /// Compares with central differences.
  func checkGradients(
    relative: Double = 2e-7, values given: [[Double]]? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let values = given ?? values()
    let run = Run(self)
    _ = run.loss(values)
    let gradients = run.gradients()
    let step = 1e-5
    var worst = 0.0
    var largest = 0.0
    for input in values.indices {
      for k in values[input].indices {
        var moved = values
        moved[input][k] += step
        let above = run.loss(moved)
        moved[input][k] -= 2 * step
        let below = run.loss(moved)
        let expected = (above - below) / (2 * step)
        worst = max(worst, abs(expected - gradients[input][k]))
        largest = max(largest, abs(expected))
      }
    }
    #expect(
      worst <= relative * max(largest, 1), "\(description): off by \(worst) of \(largest)",
      sourceLocation: sourceLocation)
    #expect(
      largest > 0, "\(description): nothing depends on the inputs", sourceLocation: sourceLocation)
  }
}
