// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import Forecasters
import Foundation
import NumericsCore

/// A forecaster with its weights: predicts, and becomes bytes and back.
public struct TrainedForecaster: Sendable, Equatable {
  public let configuration: ForecasterConfiguration
  /// All parameters in the order of the network's layout.
  let parameters: [Float]

  public var parameterCount: Int { parameters.count }

  /// Observations that a series needs to be forecast: one season where that is short, at least two.
  public static func minimumObservations(_ configuration: ForecasterConfiguration) -> Int {
    let season = configuration.usableSeasons.min() ?? 1
    return max(2, min(season, configuration.contextLength, 24))
  }

  public var minimumObservations: Int { Self.minimumObservations(configuration) }

  /// The forecast of one series, in the units of the data.
  public struct SeriesForecast {
    /// Position of the series in the panel.
    public let series: Int
    /// `[H]`: mean of the distribution whose quantile function is linear between the levels and constant
    /// beyond the outermost.
    public let means: UnsafeBufferPointer<Double>
    /// `[H, Q]`, never decreasing in `Q`.
    public let quantiles: UnsafeBufferPointer<Double>
  }

  /// Forecasts every series from its last observation, in panel order.
  ///
  /// - Parameter body: receives one series at a time; the buffers are valid during the call.
  /// - Throws: `ForecasterError`, and what `body` throws.
  public func predict(
    _ panel: Panel, threads: Int, _ body: (SeriesForecast) throws -> Void
  ) throws {
    let network = try ForecastNetwork<Float>(configuration)
    let weights = Buffer(parameters)
    let H = configuration.horizon
    let Q = configuration.quantiles.count
    // As many rows at a time as keep a thread's activations near 32 MB.
    let rowBytes = configuration.contextLength * configuration.hidden * 7 * configuration.layers * 4
    let rows = min(256, max(1, (32 << 20) / max(rowBytes, 1)))
    let threads = max(1, min(threads, (panel.count + rows - 1) / rows))
    let workspaces = PredictionWorkspaces(
      (0..<threads).map { _ in network.makeWorkspace(training: false) })
    let quantiles = Buffer<Double>(threads * rows * H * Q)
    let means = Buffer<Double>(threads * rows * H)
    let weightsOfMean = Self.meanWeights(levels: configuration.quantiles)
    for start in stride(from: 0, to: panel.count, by: threads * rows) {
      parallel(count: threads) { thread in
        let first = start + thread * rows
        let count = min(rows, panel.count - first)
        guard count > 0 else { return }
        let workspace = workspaces[thread]
        let batch = workspace.prepare(count, training: false)
        panel.values.withUnsafeBufferPointer { values in
          for row in 0..<count {
            let range = panel.range(of: first + row)
            network.features.fill(
              batch, row: row, values: UnsafeBufferPointer(rebasing: values[range]),
              firstOrdinal: panel.firstOrdinals[first + row], clock: panel.clock, end: range.count)
          }
        }
        network.predict(parameters: weights, workspace)
        let scaled = workspace.quantiles
        for row in 0..<count {
          let scaler = batch.scalers[row]
          for h in 0..<H {
            let at = ((thread * rows + row) * H + h) * Q
            var mean = 0.0
            for q in 0..<Q {
              let value = scaler.unscaled(Double(scaled[(row * H + h) * Q + q]))
              quantiles[at + q] = value
              mean += weightsOfMean[q] * value
            }
            means[(thread * rows + row) * H + h] = mean
          }
        }
      }
      for row in 0..<min(threads * rows, panel.count - start) {
        try body(
          SeriesForecast(
            series: start + row,
            means: UnsafeBufferPointer(start: means.base + row * H, count: H),
            quantiles: UnsafeBufferPointer(start: quantiles.base + row * H * Q, count: H * Q)))
      }
    }
  }

  /// Weights of the quantiles in the mean: the integral of the piecewise linear quantile function.
  package static func meanWeights(levels: [Double]) -> [Double] {
    var weights = [Double](repeating: 0, count: levels.count)
    weights[0] += levels[0]
    weights[levels.count - 1] += 1 - levels[levels.count - 1]
    for k in 1..<max(levels.count, 1) {
      let half = (levels[k] - levels[k - 1]) / 2
      weights[k - 1] += half
      weights[k] += half
    }
    return weights
  }
}

// Unchecked: each thread uses the workspace of its number only.
private struct PredictionWorkspaces: @unchecked Sendable {
  private let all: [ForecastNetwork<Float>.Workspace]
  init(_ all: [ForecastNetwork<Float>.Workspace]) { self.all = all }
  subscript(thread: Int) -> ForecastNetwork<Float>.Workspace { all[thread] }
}
