import Forecasters
import Foundation
import NumericsCore
import TestSupport
import Testing

/// Forecasts that the package tirex-ts makes with a small checkpoint; see Golden/tirex_checkpoint.py.
private struct Expected: Decodable {
  struct Forecast: Decodable {
    let quantiles: [Double]
    let mean: [Double]
  }
  struct Case: Decodable {
    let horizon: Int
    let patches: Int
    let single: [String: Forecast]
    /// With the recurrent cell in bfloat16, as the package runs it.
    let bfloat: [String: Forecast]?
  }
  let levels: [Double]
  let series: [String: [Double?]]
  let cases: [Case]
}

@Suite("TiRex from a checkpoint")
struct TiRexPretrainedTests {
  private let bytes: [UInt8]
  private let expected: Expected

  init() throws {
    bytes = try [UInt8](Golden.data("tirex.ckpt"))
    expected = try Golden.json("tirex.json")
  }

  private func values(_ name: String) -> [Double] { expected.series[name]!.map { $0 ?? .nan } }

  /// Location and size of the observed values: what errors are relative to.
  private func size(_ name: String) -> Double {
    values(name).filter { !$0.isNaN }.map { abs($0) }.max() ?? 0
  }

  private func forecast(
    _ names: [String], horizon: Int, patchesAtOnce: Int, threads: Int = 1
  ) throws -> [[Double]] {
    let model = PackedTiRex(try TiRexWeights(decoding: bytes))
    let forecaster = TiRexForecaster(
      model, horizon: horizon, levels: expected.levels, patchesAtOnce: patchesAtOnce,
      threads: threads)
    let series = names.map { Buffer<Double>(values($0)) }
    let count = horizon * expected.levels.count
    var quantiles = [Double](repeating: .nan, count: names.count * count)
    withExtendedLifetime(series) {
      forecaster.forecast(
        series.map { UnsafeBufferPointer(start: $0.base, count: $0.count) }, into: &quantiles)
    }
    return names.indices.map { Array(quantiles[($0 * count)..<(($0 + 1) * count)]) }
  }

  @Test("sizes, levels and context come from the file")
  func sizes() throws {
    let weights = try TiRexWeights(decoding: bytes)
    #expect(
      weights.size
        == TiRexSize(
          patch: 4, width: 16, heads: 2, blocks: 2, feedForward: 64, ends: 12, quantiles: 9))
    #expect(weights.levels == expected.levels && weights.contextLength == 32)
    #expect(weights.parameters.count == weights.layout.count)
  }

  /// The package scales in single precision, which at a level of a million leaves four digits of a window.
  @Test("forecasts are those of the package in single precision")
  func single() throws {
    let names = expected.series.keys.sorted()
    #expect(expected.cases.count == 5 && names.count == 9)
    for one in expected.cases {
      let found = try forecast(names, horizon: one.horizon, patchesAtOnce: one.patches)
      for (name, quantiles) in zip(names, found) {
        let golden = try #require(one.single[name])
        expectClose(
          quantiles, golden.quantiles, absolute: 2e-5 + 2e-7 * size(name),
          "\(name), \(one.horizon) steps, \(one.patches) at once")
        // Its mean is the median.
        let median = stride(from: 4, to: quantiles.count, by: 9).map { quantiles[$0] }
        expectClose(median, golden.mean, absolute: 2e-5 + 2e-7 * size(name))
      }
    }
  }

  @Test("the package's own cell in bfloat16 is further away: by hundredths of a deviation")
  func bfloat() throws {
    let one = try #require(expected.cases.first { $0.bfloat != nil })
    var worst = 0.0
    for name in ["whole context", "gaps", "short"] {
      let observed = values(name).filter { !$0.isNaN }
      let mean = observed.reduce(0, +) / Double(observed.count)
      let deviation =
        (observed.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(observed.count))
        .squareRoot()
      let found = try forecast([name], horizon: one.horizon, patchesAtOnce: one.patches)[0]
      for (ours, theirs) in zip(found, one.bfloat![name]!.quantiles) {
        worst = max(worst, abs(ours - theirs) / deviation)
      }
    }
    #expect(worst > 1e-4 && worst < 0.03, "\(worst)")
  }

  @Test("several threads, and series one by one, give the same forecasts")
  func threads() throws {
    let names = expected.series.keys.sorted()
    let together = try forecast(names, horizon: 14, patchesAtOnce: 2)
    let shared = try forecast(names, horizon: 14, patchesAtOnce: 2, threads: 2)
    for (number, name) in names.enumerated() {
      let tolerance = 1e-5 + 2e-7 * size(name)
      expectClose(shared[number], together[number], absolute: tolerance)
      expectClose(
        try forecast([name], horizon: 14, patchesAtOnce: 2)[0], together[number],
        absolute: tolerance, "\(name)")
    }
  }

  @Test("a horizon beyond the context still knows the series")
  func beyond() throws {
    let found = try forecast(["short"], horizon: 100, patchesAtOnce: 1)[0]
    #expect(found.allSatisfy { $0 > 80 && $0 < 120 })
  }

  /// The network as it is trained, in double precision, beside the packed one.
  @Test("the graph gives the same as the packed network")
  func graph() throws {
    let weights = try TiRexWeights(decoding: bytes)
    let engine = TiRexEngine(PackedTiRex(weights))
    let (n, B, P) = (6, 3, 4)
    var random = SeededGenerator(seed: 3)
    let tokens = random.normals(n * B * 2 * P)
    var layout = ParameterLayout()
    let network = TiRexNetwork<Double>(weights.size, layout: &layout)
    let graph = Graph<Double>()
    let input = graph.input([n, B, 2 * P])
    let (all, last) = (network.apply(to: input), network.apply(to: input, last: 2))
    graph.keep(all)
    graph.keep(last)
    let execution = Execution(Plan(graph))
    let parameters = Buffer(weights.parameters.map { Double($0) })
    for k in tokens.indices {
      execution.input(input)[k] = tokens[k]
      engine.tokens(n, batch: B)[k] = Float(tokens[k])
    }
    execution.forward(parameters: parameters.base)
    let result = engine.run(n, batch: B, last: 2)
    for k in 0..<last.shape.count {
      expectClose(Double(result[k]), execution.value(last)[k], absolute: 2e-5)
      expectClose(
        execution.value(last)[k], execution.value(all)[all.shape.count - last.shape.count + k],
        absolute: 1e-12)
    }
  }

  // MARK: As a model of a job

  private func configuration(
    _ path: String, levels: [Double] = [0.05, 0.1, 0.25, 0.5, 0.95]
  ) -> ForecasterConfiguration {
    ForecasterConfiguration(
      kind: "tirex-pretrained", options: ["weights": .text(path)], contextLength: 24, horizon: 6,
      quantiles: levels)
  }

  private func temporary(_ bytes: [UInt8]) throws -> String {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try Data(bytes).write(to: url)
    return url.path
  }

  @Test("levels that the weights lack are interpolated, and are in order")
  func levels() throws {
    let path = try temporary(bytes)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let configuration = configuration(path)
    try configuration.validate()
    let forecaster = try TiRexPretrainedArchitecture.makeForecaster(configuration)
    let values = Buffer<Double>(values("whole context"))
    var q = [Double](repeating: .nan, count: 6 * 5)
    try withExtendedLifetime(values) {
      let series = SeriesValues(UnsafeBufferPointer(start: values.base, count: values.count))
      try forecaster.forecast([series], into: &q)
    }
    let nothing = Buffer<Double>(self.values("nothing observed"))
    withExtendedLifetime(nothing) {
      let series = SeriesValues(UnsafeBufferPointer(start: nothing.base, count: nothing.count))
      let error = #expect(throws: ForecasterError.self) {
        try forecaster.forecast([series], into: &q)
      }
      #expect(error?.code == .badSeries)
    }
    let raw = try forecast(["whole context"], horizon: 6, patchesAtOnce: 1)[0]
    for h in 0..<6 {
      let known = raw[(h * 9)..<(h * 9 + 9)].sorted()
      let mine = q[(h * 5)..<(h * 5 + 5)].map { $0 }
      #expect(zip(mine, mine.dropFirst()).allSatisfy(<=))
      expectClose(mine[1], known[0], absolute: 1e-9)
      expectClose(mine[3], known[4], absolute: 1e-9)
      #expect(mine[2] >= known[1] && mine[2] <= known[2])
      // As much beyond as the normal distribution says.
      let scores = [0.05, 0.1, 0.2].map(NormalDistribution.quantile)
      expectClose(
        mine[0],
        known[0] + (scores[0] - scores[1]) / (scores[2] - scores[1]) * (known[1] - known[0]),
        absolute: 1e-9)
    }
  }

  private func refusal(_ configuration: ForecasterConfiguration) -> String {
    do {
      try configuration.validate()
      return "accepted"
    } catch { return "\(error)" }
  }

  @Test("a missing file, and one that is no TiRex, are refused with their path")
  func refused() throws {
    #expect(refusal(configuration("")).contains("needs weights"))
    #expect(
      refusal(configuration("/nowhere/tirex.ckpt"))
        == "weights /nowhere/tirex.ckpt: the file does not exist")
    let lstm = try temporary([UInt8](Golden.data("pytorch_lstm_f32.safetensors")))
    let hostile = try temporary([UInt8](Golden.data("tirex_hostile.ckpt")))
    let broken = try temporary(Array(bytes.dropLast(1000)))
    defer {
      for path in [lstm, hostile, broken] { try? FileManager.default.removeItem(atPath: path) }
    }
    #expect(
      refusal(configuration(lstm)).hasPrefix("weights \(lstm): this is no TiRex: there is no"))
    #expect(refusal(configuration(hostile)).contains("asks for __builtin__.print"))
    #expect(
      refusal(configuration(broken)).hasPrefix("weights \(broken): the file is no zip archive"))
  }

  @Test("the same weights as a safetensors file give the same network")
  func safetensors() throws {
    var file = try PyTorchCheckpoint(decoding: bytes).tensors(at: "state_dict")
    file.metadata = ["train_ctx_len": "32"]
    let again = try TiRexWeights(decoding: file.encoded())
    let first = try TiRexWeights(decoding: bytes)
    #expect(again.parameters == first.parameters && again.size == first.size)
    #expect(again.levels == first.levels && again.contextLength == 32)
    file.metadata = ["train_ctx_len": "30"]
    #expect(throws: ForecasterError.self) { try TiRexWeights(decoding: file.encoded()) }
    file.metadata = [:]
    file.add("blocks.0.extra", [1], [1.0] as [Float])
    let error = #expect(throws: ForecasterError.self) {
      try TiRexWeights(decoding: file.encoded())
    }
    #expect(error?.message.contains("blocks.0.extra has no place") == true)
  }
}
