// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

/// What every registered backbone keeps to, whatever it is.
@Suite("Backbones")
struct BackboneConformanceTests {
  static let kinds = Registry.entries.compactMap { ($0 as? any BackboneArchitecture.Type)?.kind }

  private final class Setup<Element: Real> {
    let (B, T, F) = (3, 7, 4)
    let backbone: any Backbone<Element>
    let layout: ParameterLayout
    let parameters: Buffer<Element>
    var inputs: [Element]

    init(_ kind: String) throws {
      let configuration = ForecasterConfiguration(
        kind: kind, hidden: 6, layers: 2, contextLength: 7, horizon: 2, quantiles: [0.5],
        seasonality: [2])
      var layout = ParameterLayout()
      backbone = Registry.backbone(configuration, inputs: 4, layout: &layout)
      self.layout = layout
      parameters = Buffer(layout.count)
      var stream = RandomStream(seed: 5, purpose: "initialisation")
      backbone.initialize(parameters, using: &stream)
      var random = SeededGenerator(seed: 8)
      for k in 0..<parameters.count { parameters[k] += Element(random.normal() * 0.1) }
      inputs = random.normals(T * B * F).map { Element($0) }
    }

    /// Outputs `[T, B, D]` of the rows, and the last step apart.
    func run(rows: [Int]? = nil) -> (all: [Element], last: [Element]) {
      let rows = rows ?? Array(0..<B)
      let graph = Graph<Element>()
      let x = graph.input([T, rows.count, F])
      let output = backbone.apply(to: x)
      graph.keep(output.all)
      graph.keep(output.last)
      let execution = Execution(Plan(graph))
      for t in 0..<T {
        for (place, row) in rows.enumerated() {
          for f in 0..<F {
            execution.input(x)[(t * rows.count + place) * F + f] = inputs[(t * B + row) * F + f]
          }
        }
      }
      execution.forward(parameters: parameters.base)
      func numbers(_ tensor: Tensor<Element>) -> [Element] {
        (0..<tensor.shape.count).map { execution.value(tensor)[$0] }
      }
      return (numbers(output.all), numbers(output.last))
    }
  }

  @Test("recomputation changes neither results nor gradients", arguments: kinds)
  func recomputation(kind: String) throws {
    let configuration = ForecasterConfiguration(
      kind: kind, hidden: 6, layers: 2, dropout: 0, contextLength: 40, horizon: 2,
      quantiles: [0.5], seasonality: [2])
    var layout = ParameterLayout()
    let backbone: any Backbone<Double> = Registry.backbone(
      configuration, inputs: 4, layout: &layout)
    let parameters = Buffer<Double>(layout.count)
    var stream = RandomStream(seed: 5, purpose: "initialisation")
    backbone.initialize(parameters, using: &stream)
    func run(_ apply: (Tensor<Double>) -> BackboneOutput<Double>) -> (
      loss: Double, gradient: [Double], inputs: [Double], bytes: Int
    ) {
      let graph = Graph<Double>()
      let x = graph.input([40, 3, 4], differentiable: true)
      let output = apply(x)
      let loss = output.all.map(.square).mean() + output.last.map(.square).sum()
      graph.keep(loss)
      let execution = Execution(Plan(graph, loss: loss))
      var random = SeededGenerator(seed: 8)
      for (k, number) in random.normals(480).enumerated() { execution.input(x)[k] = number }
      let gradient = Buffer<Double>(layout.count)
      execution.forward(parameters: parameters.base, training: true, seed: 4, run: 2)
      execution.backward(into: gradient.base)
      return (
        execution.value(loss)[0], gradient.array,
        Array(UnsafeBufferPointer(start: execution.gradient(x)!, count: 480)),
        execution.plan.peakBytes
      )
    }
    let kept = run(backbone.apply)
    let again = run(backbone.applyRecomputed)
    expectClose(again.loss, kept.loss, absolute: 1e-13)
    expectClose(again.gradient, kept.gradient, absolute: 1e-12)
    expectClose(again.inputs, kept.inputs, absolute: 1e-12)
  }

  @Test("recomputation over long sequences takes a fraction of the memory")
  func recomputedMemory() {
    func bytes(_ apply: (StackedRecurrent<Float>, Tensor<Float>) -> BackboneOutput<Float>) -> Int {
      var layout = ParameterLayout()
      let backbone = StackedRecurrent<Float>(
        .lstm, inputs: 4, hidden: 32, layers: 2, dropout: 0, layout: &layout)
      let graph = Graph<Float>()
      let last = apply(backbone, graph.input([1024, 8, 4])).last
      return Plan(graph, loss: last.map(.square).mean()).peakBytes
    }
    #expect(bytes { $0.applyRecomputed(to: $1) } * 10 < bytes { $0.apply(to: $1) })
  }

  @Test("steps one by one give the whole sequence", arguments: kinds)
  func step(kind: String) throws {
    let setup = try Setup<Double>(kind)
    let D = setup.backbone.width
    let whole = setup.run().all
    let stepper = setup.backbone.makeStepper(setup.parameters.base, batch: setup.B)
    var output = [Double](repeating: 0, count: setup.B * D)
    let count = setup.B * setup.F
    for t in 0..<setup.T {
      stepper.step(Array(setup.inputs[(t * count)..<((t + 1) * count)]), &output)
      expectClose(
        output, Array(whole[(t * setup.B * D)..<((t + 1) * setup.B * D)]), absolute: 1e-13)
    }
  }

  @Test("a batch is its rows one by one", arguments: kinds)
  func rows(kind: String) throws {
    let setup = try Setup<Double>(kind)
    let D = setup.backbone.width
    let whole = setup.run().all
    for row in 0..<setup.B {
      let one = setup.run(rows: [row]).all
      for t in 0..<setup.T {
        expectClose(
          Array(one[(t * D)..<((t + 1) * D)]),
          Array(whole[((t * setup.B + row) * D)...].prefix(D)), absolute: 1e-13)
      }
    }
  }

  @Test("outputs do not depend on later inputs, and the last is the last", arguments: kinds)
  func causal(kind: String) throws {
    let setup = try Setup<Float>(kind)
    let before = setup.run()
    let row = setup.B * setup.backbone.width
    #expect(Array(before.all.suffix(row)) == before.last)
    for k in (3 * setup.B * setup.F)..<setup.inputs.count { setup.inputs[k] += 10 }
    let after = setup.run()
    #expect(before.all.prefix(3 * row) == after.all.prefix(3 * row))
    #expect(before.all.dropFirst(3 * row) != after.all.dropFirst(3 * row))
  }

  @Test("recurrent weights start orthogonal and the gate that keeps the state at one")
  func start() throws {
    for (kind, gates) in [("lstm", 4), ("gru", 3), ("elman", 1)] {
      var layout = ParameterLayout()
      let D = 7
      let configuration = ForecasterConfiguration(
        kind: kind, hidden: D, layers: 1, contextLength: 4, horizon: 1)
      let backbone: any Backbone<Double> = Registry.backbone(
        configuration, inputs: 3, layout: &layout)
      let parameters = Buffer<Double>(layout.count)
      var stream = RandomStream(seed: 1, purpose: "initialisation")
      backbone.initialize(parameters, using: &stream)
      let r = try #require(layout.tensors.first { $0.name.hasSuffix("recurrent_weight") }).offset
      for gate in 0..<gates {
        for i in 0..<D {
          for j in 0..<D {
            let dot = (0..<D).reduce(0.0) {
              $0 + parameters[r + (i * gates + gate) * D + $1]
                * parameters[r + (j * gates + gate) * D + $1]
            }
            expectClose(dot, i == j ? 1 : 0, absolute: 1e-12)
          }
        }
      }
      let bias = try #require(layout.tensors.first { $0.name.hasSuffix(".bias") }).offset
      for k in 0..<(gates * D) {
        #expect(parameters[bias + k] == (gates > 1 && k / D == 1 ? 1 : 0))
      }
    }
  }
}
