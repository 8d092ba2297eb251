import Forecasters
import TestSupport
import Training

/// Test data and shorthands for training.
enum Sample {
  static let configuration = ForecasterConfiguration(
    hidden: 8, contextLength: 16, horizon: 4, quantiles: [0.1, 0.5, 0.9], seasonality: [4])

  static func panel(_ series: [[Double]]) -> Panel {
    var offsets = [0]
    for values in series { offsets.append(offsets.last! + values.count) }
    return Panel(
      keys: series.indices.map { "series \($0)" }, offsets: offsets,
      values: series.flatMap { $0 }, firstOrdinals: series.indices.map { $0 * 3 })
  }

  /// Noisy seasonal series, each at a level of its own.
  static func seasonal(
    _ count: Int, length: Int = 60, noise: Double = 1, missing: Double = 0, seed: UInt64 = 1
  ) -> [[Double]] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { number in
      let level = 50.0 * Double(number + 1)
      return (0..<(length + number % 3)).map { t in
        let phase = (t + 3 * number) % 4
        let value = level + [8, -3, 2, -7][phase] + noise * random.normal()
        return random.uniform() < missing ? .nan : value
      }
    }
  }

  static func fit(
    _ panel: Panel, _ training: TrainingConfiguration,
    _ configuration: ForecasterConfiguration = configuration,
    _ progress: (TrainingProgress) throws -> Void = { _ in }
  ) throws -> TrainingResult {
    try Trainer(training).fit(configuration, on: panel, progress: progress)
  }

  struct Forecast: Equatable {
    var means: [Double]
    var quantiles: [Double]
  }

  static func forecasts(
    _ forecaster: TrainedForecaster, _ panel: Panel, threads: Int = 1
  ) throws -> [Forecast] {
    var all: [Forecast] = []
    try forecaster.predict(panel, threads: threads) { forecast in
      guard forecast.series == all.count else { throw Disorder() }
      all.append(Forecast(means: Array(forecast.means), quantiles: Array(forecast.quantiles)))
    }
    return all
  }

  struct Disorder: Error {}
}
