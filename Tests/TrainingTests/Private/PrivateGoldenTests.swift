// Keys are those of the file.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import Privacy
import TestSupport
import Testing

/// Gradients of single samples and their clipped sum, as PyTorch computes them in double precision.
///
/// `FORECAST_FIXTURES` may name a folder with further files of the same format: LSTM or GRU, any sizes and layers.
@Suite("Golden: private gradients")
struct PrivateGoldenTests {
  struct Fixture: Decodable, Sendable, CustomStringConvertible {
    let kind: String
    let layers: Int
    let input_size: Int
    let hidden_size: Int
    let seq_len: Int
    let batch: Int
    let horizon: Int
    let clip_norm: Double
    let parameters: [String: Nested]
    let inputs: Nested
    let targets: Nested
    let loss: Double
    let per_sample_grad_norm: [Double]
    let clip_factor: [Double]
    let mean_gradient: [String: Nested]
    let clipped_sum: [String: Nested]
    let clipped_sum_norm_by_clip: [String: Double]

    var description: String { "\(kind) \(layers)x\(hidden_size) batch \(batch)" }
  }

  /// Nested lists of numbers, row after row.
  struct Nested: Decodable, Sendable {
    let numbers: [Double]
    init(from decoder: any Decoder) throws {
      if let one = try? decoder.singleValueContainer().decode(Double.self) {
        numbers = [one]
        return
      }
      var list = try decoder.unkeyedContainer()
      var all: [Double] = []
      while !list.isAtEnd { all += try list.decode(Nested.self).numbers }
      numbers = all
    }
  }

  static let fixtures: [Fixture] = {
    let named = ProcessInfo.processInfo.environment["FORECAST_FIXTURES"] ?? ""
    let folder =
      named.isEmpty
      ? URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Golden") : URL(fileURLWithPath: named)
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return files.sorted().filter { $0.hasSuffix(".json") }.compactMap {
      try? JSONDecoder().decode(
        Fixture.self, from: Data(contentsOf: folder.appendingPathComponent($0)))
    }
  }()

  @Test("there are files to check")
  func present() { #expect(LayerFixture.isElsewhere || !Self.fixtures.isEmpty) }

  /// The model in our layouts, where weights are transposed; the two biases of PyTorch are parameters of their own.
  private struct Model {
    let fixture: Fixture
    var layout = ParameterLayout()
    var tensors: [String: ParameterLayout.Tensor] = [:]
    private(set) var columns: [String: Int] = [:]

    init(_ fixture: Fixture) {
      self.fixture = fixture
      let (gates, D) = (fixture.kind == "lstm" ? 4 : 3, fixture.hidden_size)
      func add(_ name: String, _ shape: [Int]) {
        tensors[name] = layout.add(name, shape)
        columns[name] = shape.count == 2 ? shape[1] : nil
      }
      for layer in 0..<fixture.layers {
        add("rnn.weight_ih_l\(layer)", [layer == 0 ? fixture.input_size : D, gates * D])
        add("rnn.weight_hh_l\(layer)", [D, gates * D])
        add("rnn.bias_ih_l\(layer)", [gates * D])
        add("rnn.bias_hh_l\(layer)", [gates * D])
      }
      add("head.weight", [D, fixture.horizon])
      add("head.bias", [fixture.horizon])
    }

    /// A tensor of the file in our layout.
    func place(_ numbers: [Double], _ name: String, in all: inout [Double]) {
      let tensor = tensors[name]!
      guard let columns = columns[name] else {
        for k in numbers.indices { all[tensor.offset + k] = numbers[k] }
        return
      }
      let rows = numbers.count / columns
      for row in 0..<rows {
        for column in 0..<columns {
          all[tensor.offset + row * columns + column] = numbers[column * rows + row]
        }
      }
    }

    func flat(_ tensors: [String: Nested]) -> [Double] {
      var all = [Double](repeating: 0, count: layout.count)
      for (name, tensor) in tensors { place(tensor.numbers, name, in: &all) }
      return all
    }

    func graph(_ rows: Int) -> (
      graph: Graph<Double>, x: Tensor<Double>, y: Tensor<Double>, loss: Tensor<Double>
    ) {
      let graph = Graph<Double>()
      let (D, T) = (fixture.hidden_size, fixture.seq_len)
      let x = graph.input([T, rows, fixture.input_size])
      let y = graph.input([rows, fixture.horizon])
      func parameter(_ name: String) -> Tensor<Double> { graph.parameter(tensors[name]!) }
      var sequence = x
      for layer in 0..<fixture.layers {
        let (first, second) = (
          parameter("rnn.bias_ih_l\(layer)"), parameter("rnn.bias_hh_l\(layer)")
        )
        let isLSTM = fixture.kind == "lstm"
        let cell = RecurrentCell(isLSTM ? .lstm : .gru, inputs: sequence.shape.last, width: D)
        // Of a GRU the biases of the candidate stay apart.
        let bias =
          isLSTM
          ? first + second
          : Tensor.joined(
            [
              first.slice(axis: 0, 0..<2 * D) + second.slice(axis: 0, 0..<2 * D),
              first.slice(axis: 0, 2 * D..<3 * D),
            ], axis: 0)
        sequence =
          sequence.recurrent(
            cell,
            RecurrentWeights(
              input: parameter("rnn.weight_ih_l\(layer)"),
              recurrent: parameter("rnn.weight_hh_l\(layer)"), bias: bias,
              candidateBias: isLSTM ? nil : second.slice(axis: 0, 2 * D..<3 * D))
          ).outputs
      }
      let error =
        sequence[T - 1].linear(parameter("head.weight"), bias: parameter("head.bias")) - y
      let loss = error.map(.square).mean(axis: 1).sum()
      graph.keep(loss)
      return (graph, x, y, loss)
    }
  }

  @Test("norms, clip factors and sums of samples", arguments: fixtures)
  func golden(fixture: Fixture) throws {
    let model = Model(fixture)
    let (B, T, F, H) = (fixture.batch, fixture.seq_len, fixture.input_size, fixture.horizon)
    let (graph, x, y, loss) = model.graph(B)
    let plan = try #require(Plan(graph, loss: loss, rows: B, single: model.graph(1).graph))
    let execution = Execution(plan)
    for b in 0..<B {
      for t in 0..<T {
        for f in 0..<F {
          execution.input(x)[(t * B + b) * F + f] = fixture.inputs.numbers[(b * T + t) * F + f]
        }
      }
      for h in 0..<H { execution.input(y)[b * H + h] = fixture.targets.numbers[b * H + h] }
    }
    let parameters = Buffer(model.flat(fixture.parameters))
    execution.forward(parameters: parameters.base, training: true)
    expectClose(execution.value(loss)[0] / Double(B), fixture.loss, relative: 1e-12)

    let count = model.layout.count
    let gradient = Buffer<Double>(count)
    var all: [[Double]] = []
    let norms = fixture.clipped_sum_norm_by_clip.keys.sorted()
    var clipped = try norms.map {
      try ClippedSum(
        parameters: count, clippingNorm: #require(Double($0)), noiseMultiplier: 1, bits: 40)
    }
    var sum = try ClippedSum(
      parameters: count, clippingNorm: fixture.clip_norm, noiseMultiplier: 1, bits: 40)
    try execution.backward(
      units: (0..<B).map { $0..<$0 + 1 },
      into: UnsafeMutableBufferPointer(start: gradient.base, count: count)
    ) { b in
      all.append(gradient.array)
      let one = UnsafeBufferPointer(start: UnsafePointer(gradient.base), count: count)
      let result = try sum.add(one)
      expectClose(result.norm, fixture.per_sample_grad_norm[b], relative: 1e-12)
      expectClose(result.factor, fixture.clip_factor[b], relative: 2e-7)
      for k in clipped.indices { try clipped[k].add(one) }
    }
    let mean = (0..<count).map { k in all.reduce(0) { $0 + $1[k] } / Double(B) }
    expectClose(mean, model.flat(fixture.mean_gradient), absolute: 1e-13)
    // The exact rule; and on the grid, whose norm is smaller by 2^-24 of it.
    let expected = model.flat(fixture.clipped_sum)
    let exact = (0..<count).map { k in
      (0..<B).reduce(0) {
        $0 + all[$1][k] * min(1, fixture.clip_norm / fixture.per_sample_grad_norm[$1])
      }
    }
    expectClose(exact, expected, absolute: 1e-12)
    expectClose((0..<count).map(sum.value), expected, absolute: 2e-7)
    for (name, sum) in zip(norms, clipped) {
      let norm = (0..<count).reduce(0) { $0 + sum.value($1) * sum.value($1) }.squareRoot()
      expectClose(norm, try #require(fixture.clipped_sum_norm_by_clip[name]), relative: 2e-7)
    }
  }
}
