import Foundation
import NumericsCore
import TestSupport
import Testing

/// PyTorch's recurrent layers, and the GRU of Cho et al., from files: any number of layers and directions,
/// ragged batches, initial states; the layout is read off the shapes of the weights.
@Suite("Golden: recurrent layers")
struct RecurrentGoldenTests {
  static let fixtures = try? LayerFixture.all {
    $0.weights["W_hh_l0"] != nil
      || ($0.weights["U"] != nil && $0.name.hasPrefix("gru_reset_before"))
      || Self.isHeadwiseLSTM($0)
  }

  /// LSTMs with block-diagonal recurrent weights `[head, gate, out, in]`, gates i f g o, as FlashRNN lays them
  /// out; the sLSTM has the same shapes and more states.
  private static func isHeadwiseLSTM(_ fixture: LayerFixture) -> Bool {
    fixture.weights["R"]?.shape.count == 4 && fixture.weights["R"]?.shape[1] == 4
      && fixture.outputs["n"] == nil && fixture.outputs["m"] == nil && fixture.outputs["y"] != nil
  }

  @Test("outputs, states, loss and gradients", arguments: fixtures ?? [])
  func golden(fixture: LayerFixture) throws {
    try check(fixture, fixture.tolerance.f64, Double.self)
    try check(fixture, fixture.tolerance.f32, Float.self)
  }

  @Test("there are files to check")
  func present() { #expect(LayerFixture.isElsewhere || (!(Self.fixtures ?? []).isEmpty)) }

  /// The graph of a fixture with every tensor of the file as a differentiable input.
  private final class Builder<Element: Real> {
    let fixture: LayerFixture
    let graph = Graph<Element>()
    var inputs: [String: Tensor<Element>] = [:]

    init(_ fixture: LayerFixture) {
      self.fixture = fixture
      for (name, tensor) in fixture.weights.merging(fixture.inputs, uniquingKeysWith: { $1 }) {
        inputs[name] = graph.input(Shape(tensor.shape), differentiable: true)
      }
      for (name, tensor) in fixture.initial {
        inputs[Self.initial + name] = graph.input(Shape(tensor.shape), differentiable: true)
      }
    }

    static var initial: String { "initial " }

    func numbers(_ name: String) throws -> [Double] {
      if name.hasPrefix(Self.initial) {
        return try #require(fixture.initial[String(name.dropFirst(Self.initial.count))]).data
      }
      return try #require(fixture.weights[name] ?? fixture.inputs[name]).data
    }

    func weight(_ name: String) throws -> Tensor<Element> { try #require(inputs[name], "\(name)") }

    /// `[B, T, N]` as `[T, B, N]`, or back.
    func exchanged(_ x: Tensor<Element>) -> Tensor<Element> { x.exchanged(axis: 0) }
  }

  private func check<Element: Real>(
    _ fixture: LayerFixture, _ tolerance: LayerFixture.Tolerance, _ type: Element.Type
  ) throws {
    let builder = Builder<Element>(fixture)
    let graph = builder.graph
    let x = try builder.weight("x")
    let (B, T) = (x.shape[0], x.shape[1])
    var results: [String: Tensor<Element>] = [:]
    var y: Tensor<Element>

    if fixture.weights["U"] != nil {
      let u = try builder.weight("U")
      let cell = RecurrentCell(.gruResetBefore, inputs: x.shape[2], width: u.shape[1])
      let weights = RecurrentWeights(
        input: try builder.weight("W").exchanged(axis: 0), recurrent: u.exchanged(axis: 0),
        bias: try builder.weight("b"))
      let (outputs, state) = builder.exchanged(x).recurrent(
        cell, weights, initial: builder.inputs["h0"].map { RecurrentState(h: $0) })
      y = builder.exchanged(outputs)
      results["h_n"] = state.h
    } else if Self.isHeadwiseLSTM(fixture) {
      let (w, r) = (try builder.weight("W"), try builder.weight("R"))
      let (width, heads, block) = (w.shape[1], r.shape[0], r.shape[2])
      let cell = RecurrentCell(.lstm, inputs: w.shape[2], width: width, heads: heads)
      let weights = RecurrentWeights(
        input: w.reshaped([4 * width, w.shape[2]]).exchanged(axis: 0),
        // [head, gate, out, in] as [head, in, gate, out].
        recurrent: r.reshaped([heads, 4 * block, block]).exchanged(axis: 1),
        bias: try builder.weight("b").reshaped([4 * width]))
      let initial = builder.inputs["initial y"].map {
        RecurrentState(h: $0, c: builder.inputs["initial c"])
      }
      let (outputs, state) = builder.exchanged(x).recurrent(cell, weights, initial: initial)
      y = builder.exchanged(outputs)
      (results["y"], results["c"]) = (state.h, state.c)
      (results["h_n"], results["c_n"]) = (state.h, state.c)
    } else {
      var mask: Tensor<Element>?
      if let lengths = lengths(fixture, batch: B) {
        mask = graph.constant(
          (0..<(T * B)).map { $0 / B < lengths[$0 % B] ? 1 : 0 }, [T, B])
      }
      var sequence = builder.exchanged(x)
      var finalH: [Tensor<Element>] = []
      var finalC: [Tensor<Element>] = []
      var layer = 0
      while fixture.weights["W_hh_l\(layer)"] != nil {
        var directions: [Tensor<Element>] = []
        for (direction, suffix) in ["", "_reverse"].enumerated()
        where fixture.weights["W_hh_l\(layer)\(suffix)"] != nil {
          let (outputs, state) = try run(
            builder, sequence, "_l\(layer)\(suffix)", index: finalH.count, mask: mask,
            reverse: direction == 1)
          directions.append(outputs)
          finalH.append(state.h)
          if let c = state.c { finalC.append(c) }
        }
        sequence = directions.count == 1 ? directions[0] : Tensor.joined(directions, axis: 2)
        if let mask {
          // The file's outputs are 0 where there is nothing.
          sequence = sequence * mask.reshaped([T, B, 1])
        }
        layer += 1
      }
      y = builder.exchanged(sequence)
      func stacked(_ states: [Tensor<Element>]) -> Tensor<Element> {
        Tensor.joined(states.map { $0.reshaped(Shape([1] + $0.shape.axes)) }, axis: 0)
      }
      results["h_n"] = stacked(finalH)
      if !finalC.isEmpty { results["c_n"] = stacked(finalC) }
    }

    let loss = y.map(.square).mean()
    graph.keep(y)
    graph.keep(loss)
    for result in results.values { graph.keep(result) }
    let execution = Execution(Plan(graph, loss: loss))
    for (name, input) in builder.inputs {
      for (k, number) in try builder.numbers(name).enumerated() {
        execution.input(input)[k] = Element(number)
      }
    }
    let none = Buffer<Element>(1)
    execution.forward(parameters: none.base)
    fixture.compare(execution.value(y), try #require(fixture.outputs["y"]), tolerance.forward, "y")
    for (name, expected) in fixture.final {
      let result = try #require(results[name], "\(name)")
      fixture.compare(execution.value(result), expected, tolerance.forward, name)
    }
    let expectedLoss = try #require(fixture.loss)
    #expect(
      abs(Double(execution.value(loss)[0]) - expectedLoss) <= 10 * tolerance.forward.rel
        * expectedLoss)
    execution.backward(into: none.base)
    for (name, expected) in fixture.grads {
      let input = try #require(builder.inputs[name], "\(name)")
      let gradient = try #require(execution.gradient(input), "gradient of \(name)")
      fixture.compare(gradient, expected, tolerance.grad, "gradient of \(name)")
    }
    #expect(!fixture.grads.isEmpty)
  }

  /// One direction of one layer with PyTorch's weights.
  private func run<Element: Real>(
    _ builder: Builder<Element>, _ x: Tensor<Element>, _ suffix: String, index: Int,
    mask: Tensor<Element>?, reverse: Bool
  ) throws -> (Tensor<Element>, RecurrentState<Element>) {
    let w = try builder.weight("W_ih\(suffix)")
    let r = try builder.weight("W_hh\(suffix)")
    let (bx, bh) = (try builder.weight("b_ih\(suffix)"), try builder.weight("b_hh\(suffix)"))
    let width = r.shape[1]
    let kind: RecurrentCell.Kind
    let rectifies = builder.fixture.model.contains("max(0")
    switch r.shape[0] / width {
    case 4: kind = rectifies ? .lstmReLU : .lstm
    case 3: kind = rectifies ? .gruReLU : .gru
    default: kind = rectifies ? .elmanReLU : .elman
    }
    let cell = RecurrentCell(kind, inputs: w.shape[1], width: width)
    var bias = bx + bh
    var candidateBias: Tensor<Element>?
    if cell.hasCandidateBias {
      // b_hn sits inside the reset product.
      bias = Tensor.joined(
        [
          (bx + bh).slice(axis: 0, 0..<(2 * width)), bx.slice(axis: 0, (2 * width)..<(3 * width)),
        ], axis: 0)
      candidateBias = bh.slice(axis: 0, (2 * width)..<(3 * width))
    }
    func state(_ name: String) -> Tensor<Element>? { builder.inputs[name].map { $0[index] } }
    let initial = state("h0").map { RecurrentState(h: $0, c: state("c0")) }
    return x.recurrent(
      cell,
      RecurrentWeights(
        input: w.exchanged(axis: 0), recurrent: r.exchanged(axis: 0), bias: bias,
        candidateBias: candidateBias), mask: mask, initial: initial, reverse: reverse)
  }

  /// `lengths = [6, 3, 5]` in the notes of a ragged fixture.
  private func lengths(_ fixture: LayerFixture, batch: Int) -> [Int]? {
    guard let notes = fixture.notes, let start = notes.range(of: "lengths = [") else { return nil }
    let numbers = notes[start.upperBound...].prefix { $0 != "]" }.split(separator: ",")
      .compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
    return numbers.count == batch ? numbers : nil
  }
}

extension LayerFixture: CustomTestStringConvertible {
  public var testDescription: String { name }
}
