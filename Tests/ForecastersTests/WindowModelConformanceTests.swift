// Names: shape letters B, T, F, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

/// What every registered network keeps to between its inputs and its raw numbers, causal or not.
@Suite("Window models")
struct WindowModelConformanceTests {
  static let entries = Registry.entries.compactMap { $0 as? any NetworkArchitecture.Type }
  static let kinds = entries.map { $0.kind }

  private static func configuration(_ kind: String) -> ForecasterConfiguration {
    ForecasterConfiguration(
      kind: kind, hidden: 8, layers: 2, contextLength: 24, horizon: 3, quantiles: [0.1, 0.5, 0.9],
      seasonality: [4])
  }

  private final class Setup<Element: Real> {
    let (B, T, F) = (3, 24, 5)
    let model: any WindowModel<Element>
    let layout: ParameterLayout
    let parameters: Buffer<Element>
    let outputs: Int
    let inputs: [Element]

    init(_ kind: String) throws {
      let configuration = WindowModelConformanceTests.configuration(kind)
      try configuration.validate()
      let entry = try #require(Registry.entry(kind) as? any NetworkArchitecture.Type)
      #expect(configuration.featureCount == F)
      outputs = configuration.horizon * configuration.quantiles.count
      var layout = ParameterLayout()
      model = entry.makeModel(configuration, inputs: F, layout: &layout)
      self.layout = layout
      parameters = Buffer(layout.count)
      var stream = RandomStream(seed: 5, purpose: "initialisation")
      model.initialize(parameters, using: &stream)
      var random = SeededGenerator(seed: 8)
      for k in 0..<parameters.count { parameters[k] += Element(random.normal() * 0.05) }
      inputs = random.normals(T * B * F).map { Element($0) }
    }

    struct Result {
      let raw: [Element]
      let loss: Element
      let gradient: [Element]
      let bytes: Int
    }

    /// Raw numbers `[rows, H Q]` of the rows, and the gradient of a loss of them.
    func run(rows: [Int]? = nil, recompute: Bool = false) -> Result {
      let rows = rows ?? Array(0..<B)
      let graph = Graph<Element>()
      let x = graph.input([T, rows.count, F])
      let raw = recompute ? model.applyRecomputed(to: x) : model.apply(to: x)
      #expect(raw.shape == [rows.count, outputs])
      graph.keep(raw)
      let loss = raw.map(.square).sum() + raw.sum()
      graph.keep(loss)
      let execution = Execution(Plan(graph, loss: loss))
      for t in 0..<T {
        for (place, row) in rows.enumerated() {
          for f in 0..<F {
            execution.input(x)[(t * rows.count + place) * F + f] = inputs[(t * B + row) * F + f]
          }
        }
      }
      let gradient = Buffer<Element>(layout.count)
      execution.forward(parameters: parameters.base, training: true, seed: 4, run: 2)
      execution.backward(into: gradient.base)
      return Result(
        raw: (0..<raw.shape.count).map { execution.value(raw)[$0] },
        loss: execution.value(loss)[0], gradient: gradient.array,
        bytes: execution.plan.peakBytes)
    }
  }

  @Test("the gradient along random directions equals central differences", arguments: kinds)
  func gradient(kind: String) throws {
    let setup = try Setup<Double>(kind)
    let gradient = setup.run().gradient
    let start = setup.parameters.array
    var random = SeededGenerator(seed: 21)
    for _ in 0..<4 {
      // Kinks (ReLU, max pooling) are crossed by a step, so it is small.
      let direction = random.normals(start.count).map { $0 / Double(start.count).squareRoot() }
      func loss(_ step: Double) -> Double {
        for k in start.indices { setup.parameters[k] = start[k] + step * direction[k] }
        return setup.run().loss
      }
      let slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
      let expected = zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
      let size = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
      expectClose(expected, slope, absolute: 1e-6 * max(1, size))
    }
  }

  @Test("a batch is its windows one by one", arguments: kinds)
  func rows(kind: String) throws {
    let setup = try Setup<Double>(kind)
    let whole = setup.run()
    for row in 0..<setup.B {
      expectClose(
        setup.run(rows: [row]).raw,
        Array(whole.raw[(row * setup.outputs)...].prefix(setup.outputs)),
        absolute: 1e-12)
    }
  }

  @Test("single precision agrees with double", arguments: kinds)
  func precisions(kind: String) throws {
    let (single, double) = (try Setup<Float>(kind).run(), try Setup<Double>(kind).run())
    expectClose(single.raw.map { Double($0) }, double.raw, absolute: 2e-4, relative: 2e-4)
  }

  @Test("recomputation changes neither results nor gradients", arguments: kinds)
  func recomputation(kind: String) throws {
    let setup = try Setup<Double>(kind)
    let (kept, again) = (setup.run(), setup.run(recompute: true))
    expectClose(again.raw, kept.raw, absolute: 1e-12)
    expectClose(again.gradient, kept.gradient, absolute: 1e-10)
  }

  @Test(
    "every parameter that is not frozen matters, and starting values are finite", arguments: kinds)
  func start(kind: String) throws {
    let setup = try Setup<Double>(kind)
    let gradient = setup.run().gradient
    #expect(gradient.allSatisfy { $0.isFinite })
    for tensor in setup.layout.tensors {
      let part = gradient[tensor.offset..<(tensor.offset + tensor.count)]
      #expect(part.contains { $0 != 0 }, "\(tensor.name) has no gradient")
    }
  }
}
