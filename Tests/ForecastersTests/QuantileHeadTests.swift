// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

@Suite("Quantile head")
struct QuantileHeadTests {
  static let levels: [[Double]] = [[0.5], [0.1, 0.9], [0.05, 0.5, 0.95], [0.7, 0.8, 0.9, 0.99]]

  private func checkGradient(_ levels: [Double], seasons: [Int], missing: Bool) {
    let (B, D, H) = (3, 4, 3)
    let configuration = ForecasterConfiguration(
      contextLength: 8, horizon: H, quantiles: levels, seasonality: seasons)
    var layout = ParameterLayout()
    let head = QuantileHead<Double>(width: D, configuration: configuration, layout: &layout)
    let K = configuration.skipCount
    var random = SeededGenerator(seed: 11)
    let parameters = Buffer(random.normals(layout.count))
    let state = Buffer(random.normals(B * D))
    let starts = Buffer(random.normals(B * H * K))
    let targets = Buffer(random.normals(B * H))
    if missing {
      targets[1] = .nan
      for h in 0..<H { targets[H + h] = .nan }  // a row without any
    }
    let raw = Buffer<Double>(B * head.outputs)
    let quantiles = Buffer<Double>(B * head.outputs)
    defer { withExtendedLifetime((parameters, state, starts, targets, raw, quantiles)) {} }
    func forward() {
      head.forward(
        batch: B, state: state.base, starts: starts.base, parameters: parameters.base,
        raw: raw.base, quantiles: quantiles.base)
    }
    /// From the definition alone.
    func loss() -> Double {
      forward()
      var total = 0.0
      for b in 0..<B {
        var sum = 0.0
        var observed = 0.0
        for h in 0..<H where !targets[b * H + h].isNaN {
          observed += 1
          for (k, level) in levels.enumerated() {
            let error = targets[b * H + h] - quantiles[(b * H + h) * levels.count + k]
            sum += max(level * error, (level - 1) * error)
          }
        }
        if observed > 0 { total += sum / observed / Double(levels.count) / Double(B) }
      }
      return total
    }
    let expected = loss()
    let gradient = Buffer<Double>(layout.count)
    let dState = Buffer<Double>(B * D)
    defer { withExtendedLifetime((gradient, dState)) {} }
    forward()
    let actual = head.backward(
      batch: B, state: state.base, starts: starts.base, targets: targets.base,
      weightOfRow: 1 / Double(B), parameters: parameters.base, raw: raw.base,
      quantiles: quantiles.base, dState: dState.base, gradient: gradient.base)
    expectClose(actual, expected, relative: 1e-12)
    expectClose(
      gradient.array, centralDifferences(parameters, loss), absolute: 1e-8, relative: 1e-6)
    expectClose(dState.array, centralDifferences(state, loss), absolute: 1e-8, relative: 1e-6)
  }

  @Test(
    "the gradient of the quantile loss equals central differences, with missing targets too",
    arguments: levels, [[1], [4], [2, 3]])
  func gradient(levels: [Double], seasons: [Int]) {
    checkGradient(levels, seasons: seasons, missing: false)
    checkGradient(levels, seasons: seasons, missing: true)
  }

  @Test("quantiles never cross, whatever the weights", arguments: levels, [1, 100, 1e6])
  func monotone(levels: [Double], size: Float) {
    let (B, D, H) = (20, 5, 4)
    let configuration = ForecasterConfiguration(
      contextLength: 8, horizon: H, quantiles: levels, seasonality: [4])
    var layout = ParameterLayout()
    let head = QuantileHead<Float>(width: D, configuration: configuration, layout: &layout)
    var random = SeededGenerator(seed: 12)
    func numbers(_ count: Int) -> Buffer<Float> {
      Buffer(random.normals(count).map { Float($0) * size })
    }
    let parameters = numbers(layout.count)
    let quantiles = Buffer<Float>(B * head.outputs)
    let raw = Buffer<Float>(B * head.outputs)
    let state = numbers(B * D)
    let starts = numbers(B * H * configuration.skipCount)
    withExtendedLifetime((state, starts, parameters)) {
      head.forward(
        batch: B, state: state.base, starts: starts.base, parameters: parameters.base,
        raw: raw.base, quantiles: quantiles.base)
    }
    for step in 0..<(B * H) {
      let row = quantiles.array[(step * levels.count)...].prefix(levels.count)
      #expect(zip(row, row.dropFirst()).allSatisfy { $0 <= $1 })
      #expect(row.allSatisfy { $0.isFinite })
    }
  }
}
