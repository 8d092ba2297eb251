import Evaluation
import Forecasters
import TestSupport
import Testing
import Training

@Suite("Backtests")
struct BacktestTests {
  private let panel = Panel(
    keys: ["a", "b"], offsets: [0, 12, 22],
    values: (0..<12).map { Double($0) } + (0..<10).map { 100 + Double($0 * $0) },
    firstOrdinals: [0, 5])

  @Test(
    "origins lie a stride apart, each with a whole horizon, and nothing held out is learned from")
  func origins() {
    let origins = RollingOrigins(panel, held: 6, horizon: 2, stride: 2)
    #expect(origins.count == 3)
    #expect(origins.training.values == [0, 1, 2, 3, 4, 5, 100, 101, 104, 109])
    #expect(origins.training.offsets == [0, 6, 10] && origins.training.firstOrdinals == [0, 5])
    #expect(origins.history(0).values == origins.training.values)
    #expect(origins.history(2).offsets == [0, 10, 18])
    #expect(Array(origins.actual(0, series: 0)) == [6, 7])
    #expect(Array(origins.actual(2, series: 1)) == [164, 181])
    // 5 held-out steps hold one origin of a stride of 4 and one at the start.
    #expect(RollingOrigins(panel, held: 5, horizon: 1, stride: 4).count == 2)
    #expect(RollingOrigins(panel, held: 5, horizon: 5, stride: 1).count == 1)
  }

  @Test("scores of the last value are those worked out by hand")
  func scores() throws {
    let origins = RollingOrigins(panel, held: 4, horizon: 2, stride: 2)
    let configuration = ForecasterConfiguration(
      kind: "seasonal-naive", contextLength: 4, horizon: 2, quantiles: [0.1, 0.5, 0.9],
      seasonality: [1])
    let fitted = try Trainer(TrainingConfiguration()).fit(configuration, on: origins.training)
    #expect(fitted.trainingLoss == nil && fitted.steps == 0)
    let scores = try BacktestScores(fitted.forecaster, origins, seasonality: 1, threads: 2)
    // Series a errs by 1 and 2 on a scale of 1; b, from 125 and 149, by 11, 24 and 15, 32 on a scale of 5.
    let mase: Double = (1.5 + 1.5 + 17.5 / 5 + 23.5 / 5) / 4
    expectClose(try #require(scores.mase), mase, relative: 1e-12)
    // Variances over what was learned from: of 0 ... 7, and of 0, 1, 4, 9, 16, 25.
    let (first, second): (Double, Double) = (5.25, 979.0 / 6 - 55.0 * 55 / 36)
    var mse: Double = 2 * 2.5 / first
    mse += (121.0 + 576) / 2 / second
    mse += (225.0 + 1024) / 2 / second
    expectClose(try #require(scores.standardisedMSE), mse / 4, relative: 1e-12)
    #expect(try #require(scores.coverage) < 1)
    // Over both origins of a series, then over series.
    expectClose(try #require(scores.mae), (1.5 + 20.5) / 2, relative: 1e-12)
    let roots = 2.5.squareRoot() + ((121.0 + 576 + 225 + 1024) / 4).squareRoot()
    expectClose(try #require(scores.rmse), roots / 2, relative: 1e-12)
    let shares: [Double] = [
      1.0 / 8, 2.0 / 9, 1.0 / 10, 2.0 / 11, 11.0 / 136, 24.0 / 149, 15.0 / 164, 32.0 / 181,
    ]
    expectClose(try #require(scores.mape), 100 * shares.reduce(0, +) / 8, relative: 1e-12)
    // In units of the first 4 values: 0 ... 3, and 100, 101, 104, 109.
    let early = try BacktestScores(
      fitted.forecaster, origins, seasonality: 1, unitSteps: 4, threads: 1)
    expectClose(
      try #require(early.standardisedMAE),
      (1.5 / 1.25.squareRoot() + 20.5 / 12.25.squareRoot()) / 2,
      relative: 1e-12)
  }

  @Test("many origins at a time are forecast as one by one")
  func together() throws {
    var random = SeededGenerator(seed: 3)
    let panel = Panel(
      keys: ["a", "b"], offsets: [0, 200, 390], values: random.normals(390), firstOrdinals: [0, 5])
    let origins = RollingOrigins(panel, held: 80, horizon: 2, stride: 1)
    let configuration = ForecasterConfiguration(
      kind: "nlinear", contextLength: 8, horizon: 2, quantiles: [0.1, 0.5, 0.9], seasonality: [4])
    let forecaster = try Trainer(TrainingConfiguration(steps: 5, batch: 4)).fit(
      configuration, on: origins.training
    ).forecaster
    let scores = try BacktestScores(forecaster, origins, seasonality: 1, threads: 2)
    var (sum, count) = ([0.0, 0], 0.0)
    for origin in 0..<origins.count {
      try forecaster.predict(origins.history(origin), threads: 1) { forecast in
        let actual = Array(origins.actual(origin, series: forecast.series))
        for h in 0..<2 { sum[forecast.series] += abs(actual[h] - forecast.quantiles[3 * h + 1]) }
      }
      count += 2
    }
    expectClose(try #require(scores.mae), (sum[0] + sum[1]) / 2 / count, relative: 1e-6)
  }

  @Test("a forecaster that fits nothing becomes bytes and back")
  func bytes() throws {
    let configuration = ForecasterConfiguration(
      kind: "seasonal-naive", contextLength: 4, horizon: 2, seasonality: [1])
    let fitted = try Trainer(TrainingConfiguration()).fit(configuration, on: panel).forecaster
    #expect(fitted.parameterCount == 0)
    #expect(try TrainedForecaster(decoding: fitted.encoded()) == fitted)
    let both = Trainer(TrainingConfiguration()).fitEach(
      [.init(configuration, on: panel), .init(configuration, on: panel)], threads: 2)
    #expect(try both.map { try $0.get().forecaster } == [fitted, fitted])
    var (one, two): ([Double], [Double]) = ([], [])
    try fitted.predict(panel, threads: 1) { one += $0.quantiles }
    try fitted.predict(panel, threads: 3) { two += $0.quantiles }
    #expect(one == two && one.count == 2 * 2 * 7)
  }
}
