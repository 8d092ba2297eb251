// Names: keys of the golden file.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Evaluation
import Forecasters
import TestSupport
import Testing

/// Expected values by the definitions in `Golden/metrics.json`, computed there with numpy.
@Suite("Metrics")
struct MetricsTests {
  struct File: Decodable {
    let cases: [Case]
    let owa: Owa
    let pooling: Pooling
  }
  struct Case: Decodable {
    let name: String
    let seasonality: Int
    let interval_level: Double
    let quantile_levels: [Double]
    let train: [Double?]
    let actual: [Double?]
    let forecast: [Double]
    let quantiles: [[Double]]
    let lower: [Double]
    let upper: [Double]
    let expected: Expected
  }
  struct Expected: Decodable {
    let mae, mse, rmse, bias, smape_percent, wape: Double?
    let seasonal_scale_abs, seasonal_scale_sq, mase, rmsse: Double?
    let pinball_by_level: [Double?]?
    let pinball_mean: Double?
    let weighted_quantile_loss_by_level: [Double?]?
    let weighted_quantile_loss, crps_from_quantiles, scaled_quantile_loss: Double?
    let coverage, winkler, msis, mean_interval_width: Double?
    let calibration_by_level: [Double?]?
  }
  struct Owa: Decodable {
    struct Series: Decodable {
      let train, actual, forecast, naive2_forecast: [Double]
      let seasonality: Int
      let seasonality_test_passed: Bool
      let seasonal_indices: [Double]?
      let smape_percent, mase, naive2_smape_percent, naive2_mase: Double
    }
    struct Expected: Decodable { let owa: Double }
    let series: [Series]
    let expected: Expected
  }
  struct Pooling: Decodable {
    struct Series: Decodable {
      let actual: [Double]
      let quantiles: [[Double]]
    }
    struct Expected: Decodable {
      let weighted_quantile_loss_pooled: Double
      let weighted_quantile_loss_per_series_mean: Double
    }
    let quantile_levels: [Double]
    let series: [Series]
    let expected: Expected
  }

  static let file = Result { try Golden.json("metrics.json", as: File.self) }

  private func compare(_ actual: Double?, _ expected: Double?, _ name: String, tiny: Bool = false) {
    guard let actual, let expected else {
      #expect(actual == expected, "\(name)")
      return
    }
    expectClose(actual, expected, absolute: tiny ? 0 : 1e-12, relative: 1e-10, "\(name)")
  }

  private func compare(_ actual: [Double?], _ expected: [Double?]?, _ name: String, tiny: Bool) {
    guard let expected else {
      #expect(actual.allSatisfy { $0 == nil }, "\(name)")
      return
    }
    #expect(actual.count == expected.count, "\(name)")
    for (a, e) in zip(actual, expected) { compare(a, e, name, tiny: tiny) }
  }

  @Test("every metric equals its definition, and is undefined where that is", arguments: 0..<20)
  func golden(index: Int) throws {
    let file = try Self.file.get()
    #expect(file.cases.count == 20)
    let test = file.cases[index]
    let e = test.expected
    let actual = test.actual.map { $0 ?? .nan }
    let scale = SeasonalError(test.train.map { $0 ?? .nan }, seasonality: test.seasonality)
    func check(_ actual: Double?, _ expected: Double?, _ metric: String) {
      compare(actual, expected, "\(test.name): \(metric)", tiny: test.name == "tiny_values")
    }
    check(PointMetrics.mae(actual, test.forecast), e.mae, "MAE")
    check(PointMetrics.mse(actual, test.forecast), e.mse, "MSE")
    check(PointMetrics.rmse(actual, test.forecast), e.rmse, "RMSE")
    check(PointMetrics.bias(actual, test.forecast), e.bias, "bias")
    check(PointMetrics.smape(actual, test.forecast), e.smape_percent, "sMAPE")
    check(PointMetrics.wape(actual, test.forecast), e.wape, "WAPE")
    check(scale.absolute, e.seasonal_scale_abs, "scale")
    check(scale.squared, e.seasonal_scale_sq, "squared scale")
    check(PointMetrics.mase(actual, test.forecast, scale: scale), e.mase, "MASE")
    check(PointMetrics.rmsse(actual, test.forecast, scale: scale), e.rmsse, "RMSSE")

    var quantiles = QuantileMetrics(levels: test.quantile_levels)
    quantiles.add(actual: actual, quantiles: test.quantiles.flatMap { $0 })
    let tiny = test.name == "tiny_values"
    compare(
      quantiles.quantileLossByLevel, e.pinball_by_level, "\(test.name): pinball", tiny: tiny)
    check(quantiles.quantileLoss, e.pinball_mean, "quantile loss")
    compare(
      quantiles.weightedQuantileLossByLevel, e.weighted_quantile_loss_by_level,
      "\(test.name): WQL", tiny: tiny)
    check(quantiles.weightedQuantileLoss, e.weighted_quantile_loss, "WQL")
    check(quantiles.crps, e.crps_from_quantiles, "CRPS")
    check(quantiles.scaledQuantileLoss(scale), e.scaled_quantile_loss, "SQL")
    compare(
      quantiles.calibrationByLevel, e.calibration_by_level, "\(test.name): calibration", tiny: tiny)

    var intervals = IntervalMetrics(nominal: test.interval_level / 100)
    intervals.add(actual: actual, lower: test.lower, upper: test.upper)
    check(intervals.coverage, e.coverage, "coverage")
    check(intervals.meanWidth, e.mean_interval_width, "width")
    check(intervals.winkler, e.winkler, "Winkler")
    check(intervals.msis(scale), e.msis, "MSIS")
  }

  @Test("Naive2 and OWA equal the M4 competition's definitions")
  func owa() throws {
    let owa = try Self.file.get().owa
    var method: [OWA.Errors] = []
    var benchmark: [OWA.Errors] = []
    for series in owa.series {
      let indices = Naive2.seasonalIndices(series.train, seasonality: series.seasonality)
      #expect((indices != nil) == series.seasonality_test_passed)
      if let indices, let expected = series.seasonal_indices {
        expectClose(indices, expected, relative: 1e-10)
      }
      let naive = try #require(
        Naive2.forecast(
          series.train, seasonality: series.seasonality, horizon: series.actual.count))
      expectClose(naive, series.naive2_forecast, relative: 1e-10)
      let scale = SeasonalError(series.train, seasonality: series.seasonality)
      for (forecast, smape, mase) in [
        (series.forecast, series.smape_percent, series.mase),
        (naive, series.naive2_smape_percent, series.naive2_mase),
      ] {
        compare(PointMetrics.smape(series.actual, forecast), smape, "sMAPE")
        compare(PointMetrics.mase(series.actual, forecast, scale: scale), mase, "MASE")
      }
      method.append(OWA.Errors(smape: series.smape_percent, mase: series.mase))
      benchmark.append(
        OWA.Errors(smape: series.naive2_smape_percent, mase: series.naive2_mase))
    }
    compare(OWA.value(method, naive2: benchmark), owa.expected.owa, "OWA")
    #expect(OWA.value([], naive2: []) == nil)
  }

  @Test("the weighted quantile loss of several series is pooled")
  func pooling() throws {
    let pooling = try Self.file.get().pooling
    var pooled = QuantileMetrics(levels: pooling.quantile_levels)
    var each: [Double] = []
    for series in pooling.series {
      let flat = series.quantiles.flatMap { $0 }
      pooled.add(actual: series.actual, quantiles: flat)
      var one = QuantileMetrics(levels: pooling.quantile_levels)
      one.add(actual: series.actual, quantiles: flat)
      each.append(try #require(one.weightedQuantileLoss))
    }
    compare(
      pooled.weightedQuantileLoss, pooling.expected.weighted_quantile_loss_pooled, "pooled")
    compare(
      each.reduce(0, +) / Double(each.count),
      pooling.expected.weighted_quantile_loss_per_series_mean, "mean of series")
  }

  @Test("a forecast that is not finite makes a metric undefined, not wrong")
  func notFinite() {
    let actual = [1.0, 2]
    for bad in [Double.nan, .infinity] {
      #expect(PointMetrics.mae(actual, [1, bad]) == nil)
      #expect(PointMetrics.smape(actual, [1, bad]) == nil)
      var quantiles = QuantileMetrics(levels: [0.5])
      quantiles.add(actual: actual, quantiles: [1, bad])
      #expect(quantiles.quantileLoss == nil && quantiles.calibrationByLevel == [nil])
      var intervals = IntervalMetrics(nominal: 0.9)
      intervals.add(actual: actual, lower: [0, 0], upper: [3, bad])
      #expect(intervals.coverage == nil && intervals.winkler == nil)
    }
    // Where nothing was observed, it does not matter.
    #expect(PointMetrics.mae([1, .nan], [1, .nan]) == 0)
  }

  @Test(
    "seasonal naive repeats the last season",
    arguments: [
      ([1, 2, 3, 4, 5], 2, 5, [4, 5, 4, 5, 4]),
      ([1, 2, 3], 1, 2, [3, 3]),
      ([1, 2, 3, .nan, 5], 2, 3, [2, 5, 2]),
      ([7, 8], 4, 5, [8, 8, 7, 8, 8]),
      ([1, 2, 3, .nan], 1, 2, [3, 3]),
    ] as [([Double], Int, Int, [Double])])
  func seasonalNaive(history: [Double], seasonality: Int, horizon: Int, expected: [Double]) {
    #expect(
      SeasonalNaive.forecast(history, seasonality: seasonality, horizon: horizon) == expected)
  }

  @Test("nothing observed, nothing forecast")
  func nothing() {
    #expect(SeasonalNaive.forecast([Double](), seasonality: 1, horizon: 1) == nil)
    #expect(SeasonalNaive.forecast([Double.nan], seasonality: 1, horizon: 1) == nil)
    #expect(Naive2.forecast([1, .nan, 2], seasonality: 1, horizon: 1) == nil)
  }
}
