// Names: shape letters B, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore

/// Forecasts series of one panel on several threads, some at a time.
protocol PanelPredictor: Sendable {
  /// Series that a thread forecasts at a time.
  var rows: Int { get }
  var threads: Int { get }

  /// Writes quantiles `[series.count, H, Q]` in the units of the data, with the memory of one thread.
  func predict(
    _ thread: Int, _ series: Range<Int>, into quantiles: UnsafeMutablePointer<Double>) throws
}

/// Forecasts with a network and its weights.
// Unchecked: each thread uses its own workspace.
struct NetworkPredictor: PanelPredictor, @unchecked Sendable {
  let rows: Int
  let threads: Int
  private let network: ForecastNetwork<Float>
  private let parameters: Buffer<Float>
  private let panel: Panel
  private let workspaces: [ForecastNetwork<Float>.Workspace]

  /// - Throws: `ForecasterError.badConfiguration`.
  init(
    _ configuration: ForecasterConfiguration, _ parameters: [Float], _ panel: Panel, threads: Int
  ) throws {
    network = try ForecastNetwork<Float>(configuration)
    self.parameters = Buffer(parameters)
    self.panel = panel
    // As many rows at a time as keep a thread's activations near 32 MB.
    let bytes = configuration.contextLength * configuration.hidden * 7 * configuration.layers * 4
    let rows = min(256, max(1, (32 << 20) / max(bytes, 1)))
    self.rows = rows
    self.threads = max(1, min(threads, (panel.count + rows - 1) / rows))
    workspaces = (0..<self.threads).map { [network] _ in network.makeWorkspace(training: false) }
  }

  func predict(
    _ thread: Int, _ series: Range<Int>, into quantiles: UnsafeMutablePointer<Double>
  ) {
    let workspace = workspaces[thread]
    let batch = workspace.prepare(series.count, training: false)
    panel.withValues(series) { row, values in
      network.features.fill(
        batch, row: row, values: values.values, firstOrdinal: values.firstOrdinal,
        clock: values.clock, end: values.values.count)
    }
    network.predict(parameters: parameters, workspace)
    let scaled = workspace.quantiles
    let count = network.configuration.horizon * network.configuration.quantiles.count
    for row in 0..<series.count {
      let scaler = batch.scalers[row]
      for k in (row * count)..<((row + 1) * count) {
        quantiles[k] = scaler.unscaled(Double(scaled[k]))
      }
    }
  }
}

/// Forecasts every series from its own values.
// Unchecked: each thread uses its own forecaster.
struct SeriesPredictor: PanelPredictor, @unchecked Sendable {
  let rows: Int
  let threads: Int
  private let panel: Panel
  private let forecasters: [any SeriesForecaster]

  /// - Throws: `ForecasterError`.
  init(
    _ entry: any SeriesArchitecture.Type, _ configuration: ForecasterConfiguration,
    _ panel: Panel, threads: Int
  ) throws {
    try configuration.validate()
    let first = try entry.makeForecaster(configuration)
    let rows = first.batch
    self.rows = rows
    self.panel = panel
    self.threads = max(1, min(threads, (panel.count + rows - 1) / rows))
    forecasters =
      try [first] + (1..<self.threads).map { _ in try entry.makeForecaster(configuration) }
  }

  func predict(
    _ thread: Int, _ series: Range<Int>, into quantiles: UnsafeMutablePointer<Double>
  ) throws {
    var values: [SeriesValues] = []
    values.reserveCapacity(series.count)
    try panel.values.withUnsafeBufferPointer { all in
      for number in series { values.append(panel.series(number, all)) }
      do {
        try forecasters[thread].forecast(values, into: quantiles)
      } catch let error as ForecasterError where error.code == .badSeries {
        throw ForecasterError(
          .badSeries,
          "among the series \(panel.keys[series.lowerBound]) to \(panel.keys[series.upperBound - 1]): \(error.message)"
        )
      }
    }
  }
}

extension Panel {
  /// One series within `values` of the panel.
  fileprivate func series(_ number: Int, _ all: UnsafeBufferPointer<Double>) -> SeriesValues {
    SeriesValues(
      UnsafeBufferPointer(rebasing: all[range(of: number)]), firstOrdinal: firstOrdinals[number],
      clock: clock)
  }

  /// Calls `body` with the number within `series`, and each series of it.
  fileprivate func withValues(_ series: Range<Int>, _ body: (Int, SeriesValues) -> Void) {
    values.withUnsafeBufferPointer { all in
      for number in series { body(number - series.lowerBound, self.series(number, all)) }
    }
  }
}
