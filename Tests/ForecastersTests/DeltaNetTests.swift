// Names: shape letters B, T, F, D.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

@Suite("DeltaNet")
struct DeltaNetTests {
  struct Stack: Sendable, CustomStringConvertible {
    let description: String
    let hidden: Int
    let layer: DeltaNetLayer
  }

  static let stacks = [
    Stack(description: "one update", hidden: 6, layer: DeltaNetLayer(heads: 3)),
    Stack(
      description: "three updates without convolution", hidden: 10,
      layer: DeltaNetLayer(heads: 2, householders: 3, convolution: 0)),
    Stack(
      description: "gated, eigenvalues not negative", hidden: 8,
      layer: DeltaNetLayer(heads: 1, isGated: true, hasNegativeEigenvalues: false)),
    Stack(
      description: "two updates, gated, whole vectors", hidden: 32,
      layer: DeltaNetLayer(heads: 2, householders: 2, convolution: 3, isGated: true)),
  ]

  private final class Model<Element: Real> {
    let (B, T, F) = (2, 19, 3)
    let backbone: DeltaNet<Element>
    let layout: ParameterLayout
    let parameters: Buffer<Element>
    let inputs: [Element]

    init(_ stack: Stack) {
      var layout = ParameterLayout()
      backbone = DeltaNet(
        inputs: 3, hidden: stack.hidden, layers: 2, dropout: 0, stack.layer, layout: &layout)
      self.layout = layout
      parameters = Buffer(layout.count)
      var stream = RandomStream(seed: 5, purpose: "initialisation")
      backbone.initialize(parameters, using: &stream)
      var random = SeededGenerator(seed: 8)
      for k in 0..<parameters.count { parameters[k] += Element(random.normal() * 0.2) }
      inputs = random.normals(T * B * F).map { Element($0) }
    }

    /// The results and a weighted sum of them.
    func program(differentiates: Bool) -> (
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
  }

  @Test("gradients of all parameters agree with differences", arguments: stacks)
  func gradients(stack: Stack) {
    let model = Model<Double>(stack)
    let (execution, _, loss) = model.program(differentiates: true)
    let gradient = Buffer<Double>(model.layout.count)
    execution.forward(parameters: model.parameters.base)
    execution.backward(into: gradient.base)
    let step = 2e-6
    for tensor in model.layout.tensors {
      var (worst, largest) = (0.0, 0.0)
      // Some of each tensor: the first, the last, and others between.
      for k in stride(from: 0, to: tensor.count, by: max(1, tensor.count / 23)) {
        let at = tensor.offset + k
        let value = model.parameters[at]
        func result(_ moved: Double) -> Double {
          model.parameters[at] = moved
          execution.forward(parameters: model.parameters.base)
          return execution.value(loss)[0]
        }
        let expected = (result(value + step) - result(value - step)) / (2 * step)
        model.parameters[at] = value
        worst = max(worst, abs(expected - gradient[at]))
        largest = max(largest, abs(expected))
      }
      #expect(
        worst <= 1e-6 * max(largest, 1), "\(stack) \(tensor.name): off by \(worst) of \(largest)")
      #expect(largest > 0, "\(stack): nothing depends on \(tensor.name)")
    }
  }

  @Test("steps one by one give the whole sequence, in single precision too", arguments: stacks)
  func steps(stack: Stack) {
    func check<Element: Real>(_ type: Element.Type, absolute: Double) {
      let model = Model<Element>(stack)
      let (execution, all, _) = model.program(differentiates: false)
      execution.forward(parameters: model.parameters.base)
      let stepper = model.backbone.makeStepper(model.parameters.base, batch: model.B)
      let (row, inputs) = (model.B * stack.hidden, model.B * model.F)
      var output = [Element](repeating: 0, count: row)
      for t in 0..<model.T {
        stepper.step(Array(model.inputs[(t * inputs)..<((t + 1) * inputs)]), &output)
        expectClose(
          output.map { Double($0) }, (0..<row).map { Double(execution.value(all)[t * row + $0]) },
          absolute: absolute, "\(type) \(stack) step \(t)")
      }
    }
    check(Double.self, absolute: 1e-12)
    check(Float.self, absolute: 1e-4)
  }

  @Test("block by block, a deep stack keeps a fraction of its memory for the backward pass")
  func recomputed() {
    func bytes(_ apply: (DeltaNet<Float>, Tensor<Float>) -> BackboneOutput<Float>) -> Int {
      var layout = ParameterLayout()
      let backbone = DeltaNet<Float>(
        inputs: 4, hidden: 32, layers: 8, dropout: 0, DeltaNetLayer(heads: 2), layout: &layout)
      let graph = Graph<Float>()
      let last = apply(backbone, graph.input([256, 4, 4])).last
      return Plan(graph, loss: last.map(.square).mean()).peakBytes
    }
    #expect(bytes { $0.applyRecomputed(to: $1) } * 3 < bytes { $0.apply(to: $1) })
  }
}
