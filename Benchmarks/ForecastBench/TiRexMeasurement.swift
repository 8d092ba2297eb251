import Forecasters
import Foundation
import NumericsCore

/// Forecasts with a TiRex of the published size and random weights, to be timed; what
/// Benchmarks/peers/tirex_forecasts.py does with the package.
final class TiRexMeasurement {
  /// 35 million parameters, context 2048.
  static let size = TiRexSize(
    patch: 32, width: 512, heads: 4, blocks: 12, feedForward: 1408, ends: 2048, quantiles: 9)
  static let contextLength = 2048
  private static let model = PackedTiRex(
    TiRexWeights(
      size, levels: (1...9).map { Double($0) / 10 }, contextLength: contextLength
    ) { parameters in
      var layout = ParameterLayout()
      var stream = RandomStream(seed: 1, purpose: "initialisation")
      TiRexNetwork<Float>(size, layout: &layout).initialize(parameters, using: &stream)
    })

  private let series: [Buffer<Double>]
  private let forecasters: Forecasters
  private let horizon: Int
  private let together: Int

  // Each thread uses its own.
  private struct Forecasters: @unchecked Sendable { let all: [TiRexForecaster] }
  private struct Results: @unchecked Sendable { let base: UnsafeMutablePointer<Double> }

  /// With fewer series than two for each thread, the threads share the work of each series.
  init(batch: Int, length: Int, horizon: Int, threads: Int) {
    let isShared = batch < 2 * threads
    let levels = (1...9).map { Double($0) / 10 }
    forecasters = Forecasters(
      all: (0..<(isShared ? 1 : threads)).map { _ in
        TiRexForecaster(
          Self.model, horizon: horizon, levels: levels, patchesAtOnce: 1,
          threads: isShared ? threads : 1)
      })
    self.horizon = horizon
    var stream = RandomStream(seed: 2, purpose: "series")
    series = (0..<batch).map { number in
      let period = 10 + Double(number)
      return Buffer(
        (0..<length).map { sin(Double($0) / period) + 0.1 * stream.normal() })
    }
    together = horizon * levels.count
  }

  /// Operations of the matrix products of one call, for whole contexts.
  var gigaflop: Double {
    let patches = Self.contextLength / Self.size.patch
    let passes = (horizon + Self.size.patch - 1) / Self.size.patch
    return Double(series.count * passes * Self.size.operations(patches: patches, wanted: 1)) / 1e9
  }

  func run() {
    let (forecasters, count) = (forecasters.all.count, series.count)
    let mine = self.forecasters
    let values = series.map {
      SeriesValues(UnsafeBufferPointer(start: $0.base, count: $0.count))
    }
    let quantiles = Buffer<Double>(count * together)
    let (results, together) = (Results(base: quantiles.base), together)
    let all = Series(all: values)
    parallel(count: forecasters) { thread in
      let part = (count * thread / forecasters)..<(count * (thread + 1) / forecasters)
      let batch = mine.all[thread].batch
      for start in stride(from: part.lowerBound, to: part.upperBound, by: batch) {
        let end = min(start + batch, part.upperBound)
        try? mine.all[thread].forecast(
          Array(all.all[start..<end]), into: results.base + start * together)
      }
    }
    precondition(quantiles[0].isFinite && quantiles[count * together - 1].isFinite)
  }

  private struct Series: @unchecked Sendable { let all: [SeriesValues] }
}
