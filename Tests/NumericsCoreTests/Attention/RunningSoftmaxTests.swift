// Names: shape letters B, T, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Running softmax")
struct RunningSoftmaxTests {
  static let fixtures = try? LayerFixture.all {
    $0.weights["q"] != nil && $0.weights["W_k"] != nil && $0.final["u"] != nil
      && $0.final["w"] != nil
  }

  @Test("there are files to check")
  func present() { #expect(LayerFixture.isElsewhere || (!(Self.fixtures ?? []).isEmpty)) }

  /// Scores `[T, B, N]` and values `[T, B, N D]` of a file's tensors.
  private func operands<Element: Real>(
    _ file: LayerFixtureGraph<Element>
  ) throws -> (scores: Tensor<Element>, values: Tensor<Element>) {
    let x = try file.tensor("x").exchanged(axis: 0)
    let q = try file.tensor("q")
    let (N, D) = (q.shape[0], q.shape[1])
    let keys = x.linear(try file.tensor("W_k").exchanged(axis: 0))
    let products = keys.reshaped([x.shape[0] * x.shape[1], N, D]) * q
    let scores = products.sum(axis: 2).scaled(by: 1 / Element(D).squareRoot())
    return (
      scores.reshaped([x.shape[0], x.shape[1], N]),
      x.linear(try file.tensor("W_v").exchanged(axis: 0))
    )
  }

  @Test("golden: results, states, loss and gradients", arguments: fixtures ?? [])
  func golden(fixture: LayerFixture) throws {
    try check(fixture, fixture.tolerance.f64, Double.self)
    try check(fixture, fixture.tolerance.f32, Float.self)
  }

  private func check<Element: Real>(
    _ fixture: LayerFixture, _ tolerance: LayerFixture.Tolerance, _ type: Element.Type
  ) throws {
    let file = LayerFixtureGraph<Element>(fixture)
    let (scores, values) = try operands(file)
    let y = values.runningSoftmax(scores: scores).exchanged(axis: 0)
    let (B, T, N) = (y.shape[0], y.shape[1], scores.shape[2])
    try file.check(
      main: "y", results: ["y": y.reshaped([B, T, N, y.shape[2] / N])], states: [:], tolerance)

    // The states of every step, by steps.
    let second = LayerFixtureGraph<Element>(fixture)
    let (s, v) = try operands(second)
    second.graph.keep(s)
    second.graph.keep(v)
    let execution = Execution(Plan(second.graph))
    for name in Array(fixture.weights.keys) + Array(fixture.inputs.keys) {
      let tensor = try #require(fixture.weights[name] ?? fixture.inputs[name])
      for (k, number) in tensor.data.enumerated() {
        execution.input(try second.tensor(name))[k] = Element(number)
      }
    }
    execution.forward(parameters: Buffer<Element>(1).base)
    let D = v.shape[2] / N
    let stepper = RunningSoftmaxStepper<Element>(heads: N, width: D, batch: B)
    var (m, u) = (
      [Element](repeating: 0, count: B * T * N), [Element](repeating: 0, count: B * T * N)
    )
    for t in 0..<T {
      stepper.step(
        scores: execution.value(s) + t * B * N, values: execution.value(v) + t * B * N * D)
      for b in 0..<B {
        for n in 0..<N {
          m[(b * T + t) * N + n] = stepper.m[b * N + n]
          u[(b * T + t) * N + n] = stepper.u[b * N + n]
        }
      }
    }
    if let expected = fixture.outputs["m"] { fixture.compare(m, expected, tolerance.forward, "m") }
    if let expected = fixture.outputs["u"] { fixture.compare(u, expected, tolerance.forward, "u") }
    let w = (0..<(B * N * D)).map { stepper.mean[$0] * stepper.u[$0 / D] }
    fixture.compare(w, try #require(fixture.final["w"]), tolerance.forward, "final w")
    fixture.compare(
      stepper.m.array, try #require(fixture.final["m"]), tolerance.forward, "final m")
    fixture.compare(
      stepper.u.array, try #require(fixture.final["u"]), tolerance.forward, "final u")
  }

  static let sizes = [(1, 1, 1, 1), (7, 2, 3, 5), (9, 3, 1, 16), (40, 1, 17, 33)]

  @Test("gradients", arguments: sizes)
  func gradients(T: Int, B: Int, N: Int, D: Int) {
    GraphCase("T \(T) B \(B) N \(N) D \(D)", [[T, B, N * D], [T, B, N]], range: -3...3) {
      let mean = $0[0].runningSoftmax(scores: $0[1])
      return mean + mean.runningSoftmax(scores: $0[1])
    }.checkGradients()
  }

  @Test(
    "the recurrence is the softmax over what was seen, and its steps are the recurrence",
    arguments: sizes)
  func definition(T: Int, B: Int, N: Int, D: Int) {
    var random = SeededGenerator(seed: 2)
    // Scores that differ by hundreds: the exponentials alone would overflow.
    let scores = random.normals(T * B * N).map { $0 * 300 }
    let values = random.normals(T * B * N * D)
    let graph = Graph<Double>()
    let (s, v) = (graph.input([T, B, N]), graph.input([T, B, N * D]))
    let y = v.runningSoftmax(scores: s)
    graph.keep(y)
    let execution = Execution(Plan(graph))
    execution.input(s).update(from: scores, count: scores.count)
    execution.input(v).update(from: values, count: values.count)
    execution.forward(parameters: Buffer<Double>(1).base)
    let stepper = RunningSoftmaxStepper<Double>(heads: N, width: D, batch: B)
    for t in 0..<T {
      stepper.step(
        scores: Array(scores[(t * B * N)...]), values: Array(values[(t * B * N * D)...]))
      for row in 0..<(B * N) {
        let seen = (0...t).map { scores[$0 * B * N + row] }
        let most = seen.max()!
        let weights = seen.map { exp($0 - most) }
        for d in 0..<D {
          let sum = (0...t).reduce(0.0) { $0 + weights[$1] * values[($1 * B * N + row) * D + d] }
          let at = row * D + d
          expectClose(
            execution.value(y)[t * B * N * D + at], sum / weights.reduce(0, +), absolute: 1e-13)
          #expect(stepper.mean[at] == execution.value(y)[t * B * N * D + at])
        }
      }
    }
  }
}
