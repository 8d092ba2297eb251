// Golden values of state-space dualities and of the quasiseparable mixer made of two of them, from files wherever
// there are such. None lies in this repository; names and layouts that files use are taken as they come.

// Names: shape letters B, T, H, P, G, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Golden: state-space duality")
struct DualGoldenTests {
  static let dual = try? LayerFixture.all {
    $0.has(["B"]) && $0.has(["C"]) && $0.has(["x"]) && $0.has(Names.decay) && $0.has(Names.steps)
      && $0.decay?.shape.count == 1
  }
  static let quasiseparable = try? LayerFixture.all {
    $0.has(Names.directed("B", .backward)) && $0.has(Names.directed("C", .forward))
      && $0.has(["x"]) && $0.has(Names.decay)
  }

  @Test("a state-space duality", arguments: dual ?? [])
  func scan(fixture: LayerFixture) throws {
    for chunk in [1, 3, 64] {
      try checkScan(fixture, chunk: chunk, Double.self)
      try checkScan(fixture, chunk: chunk, Float.self)
    }
  }

  private func checkScan<Element: Real>(
    _ fixture: LayerFixture, chunk: Int, _ type: Element.Type
  ) throws {
    let file = DualFile<Element>(fixture)
    let x = try file.channels()
    let (B, C) = (try file.selection(["B"]), try file.selection(["C"]))
    let layer = try file.layer(chunk: chunk, selection: ["B"])
    let skip = file.find(["D", "skip"])
    let ofHeads = skip.map { $0.shape.count == layer.heads } ?? false
    let given = fixture.initial.values.first { $0.shape.count == 4 }
    let initial = given.map {
      file.state(file.graph.graph.constant($0.data.map { Element($0) }, Shape($0.shape)), layer)
    }
    var (y, state) = Tensor.joined([x, B, C], axis: 2).dual(
      layer, steps: try file.steps(Names.steps), logDecay: try file.logDecay(),
      skip: ofHeads ? skip : nil, initial: initial)
    if let skip, !ofHeads { y = y + x * skip.reshaped([layer.channels]) }
    try file.compare(y)
    if let (name, _) = fixture.final.first(where: { $0.value.shape.count == 4 }) {
      file.graph.result(name, file.state(state, layer))
    }
    file.graph.check(main: y)
  }

  @Test("a quasiseparable mixer", arguments: quasiseparable ?? [])
  func mixer(fixture: LayerFixture) throws {
    for chunk in [1, 3, 64] {
      try checkMixer(fixture, chunk: chunk, Double.self)
      try checkMixer(fixture, chunk: chunk, Float.self)
    }
  }

  private func checkMixer<Element: Real>(
    _ fixture: LayerFixture, chunk: Int, _ type: Element.Type
  ) throws {
    let file = DualFile<Element>(fixture)
    let x = try file.channels()
    let layer = try file.layer(chunk: chunk, selection: Names.directed("B", .forward))
    var parts = [x]
    for direction in [Names.Direction.forward, .backward] {
      for name in ["B", "C"] { parts.append(try file.selection(Names.directed(name, direction))) }
    }
    let steps = try [Names.Direction.forward, .backward].map { direction in
      try file.steps(Names.steps.flatMap { Names.directed($0, direction) })
    }
    try file.compare(
      Tensor.joined(parts, axis: 2).quasiseparable(
        layer,
        QuasiseparableWeights(
          steps: (steps[0], steps[1]), logDecay: try file.logDecay(),
          diagonal: try file.diagonal(x, layer))), isMain: true)
  }
}

/// The names that tensors may have.
private enum Names {
  enum Direction { case forward, backward }

  static let decay = ["A_log", "A", "log_A"]
  static let steps = ["dt", "dt_raw", "delta", "delta_raw"]

  static func directed(_ name: String, _ direction: Direction) -> [String] {
    let words =
      direction == .forward
      ? ["f", "fw", "fwd", "forward"] : ["b", "bw", "bwd", "backward", "r", "rev"]
    return words.flatMap { ["\(name)_\($0)", "\($0)_\(name)", "\(name)\($0)"] }
      + (name.hasSuffix("_raw")
        ? words.map { name.replacingOccurrences(of: "_raw", with: "_\($0)_raw") } : [])
  }
}

extension LayerFixture {
  fileprivate func name(_ names: [String]) -> String? {
    names.first { weights[$0] != nil || inputs[$0] != nil }
  }
  fileprivate func has(_ names: [String]) -> Bool { name(names) != nil }
  fileprivate var decay: Tensor? { name(Names.decay).flatMap { weights[$0] ?? inputs[$0] } }
}

/// A file's tensors as the operations want them: time-major, with joined heads.
private struct DualFile<Element: Real> {
  let fixture: LayerFixture
  let graph: FixtureGraph<Element>

  init(_ fixture: LayerFixture) {
    self.fixture = fixture
    graph = FixtureGraph(fixture)
  }

  func find(_ names: [String]) -> Tensor<Element>? {
    fixture.name(names).flatMap { try? graph.tensor($0) }
  }

  private func timeMajor(_ names: [String]) throws -> Tensor<Element> {
    let tensor = try #require(find(names), "one of \(names)")
    return tensor.exchanged(axis: 0)
  }

  /// `[T, B, H P]`.
  func channels() throws -> Tensor<Element> {
    let x = try timeMajor(["x"])
    return x.reshaped([x.shape[0], x.shape[1], x.shape.count / x.shape[0] / x.shape[1]])
  }

  /// `[T, B, G N]`.
  func selection(_ names: [String]) throws -> Tensor<Element> {
    let tensor = try timeMajor(names)
    return tensor.reshaped(
      [tensor.shape[0], tensor.shape[1], tensor.shape.count / tensor.shape[0] / tensor.shape[1]])
  }

  func layer(chunk: Int, selection names: [String]) throws -> StateSpaceDuality {
    let heads = try #require(fixture.decay).shape[0]
    let b = try #require(find(names)).shape
    return StateSpaceDuality(
      heads: heads, width: try channels().shape[2] / heads, groups: b.rank == 4 ? b[2] : 1,
      states: b.last, chunk: chunk)
  }

  /// `[T, B, H]`, positive.
  func steps(_ names: [String]) throws -> Tensor<Element> {
    let name = try #require(fixture.name(names), "one of \(names)")
    var steps = try timeMajor([name])
    if let bias = find(["dt_bias", "delta_bias"]) { steps = steps + bias }
    let isRaw = name.contains("raw") || fixture.model.contains("softplus")
    return isRaw ? steps.map(.softplus) : steps
  }

  func logDecay() throws -> Tensor<Element> {
    let name = try #require(fixture.name(Names.decay))
    let decay = try graph.tensor(name)
    guard name == "A" else { return decay }
    let isNegative = (fixture.decay?.data[0] ?? 0) < 0
    return (isNegative ? decay.map(.negate) : decay).map(.log)
  }

  /// `[T, B, H]`: given, or a product with the channels and a bias.
  func diagonal(_ x: Tensor<Element>, _ layer: StateSpaceDuality) throws -> Tensor<Element> {
    let shape: Shape = [x.shape[0], x.shape[1], layer.heads]
    let bias = find(["D", "d_bias", "skip"])
    var diagonal = x.graph.constant([Element](repeating: 0, count: shape.count), shape)
    if let given = find(["d", "diagonal", "diag"]), given.shape.rank >= 3 {
      diagonal = given.exchanged(axis: 0)
    } else if let weight = find(["W_d", "W_D", "fc_D", "fc_D_weight", "d_weight"]) {
      diagonal = x.linear(
        weight.shape[0] == layer.channels && layer.channels != layer.heads
          ? weight : weight.exchanged(axis: 0))
    }
    return bias.map { diagonal + $0 } ?? diagonal
  }

  /// States as `[B, H, N, P]`, or from there to the file's order, which is `[B, H, P, N]` unless sizes say otherwise.
  func state(_ tensor: Tensor<Element>, _ layer: StateSpaceDuality) -> Tensor<Element> {
    let file = fixture.final.values.first { $0.shape.count == 4 }?.shape ?? []
    let isOurs =
      layer.states != layer.width && file.count == 4 && file[2] == layer.states
      && file[3] == layer.width
    return isOurs ? tensor : tensor.exchanged(axis: 2)
  }

  func compare(_ y: Tensor<Element>, isMain: Bool = false) throws {
    let name = try #require(["y", "h", "out"].first { fixture.outputs[$0] != nil })
    graph.result(name, y.exchanged(axis: 0))
    if isMain { graph.check(main: y) }
  }
}
