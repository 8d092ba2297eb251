// Names: shape letters B, T, F, D.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

@Suite("Stacks of mixers")
struct MixerStackTests {
  private static func stack(
    _ kind: String, layers: Int, steps: Int
  ) throws -> (MixerStack<Double>, ParameterLayout) {
    let configuration = ForecasterConfiguration(
      kind: kind, hidden: 6, layers: layers, contextLength: steps, horizon: 1)
    try configuration.validate()
    let entry = try #require(Registry.entry(kind) as? any BackboneArchitecture.Type)
    var layout = ParameterLayout()
    let backbone: any Backbone<Double> = entry.makeBackbone(
      configuration, inputs: 2, layout: &layout)
    return (try #require(backbone as? MixerStack<Double>), layout)
  }

  @Test(
    "gaps of 1 are even steps, and longer ones differ",
    arguments: ["s4d", "s5", "mamba", "mamba2"])
  func gaps(kind: String) throws {
    let (T, B, F) = (9, 2, 2)
    let (stack, layout) = try Self.stack(kind, layers: 2, steps: T)
    let parameters = Buffer<Double>(layout.count)
    var stream = RandomStream(seed: 2, purpose: "initialisation")
    stack.initialize(parameters, using: &stream)
    var random = SeededGenerator(seed: 3)
    let graph = Graph<Double>()
    let x = graph.constant(random.normals(T * B * F), [T, B, F])
    let even = graph.constant([Double](repeating: 1, count: T * B), [T, B])
    // The second sequence alone is irregular.
    let uneven = graph.constant((0..<(T * B)).map { $0 % B == 0 ? 1 : 1 + Double($0) / 9 }, [T, B])
    let results = [
      stack.apply(to: x).all, stack.apply(to: x, gaps: even).all,
      stack.apply(to: x, gaps: uneven).all,
    ]
    for result in results { graph.keep(result) }
    let execution = Execution(Plan(graph))
    execution.forward(parameters: parameters.base)
    func numbers(_ index: Int, row: Int) -> [Double] {
      let D = stack.width
      return (0..<(T * D)).map { execution.value(results[index])[($0 / D * B + row) * D + $0 % D] }
    }
    for row in 0..<B { expectClose(numbers(1, row: row), numbers(0, row: row), absolute: 1e-12) }
    expectClose(numbers(2, row: 0), numbers(0, row: 0), absolute: 1e-12)
    let difference = zip(numbers(2, row: 1), numbers(0, row: 1)).reduce(0) {
      max($0, abs($1.0 - $1.1))
    }
    #expect(difference > 1e-4)
  }

  @Test(
    "blocks that are computed again leave their inputs alone in memory",
    arguments: ["s4d", "s5", "mamba", "mamba2", "h3"])
  func recomputed(kind: String) throws {
    let (stack, _) = try Self.stack(kind, layers: 6, steps: 256)
    func bytes(_ apply: (Tensor<Double>) -> BackboneOutput<Double>) -> Int {
      let graph = Graph<Double>()
      return Plan(graph, loss: apply(graph.input([256, 4, 2])).all.map(.square).mean()).peakBytes
    }
    let (kept, again) = (bytes(stack.apply(to:)), bytes(stack.applyRecomputed(to:)))
    #expect(again * 2 < kept, "\(again) of \(kept)")
  }
}
