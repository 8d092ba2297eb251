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

  private func trial<Element: Real>(_ stack: Stack) -> BackboneTrial<Element> {
    BackboneTrial(steps: 19) { layout in
      DeltaNet<Element>(
        inputs: 3, hidden: stack.hidden, layers: 2, dropout: 0, stack.layer, layout: &layout)
    }
  }

  @Test("gradients of all parameters agree with differences", arguments: stacks)
  func gradients(stack: Stack) {
    (trial(stack) as BackboneTrial<Double>).expectGradients(step: 2e-6, "\(stack)")
  }

  @Test("steps one by one give the whole sequence, in single precision too", arguments: stacks)
  func steps(stack: Stack) {
    (trial(stack) as BackboneTrial<Double>).expectSteps(absolute: 1e-12, "\(stack)")
    (trial(stack) as BackboneTrial<Float>).expectSteps(absolute: 1e-4, "\(stack)")
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
