import Forecasters
import Foundation
import TestSupport
import Testing

@Suite("Structural models")
struct KalmanForecasterTests {
  private func configuration(
    _ options: [String: ModelOption.Value] = [:], horizon: Int = 6,
    quantiles: [Double] = [0.1, 0.5, 0.9], seasonality: [Int] = [4]
  ) throws -> ForecasterConfiguration {
    let configuration = ForecasterConfiguration(
      kind: "kalman", options: options, contextLength: 8, horizon: horizon, quantiles: quantiles,
      seasonality: seasonality)
    try configuration.validate()
    return configuration
  }

  private func forecasts(
    _ series: [[Double]], _ configuration: ForecasterConfiguration, clock: SeasonClock = .steady,
    firstOrdinal: Int = 0
  ) throws -> [[Double]] {
    let forecaster = try KalmanArchitecture.makeForecaster(configuration)
    let count = configuration.horizon * configuration.quantiles.count
    var out = [Double](repeating: 0, count: series.count * count)
    let flat = series.flatMap { $0 }
    try flat.withUnsafeBufferPointer { all in
      var start = 0
      let values = series.map { one in
        defer { start += one.count }
        return SeriesValues(
          UnsafeBufferPointer(rebasing: all[start..<(start + one.count)]),
          firstOrdinal: firstOrdinal, clock: clock)
      }
      try forecaster.forecast(values, into: &out)
    }
    return series.indices.map { Array(out[($0 * count)..<(($0 + 1) * count)]) }
  }

  /// A level with a wandering slope and a season, and noise.
  private func structural(
    _ count: Int, length: Int, slope: Double, season: Double, noise: Double, seed: UInt64
  ) -> [[Double]] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
      var (level, growth) = (100 + 20 * random.normal(), slope * random.normal())
      let shape = [3.0, -1, 2, -4].map { $0 * season }
      return (0..<length).map { t in
        level += growth + 0.5 * random.normal()
        growth += 0.02 * slope * random.normal()
        return level + shape[t % 4] + noise * random.normal()
      }
    }
  }

  @Test(
    "maximum likelihood finds the variances that made a long series",
    arguments: [StructuralModel.Trend.level, .linear])
  func recovers(trend: StructuralModel.Trend) {
    var random = SeededGenerator(seed: 31)
    var (level, slope) = (0.0, 0.0)
    var y: [Double] = []
    for _ in 0..<3000 {
      level += slope + 0.5 * random.normal()
      if trend == .linear { slope += 0.05 * random.normal() }
      y.append(level + random.normal())
    }
    let likelihood = MaximumLikelihood(StructuralModel(trend: trend, seasons: []))
    let fit = y.withUnsafeBufferPointer { likelihood.fit($0) }
    // Logarithms of the variances to within some standard errors.
    expectClose(log(fit.variances[0]), 0, absolute: 0.15)
    expectClose(log(fit.variances[1]), log(0.25), absolute: 0.35)
    if trend == .linear { expectClose(log(fit.variances[2]), log(0.0025), absolute: 0.6) }
  }

  @Test("an autoregression around a slow level is found, chosen, and forecast to come back")
  func reverts() throws {
    var random = SeededGenerator(seed: 8)
    var (level, away) = (0.0, 0.0)
    var y: [Double] = []
    for _ in 0..<2000 {
      level += 0.02 * random.normal()
      away = 0.9 * away + random.normal()
      y.append(level + away)
    }
    let structure = StructuralModel(trend: .reverting, seasons: [])
    let fit = y.withUnsafeBufferPointer { MaximumLikelihood(structure).fit($0) }
    expectClose(fit.damping, 0.9, absolute: 0.03)
    expectClose(log(fit.variances[2]), 0, absolute: 0.2)
    #expect(fit.variances[1] < 0.01)
    for trend in StructuralModel.Trend.allCases where trend != .reverting {
      let other = StructuralModel(trend: trend, seasons: [])
      let worse = y.withUnsafeBufferPointer { MaximumLikelihood(other).fit($0) }
      #expect(worse.criterion > fit.criterion + 20, "\(trend)")
    }
    // A push of ten deviations at the end: half of it is gone after log 0.5 / log 0.9 = 6.6 steps.
    y[1999] += 10
    let configuration = ForecasterConfiguration(
      kind: "kalman", contextLength: 500, horizon: 40, quantiles: [0.1, 0.5, 0.9])
    let found = try forecasts([y], configuration)[0]
    let medians = (0..<40).map { found[3 * $0 + 1] - level }
    #expect(medians[0] > 2 * abs(medians[39]) && medians[0] > medians[12])
  }

  @Test("no point near the one that was found has a higher likelihood")
  func maximum() {
    let y = structural(1, length: 90, slope: 0.5, season: 1, noise: 1, seed: 7)[0]
    let scaled = y.map { ($0 - y[0]) / 20 }
    let structure = StructuralModel(
      trend: .damped,
      seasons: StructuralModel.seasons([4], span: 90, form: .trigonometric, harmonics: 0))
    let likelihood = MaximumLikelihood(structure)
    scaled.withUnsafeBufferPointer { values in
      let fit = likelihood.fit(values)
      let filter = likelihood.filter
      func value(_ variances: [Double], _ damping: Double) -> Double {
        filter.model.damping = damping
        return filter.run(values, variances: variances)
      }
      let best = value(fit.variances, fit.damping)
      for k in fit.variances.indices {
        for factor in [0.8, 1.25] {
          var moved = fit.variances
          moved[k] = min(max(moved[k] * factor, 1e-9), 1e2)
          #expect(value(moved, fit.damping) <= best + 2e-3)
        }
      }
      for damping in [fit.damping - 0.01, min(fit.damping + 0.01, 0.978)] {
        #expect(value(fit.variances, damping) <= best + 2e-3)
      }
    }
  }

  @Test("intervals of simulated series cover what they say", arguments: [0.0, 0.2])
  func coverage(missing: Double) throws {
    let all = structural(250, length: 86, slope: 0.3, season: 2, noise: 1, seed: 11)
    var random = SeededGenerator(seed: 3)
    let history = all.map { series in
      series.dropLast(6).map { random.uniform() < missing ? Double.nan : $0 }
    }
    let configuration = try configuration(["transform": .text("none")])
    let found = try forecasts(history, configuration)
    var (inside, model, naive) = (0.0, 0.0, 0.0)
    for (number, series) in all.enumerated() {
      for h in 0..<6 {
        let actual = series[80 + h]
        let q = Array(found[number][(h * 3)..<(h * 3 + 3)])
        #expect(q[0] < q[1] && q[1] < q[2])
        if actual >= q[0], actual <= q[2] { inside += 1 / 1500 }
        model += abs(actual - q[1])
        naive += abs(actual - series[80 + h - (h < 4 ? 4 : 8)])
      }
    }
    expectClose(inside, 0.8, absolute: 0.06)
    #expect(model < 0.85 * naive)
  }

  @Test("seasons of either form are forecast, and left out where there are none")
  func seasons() throws {
    let series = structural(3, length: 60, slope: 0, season: 6, noise: 0.3, seed: 5)
    for form in ["trigonometric", "dummy"] {
      let found = try forecasts(
        series.map { Array($0.dropLast(6)) },
        configuration([
          "seasonal": .text(form)
        ]))
      for (forecast, values) in zip(found, series) {
        for h in 0..<6 { expectClose(forecast[h * 3 + 1], values[54 + h], absolute: 5) }
      }
    }
    let plain = try forecasts(
      series.map { Array($0.dropLast(6)) }, configuration(["seasonal": .text("none")]))
    // Without a season the noise is that of the season.
    #expect(plain[0][2] - plain[0][0] > 15)
    let shorter = StructuralModel.seasons([4, 12, 7], span: 25, form: .trigonometric, harmonics: 0)
    #expect(shorter.map(\.length) == [4, 7, 12])
    // Cycles 3 and 6 of 12 are those of 4.
    #expect(shorter[2].harmonics == [1, 2, 4, 5] && shorter[0].harmonics == [1, 2])
    #expect(StructuralModel.seasons([12, 1], span: 23, form: .dummy, harmonics: 0).isEmpty)
    #expect(
      StructuralModel.seasons([24], span: 99, form: .trigonometric, harmonics: 3)[0].harmonics
        == [1, 2, 3])
  }

  @Test("logarithms are chosen for growth in proportion, and forecasts stay positive")
  func logarithms() throws {
    var random = SeededGenerator(seed: 17)
    let series = (0..<80).map { t -> Double in
      exp(0.04 * Double(t) + 0.3 * sin(.pi * Double(t) / 2) + 0.05 * random.normal())
    }
    let past = [Array(series.dropLast(6))]
    let (auto, plain) = (
      try forecasts(past, configuration())[0],
      try forecasts(past, configuration(["transform": .text("none")]))[0]
    )
    let log = try forecasts(past, configuration(["transform": .text("log")]))[0]
    #expect(auto == log && auto != plain && auto.allSatisfy { $0 > 0 })
    for h in 0..<6 { expectClose(auto[h * 3 + 1], series[74 + h], relative: 0.25) }
    // Where there is no logarithm there is none.
    let negative = [(0..<30).map { sin(Double($0)) }]
    #expect(
      try forecasts(negative, configuration(["transform": .text("log")]))
        == forecasts(negative, configuration(["transform": .text("none")])))
  }

  @Test("growth in proportion ends: no forecast is further above the history than that has grown")
  func growthEnds() throws {
    var random = SeededGenerator(seed: 29)
    let series = (0..<40).map { 100 * exp(0.08 * Double($0) + 0.02 * random.normal()) }
    let options: [String: ModelOption.Value] = [
      "transform": .text("log"), "trend": .text("linear"), "seasonal": .text("none"),
    ]
    let found = try forecasts([series], configuration(options, horizon: 400, seasonality: [1]))[0]
    let (lowest, highest) = (series.min()!, series.max()!)
    let limit = highest * highest / lowest
    #expect(found.allSatisfy { $0.isFinite && $0 <= limit * (1 + 1e-9) })
    // It would have been passed long before, and is not in the way of what is near.
    expectClose(found[399 * 3 + 1], limit, relative: 1e-9)
    for h in 0..<10 {
      expectClose(found[h * 3 + 1], 100 * exp(0.08 * Double(40 + h)), relative: 0.2)
    }
    // A series that hardly moved may grow by a factor of e.
    let calm = series.map { 100 + 1e-3 * $0 }
    let wild = try forecasts([calm], configuration(options, horizon: 400, seasonality: [1]))[0]
    #expect(wild.allSatisfy { $0 <= calm.max()! * exp(1) * (1 + 1e-9) })
  }

  @Test("short, constant and sparse series have forecasts; empty ones say why not")
  func short() throws {
    let configuration = try configuration()
    for value in [0.0, 5, -3e12] {
      let found = try forecasts(
        [[value], [Double](repeating: value, count: 30), [.nan, value, .nan]], configuration)
      #expect(found.allSatisfy { $0.allSatisfy { $0 == value } })
    }
    for count in 2...12 {
      let series = (0..<count).map { 10 + Double($0 * $0 % 5) }
      let found = try forecasts([series, series.map { -$0 }], configuration)
      for forecast in found {
        #expect(forecast.allSatisfy { $0.isFinite })
        for h in 0..<6 { #expect(forecast[h * 3] <= forecast[h * 3 + 2]) }
      }
    }
    for empty in [[], [Double.nan, .nan]] as [[Double]] {
      #expect(throws: ForecasterError.self) { _ = try forecasts([empty], configuration) }
    }
  }

  @Test("forecasts move with the series: shift, scale, and missing values before the first")
  func equivariant() throws {
    let configuration = try configuration(["transform": .text("none")])
    let series = structural(1, length: 50, slope: 0.5, season: 2, noise: 1, seed: 23)[0]
    let found = try forecasts(
      [
        series, series.map { 1e6 + 1000 * $0 }, [.nan, .nan, .nan, .nan] + series,
        series + [.nan, .nan, .nan, .nan],
      ], configuration)
    expectClose(found[1], found[0].map { 1e6 + 1000 * $0 }, relative: 1e-5)
    expectClose(found[2], found[0], relative: 1e-9)
    // Steps that were missed at the end are steps ahead.
    expectClose(found[3][1], found[0][13], relative: 1e-6)
    let again = try forecasts([series], configuration)
    #expect(again[0] == found[0])
  }

  @Test("history limits what is read")
  func history() throws {
    let series = structural(1, length: 60, slope: 0.5, season: 2, noise: 1, seed: 2)[0]
    let all = try forecasts([Array(series.suffix(30))], configuration())
    let limited = try forecasts([series], configuration(["history": .integer(30)]))
    #expect(all == limited)
    func affordable(_ season: Int, _ harmonics: Int) -> Int {
      let seasons = StructuralModel.seasons(
        [season], span: .max, form: .trigonometric, harmonics: harmonics)
      return KalmanForecaster.affordable(
        StructuralModel(trend: .damped, seasons: seasons), longest: season)
    }
    #expect(throws: ForecasterError.self) {
      _ = try configuration(["seasonal": .text("dummy")], seasonality: [24, 168])
    }
    #expect(affordable(4, 0) == 2000 && affordable(12, 0) == 2000)
    #expect((500..<2000).contains(affordable(168, 12)) && affordable(336, 0) == 3 * 336)
  }

  @Test("a season keeps the wall clock where it is changed")
  func clock() throws {
    // Days of 6 steps; at step 63 the clock leaps ahead by one.
    let clock = SeasonClock(stepsPerDay: 6, changes: [(63, 1)], before: 0)
    let shape = [0.0, 1, 5, 20, 4, 1]
    var random = SeededGenerator(seed: 1)
    let series = (0..<80).map { shape[clock.phase(of: $0, season: 6)] + 0.2 * random.normal() }
    func error(_ clock: SeasonClock) throws -> Double {
      let found = try forecasts(
        [Array(series.prefix(66))], configuration(seasonality: [6]), clock: clock)[0]
      var sum = 0.0
      for h in 0..<6 { sum += abs(found[h * 3 + 1] - series[66 + h]) }
      return sum
    }
    let (following, ignoring) = (try error(clock), try error(.steady))
    #expect(following < 4, "\(following)")
    #expect(ignoring > 3 * following, "\(ignoring)")
  }
}
