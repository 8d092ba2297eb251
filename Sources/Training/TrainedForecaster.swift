// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import Forecasters
import NumericsCore
import Synchronization

/// A forecaster with its weights: predicts, and becomes bytes and back.
public struct TrainedForecaster: Sendable, Equatable {
  public let configuration: ForecasterConfiguration
  /// All parameters in the order of the network's layout.
  package let parameters: [Float]

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
    let predictor: any PanelPredictor =
      if let entry = Registry.entry(configuration.kind) as? any SeriesArchitecture.Type {
        try SeriesPredictor(entry, configuration, panel, threads: threads)
      } else {
        try NetworkPredictor(configuration, parameters, panel, threads: threads)
      }
    let H = configuration.horizon
    let Q = configuration.quantiles.count
    let (rows, threads) = (predictor.rows, predictor.threads)
    let quantiles = SharedBuffer(Buffer<Double>(threads * rows * H * Q))
    let means = Buffer<Double>(threads * rows * H)
    let weightsOfMean = Self.meanWeights(levels: configuration.quantiles)
    let failure = Mutex<(any Error)?>(nil)
    for start in stride(from: 0, to: panel.count, by: threads * rows) {
      parallel(count: threads) { thread in
        let first = start + thread * rows
        let count = min(rows, panel.count - first)
        guard count > 0 else { return }
        do {
          try predictor.predict(
            thread, first..<(first + count), into: quantiles.base + thread * rows * H * Q)
        } catch {
          failure.withLock { $0 = $0 ?? error }
        }
      }
      if let error = failure.withLock({ $0 }) { throw error }
      for row in 0..<min(threads * rows, panel.count - start) {
        for h in 0..<H {
          let q = quantiles.base + (row * H + h) * Q
          var mean = 0.0
          for k in 0..<Q { mean += weightsOfMean[k] * q[k] }
          means[row * H + h] = mean
        }
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

/// Threads write to places of their own.
private struct SharedBuffer: @unchecked Sendable {
  private let buffer: Buffer<Double>
  init(_ buffer: Buffer<Double>) { self.buffer = buffer }
  var base: UnsafeMutablePointer<Double> { buffer.base }
}
