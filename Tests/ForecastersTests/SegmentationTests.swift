// Names: shape letters B, T, F.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

/// Long sequences that are computed segment by segment.
@Suite("Segments of a sequence")
struct SegmentationTests {
  private struct Run {
    let outputs: [Double]
    let loss: Double
    let gradient: [Double]
    let inputs: [Double]
    let bytes: Int
  }

  private enum Way {
    case whole, segments, recomputed
  }

  private static func backbone(
    _ kind: String, dropout: Double = 0
  ) throws -> (any Backbone<Double>, ParameterLayout) {
    var configuration = ForecasterConfiguration(
      kind: kind, hidden: 6, layers: 2, dropout: dropout, contextLength: 170, horizon: 2,
      quantiles: [0.5])
    if kind == "deltanet" { configuration.options["gated"] = .flag(true) }
    try configuration.validate()
    var layout = ParameterLayout()
    let backbone: any Backbone<Double> = Registry.backbone(
      configuration, inputs: 3, layout: &layout)
    return (backbone, layout)
  }

  /// 170 steps in the smallest segments there are, of 64, 64 and 42 steps, or whole; ten rows all together, or by
  /// five or two.
  private static func run(
    _ kind: String, _ way: Way, gaps: Bool = false, dropout: Double = 0
  ) throws -> Run {
    let (T, B, F) = (170, 10, 3)
    let (backbone, layout) = try backbone(kind, dropout: dropout)
    let parameters = Buffer<Double>(layout.count)
    var stream = RandomStream(seed: 5, purpose: "initialisation")
    backbone.initialize(parameters, using: &stream)
    var random = SeededGenerator(seed: 8)
    for k in 0..<parameters.count { parameters[k] += random.normal() * 0.1 }
    let graph = Graph<Double>(segmentBytes: way == .whole ? nil : 1)
    let x = graph.input([T, B, F], differentiable: true)
    let output: BackboneOutput<Double>
    if gaps {
      let times = graph.constant((0..<(T * B)).map { 1 + Double($0 % 7) / 5 }, [T, B])
      output = try #require(backbone as? MixerStack<Double>).apply(to: x, gaps: times)
    } else {
      output = way == .recomputed ? backbone.applyRecomputed(to: x) : backbone.apply(to: x)
    }
    let loss = output.all.map(.square).mean() + output.last.map(.square).sum()
    graph.keep(loss)
    graph.keep(output.all)
    let execution = Execution(Plan(graph, loss: loss))
    for (k, number) in random.normals(T * B * F).enumerated() { execution.input(x)[k] = number }
    let gradient = Buffer<Double>(layout.count)
    execution.forward(parameters: parameters.base, training: true, seed: 4, run: 2)
    execution.backward(into: gradient.base)
    return Run(
      outputs: (0..<output.all.shape.count).map { execution.value(output.all)[$0] },
      loss: execution.value(loss)[0], gradient: gradient.array,
      inputs: (0..<(T * B * F)).map { execution.gradient(x)![$0] },
      bytes: execution.plan.peakBytes)
  }

  private static func expectEqual(_ run: Run, _ expected: Run) {
    expectClose(run.outputs, expected.outputs, absolute: 1e-12)
    expectClose(run.loss, expected.loss, absolute: 1e-12)
    expectClose(run.gradient, expected.gradient, absolute: 1e-11, relative: 1e-11)
    expectClose(run.inputs, expected.inputs, absolute: 1e-11)
  }

  @Test(
    "segments change neither results nor gradients, kept or computed again",
    arguments: ["slstm", "mlstm", "xlstm", "mamba", "mamba2", "deltanet", "s5"])
  func segments(kind: String) throws {
    let whole = try Self.run(kind, .whole)
    let segments = try Self.run(kind, .segments)
    let recomputed = try Self.run(kind, .recomputed)
    Self.expectEqual(segments, whole)
    Self.expectEqual(recomputed, whole)
    // They are segments indeed.
    #expect(recomputed.bytes * 3 < whole.bytes * 2, "\(recomputed.bytes) of \(whole.bytes)")
  }

  @Test("so do segments of irregular observations", arguments: ["mamba", "mamba2", "s5"])
  func gaps(kind: String) throws {
    Self.expectEqual(
      try Self.run(kind, .segments, gaps: true), try Self.run(kind, .whole, gaps: true))
  }

  @Test("kept or computed again, segments draw the same random numbers")
  func dropout() throws {
    let segments = try Self.run("mamba2", .segments, dropout: 0.3)
    Self.expectEqual(try Self.run("mamba2", .recomputed, dropout: 0.3), segments)
    #expect(segments.loss != (try Self.run("mamba2", .segments).loss))
  }

  @Test("a long sequence without gradient takes the memory of a segment and of its results")
  func inference() throws {
    let (backbone, _) = try Self.backbone("mamba2")
    func bytes(_ steps: Int) -> Int {
      let graph = Graph<Double>(segmentBytes: 1 << 16)
      graph.keep(backbone.apply(to: graph.input([steps, 1, 3])).last)
      return Plan(graph).peakBytes
    }
    // Inputs, and of three results of width 6 two at a time.
    #expect(bytes(16384) - bytes(8192) <= 8192 * (3 + 2 * 6) * 8)
  }
}
