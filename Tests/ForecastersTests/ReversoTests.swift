// Names: shape letters B, T, F, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

@Suite("Reverso")
struct ReversoTests {
  private final class Model {
    let (T, B, F, H, Q) = (21, 2, 3, 4, 3)
    let model: Reverso<Double>
    let parameters: Buffer<Double>

    init() {
      var layout = ParameterLayout()
      model = Reverso(
        steps: T, inputs: F, hidden: 6, layers: 2, dropout: 0,
        DeltaNetLayer(heads: 2, hasNegativeEigenvalues: false), horizon: H, quantiles: Q,
        layout: &layout)
      parameters = Buffer(layout.count)
      var stream = RandomStream(seed: 5, purpose: "initialisation")
      model.initialize(parameters, using: &stream)
      var random = SeededGenerator(seed: 8)
      for k in 0..<parameters.count { parameters[k] += random.normal() * 0.1 }
    }

    func inputs(seed: UInt64 = 3) -> [Double] {
      var random = SeededGenerator(seed: seed)
      return random.normals(T * B * F)
    }

    /// Raw numbers of inputs; then, the gradient of their sum.
    private(set) lazy var program:
      (
        execution: Execution<Double>, inputs: Tensor<Double>, raw: Tensor<Double>
      ) = {
        let graph = Graph<Double>()
        let x = graph.input([T, B, F], differentiable: true)
        let raw = model.apply(to: x)
        graph.keep(raw)
        return (Execution(Plan(graph, loss: raw.sum())), x, raw)
      }()

    func run(_ numbers: [Double]) -> [Double] {
      let (execution, x, raw) = program
      execution.input(x).update(from: numbers, count: numbers.count)
      execution.forward(parameters: parameters.base)
      return (0..<raw.shape.count).map { execution.value(raw)[$0] }
    }

    func gradient(_ numbers: [Double]) -> [Double] {
      _ = run(numbers)
      let none = Buffer<Double>(parameters.count)
      program.execution.backward(into: none.base)
      return (0..<numbers.count).map { program.execution.gradient(program.inputs)![$0] }
    }
  }

  @Test("level and scale of the values of a window do not matter to what is encoded")
  func invariance() {
    let model = Model()
    let numbers = model.inputs()
    var moved = numbers
    for k in stride(from: 0, to: moved.count, by: model.F) { moved[k] = 3 * moved[k] - 7 }
    let (raw, again) = (model.run(numbers), model.run(moved))
    expectClose(again, raw, absolute: 1e-12)
    #expect(raw.contains { abs($0) > 1e-3 })
  }

  @Test("every input of every step is read, and gradients agree with differences")
  func gradients() {
    let model = Model()
    let numbers = model.inputs()
    let gradient = model.gradient(numbers)
    for k in numbers.indices {
      func sum(_ change: Double) -> Double {
        var moved = numbers
        moved[k] += change
        return model.run(moved).reduce(0, +)
      }
      expectClose(gradient[k], (sum(1e-6) - sum(-1e-6)) / 2e-6, absolute: 1e-6)
      #expect(gradient[k] != 0)
    }
  }

  @Test("a window without variation or without values has finite results")
  func constant() {
    let model = Model()
    for value in [0.0, 2.0] {
      let raw = model.run([Double](repeating: value, count: model.T * model.B * model.F))
      #expect(raw.allSatisfy { $0.isFinite })
    }
  }
}
