// Names: shape letters B, T, D, H.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing

/// An LSTM encoder and decoder with Luong's attention, from files; layers are read off the weights' names.
@Suite("Golden: encoder and decoder with attention")
struct Seq2SeqGoldenTests {
  static let fixtures = try? LayerFixture.all {
    $0.weights["enc_W_ih"] != nil && $0.weights["dec_W_ih"] != nil && $0.weights["W_a"] != nil
  }

  @Test("outputs, attention, loss and gradients", arguments: fixtures ?? [])
  func golden(fixture: LayerFixture) throws {
    try check(fixture, fixture.tolerance.f64, Double.self)
    try check(fixture, fixture.tolerance.f32, Float.self)
  }

  @Test("there are files to check")
  func present() { #expect(LayerFixture.isElsewhere || !(Self.fixtures ?? []).isEmpty) }

  private func check<Element: Real>(
    _ fixture: LayerFixture, _ tolerance: LayerFixture.Tolerance, _ type: Element.Type
  ) throws {
    let graph = Graph<Element>()
    var inputs: [String: Tensor<Element>] = [:]
    for (name, tensor) in fixture.weights.merging(fixture.inputs, uniquingKeysWith: { $1 }) {
      inputs[name] = graph.input(Shape(tensor.shape), differentiable: true)
    }
    func tensor(_ name: String) throws -> Tensor<Element> { try #require(inputs[name], "\(name)") }
    func cell(_ prefix: String) throws -> RecurrentWeights<Element> {
      RecurrentWeights(
        input: try tensor("\(prefix)_W_ih").exchanged(axis: 0),
        recurrent: try tensor("\(prefix)_W_hh").exchanged(axis: 0),
        bias: try tensor("\(prefix)_b_ih") + tensor("\(prefix)_b_hh"))
    }
    let (x, targets) = (try tensor("x"), try tensor("targets"))
    let (B, T, H, D) = (x.shape[0], x.shape[1], targets.shape[1], try tensor("W_a").shape[0])
    let sequence = x.exchanged(axis: 0)
    let (encoded, state) = sequence.recurrent(
      RecurrentCell(.lstm, inputs: x.shape[2], width: D), try cell("enc"))
    let weights = DecoderWeights(
      layers: [try cell("dec")], output: try tensor("W_o").exchanged(axis: 0),
      bias: try tensor("b_o"),
      attention: (try tensor("W_a"), try tensor("W_c").exchanged(axis: 0)))
    let decoder = RecurrentDecoder(width: D, outputs: 1)
    let start = sequence[T - 1].slice(axis: 1, 0..<1).reshaped([B])
    let free = start.decoded(
      by: decoder, weights, from: [state], attending: encoded, steps: H)

    // Teacher forcing: one step at a time, each from the state and the target before.
    var forced: [DecoderOutput<Element>] = []
    for step in 0..<H {
      let read = step == 0 ? start : targets.slice(axis: 1, (step - 1)..<step).reshaped([B])
      forced.append(
        read.decoded(
          by: decoder, weights, from: forced.last?.states ?? [state], attending: encoded, steps: 1))
    }
    let taught = Tensor.joined(forced.map(\.outputs), axis: 1)
    let taughtAttention = Tensor.joined(forced.compactMap(\.attention), axis: 1)
    let attention = try #require(free.attention)
    let loss = free.outputs.map(.square).mean()
    let results = [
      ("y", free.outputs), ("attention", attention), ("y_teacher_forced", taught),
      ("attention_teacher_forced", taughtAttention),
    ]
    for (_, result) in results { graph.keep(result) }
    graph.keep(loss)
    let execution = Execution(Plan(graph, loss: loss))
    for (name, input) in inputs {
      let numbers = try #require(fixture.weights[name] ?? fixture.inputs[name]).data
      for (k, number) in numbers.enumerated() { execution.input(input)[k] = Element(number) }
    }
    let none = Buffer<Element>(1)
    execution.forward(parameters: none.base)
    for (name, result) in results {
      guard let expected = fixture.outputs[name] else { continue }
      fixture.compare(execution.value(result), expected, tolerance.forward, name)
    }
    #expect(fixture.outputs["y"] != nil)
    let expectedLoss = try #require(fixture.loss)
    #expect(
      abs(Double(execution.value(loss)[0]) - expectedLoss) <= 10 * tolerance.forward.rel
        * expectedLoss)
    execution.backward(into: none.base)
    for (name, expected) in fixture.grads {
      let gradient = try #require(execution.gradient(try tensor(name)), "gradient of \(name)")
      fixture.compare(gradient, expected, tolerance.grad, "gradient of \(name)")
    }
    #expect(!fixture.grads.isEmpty)
  }
}
