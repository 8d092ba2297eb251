import Forecasters
import Foundation
import TestSupport
import Testing
import Training

@Suite("Fits by least squares")
struct LeastSquaresFitTests {
  static let kinds = ["arnet", "legendre", "esn"]

  private static func configuration(
    _ kind: String, context: Int = 16, horizon: Int = 4, season: Int = 4,
    quantiles: [Double] = [0.1, 0.5, 0.9], options: [String: ModelOption.Value] = [:]
  ) -> ForecasterConfiguration {
    var options = options
    if kind == "legendre", options["order"] == nil { options["order"] = .integer(8) }
    return ForecasterConfiguration(
      kind: kind, hidden: 24, options: options, contextLength: context, horizon: horizon,
      quantiles: quantiles, seasonality: [season])
  }

  /// Series of `y_t = 0.9 y_{t-1} - 0.5 y_{t-2} + e_t`, each at a level of its own.
  private static func autoregressions(_ count: Int, length: Int, seed: UInt64) -> [[Double]] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { number in
      var y = [0.0, 0.0]
      for t in 2..<(length + 50) { y.append(0.9 * y[t - 1] - 0.5 * y[t - 2] + random.normal()) }
      return y.dropFirst(50).map { level(number) + $0 }
    }
  }

  private static func level(_ number: Int) -> Double { 100 * Double(number % 5 + 1) }

  @Test("an autoregression is forecast as well as by its true coefficients", arguments: kinds)
  func recovers(kind: String) throws {
    let all = Self.autoregressions(80, length: 124, seed: 3)
    let panel = Sample.panel(all.map { Array($0.dropLast(4)) })
    let configuration = Self.configuration(kind, context: 24, season: 1)
    let result = try Sample.fit(panel, TrainingConfiguration(threads: 2), configuration)
    let forecasts = try Sample.forecasts(result.forecaster, panel)
    var (model, truth) = (0.0, 0.0)
    for (number, series) in all.enumerated() {
      let level = Self.level(number)
      var y = series.dropLast(4).suffix(2).map { $0 - level }
      for h in 0..<4 {
        y.append(0.9 * y[y.count - 1] - 0.5 * y[y.count - 2])
        let actual = series[series.count - 4 + h]
        truth += abs(actual - level - y.last!) / 320
        model += abs(actual - forecasts[number].quantiles[h * 3 + 1]) / 320
      }
    }
    #expect(model < 1.08 * truth, "\(model), by the truth \(truth)")
  }

  @Test("intervals cover what they say, on series that were not read", arguments: kinds)
  func coverage(kind: String) throws {
    let levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    let configuration = Self.configuration(kind, context: 24, season: 1, quantiles: levels)
    let panel = Sample.panel(Self.autoregressions(40, length: 160, seed: 5))
    let result = try Sample.fit(panel, TrainingConfiguration(threads: 2), configuration)
    let others = Self.autoregressions(500, length: 64, seed: 99)
    let forecasts = try Sample.forecasts(
      result.forecaster, Sample.panel(others.map { Array($0.dropLast(4)) }))
    for (q, level) in levels.enumerated() {
      var below = 0.0
      for (number, series) in others.enumerated() {
        for h in 0..<4 where series[60 + h] <= forecasts[number].quantiles[h * 5 + q] {
          below += 1 / 2000
        }
      }
      // Standard error about 0.015 as the steps of a series depend on each other.
      expectClose(below, level, absolute: 0.05, "level \(level)")
    }
  }

  /// x' = 3.9 x (1 - x), which no linear model can follow.
  private static func logistic(_ count: Int, length: Int) -> [[Double]] {
    (0..<count).map { number in
      var x = 0.1 + 0.7 * Double(number) / Double(count)
      return (0..<(length + 20)).map { _ in
        x = 3.9 * x * (1 - x)
        return x
      }.dropFirst(20).map { $0 }
    }
  }

  @Test("a reservoir follows chaos that a linear model cannot", arguments: ["tanh", "lstm", "gru"])
  func chaos(cell: String) throws {
    let all = Self.logistic(20, length: 301)
    let panel = Sample.panel(all.map { Array($0.dropLast()) })
    func error(_ configuration: ForecasterConfiguration) throws -> Double {
      let result = try Sample.fit(panel, TrainingConfiguration(threads: 2), configuration)
      return zip(all, try Sample.forecasts(result.forecaster, panel)).reduce(0) {
        $0 + abs($1.0.last! - $1.1.quantiles[1]) / 20
      }
    }
    var reservoir = Self.configuration(
      "esn", context: 32, horizon: 1, season: 1,
      options: ["cell": .text(cell), "leak": .number(1), "inputScale": .number(1)])
    reservoir.hidden = 100
    let linear = try error(Self.configuration("arnet", context: 32, horizon: 1, season: 1))
    let found = try error(reservoir)
    #expect(found < 0.35 * linear, "\(found), linear \(linear)")
  }

  @Test("equal data and seed give equal bytes, on any number of threads", arguments: kinds)
  func deterministic(kind: String) throws {
    let panel = Sample.panel(Sample.seasonal(30, missing: 0.05))
    func bytes(threads: Int) throws -> [UInt8] {
      try Sample.fit(panel, TrainingConfiguration(threads: threads), Self.configuration(kind))
        .forecaster.encoded()
    }
    let one = try bytes(threads: 1)
    #expect(try bytes(threads: 1) == one)
    #expect(try bytes(threads: 2) == one)
    #expect(try bytes(threads: 5) == one)
  }

  @Test("reservoirs of another seed differ, and come back from bytes")
  func seeds() throws {
    let panel = Sample.panel(Sample.seasonal(10))
    let first = try Sample.fit(panel, TrainingConfiguration(seed: 1), Self.configuration("esn"))
    let second = try Sample.fit(panel, TrainingConfiguration(seed: 2), Self.configuration("esn"))
    #expect(first.forecaster != second.forecaster)
    let back = try TrainedForecaster(decoding: first.forecaster.encoded())
    #expect(try Sample.forecasts(back, panel) == Sample.forecasts(first.forecaster, panel))
  }

  @Test(
    "a season is learned beyond the seasonal naive, values missing or not", arguments: kinds,
    [0, 0.15])
  func seasonal(kind: String, missing: Double) throws {
    let all = Sample.seasonal(40, length: 80, noise: 2, seed: 9)
    var random = SeededGenerator(seed: 2)
    let history = all.map { $0.dropLast(4).map { random.uniform() < missing ? Double.nan : $0 } }
    let panel = Sample.panel(history)
    let result = try Sample.fit(panel, TrainingConfiguration(threads: 2), Self.configuration(kind))
    #expect(result.validationLoss != nil && result.windows > 1000)
    let forecasts = try Sample.forecasts(result.forecaster, panel)
    var errors = (model: 0.0, naive: 0.0)
    for (number, values) in all.enumerated() {
      for h in 0..<4 {
        let actual = values[values.count - 4 + h]
        errors.model += abs(actual - forecasts[number].quantiles[h * 3 + 1])
        errors.naive += abs(actual - values[values.count - 8 + h])
      }
      #expect(forecasts[number].quantiles.allSatisfy { $0.isFinite })
    }
    // The naive reads what is missing here.
    #expect(errors.model < (missing > 0 ? 0.97 : 0.9) * errors.naive, "\(errors)")
  }

  @Test("large residuals pull less when the fit is robust")
  func robust() throws {
    // One value in thirty is far off, always upwards.
    var random = SeededGenerator(seed: 8)
    let clean = Self.autoregressions(30, length: 120, seed: 4)
    let panel = Sample.panel(
      clean.map { series in series.map { $0 + (random.uniform() < 0.03 ? 40 : 0) } })
    func bias(_ robust: Bool) throws -> Double {
      let configuration = Self.configuration(
        "arnet", season: 1, options: ["robust": .flag(robust), "ridge": .number(0.01)])
      let result = try Sample.fit(panel, TrainingConfiguration(), configuration)
      return try #require(result.validationLoss)
    }
    let losses = (robust: try bias(true), squares: try bias(false))
    #expect(losses.robust < losses.squares)
  }

  @Test("the sparse form reads fewer lags and forecasts about as well")
  func sparse() throws {
    let panel = Sample.panel(Self.autoregressions(60, length: 124, seed: 6))
    func fit(_ sparsity: Double) throws -> TrainingResult {
      try Sample.fit(
        panel, TrainingConfiguration(),
        Self.configuration(
          "arnet", context: 24, horizon: 1, season: 1, options: ["sparsity": .number(sparsity)]))
    }
    let (dense, sparse) = (try fit(0), try fit(0.05))
    func zeros(_ result: TrainingResult) throws -> Int {
      // Weights [48, 3] of one step: the median's column is the regression.
      let file = try result.forecaster.encoded()
      let header = 8 + file[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
      let weights = file[header...].withUnsafeBytes { bytes in
        (0..<24).map { bytes.loadUnaligned(fromByteOffset: ($0 * 3 + 1) * 4, as: Float.self) }
      }
      return weights.count { $0 == 0 }
    }
    #expect(try zeros(dense) == 0)
    #expect(try zeros(sparse) > 12)
    let losses = (try #require(dense.validationLoss), try #require(sparse.validationLoss))
    #expect(losses.1 < 1.1 * losses.0)
  }

  @Test("progress rises to one, and what it throws ends the fit")
  func progress() throws {
    let panel = Sample.panel(Sample.seasonal(20))
    let configuration = Self.configuration("arnet")
    var fractions: [Double] = []
    var phases: Set<TrainingProgress.Phase> = []
    let result = try Sample.fit(panel, TrainingConfiguration(), configuration) {
      fractions.append($0.fraction)
      phases.insert($0.phase)
      #expect($0.trainingLoss.isFinite)
    }
    #expect(fractions.last == 1 && zip(fractions, fractions.dropFirst()).allSatisfy { $0 <= $1 })
    #expect(phases == [.fit, .refit] && result.steps == 2)
    for stop in [1, 2, fractions.count / 2, fractions.count] {
      var calls = 0
      #expect(throws: CancellationError.self) {
        _ = try Sample.fit(panel, TrainingConfiguration(), configuration) { _ in
          calls += 1
          if calls == stop { throw CancellationError() }
        }
      }
      #expect(calls == stop)
    }
  }

  @Test("a time budget ends with what was read, from all over the panel")
  func timeBudget() throws {
    let panel = Sample.panel(Sample.seasonal(200))
    var training = TrainingConfiguration()
    training.timeBudgetSeconds = 0
    let result = try Sample.fit(panel, training, Self.configuration("arnet"))
    #expect(result.stoppedByTimeBudget && result.windows == 128 && result.steps == 1)
    let forecasts = try Sample.forecasts(result.forecaster, panel)
    #expect(forecasts.allSatisfy { $0.quantiles.allSatisfy { $0.isFinite } })
  }

  @Test("what does not apply to least squares is refused in words")
  func refused() throws {
    let panel = Sample.panel(Sample.seasonal(5))
    var training = TrainingConfiguration()
    training.recompute = true
    #expect(throws: TrainingError.self) {
      _ = try Sample.fit(panel, training, Self.configuration("arnet"))
    }
    do {
      _ = try Sample.fit(panel, training, Self.configuration("esn"))
    } catch let error as TrainingError {
      #expect(error.code == .badConfiguration && error.message.contains("recompute"))
    }
    #expect(throws: TrainingError.self) {
      _ = try Sample.fit(
        Sample.panel([[1, 2]]), TrainingConfiguration(), Self.configuration("arnet"))
    }
    #expect(throws: ForecasterError.self) {
      _ = try Sample.fit(
        panel, TrainingConfiguration(), Self.configuration("arnet", options: ["lags": .integer(17)])
      )
    }
  }

  @Test("a series whose numbers overflow is named")
  func enormous() throws {
    var series = Sample.seasonal(3)
    for t in 40..<series[1].count { series[1][t] = 1e300 * Double(t) }
    do {
      _ = try Sample.fit(Sample.panel(series), TrainingConfiguration(), Self.configuration("arnet"))
      Issue.record("fitted infinity")
    } catch let error as TrainingError {
      #expect(error.code == .notFinite && error.message.contains("series 1"))
    }
  }

  @Test("many fits side by side are the fits one by one", arguments: kinds)
  func fitEach(kind: String) throws {
    let series = Sample.seasonal(4, length: 70)
    let fits = series.map { Trainer.Fit(Self.configuration(kind), on: Sample.panel([$0])) }
    let trainer = Trainer(TrainingConfiguration(threads: 2))
    for (fit, result) in zip(fits, trainer.fitEach(fits, threads: 2)) {
      let alone = try Sample.fit(fit.panel, TrainingConfiguration(), fit.forecaster)
      #expect(try result.get().forecaster == alone.forecaster)
    }
  }

  @Test("constant series and single steps ahead do no harm", arguments: kinds)
  func constant(kind: String) throws {
    let panel = Sample.panel([[Double](repeating: 7, count: 50), [Double](repeating: 0, count: 40)])
    let result = try Sample.fit(panel, TrainingConfiguration(), Self.configuration(kind))
    let forecasts = try Sample.forecasts(result.forecaster, panel)
    for (forecast, value) in zip(forecasts, [7.0, 0]) {
      expectClose(forecast.quantiles, forecast.quantiles.map { _ in value }, absolute: 0.02)
    }
  }

  @Test("what a fit takes is planned, within bounds whatever the panel", arguments: kinds)
  func planned(kind: String) throws {
    let bytes = try Trainer(TrainingConfiguration(threads: 2))
      .plannedBytes(Self.configuration(kind))
    #expect(bytes >= LeastSquaresLimits.bytes && bytes < 2 * LeastSquaresLimits.bytes)
  }
}
