// Names: shape letters B, T, F, D, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import Foundation
import NumericsCore
import TestSupport
import Testing

/// What is particular to each of the reference networks; what they share is in the conformance suites.
@Suite("Reference networks")
struct ReferenceNetworkTests {
  /// A model with parameters that a test may set, and inputs `[T, B, F]` without seasons: values and masks.
  private final class Setup {
    let configuration: ForecasterConfiguration
    let model: any WindowModel<Double>
    let layout: ParameterLayout
    let parameters: Buffer<Double>

    init(_ configuration: ForecasterConfiguration, perturbed: Double = 0) throws {
      try configuration.validate()
      self.configuration = configuration
      let entry = try #require(
        Registry.entry(configuration.kind) as? any NetworkArchitecture.Type)
      var layout = ParameterLayout()
      model = entry.makeModel(configuration, inputs: configuration.featureCount, layout: &layout)
      self.layout = layout
      parameters = Buffer(layout.count)
      var stream = RandomStream(seed: 5, purpose: "initialisation")
      model.initialize(parameters, using: &stream)
      var random = SeededGenerator(seed: 9)
      for k in 0..<parameters.count { parameters[k] += random.normal() * perturbed }
    }

    func tensor(_ name: String) throws -> ParameterLayout.Tensor {
      try #require(layout.tensors.first { $0.name == name }, "\(name)")
    }

    func values(_ name: String) throws -> [Double] {
      let tensor = try tensor(name)
      return (0..<tensor.count).map { parameters[tensor.offset + $0] }
    }

    func run(_ inputs: [Double]) -> [Double] {
      let graph = Graph<Double>()
      let (T, F) = (configuration.contextLength, configuration.featureCount)
      let x = graph.input([T, inputs.count / (T * F), F])
      let raw = model.apply(to: x)
      graph.keep(raw)
      let execution = Execution(Plan(graph))
      execution.input(x).update(from: inputs, count: inputs.count)
      execution.forward(parameters: parameters.base)
      return (0..<raw.shape.count).map { execution.value(raw)[$0] }
    }
  }

  private static func configuration(
    _ kind: String, hidden: Int = 6, layers: Int = 2, context: Int = 24, horizon: Int = 4,
    quantiles: [Double] = [0.1, 0.5], options: [String: ModelOption.Value] = [:]
  ) -> ForecasterConfiguration {
    ForecasterConfiguration(
      kind: kind, hidden: hidden, layers: layers, options: options, contextLength: context,
      horizon: horizon, quantiles: quantiles)
  }

  /// `[T, B, 2]` of values `[B][T]`; NaN is missing.
  private func inputs(_ rows: [[Double]]) -> [Double] {
    rows[0].indices.flatMap { t in rows.flatMap { $0[t].isNaN ? [0, 0] : [$0[t], 1] } }
  }

  private func evaluate(_ build: (Graph<Double>) -> Tensor<Double>) -> [Double] {
    let graph = Graph<Double>()
    let y = build(graph)
    graph.keep(y)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Double>(1).base)
    return (0..<y.shape.count).map { execution.value(y)[$0] }
  }

  // MARK: Backbones

  static let backbones = ["tcn", "transformer", "aaren"]

  @Test(
    "the state of a window is the last output, computed apart or not", arguments: backbones,
    [2, 3, 8, 23, 24])
  func encoded(kind: String, context: Int) throws {
    for layers in 1...2 {
      let configuration = Self.configuration(kind, layers: layers, context: context)
      try configuration.validate()
      var layout = ParameterLayout()
      let backbone: any Backbone<Double> = Registry.backbone(
        configuration, inputs: 2, layout: &layout)
      let parameters = Buffer<Double>(layout.count)
      var stream = RandomStream(seed: 5, purpose: "initialisation")
      backbone.initialize(parameters, using: &stream)
      var random = SeededGenerator(seed: 3)
      for k in 0..<parameters.count { parameters[k] += random.normal() * 0.1 }
      let numbers = random.normals(context * 3 * 2)
      func run(
        _ encode: (Tensor<Double>) -> Tensor<Double>
      ) -> (state: [Double], gradient: [Double], bytes: Int) {
        let graph = Graph<Double>()
        let x = graph.input([context, 3, 2])
        let state = encode(x)
        graph.keep(state)
        let execution = Execution(Plan(graph, loss: state.map(.square).sum()))
        execution.input(x).update(from: numbers, count: numbers.count)
        let gradient = Buffer<Double>(layout.count)
        execution.forward(parameters: parameters.base)
        execution.backward(into: gradient.base)
        return (
          (0..<state.shape.count).map { execution.value(state)[$0] }, gradient.array,
          execution.plan.peakBytes
        )
      }
      let whole = run { backbone.apply(to: $0).last }
      for encode in [backbone.encode, backbone.encodeRecomputed] {
        let apart = run(encode)
        expectClose(apart.state, whole.state, absolute: 1e-12)
        expectClose(apart.gradient, whole.gradient, absolute: 1e-11)
      }
    }
  }

  @Test("a stream beyond the context is the sequence", arguments: backbones)
  func stream(kind: String) throws {
    let (T, B, D) = (50, 2, 6)
    var layout = ParameterLayout()
    let backbone: any Backbone<Double> = Registry.backbone(
      Self.configuration(kind, context: 12), inputs: 2, layout: &layout)
    let parameters = Buffer<Double>(layout.count)
    var stream = RandomStream(seed: 5, purpose: "initialisation")
    backbone.initialize(parameters, using: &stream)
    var random = SeededGenerator(seed: 3)
    let numbers = random.normals(T * B * 2)
    let graph = Graph<Double>()
    let x = graph.input([T, B, 2])
    let all = backbone.apply(to: x).all
    graph.keep(all)
    let execution = Execution(Plan(graph))
    execution.input(x).update(from: numbers, count: numbers.count)
    execution.forward(parameters: parameters.base)
    let stepper = backbone.makeStepper(parameters.base, batch: B)
    var output = [Double](repeating: 0, count: B * D)
    for t in 0..<T {
      stepper.step(Array(numbers[(t * B * 2)...]), &output)
      for k in 0..<(B * D) {
        expectClose(output[k], execution.value(all)[t * B * D + k], absolute: 1e-12)
      }
    }
  }

  @Test(
    "the last output of a TCN depends on its receptive field and on nothing before it",
    arguments: [2, 3])
  func receptiveField(taps: Int) throws {
    let (T, context) = (60, 20)
    let levels = TCN<Double>.levels(covering: context, taps: taps)
    let field = 1 + 2 * (taps - 1) * ((1 << levels) - 1)
    #expect(field >= context && 1 + 2 * (taps - 1) * ((1 << (levels - 1)) - 1) < context)
    var layout = ParameterLayout()
    let backbone: any Backbone<Double> = Registry.backbone(
      Self.configuration("tcn", layers: 1, context: context, options: ["taps": .integer(taps)]),
      inputs: 1, layout: &layout)
    #expect((backbone as? TCN<Double>)?.receptiveField == field)
    // Nothing negative, so that no unit is at rest.
    let parameters = Buffer<Double>(layout.count)
    for k in 0..<parameters.count { parameters[k] = 0.1 }
    let graph = Graph<Double>()
    let x = graph.input([T, 1, 1], differentiable: true)
    let loss = backbone.encode(x).sum()
    let execution = Execution(Plan(graph, loss: loss))
    for t in 0..<T { execution.input(x)[t] = 1 }
    execution.forward(parameters: parameters.base)
    let gradients = Buffer<Double>(layout.count)
    execution.backward(into: gradients.base)
    let gradient = try #require(execution.gradient(x))
    for t in 0..<T { #expect((gradient[t] != 0) == (t >= T - field), "step \(t)") }
  }

  @Test("a TCN's state costs a fraction of all its outputs")
  func cone() {
    var layout = ParameterLayout()
    let backbone: any Backbone<Float> = Registry.backbone(
      Self.configuration("tcn", hidden: 32, layers: 1, context: 512), inputs: 2, layout: &layout)
    func bytes(_ encode: (Tensor<Float>) -> Tensor<Float>) -> Int {
      let graph = Graph<Float>()
      return Plan(graph, loss: encode(graph.input([512, 4, 2])).sum()).peakBytes
    }
    #expect(bytes { backbone.encode($0) } * 3 < bytes { backbone.apply(to: $0).last })
  }

  @Test("weight norm: the length of a kernel is what is said, whatever its direction's")
  func weightNorm() throws {
    let setup = try Setup(
      Self.configuration("tcn", options: ["weightNorm": .flag(true)]), perturbed: 0.05)
    var random = SeededGenerator(seed: 2)
    let x = inputs([random.normals(24), random.normals(24)])
    let before = setup.run(x)
    for tensor in setup.layout.tensors where tensor.name.hasSuffix("first.weight") {
      for k in 0..<tensor.count { setup.parameters[tensor.offset + k] *= 3 }
    }
    expectClose(setup.run(x), before, absolute: 1e-9)
    // The kernels that are drawn are those without the norm.
    let plain = try Setup(Self.configuration("tcn")).run(x)
    let normed = try Setup(
      Self.configuration("tcn", options: ["weightNorm": .flag(true)])
    ).run(x)
    expectClose(normed, plain, absolute: 1e-9)
  }

  @Test("attention reads the same context wherever the window lies in a longer sequence")
  func shifted() {
    var layout = ParameterLayout()
    let backbone: any Backbone<Double> = Registry.backbone(
      Self.configuration("transformer", layers: 1, context: 9), inputs: 2, layout: &layout)
    let parameters = Buffer<Double>(layout.count)
    var stream = RandomStream(seed: 5, purpose: "initialisation")
    backbone.initialize(parameters, using: &stream)
    var random = SeededGenerator(seed: 3)
    let numbers = random.normals(30 * 2)
    func last(_ steps: Int) -> [Double] {
      let graph = Graph<Double>()
      let x = graph.input([steps, 1, 2])
      let state = backbone.encode(x)
      graph.keep(state)
      let execution = Execution(Plan(graph))
      execution.input(x).update(from: Array(numbers.suffix(steps * 2)), count: steps * 2)
      execution.forward(parameters: parameters.base)
      return (0..<6).map { execution.value(state)[$0] }
    }
    expectClose(last(30), last(9), absolute: 1e-12)
    #expect(last(9) != last(8))
  }

  // MARK: PatchTST

  @Test("patches cover the window up to its last step, and what is missing before it is marked")
  func patches() throws {
    for (context, length, step) in [(24, 5, 3), (10, 4, 4), (7, 7, 2), (16, 4, 2)] {
      let configuration = Self.configuration(
        "patchtst", context: context,
        options: ["patchLength": .integer(length), "patchStride": .integer(step)])
      try configuration.validate()
      var layout = ParameterLayout()
      let made: any WindowEncoder<Double> = PatchTSTArchitecture.makeEncoder(
        configuration, inputs: 2, layout: &layout)
      let encoder = try #require(made as? PatchTST<Double>)
      let (first, second) = (
        (0..<context).map { Double($0 + 1) }, (0..<context).map { -Double($0 + 1) }
      )
      let numbers = inputs([first, second])
      let found = evaluate { encoder.patches(of: $0.constant(numbers, [context, 2, 2])) }
      let P = encoder.patches
      #expect(encoder.width == P * 6)
      #expect((P - 1) * step + length >= context && (P - 2) * step + length < context)
      for p in 0..<P {
        for b in 0..<2 {
          for l in 0..<length {
            let t = context - length - (P - 1 - p) * step + l
            let at = ((p * 2 + b) * length + l) * 2
            #expect(found[at] == (t < 0 ? 0 : [first, second][b][t]))
            #expect(found[at + 1] == (t < 0 ? 0 : 1))
          }
        }
      }
    }
  }

  @Test("patches of every context: 12 to 64 of them from 24 steps on")
  func patchLengths() {
    for context in [2, 3, 7, 24, 48, 96, 168, 336, 512, 700, 1024, 2048] {
      let configuration = Self.configuration("patchtst", context: context)
      #expect(throws: Never.self) { try configuration.validate() }
      var layout = ParameterLayout()
      let encoder: any WindowEncoder<Double> = PatchTSTArchitecture.makeEncoder(
        configuration, inputs: 2, layout: &layout)
      #expect(context < 24 || (12...66).contains(encoder.width / 6), "\(context)")
    }
  }

  // MARK: Linear models

  @Test("NLinear: a constant added to the window changes nothing, and a line is continued")
  func nlinear() throws {
    let setup = try Setup(Self.configuration("nlinear"))
    var random = SeededGenerator(seed: 2)
    let window = random.normals(24)
    let raw = setup.run(inputs([window, window.map { $0 + 40 }]))
    expectClose(Array(raw.prefix(8)), Array(raw.suffix(8)), absolute: 1e-11)

    let weight = try setup.tensor("model.weight")
    setup.parameters.zero()
    for h in 0..<4 {
      for q in 0..<2 { setup.parameters[weight.offset + 22 * 8 + h * 2 + q] = -Double(h + 1) }
    }
    let line = setup.run(inputs([(0..<24).map { 7 - 0.3 * Double($0) }]))
    for h in 0..<4 {
      for q in 0..<2 { expectClose(line[h * 2 + q], -0.3 * Double(h + 1), absolute: 1e-12) }
    }
  }

  @Test("NLinear: differences are to the last observed value, missing steps have none")
  func nlinearMissing() throws {
    let setup = try Setup(Self.configuration("nlinear"))
    let weight = try setup.values("model.weight")
    var random = SeededGenerator(seed: 2)
    var window = random.normals(24)
    for t in [3, 22, 23] { window[t] = .nan }
    let raw = setup.run(inputs([window, [Double](repeating: .nan, count: 24)]))
    for k in 0..<8 {
      var expected = 0.0
      for t in 0..<24 where !window[t].isNaN {
        expected += (window[t] - window[21]) * weight[t * 8 + k]
      }
      expectClose(raw[k], expected, absolute: 1e-12)
      #expect(raw[8 + k] == 0)
    }
  }

  @Test(
    "DLinear: trend and rest of the window are those of sums, and add up to it",
    arguments: [3, 25, 99])
  func dlinear(window: Int) throws {
    var random = SeededGenerator(seed: 2)
    let x = random.normals(24)
    let half = window / 2
    let trend = (0..<24).map { (t: Int) -> Double in
      var sum = 0.0
      for place in (t - half)...(t + half) { sum += x[min(max(place, 0), 23)] }
      return sum / Double(window)
    }
    let found = evaluate {
      DLinear<Double>.decomposed($0.constant(x, [24, 1]), window: window).trend
    }
    expectClose(found, trend, absolute: 1e-13)
    let rest = evaluate {
      DLinear<Double>.decomposed($0.constant(x, [24, 1]), window: window).rest
    }
    expectClose(zip(found, rest).map { $0 + $1 }, x, absolute: 1e-14)

    let setup = try Setup(
      Self.configuration("dlinear", options: ["movingAverage": .integer(window)]))
    let (first, second) = (
      try setup.values("model.trend_weight"), try setup.values("model.rest_weight")
    )
    let raw = setup.run(inputs([x]))
    for k in 0..<8 {
      var expected = 0.0
      for t in 0..<24 {
        expected += trend[t] * first[t * 8 + k]
        expected += (x[t] - trend[t]) * second[t * 8 + k]
      }
      expectClose(raw[k], expected, absolute: 1e-12)
    }
  }

  // MARK: N-HiTS

  @Test("N-HiTS: rates fall geometrically to full rate")
  func rates() {
    let rates = NHiTS<Double>.rates(context: 512, horizon: 48, stacks: 3)
    #expect(rates.map(\.pooling) == [16, 4, 1])
    #expect(rates.map(\.forecast) == [24, 5, 1] && rates.map(\.backcast) == [24, 5, 1])
    #expect(NHiTS<Double>.rates(context: 2, horizon: 1, stacks: 1).map(\.pooling) == [1])
    for context in 2...40 {
      for rate in NHiTS<Double>.rates(context: context, horizon: 100, stacks: 3) {
        #expect(context / rate.pooling >= 1 && rate.backcast <= context)
      }
    }
  }

  @Test("N-HiTS: pooling leaves out the oldest steps that fill no pool")
  func pooling() {
    let x: [Double] = [9, 1, 5, 2, -3, -4, -8]
    func pooled(_ pooling: NHiTS<Double>.Pooling) -> [Double] {
      evaluate { NHiTS<Double>.pooled($0.constant(x, [7, 1]), steps: 3, pooling) }
    }
    #expect(pooled(.maximum) == [5, -3])
    expectClose(pooled(.mean), [8.0 / 3, -5], absolute: 1e-15)
  }

  @Test("N-HiTS is the paper's equations, by loops", arguments: ["maximum", "mean"])
  func nhits(pooling: String) throws {
    let (T, H, Q, D) = (24, 9, 2, 5)
    let setup = try Setup(
      Self.configuration(
        "nhits", hidden: D, layers: 2, context: T, horizon: H,
        options: ["pooling": .text(pooling), "blocks": .integer(2), "stacks": .integer(2)]),
      perturbed: 0.1)
    var random = SeededGenerator(seed: 6)
    var window = random.normals(T)
    window[5] = .nan
    let masks = window.map { $0.isNaN ? 0.0 : 1 }
    let rates = NHiTS<Double>.rates(context: T, horizon: H, stacks: 2)
      .flatMap { [$0, $0] }
    func pooled(_ x: [Double], _ steps: Int, _ maximum: Bool) -> [Double] {
      let count = x.count / steps
      return (0..<count).map { (pool: Int) -> Double in
        let part = x[(x.count - count * steps + pool * steps)...].prefix(steps)
        return maximum ? part.max()! : part.reduce(0, +) / Double(steps)
      }
    }
    func layer(_ x: [Double], _ name: String, suffix: String = "") throws -> [Double] {
      let (weight, bias) = (try setup.values("\(name).weight"), try setup.values("\(name).bias"))
      return bias.indices.map { n in
        x.indices.reduce(bias[n]) { $0 + x[$1] * weight[$1 * bias.count + n] }
      }
    }
    func interpolated(_ knots: [Double], _ count: Int) -> [Double] {
      (0..<count).map { (place: Int) -> Double in
        let distance = Double(knots.count) / Double(count)
        let at = (Double(place) + 0.5) * distance - 0.5
        let bounded = min(max(at, 0), Double(knots.count - 1))
        let left = Int(bounded)
        let right = min(left + 1, knots.count - 1)
        return knots[left] + (bounded - Double(left)) * (knots[right] - knots[left])
      }
    }
    var left = window.map { $0.isNaN ? 0 : $0 }
    var forecast = [Double](repeating: 0, count: H * Q)
    for (index, rate) in rates.enumerated() {
      let read =
        pooled(left, rate.pooling, pooling == "maximum") + pooled(masks, rate.pooling, false)
      var h = try layer(read, "model.\(index).0").map { max($0, 0) }
      h = try layer(h, "model.\(index).1").map { max($0, 0) }
      if index < rates.count - 1 {
        let knots = try layer(h, "model.\(index).backcast")
        left = zip(left, interpolated(knots, T)).map { $0 - $1 }
      }
      let knots = try layer(h, "model.\(index).forecast")
      for q in 0..<Q {
        let line = interpolated((0..<(knots.count / Q)).map { knots[$0 * Q + q] }, H)
        for step in 0..<H { forecast[step * Q + q] += line[step] }
      }
    }
    expectClose(setup.run(inputs([window])), forecast, absolute: 1e-12)
  }

  // MARK: Options

  struct Refused: Sendable, CustomStringConvertible {
    let kind: String
    let options: [String: ModelOption.Value]
    let message: String
    var description: String { message }
  }

  @Test(
    "options that do not go together are refused with a remedy",
    arguments: [
      Refused(
        kind: "tcn", options: ["levels": .integer(9)],
        message: "levels is 9, expected at most 3: as many cover a context of 24 with 3 taps"),
      Refused(
        kind: "transformer", options: ["heads": .integer(5)],
        message: "heads is 5, expected a divisor of hidden, which is 6"),
      Refused(
        kind: "aaren", options: ["heads": .integer(4)],
        message: "heads is 4, expected a divisor of hidden, which is 6"),
      Refused(
        kind: "patchtst", options: ["patchLength": .integer(25)],
        message: "patchLength is 25, expected at most contextLength, which is 24"),
      Refused(
        kind: "patchtst", options: ["patchStride": .integer(8), "patchLength": .integer(6)],
        message: "patchStride is 8, expected at most the patch length, which is 6"),
      Refused(
        kind: "dlinear", options: ["movingAverage": .integer(24)],
        message: "movingAverage is 24, expected an odd number: it is centred"),
    ])
  func refused(_ bad: Refused) {
    let error = #expect(throws: ForecasterError.self) {
      try Self.configuration(bad.kind, options: bad.options).validate()
    }
    #expect(error?.message == bad.message)
  }

  @Test(
    "standard options hold for every context from 2 steps to 2048",
    arguments: ["tcn", "transformer", "aaren", "patchtst", "nhits", "dlinear", "nlinear", "mlp"])
  func contexts(kind: String) throws {
    for context in [2, 3, 5, 24, 100, 513, 2048] {
      for horizon in [1, 2, 13] {
        let setup = try Setup(
          Self.configuration(kind, hidden: 4, layers: 1, context: context, horizon: horizon))
        var random = SeededGenerator(seed: 2)
        let raw = setup.run(inputs([random.normals(context)]))
        #expect(raw.count == horizon * 2 && raw.allSatisfy { $0.isFinite })
      }
    }
  }
}
