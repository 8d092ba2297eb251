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
