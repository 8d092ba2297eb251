// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

@Suite("Quantile head")
struct QuantileHeadTests {
  static let levels: [[Double]] = [[0.5], [0.1, 0.9], [0.05, 0.5, 0.95], [0.7, 0.8, 0.9, 0.99]]

  /// A head alone, with numbers of a seed times `size`.
  private final class Setup<Element: Real> {
    let (B, H) = (4, 3)
    let Q: Int
    let parameters: Buffer<Element>
    let execution: Execution<Element>
    let quantiles: Tensor<Element>

    init(_ levels: [Double], seasons: [Int], size: Element) {
      let configuration = ForecasterConfiguration(
        contextLength: 8, horizon: H, quantiles: levels, seasonality: seasons)
      Q = levels.count
      var layout = ParameterLayout()
      let head = QuantileHead<Element>(configuration, layout: &layout)
      let graph = Graph<Element>()
      let raw = graph.input([B, H * Q])
      let starts = graph.input([B, H, configuration.skipCount])
      quantiles = head.quantiles(of: raw, starts: starts)
      graph.keep(quantiles)
      execution = Execution(Plan(graph))
      var random = SeededGenerator(seed: 12)
      parameters = Buffer(random.normals(layout.count).map { Element($0) * size })
      for input in [raw, starts] {
        for (k, number) in random.normals(input.shape.count).enumerated() {
          execution.input(input)[k] = Element(number) * size
        }
      }
      execution.forward(parameters: parameters.base)
    }

    func row(_ step: Int) -> [Element] {
      (0..<Q).map { execution.value(quantiles)[step * Q + $0] }
    }
  }

  @Test("intervals of a random walk: as wide as its errors are, in a window scaled to deviation 1")
  func walk() throws {
    let (L, H) = (48, 18)
    let levels = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
    var layout = ParameterLayout()
    let head = QuantileHead<Double>(
      ForecasterConfiguration(
        contextLength: L, horizon: H, quantiles: levels, seasonality: [1]), layout: &layout)
    let parameters = Buffer<Double>(layout.count)
    head.initializeIntervals(parameters, contextLength: L)
    let graph = Graph<Double>()
    let quantiles = head.quantiles(
      of: graph.input([1, H * levels.count]), starts: graph.input([1, H, 1]))
    graph.keep(quantiles)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: parameters.base)
    // Walks, their windows scaled as ours are, and how often they end within the bounds.
    var random = SeededGenerator(seed: 5)
    var inside = [Int](repeating: 0, count: H)
    let trials = 4000
    for _ in 0..<trials {
      var walk = [0.0]
      for step in random.normals(L + H - 1) { walk.append(walk[walk.count - 1] + step) }
      let scaler = WindowScaler(walk[..<L])
      for h in 0..<H {
        let error = (walk[L + h] - walk[L - 1]) / scaler.scale
        let row = execution.value(quantiles) + h * levels.count
        if error > row[0], error < row[levels.count - 1] { inside[h] += 1 }
      }
    }
    // 81 % by a simulation of 20,000 walks in numpy: scales of walks differ much, and 6 / L is their mean square.
    for h in 0..<H {
      let coverage = Double(inside[h]) / Double(trials)
      #expect(abs(coverage - 0.814) < 0.03, "step \(h + 1): \(coverage)")
    }
  }

  @Test("quantiles never cross, whatever the weights", arguments: levels, [1, 100, 1e6])
  func monotone(levels: [Double], size: Float) {
    let setup = Setup<Float>(levels, seasons: [4], size: size)
    for step in 0..<(setup.B * setup.H) {
      let row = setup.row(step)
      #expect(zip(row, row.dropFirst()).allSatisfy { $0 <= $1 })
      #expect(row.allSatisfy { $0.isFinite })
    }
  }

  @Test("quantiles lie apart by the softplus of the raw numbers", arguments: levels)
  func widths(levels: [Double]) {
    // Both precisions from one source: the widths agree, and none is 0.
    let (single, double) = (
      Setup<Float>(levels, seasons: [2, 3], size: 1),
      Setup<Double>(levels, seasons: [2, 3], size: 1)
    )
    for step in 0..<(single.B * single.H) {
      expectClose(single.row(step).map { Double($0) }, double.row(step), absolute: 1e-5)
      let row = double.row(step)
      #expect(zip(row, row.dropFirst()).allSatisfy { $0 < $1 })
    }
  }
}
