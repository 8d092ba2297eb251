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

  private func trial<Element: Real>(_ stack: Stack) -> BackboneTrial<Element> {
    BackboneTrial(steps: 6) { layout in
      XLSTM<Element>(
        inputs: 3, hidden: stack.hidden, blocks: stack.blocks, dropout: 0, layout: &layout)
    }
  }

  @Test("a mixture has every kind of block, however few layers are asked for")
  func mixture() throws {
    func parameters(_ kind: String, layers: Int) throws -> Int {
      try ForecastNetwork<Float>(
        ForecasterConfiguration(kind: kind, hidden: 8, layers: layers, contextLength: 4, horizon: 1)
      ).layout.count
    }
    let (mixed, single) = (try parameters("xlstm", layers: 1), try parameters("mlstm", layers: 1))
    #expect(mixed > single && single > 0)
    #expect(try parameters("xlstm", layers: 2) == mixed)
    #expect(try parameters("xlstm", layers: 3) > mixed)
  }

  @Test("gradients of all parameters agree with differences", arguments: stacks)
  func gradients(stack: Stack) {
    (trial(stack) as BackboneTrial<Double>).expectGradients(step: 1e-5, "\(stack)")
  }

  @Test("steps one by one give the whole sequence, in single precision too", arguments: stacks)
  func steps(stack: Stack) {
    (trial(stack) as BackboneTrial<Double>).expectSteps(absolute: 1e-12, "\(stack)")
    (trial(stack) as BackboneTrial<Float>).expectSteps(absolute: 5e-4, "\(stack)")
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
