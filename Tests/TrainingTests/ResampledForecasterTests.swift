import Forecasters
import Foundation
import TestSupport
import Testing
import Training

@Suite("Forecasters of another sampling")
struct ResampledForecasterTests {
  /// Series with a wave of a day and one of half a day, `perDay` steps a day, and their next `horizon` steps.
  private static func panel(
    _ count: Int, days: Int, perDay: Int, horizon: Int, seed: UInt64
  ) -> (panel: Panel, future: [[Double]]) {
    var random = SeededGenerator(seed: seed)
    var (series, future): ([[Double]], [[Double]]) = ([], [])
    for _ in 0..<count {
      let (day, half) = (random.uniform(), random.uniform())
      let level = 10 * random.uniform()
      let values = (0..<(days * perDay + horizon)).map { step in
        let time = Double(step) / Double(perDay)
        return level + sin(2 * .pi * (time + day)) + 0.5 * sin(2 * .pi * (2 * time + half))
          + 0.02 * random.normal()
      }
      series.append(Array(values.prefix(days * perDay)))
      future.append(Array(values.suffix(horizon)))
    }
    return (Sample.panel(series), future)
  }

  private static func error(
    _ forecaster: TrainedForecaster, perDay: Int, horizon: Int
  ) throws -> Double {
    let (panel, future) = Self.panel(20, days: 3, perDay: perDay, horizon: horizon, seed: 9)
    let forecasts = try Sample.forecasts(forecaster, panel)
    let errors = zip(forecasts, future).flatMap { forecast, truth in
      zip(forecast.means, truth).map { ($0 - $1) * ($0 - $1) }
    }
    return (errors.reduce(0, +) / Double(errors.count)).squareRoot()
  }

  /// A window shorter than a day, so that no season of it can be copied.
  private static func configuration(_ kind: String = "flowstate") -> ForecasterConfiguration {
    ForecasterConfiguration(
      kind: kind, hidden: 32, layers: 2, contextLength: 20, horizon: 12,
      quantiles: [0.1, 0.5, 0.9],
      seasonality: [24])
  }

  @Test("fitted to hours, it forecasts half hours, two hours, and shorter horizons")
  func resampled() throws {
    let fitted = try Sample.fit(
      Self.panel(40, days: 4, perDay: 24, horizon: 0, seed: 2).panel,
      TrainingConfiguration(steps: 400, batch: 32, learningRate: 5e-3, validationWindows: 0),
      Self.configuration()
    ).forecaster
    let own = try Self.error(fitted, perDay: 24, horizon: 12)
    // Standard deviation of the waves: 0.79.
    #expect(own < 0.2, "\(own)")
    let short = try fitted.resampled(contextLength: 20, horizon: 4, seasonality: [24])
    #expect(try Self.error(short, perDay: 24, horizon: 4) < 0.2)
    for (perDay, context, horizon) in [(48, 40, 24), (12, 10, 6)] {
      let other = try fitted.resampled(
        contextLength: context, horizon: horizon, seasonality: [perDay])
      let error = try Self.error(other, perDay: perDay, horizon: horizon)
      #expect(error < 0.3, "\(perDay) steps a day: \(error), hours \(own)")
    }
  }

  @Test("nothing changes where nothing is asked to")
  func same() throws {
    let (panel, _) = Self.panel(3, days: 3, perDay: 24, horizon: 0, seed: 2)
    let fitted = try Sample.fit(
      panel, TrainingConfiguration(steps: 3, validationWindows: 0), Self.configuration()
    ).forecaster
    let again = try fitted.resampled(contextLength: 20, horizon: 12, seasonality: [24])
    #expect(try Sample.forecasts(again, panel) == Sample.forecasts(fitted, panel))
  }

  @Test("what cannot be resampled is refused, with a reason")
  func refused() throws {
    let (panel, _) = Self.panel(3, days: 3, perDay: 24, horizon: 0, seed: 2)
    let quick = TrainingConfiguration(steps: 2, validationWindows: 0)
    func message(
      _ kind: String = "flowstate", context: Int = 20, horizon: Int = 12,
      _ seasonality: [Int] = [24]
    ) throws -> String {
      let fitted = try Sample.fit(panel, quick, Self.configuration(kind)).forecaster
      do {
        _ = try fitted.resampled(contextLength: context, horizon: horizon, seasonality: seasonality)
        return ""
      } catch let error as ForecasterError {
        #expect(error.code == .badConfiguration)
        return error.message
      }
    }
    #expect(
      try message("lstm")
        == "the weights of lstm are of steps, not of time: fit it anew for another sampling or horizon"
    )
    #expect(
      try message(horizon: 13)
        == "span is 12.0, expected at least the horizon, 13.0 base steps")
    #expect(
      try message(context: 30)
        == "a context of 30 with seasons [24] gives other inputs than 20 with [24]: as many seasons have to fit in"
    )
  }
}
