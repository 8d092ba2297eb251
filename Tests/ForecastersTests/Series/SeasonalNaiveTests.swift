import Forecasters
import TestSupport
import Testing

@Suite("Seasonal naive forecaster")
struct SeasonalNaiveTests {
  private func forecast(
    _ values: [Double], _ configuration: ForecasterConfiguration, firstOrdinal: Int = 0,
    clock: SeasonClock = .steady
  ) throws -> [Double] {
    let forecaster = try SeasonalNaiveArchitecture.makeForecaster(configuration)
    var quantiles = [Double](
      repeating: .nan, count: configuration.horizon * configuration.quantiles.count)
    try values.withUnsafeBufferPointer { values in
      try forecaster.forecast(
        [SeriesValues(values, firstOrdinal: firstOrdinal, clock: clock)], into: &quantiles)
    }
    return quantiles
  }

  private func configuration(_ seasonality: [Int], horizon: Int = 6) -> ForecasterConfiguration {
    ForecasterConfiguration(
      kind: "seasonal-naive", contextLength: 16, horizon: horizon, quantiles: [0.1, 0.5, 0.9],
      seasonality: seasonality)
  }

  @Test("the median repeats the season, intervals widen by the root of the seasons ahead")
  func intervals() throws {
    // One-season errors of this series are all 3.
    var values: [Double] = []
    for t in 0..<16 { values.append(Double(t % 4) * 10 + Double(t / 4) * 3) }
    let q = try forecast(values, configuration([4]))
    for h in 0..<6 {
      expectClose(q[h * 3 + 1], values[12 + h % 4], absolute: 1e-12)
      let half: Double = 3 * 1.2815515655446004 * Double(h / 4 + 1).squareRoot()
      expectClose(q[h * 3 + 2] - q[h * 3 + 1], half, relative: 1e-12)
      expectClose(q[h * 3 + 1] - q[h * 3], half, relative: 1e-12)
    }
  }

  @Test("missing values are stepped over; without a season the last value stays")
  func missing() throws {
    var values = (0..<16).map { Double($0) }
    (values[13], values[15]) = (.nan, .nan)
    let q = try forecast(values, configuration([4]))
    expectClose((0..<4).map { q[$0 * 3 + 1] }, [12, 9, 14, 11], absolute: 1e-12)
    let last = try forecast(values, configuration([1]))
    expectClose((0..<6).map { last[$0 * 3 + 1] }, [Double](repeating: 14, count: 6), absolute: 0)
  }

  @Test("a season of days follows the wall clock over a change")
  func clock() throws {
    // 4 steps a day; from the first step ahead on the clock is one step ahead.
    let clock = SeasonClock(stepsPerDay: 4, changes: [(ordinal: 16, shift: 1)], before: 0)
    let values = (0..<16).map { Double(clock.phase(of: $0, season: 4)) }
    let q = try forecast(values, configuration([4]), clock: clock)
    for h in 0..<6 {
      #expect(q[h * 3 + 1] == Double(clock.phase(of: 16 + h, season: 4)))
    }
  }

  @Test(
    "a series without an observation in the context falls back to older ones; without any it fails")
  func blank() throws {
    let q = try forecast(
      [3, 5] + [Double](repeating: .nan, count: 30), configuration([1], horizon: 1))
    #expect(q[1] == 5 && q[0] < 5 && q[2] > 5)
    #expect(throws: ForecasterError.self) { try forecast([.nan], configuration([1])) }
  }

  @Test(
    "normal quantiles agree with published ones",
    arguments: [
      (0.5, 0), (0.975, 1.959963984540054), (0.001, -3.090232306167813),
      (1e-12, -7.034483825301132),
    ])
  func normal(p: Double, x: Double) {
    expectClose(NormalDistribution.quantile(p), x, absolute: 1e-14, relative: 1e-13)
    expectClose(NormalDistribution.quantile(1 - p), -x, absolute: 1e-3, relative: 1e-4)
  }
}
