import NumericsCore
import TestSupport
import Testing

/// The graph of a fixture with every tensor of the file as a differentiable input, run once and compared
/// with what the file expects.
final class LayerFixtureGraph<Element: Real> {
  let fixture: LayerFixture
  let graph = Graph<Element>()
  private var inputs: [String: Tensor<Element>] = [:]

  init(_ fixture: LayerFixture) {
    self.fixture = fixture
    for (name, tensor) in fixture.weights.merging(fixture.inputs, uniquingKeysWith: { $1 }) {
      inputs[name] = graph.input(Shape(tensor.shape), differentiable: true)
    }
  }

  func tensor(_ name: String) throws -> Tensor<Element> { try #require(inputs[name], "\(name)") }

  /// Compares results with outputs of the same name and states with final states, the loss (the mean square
  /// of `main`), and its gradient with respect to everything that the file has a gradient of.
  func check(
    main: String, results: [String: Tensor<Element>], states: [String: Tensor<Element>],
    _ tolerance: LayerFixture.Tolerance
  ) throws {
    let loss = try #require(results[main]).map(.square).mean()
    for tensor in Array(results.values) + Array(states.values) + [loss] { graph.keep(tensor) }
    let execution = Execution(Plan(graph, loss: loss))
    for (name, input) in inputs {
      let tensor = try #require(fixture.weights[name] ?? fixture.inputs[name])
      for (k, number) in tensor.data.enumerated() {
        execution.input(input)[k] = Element(number)
      }
    }
    let none = Buffer<Element>(1)
    execution.forward(parameters: none.base)
    for (name, result) in results {
      fixture.compare(
        execution.value(result), try #require(fixture.outputs[name]), tolerance.forward, name)
    }
    for (name, state) in states {
      fixture.compare(
        execution.value(state), try #require(fixture.final[name]), tolerance.forward,
        "final \(name)")
    }
    let expected = try #require(fixture.loss)
    #expect(
      abs(Double(execution.value(loss)[0]) - expected) <= 10 * tolerance.forward.rel * expected)
    execution.backward(into: none.base)
    #expect(!fixture.grads.isEmpty)
    for (name, expected) in fixture.grads {
      let input = try tensor(name)
      let gradient = try #require(execution.gradient(input), "gradient of \(name)")
      fixture.compare(gradient, expected, tolerance.grad, "gradient of \(name)")
    }
  }
}
