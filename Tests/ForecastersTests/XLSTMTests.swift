// Names: shape letters B, T, F, D.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("xLSTM blocks")
struct XLSTMTests {
  struct Stack: Sendable, CustomStringConvertible {
    let description: String
    let hidden: Int
    let blocks: [XLSTMBlock]
  }

  static let stacks = [
    Stack(description: "one sLSTM", hidden: 6, blocks: [.slstm(heads: 3)]),
    Stack(description: "one mLSTM", hidden: 6, blocks: [.mlstm(heads: 2)]),
    Stack(
      description: "a mixture without convolutions", hidden: 10,
      blocks: [
        .mlstm(heads: 4, convolution: 0, projectionFactor: 1.5),
        .slstm(heads: 1, convolution: 0, projectionFactor: 2.7), .mlstm(heads: 1),
      ]),
    Stack(
      description: "whole vectors", hidden: 32,
      blocks: [.slstm(heads: 2, convolution: 3), .mlstm(heads: 4)]),
  ]

  private final class Model<Element: Real> {
    let (B, T, F) = (2, 6, 3)
    let backbone: XLSTM<Element>
    let layout: ParameterLayout
    let parameters: Buffer<Element>
    let inputs: [Element]

    init(_ stack: Stack) {
      var layout = ParameterLayout()
      backbone = XLSTM(
        inputs: 3, hidden: stack.hidden, blocks: stack.blocks, dropout: 0, layout: &layout)
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
    let step = 1e-5
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
    check(Float.self, absolute: 5e-4)
  }

  @Test("forget gates start as in the reference package, recurrent weights at zero")
  func start() throws {
    var layout = ParameterLayout()
    let (D, heads) = (8, 2)
    let backbone = XLSTM<Double>(
      inputs: 3, hidden: D,
      blocks: [.slstm(heads: heads), .mlstm(heads: heads), .slstm(heads: heads)], dropout: 0,
      layout: &layout)
    let parameters = Buffer<Double>(layout.count)
    var stream = RandomStream(seed: 1, purpose: "initialisation")
    backbone.initialize(parameters, using: &stream)
    func numbers(_ name: String) throws -> [Double] {
      let tensor = try #require(layout.tensors.first { $0.name == "backbone.\(name)" })
      return (0..<tensor.count).map { parameters[tensor.offset + $0] }
    }
    for (block, power) in [(0, 0.3), (2, 1.6)] {
      let bias = try numbers("\(block).bias")
      let expected = (0..<D).map { 5 - 12 * pow(Double($0 % 4) / 3, power) }
      expectClose(Array(bias[D..<(2 * D)]), expected, absolute: 1e-12)
      #expect((bias[..<D] + bias[(2 * D)...]).allSatisfy { $0 == 0 })
      #expect(try numbers("\(block).recurrent_weight").allSatisfy { $0 == 0 })
    }
    #expect(try numbers("1.gate_weight").allSatisfy { $0 == 0 })
    let gates = try numbers("1.gate_bias")
    #expect(gates[2] == 3 && gates[3] == 6)
    #expect(gates[..<2].allSatisfy { $0 != 0 && abs($0) < 0.6 })
    #expect(try numbers("1.skip").allSatisfy { $0 == 1 })
  }

  @Test("heads divide the width")
  func heads() {
    #expect([64, 6, 10, 7].map { XLSTM<Float>.heads(for: $0) } == [4, 3, 2, 1])
  }
}
