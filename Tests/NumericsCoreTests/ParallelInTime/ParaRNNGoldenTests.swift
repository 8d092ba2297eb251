// Names: shape letters B, T, D, H.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing

/// ParaRNN's cells from files, in every form. What a tensor is follows from its name and its shape: input
/// weights have the inputs as their last axis, biases begin with `b`, peepholes with `p`, `c` or `v`, and what
/// is left are the diagonals. Gates lie together, or each in a tensor whose name ends in it.
@Suite("Golden: ParaRNN")
struct ParaRNNGoldenTests {
  static let fixtures = try? LayerFixture.all {
    $0.name.lowercased().contains("pararnn") || $0.name.lowercased().hasPrefix("paragru")
      || $0.name.lowercased().hasPrefix("paralstm")
  }
  static let ways: [(form: RecurrenceForm, threads: Int)] = [
    (.sequential, 1), (.sequential, 2), (.newton, 1), (.newton, 3),
  ]

  @Test("outputs, states, loss and gradients in every form", arguments: fixtures ?? [], 0..<4)
  func golden(fixture: LayerFixture, way: Int) throws {
    try check(fixture, fixture.tolerance.f64, way, Double.self)
    try check(fixture, fixture.tolerance.f32, way, Float.self)
  }

  @Test("there are files to check")
  func present() {
    #expect(
      LayerFixture.isElsewhere
        || !(Self.fixtures ?? []).isEmpty)
  }

  /// The cells that a file has: of both kinds where names say so.
  private func kinds(_ fixture: LayerFixture) -> [DiagonalCell.Kind] {
    let names = fixture.weights.keys.map { $0.lowercased() }
    let named = DiagonalCell.Kind.allCases.filter { kind in
      names.contains { $0.contains(token(kind)) }
    }
    if !named.isEmpty { return named }
    let title = fixture.name.lowercased()
    if let kind = DiagonalCell.Kind.allCases.first(where: { title.contains(token($0)) }) {
      return [kind]
    }
    return [names.contains { isPeephole($0) } ? .paraLSTM : .paraGRU]
  }

  private func token(_ kind: DiagonalCell.Kind) -> String { kind == .paraGRU ? "gru" : "lstm" }

  /// A name without the kind of its cell; nil where it is that of the other one.
  private func core(_ name: String, _ kind: DiagonalCell.Kind) -> String? {
    let other = token(kind == .paraGRU ? .paraLSTM : .paraGRU)
    if name.lowercased().contains(other) { return nil }
    return
      name
      .replacingOccurrences(of: "para", with: "", options: .caseInsensitive)
      .replacingOccurrences(of: token(kind), with: "", options: .caseInsensitive)
      .trimmingCharacters(in: CharacterSet(charactersIn: "_.-/ "))
  }

  private func isPeephole(_ core: String) -> Bool {
    let core = core.lowercased()
    return core.contains("peep") || ["p", "c", "v"].contains { core.hasPrefix($0) }
  }

  /// Place of the gate that a name ends in.
  private func gate(_ core: String, _ kind: DiagonalCell.Kind) -> Int {
    let end = core.lowercased().split { "_.".contains($0) }.last.map(String.init) ?? ""
    switch (kind, end.last) {
    case (.paraGRU, "z"), (.paraLSTM, "f"): return 0
    case (.paraGRU, "r"), (.paraLSTM, "o"): return 1
    default: return 2
    }
  }

  private enum Role: Hashable { case input, recurrent, bias, peephole }

  private func check<Element: Real>(
    _ fixture: LayerFixture, _ tolerance: LayerFixture.Tolerance, _ way: Int, _ type: Element.Type
  ) throws {
    let graph = Graph<Element>()
    let operands = fixture.weights.merging(fixture.inputs, uniquingKeysWith: { $1 })
    let inputs = operands.mapValues { graph.input(Shape($0.shape), differentiable: true) }
    let x = try #require(inputs["x"])
    let (B, T, D) = (x.shape[0], x.shape[1], x.shape[2])
    var losses: [Tensor<Element>] = []
    var results: [(name: String, tensor: Tensor<Element>, expected: LayerFixture.Tensor)] = []
    for kind in kinds(fixture) {
      let H = try #require(
        fixture.sizes["H"]
          ?? fixture.outputs.first { core($0.key, kind) != nil && $0.value.shape.count == 3 }?
          .value.shape[2])
      let cell = DiagonalCell(kind, width: H)
      // Gates of each role, those that lie together as one.
      var parts: [Role: [Int: Tensor<Element>]] = [:]
      for name in fixture.weights.keys.sorted() {
        guard let core = core(name, kind), let tensor = inputs[name] else { continue }
        let isMatrix = tensor.shape.rank >= 2 && tensor.shape.last == D
        let isDiagonal =
          tensor.shape.count == 3 * H && tensor.shape.last == H && D == H
          && !core.uppercased().hasPrefix("W")
        let role: Role
        if isMatrix && !isDiagonal && tensor.shape.count % (H * D) == 0 {
          role = .input
        } else if core.lowercased().hasPrefix("b") {
          role = .bias
        } else if cell.hasMemory && isPeephole(core) {
          role = .peephole
        } else {
          role = .recurrent
        }
        let whole = role == .input ? 3 * H * D : role == .peephole ? 2 * H : 3 * H
        parts[role, default: [:]][tensor.shape.count == whole ? 0 : gate(core, kind)] = tensor
      }
      func joined(_ role: Role, _ width: Int) throws -> Tensor<Element> {
        let gates = try #require(parts[role], "\(role) of \(kind)").sorted { $0.key < $1.key }
        let rows = gates.map { $0.value.reshaped([$0.value.shape.count / width, width]) }
        return rows.count == 1 ? rows[0] : Tensor.joined(rows, axis: 0)
      }
      func initial(_ state: String) -> Tensor<Element>? {
        fixture.inputs.keys.first {
          core($0, kind).map { $0.lowercased().hasPrefix(state) && $0 != "x" } ?? false
            && fixture.inputs[$0]?.shape == [B, H]
        }.flatMap { inputs[$0] }
      }
      func zero() -> Tensor<Element> {
        graph.constant([Element](repeating: 0, count: B * H), [B, H])
      }
      let (h0, c0) = (initial("h"), initial("c"))
      let started = h0 != nil || c0 != nil
      let u = x.exchanged(axis: 0).linear(
        try joined(.input, D).exchanged(axis: 0), bias: try joined(.bias, H).reshaped([3 * H]))
      let (outputs, state) = u.diagonalRecurrent(
        cell, recurrent: try joined(.recurrent, H),
        peephole: cell.hasMemory ? try joined(.peephole, H) : nil,
        initial: started
          ? RecurrentState(h: h0 ?? zero(), c: cell.hasMemory ? c0 ?? zero() : nil) : nil,
        form: Self.ways[way].form, threads: Self.ways[way].threads)
      let y = outputs.exchanged(axis: 0)
      losses.append(y.map(.square).mean())
      var compared = 0
      for (name, expected) in fixture.outputs where expected.shape == [B, T, H] {
        guard let core = core(name, kind)?.lowercased() else { continue }
        if ["h", "y", ""].contains(core) || core.hasPrefix("h_") || core.hasPrefix("y_") {
          results.append((name, y, expected))
          compared += 1
        }
      }
      #expect(compared > 0, "no output of \(kind) among \(fixture.outputs.keys)")
      for (name, expected) in fixture.final where expected.shape == [B, H] {
        guard let core = core(name, kind)?.lowercased() else { continue }
        if core.hasPrefix("c"), let c = state.c { results.append((name, c, expected)) }
        if core.hasPrefix("h") || core.hasPrefix("y") { results.append((name, state.h, expected)) }
      }
    }
    let loss = losses.dropFirst().reduce(losses[0], +)
    graph.keep(loss)
    for result in results { graph.keep(result.tensor) }
    let execution = Execution(Plan(graph, loss: loss))
    for (name, input) in inputs {
      for (k, number) in (operands[name]?.data ?? []).enumerated() {
        execution.input(input)[k] = Element(number)
      }
    }
    let none = Buffer<Element>(1)
    execution.forward(parameters: none.base)
    for result in results {
      fixture.compare(
        execution.value(result.tensor), result.expected, tolerance.forward, result.name)
    }
    if losses.count == 1, let expected = fixture.loss {
      expectClose(
        Double(execution.value(loss)[0]), expected, relative: 10 * tolerance.forward.rel, "loss")
    }
    execution.backward(into: none.base)
    for (name, expected) in fixture.grads {
      // Of one kind among two, the gradient of what they share is not theirs alone.
      guard losses.count == 1 || fixture.weights[name] != nil else { continue }
      let input = try #require(inputs[name], "\(name)")
      let gradient = try #require(execution.gradient(input), "gradient of \(name)")
      fixture.compare(gradient, expected, tolerance.grad, "gradient of \(name)")
    }
  }
}
