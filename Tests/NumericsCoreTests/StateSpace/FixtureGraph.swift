import NumericsCore
import TestSupport
import Testing

/// The graph of a fixture, with every tensor of the file as a differentiable input.
final class FixtureGraph<Element: Real> {
  let fixture: LayerFixture
  let graph = Graph<Element>()
  private var inputs: [String: Tensor<Element>] = [:]
  private var results: [String: Tensor<Element>] = [:]

  init(_ fixture: LayerFixture) {
    self.fixture = fixture
    for (name, tensor) in fixture.weights.merging(fixture.inputs, uniquingKeysWith: { $1 }) {
      inputs[name] = graph.input(Shape(tensor.shape), differentiable: true)
    }
  }

  var tolerance: LayerFixture.Tolerance {
    Element.self == Float.self ? fixture.tolerance.f32 : fixture.tolerance.f64
  }

  func tensor(_ name: String) throws -> Tensor<Element> { try #require(inputs[name], "\(name)") }

  /// `[B, T, N]` of a file as `[T, B, N]`, or back.
  func timeMajor(_ name: String) throws -> Tensor<Element> { try tensor(name).exchanged(axis: 0) }

  /// A result to compare with the file's tensor of this name.
  func result(_ name: String, _ tensor: Tensor<Element>) {
    results[name] = tensor
    graph.keep(tensor)
  }

  /// Runs, and compares results, the mean square of `main` and all gradients that the file gives.
  func check(main: Tensor<Element>) {
    let loss = main.map(.square).mean()
    graph.keep(loss)
    let execution = Execution(Plan(graph, loss: loss))
    for (name, tensor) in inputs {
      let data = (fixture.weights[name] ?? fixture.inputs[name])!.data
      for (k, number) in data.enumerated() { execution.input(tensor)[k] = Element(number) }
    }
    let none = Buffer<Element>(1)
    execution.forward(parameters: none.base)
    let expected = fixture.outputs.merging(fixture.final, uniquingKeysWith: { first, _ in first })
    for (name, tensor) in results {
      if let tensorOfFile = expected[name] {
        fixture.compare(execution.value(tensor), tensorOfFile, tolerance.forward, name)
      } else {
        Issue.record("the file has no \(name)")
      }
    }
    if let expected = fixture.loss {
      let found = Double(execution.value(loss)[0])
      #expect(abs(found - expected) <= 2 * tolerance.forward.rel * expected, "loss \(found)")
    }
    execution.backward(into: none.base)
    for (name, gradient) in fixture.grads {
      guard let tensor = inputs[name] else { continue }
      if let found = execution.gradient(tensor) {
        fixture.compare(found, gradient, tolerance.grad, "gradient of \(name)")
      } else {
        Issue.record("\(name) has no gradient")
      }
    }
  }
}
