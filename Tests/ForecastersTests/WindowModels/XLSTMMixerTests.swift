// Names: shape letters B, F, T.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

/// See Golden/xlstm_mixer.py.
private struct Expected: Decodable {
  let contextLength: Int
  let horizon: Int
  let quantiles: Int
  let hidden: Int
  let heads: Int
  let memoryTokens: Int
  let layers: Int
  let inputs: Int
  let parameters: [String: [Double]]
  /// `[B][T][F]`.
  let windows: [[[Double]]]
  let raw: [[Double]]
}

@Suite("xLSTM-Mixer")
struct XLSTMMixerTests {
  private func check<Element: Real>(_ type: Element.Type, tolerance: Element) throws {
    let expected: Expected = try Golden.json("xlstm_mixer.json")
    let configuration = ForecasterConfiguration(
      kind: "xlstm-mixer", hidden: expected.hidden, layers: expected.layers,
      options: [
        "heads": .integer(expected.heads), "memoryTokens": .integer(expected.memoryTokens),
      ],
      contextLength: expected.contextLength, horizon: expected.horizon,
      quantiles: (1...expected.quantiles).map { Double($0) / Double(expected.quantiles + 1) },
      seasonality: [4])
    try configuration.validate()
    #expect(configuration.featureCount == expected.inputs)
    var layout = ParameterLayout()
    let model: any WindowModel<Element> = XLSTMMixerArchitecture.makeModel(
      configuration, inputs: expected.inputs, layout: &layout)
    #expect(Set(layout.tensors.map(\.name)) == Set(expected.parameters.keys))
    let parameters = Buffer<Element>(layout.count)
    for tensor in layout.tensors {
      let values = expected.parameters[tensor.name]!
      #expect(values.count == tensor.count, "\(tensor.name)")
      for (k, value) in values.enumerated() { parameters[tensor.offset + k] = Element(value) }
    }
    let (T, B, F) = (expected.contextLength, expected.windows.count, expected.inputs)
    let graph = Graph<Element>()
    let input = graph.input([T, B, F])
    let raw = model.apply(to: input)
    graph.keep(raw)
    let execution = Execution(Plan(graph))
    for b in 0..<B {
      for t in 0..<T {
        for f in 0..<F {
          execution.input(input)[(t * B + b) * F + f] = Element(expected.windows[b][t][f])
        }
      }
    }
    execution.forward(parameters: parameters.base)
    let found = (0..<raw.shape.count).map { execution.value(raw)[$0] }
    expectClose(
      found, expected.raw.joined().map { Element($0) }, absolute: tolerance, relative: tolerance)
  }

  @Test("both views of a small mixer are those that were written out step by step")
  func golden() throws {
    try check(Double.self, tolerance: 1e-11)
    try check(Float.self, tolerance: 2e-5)
  }

  @Test("without memory tokens the recurrence begins with the first feature")
  func tokens() throws {
    let configuration = ForecasterConfiguration(
      kind: "xlstm-mixer", hidden: 8, options: ["memoryTokens": .integer(0)], contextLength: 8,
      horizon: 2, quantiles: [0.5])
    var layout = ParameterLayout()
    let model: any WindowModel<Float> = XLSTMMixerArchitecture.makeModel(
      configuration, inputs: 2, layout: &layout)
    #expect(!layout.tensors.contains { $0.name == "memory_tokens" })
    let graph = Graph<Float>()
    #expect(model.apply(to: graph.input([8, 3, 2])).shape == [3, 2])
  }
}
