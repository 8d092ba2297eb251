// Names: shape letters B, T, F, D.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

/// A backbone with moved weights and random inputs of 3 channels, for sizes beyond those of the conformance suite.
final class BackboneTrial<Element: Real> {
  let (B, F) = (2, 3)
  let T: Int
  let backbone: any Backbone<Element>
  let layout: ParameterLayout
  let parameters: Buffer<Element>
  let inputs: [Element]

  /// - Parameter make: the backbone for 3 inputs.
  init(steps: Int, _ make: (inout ParameterLayout) -> any Backbone<Element>) {
    T = steps
    var layout = ParameterLayout()
    backbone = make(&layout)
    self.layout = layout
    parameters = Buffer(layout.count)
    var stream = RandomStream(seed: 5, purpose: "initialisation")
    backbone.initialize(parameters, using: &stream)
    var random = SeededGenerator(seed: 8)
    for k in 0..<parameters.count { parameters[k] += Element(random.normal() * 0.2) }
    inputs = random.normals(T * B * F).map { Element($0) }
  }

  /// The results and a weighted sum of them.
  private func program(differentiates: Bool) -> (
    execution: Execution<Element>, all: Tensor<Element>, loss: Tensor<Element>
  ) {
    let graph = Graph<Element>()
    let x = graph.input([T, B, F])
    let all = backbone.apply(to: x).all
    let weights = (0..<all.shape.count).map { Element(($0 * 37 + 11) % 17) / 8 - 1 }
    let loss = (all * graph.constant(weights, all.shape)).sum()
    graph.keep(all)
    graph.keep(loss)
    let execution = Execution(Plan(graph, loss: differentiates ? loss : nil))
    execution.input(x).update(from: inputs, count: inputs.count)
    return (execution, all, loss)
  }

  /// Steps one by one give the whole sequence.
  func expectSteps(absolute: Double, _ name: String) {
    let (execution, all, _) = program(differentiates: false)
    execution.forward(parameters: parameters.base)
    let stepper = backbone.makeStepper(parameters.base, batch: B)
    let (row, count) = (B * backbone.width, B * F)
    var output = [Element](repeating: 0, count: row)
    for t in 0..<T {
      stepper.step(Array(inputs[(t * count)..<((t + 1) * count)]), &output)
      expectClose(
        output.map { Double($0) }, (0..<row).map { Double(execution.value(all)[t * row + $0]) },
        absolute: absolute, "\(Element.self) \(name) step \(t)")
    }
  }
}

extension BackboneTrial<Double> {
  /// Gradients of all parameters agree with central differences.
  func expectGradients(step: Double, _ name: String) {
    let (execution, _, loss) = program(differentiates: true)
    let gradient = Buffer<Double>(layout.count)
    execution.forward(parameters: parameters.base)
    execution.backward(into: gradient.base)
    for tensor in layout.tensors {
      var (worst, largest) = (0.0, 0.0)
      // Some of each tensor: the first, the last, and others between.
      for k in stride(from: 0, to: tensor.count, by: max(1, tensor.count / 23)) {
        let at = tensor.offset + k
        let value = parameters[at]
        func result(_ moved: Double) -> Double {
          parameters[at] = moved
          execution.forward(parameters: parameters.base)
          return execution.value(loss)[0]
        }
        let expected = (result(value + step) - result(value - step)) / (2 * step)
        parameters[at] = value
        worst = max(worst, abs(expected - gradient[at]))
        largest = max(largest, abs(expected))
      }
      #expect(
        worst <= 1e-6 * max(largest, 1), "\(name) \(tensor.name): off by \(worst) of \(largest)")
      #expect(largest > 0, "\(name): nothing depends on \(tensor.name)")
    }
  }
}
