// Names: shape letters B, T, F, H.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore
import TestSupport
import Testing

/// The sLSTM of the reference package from files, with or without an initial state.
@Suite("Golden: sLSTM")
struct SLSTMGoldenTests {
  static let fixtures = try? LayerFixture.all {
    $0.weights["R"]?.shape.count == 4 && $0.outputs["m"] != nil && $0.outputs["n"] != nil
  }

  @Test("outputs, states of every step, loss and gradients", arguments: fixtures ?? [])
  func golden(fixture: LayerFixture) throws {
    try check(fixture, fixture.tolerance.f64, Double.self)
    try check(fixture, fixture.tolerance.f32, Float.self)
  }

  @Test("there are files to check")
  func present() { #expect(LayerFixture.isElsewhere || (!(Self.fixtures ?? []).isEmpty)) }

  private func check<Element: Real>(
    _ fixture: LayerFixture, _ tolerance: LayerFixture.Tolerance, _ type: Element.Type
  ) throws {
    let file = LayerFixtureGraph<Element>(fixture)
    let x = try file.tensor("x")
    let (B, T, F) = (x.shape[0], x.shape[1], x.shape[2])
    // W [4, H, D] and R [head, gate, out, in]; ours are [D, 4 H] and [head, in, gate out].
    let (w, r) = (try file.tensor("W"), try file.tensor("R"))
    let (heads, size) = (r.shape[0], r.shape[2])
    let H = heads * size
    let cell = RecurrentCell(.slstm, inputs: F, width: H, heads: heads)
    let weights = RecurrentWeights(
      input: w.reshaped([4 * H, F]).exchanged(axis: 0),
      recurrent: r.reshaped([heads, 4 * size, size]).exchanged(axis: 1), bias: try file.tensor("b"))
    let sequence = x.exchanged(axis: 0)
    func initial(_ name: String) -> Tensor<Element> {
      let numbers = fixture.initial[name]?.data ?? [Double](repeating: 0, count: B * H)
      return file.graph.constant(numbers.map { Element($0) }, [B, H])
    }
    let state = RecurrentState(
      h: initial("y"), c: initial("c"), n: initial("n"), m: initial("m"))
    let (y, last) = sequence.recurrent(cell, weights, initial: state)
    // The states of every step, by sequences that end there.
    var steps: [[Tensor<Element>]] = [[], [], []]
    for t in 1...T {
      let part = sequence.slice(axis: 0, 0..<t).recurrent(cell, weights, initial: state).state
      for (k, memory) in [part.c, part.n, part.m].enumerated() {
        steps[k].append(try #require(memory).reshaped([B, 1, H]))
      }
    }
    try file.check(
      main: "y",
      results: [
        "y": y.exchanged(axis: 0), "c": .joined(steps[0], axis: 1), "n": .joined(steps[1], axis: 1),
        "m": .joined(steps[2], axis: 1),
      ],
      states: [
        "y": last.h, "c": try #require(last.c), "n": try #require(last.n),
        "m": try #require(last.m),
      ], tolerance)
  }
}
