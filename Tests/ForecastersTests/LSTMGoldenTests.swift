// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import Foundation
import NumericsCore
import TestSupport
import Testing

/// Golden values of PyTorch's LSTM in Double; see the `model`, `layout` and `tolerance` of the files.
/// `FORECAST_FIXTURES` names another folder of files of that format.
@Suite("LSTM against PyTorch")
struct LSTMGoldenTests {
  struct Tensor: Decodable {
    let shape: [Int]
    let data: [Double]
  }
  struct Bound: Decodable {
    let rel: Double
    let abs: Double
  }
  struct Tolerance: Decodable {
    let forward: Bound
    let grad: Bound
  }
  struct Tolerances: Decodable {
    let f64: Tolerance
    let f32: Tolerance
  }
  struct Sizes: Decodable {
    let B: Int
    let T: Int
    let D: Int
    let H: Int
    let layers: Int
  }
  struct Fixture: Decodable {
    let sizes: Sizes
    let weights: [String: Tensor]
    let inputs: [String: Tensor]
    let outputs: [String: Tensor]
    let state: [String: [String: Tensor]]
    let loss: Double
    let grads: [String: Tensor]
    let tolerance: Tolerances
  }

  private func load(_ name: String) throws -> Fixture {
    if let folder = ProcessInfo.processInfo.environment["FORECAST_FIXTURES"], !folder.isEmpty {
      let url = URL(fileURLWithPath: folder).appendingPathComponent(name)
      return try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: url))
    }
    return try Golden.json(name)
  }

  /// `[rows, columns]` to `[columns, rows]`.
  private func transposed(_ data: [Double], _ rows: Int, _ columns: Int) -> [Double] {
    (0..<(rows * columns)).map { data[($0 % rows) * columns + $0 / rows] }
  }

  /// `[B, T, N]` to `[T, B, N]`.
  private func timeMajor(_ data: [Double], _ B: Int, _ T: Int, _ N: Int) -> [Double] {
    (0..<(B * T * N)).map { at in
      let (t, b, n) = (at / (B * N), at / N % B, at % N)
      return data[(b * T + t) * N + n]
    }
  }

  /// A tensor passes when the largest difference is below `rel * largest expected + abs`.
  private func compare<Element: Real>(
    _ actual: some Sequence<Element>, _ expected: [Double], _ bound: Bound, _ name: String
  ) {
    let actual = actual.map { Double($0) }
    #expect(actual.count == expected.count, "\(name)")
    let largest = expected.reduce(0) { max($0, abs($1)) }
    let difference = zip(actual, expected).reduce(0) {
      $1.0.isNaN ? .infinity : max($0, abs($1.0 - $1.1))
    }
    #expect(difference <= bound.rel * largest + bound.abs, "\(Element.self) \(name): \(difference)")
  }

  private func check<Element: Real>(
    _ fixture: Fixture, _ tolerance: Tolerance, _ type: Element.Type
  ) throws {
    let (B, T, D, H, L) = (
      fixture.sizes.B, fixture.sizes.T, fixture.sizes.D, fixture.sizes.H, fixture.sizes.layers
    )
    func tensor(_ group: [String: Tensor], _ name: String) throws -> [Double] {
      try #require(group[name], "\(name)").data
    }
    var layout = ParameterLayout()
    let lstm = LSTM<Element>(inputs: D, hidden: H, layers: L, dropout: 0, layout: &layout)
    let parameters = Buffer<Element>(layout.count)
    func offset(_ name: String) throws -> Int {
      try #require(layout.tensors.first { $0.name == name }, "\(name)").offset
    }
    func put(_ values: [Double], at offset: Int) {
      for (k, value) in values.enumerated() { parameters[offset + k] = Element(value) }
    }
    for layer in 0..<L {
      let inputs = layer == 0 ? D : H
      let wx = try tensor(fixture.weights, "W_ih_l\(layer)")
      let r = try tensor(fixture.weights, "W_hh_l\(layer)")
      let bx = try tensor(fixture.weights, "b_ih_l\(layer)")
      let bh = try tensor(fixture.weights, "b_hh_l\(layer)")
      put(transposed(wx, 4 * H, inputs), at: try offset("backbone.\(layer).input_weight"))
      put(transposed(r, 4 * H, H), at: try offset("backbone.\(layer).recurrent_weight"))
      put(zip(bx, bh).map(+), at: try offset("backbone.\(layer).bias"))
    }
    let x = Buffer(timeMajor(try tensor(fixture.inputs, "x"), B, T, D).map { Element($0) })
    let (h0, c0) = (try tensor(fixture.inputs, "h0"), try tensor(fixture.inputs, "c0"))
    let initial = Buffer(
      (0..<L).flatMap { layer in
        let part = (layer * B * H)..<((layer + 1) * B * H)
        return (h0[part] + c0[part]).map { Element($0) }
      })

    // Pointers into them are used below.
    defer { withExtendedLifetime((parameters, x, initial)) {} }

    let workspace = lstm.makeWorkspace()
    var none: RandomStream?
    let y = lstm.forward(
      time: T, batch: B, inputs: x.base, parameters: parameters.base, initial: initial.base,
      workspace: workspace, dropout: &none)
    let outputs = (0..<(T * B * H)).map { y[$0] }
    let expected = timeMajor(try tensor(fixture.outputs, "y"), B, T, H)
    compare(outputs, expected, tolerance.forward, "y")

    let final = Buffer<Element>(L * 2 * B * H)
    lstm.finalState(time: T, batch: B, workspace: workspace, to: final.base)
    let ending = try #require(fixture.state["final"])
    let (hN, cN) = (try tensor(ending, "h_n"), try tensor(ending, "c_n"))
    for layer in 0..<L {
      let part = (layer * B * H)..<((layer + 1) * B * H)
      compare(
        final.array[(2 * layer * B * H)...].prefix(2 * B * H), Array(hN[part] + cN[part]),
        tolerance.forward, "final state of layer \(layer)")
    }

    // Loss: the mean of the squares of y.
    let loss = outputs.reduce(0) { $0 + Double($1) * Double($1) } / Double(outputs.count)
    expectClose(loss, fixture.loss, absolute: 0, relative: 10 * tolerance.forward.rel)
    let dOutputs = Buffer(outputs.map { 2 * $0 / Element(outputs.count) })
    let gradient = Buffer<Element>(layout.count)
    let dInitial = Buffer<Element>(initial.count)
    let dInputs = Buffer<Element>(x.count)
    defer { withExtendedLifetime((dOutputs, gradient, dInitial, dInputs)) {} }
    lstm.backward(
      time: T, batch: B, inputs: x.base, parameters: parameters.base, initial: initial.base,
      dOutputs: dOutputs.base, gradient: gradient.base, dInitial: dInitial.base,
      dInputs: dInputs.base, workspace: workspace)
    func part(_ name: String, _ count: Int) throws -> [Element] {
      let start = try offset(name)
      return Array(gradient.array[start..<(start + count)])
    }
    for layer in 0..<L {
      let inputs = layer == 0 ? D : H
      compare(
        try part("backbone.\(layer).input_weight", inputs * 4 * H),
        transposed(try tensor(fixture.grads, "W_ih_l\(layer)"), 4 * H, inputs), tolerance.grad,
        "gradient of W_ih_l\(layer)")
      compare(
        try part("backbone.\(layer).recurrent_weight", 4 * H * H),
        transposed(try tensor(fixture.grads, "W_hh_l\(layer)"), 4 * H, H), tolerance.grad,
        "gradient of W_hh_l\(layer)")
      compare(
        try part("backbone.\(layer).bias", 4 * H), try tensor(fixture.grads, "b_ih_l\(layer)"),
        tolerance.grad, "gradient of the bias of layer \(layer)")
    }
    compare(
      dInputs.array, timeMajor(try tensor(fixture.grads, "x"), B, T, D), tolerance.grad,
      "gradient of x")
    let (dh0, dc0) = (try tensor(fixture.grads, "h0"), try tensor(fixture.grads, "c0"))
    let dState = (0..<L).flatMap { layer -> [Double] in
      let part = (layer * B * H)..<((layer + 1) * B * H)
      return Array(dh0[part] + dc0[part])
    }
    compare(dInitial.array, dState, tolerance.grad, "gradient of the initial state")
  }

  @Test(
    "outputs, states and gradients equal PyTorch's",
    arguments: ["lstm_1layer.json", "lstm_2layer.json"])
  func golden(name: String) throws {
    let fixture = try load(name)
    try check(fixture, fixture.tolerance.f64, Double.self)
    try check(fixture, fixture.tolerance.f32, Float.self)
  }
}
