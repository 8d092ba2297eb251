// Names: shape letters Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

/// The seasonal naive forecast as a model of its own, with the normal intervals of its one-season errors.
public enum SeasonalNaiveArchitecture: SeriesArchitecture {
  public static let kind = "seasonal-naive"
  public static let help =
    "Repeats the last season (or value): the forecast to beat, nothing fitted."
  public static let reference = "hyndman2021"
  public static let time = "T"
  public static let memory = "season"

  public static func makeForecaster(
    _ configuration: ForecasterConfiguration
  ) throws -> any SeriesForecaster {
    SeasonalNaiveForecaster(configuration)
  }
}

/// The error of step `h` has the variance of one season's error times the seasons ahead (Hyndman &
/// Athanasopoulos 2021, section 5.5).
final class SeasonalNaiveForecaster: SeriesForecaster {
  let batch = 64
  private let horizon: Int
  private let seasonality: Int
  private let contextLength: Int
  private let normal: [Double]

  init(_ configuration: ForecasterConfiguration) {
    horizon = configuration.horizon
    seasonality = configuration.usableSeasons.first ?? 1
    contextLength = configuration.contextLength
    normal = configuration.quantiles.map(NormalDistribution.quantile)
  }

  func forecast(_ series: [SeriesValues], into quantiles: UnsafeMutablePointer<Double>) throws {
    let Q = normal.count
    for (row, one) in series.enumerated() {
      // Errors of the context, not of all history: intervals are those of now.
      var from = max(0, one.values.count - contextLength)
      if one.values[from...].allSatisfy(\.isNaN) { from = 0 }
      let values = UnsafeBufferPointer(rebasing: one.values[from...])
      let first = one.firstOrdinal + from
      guard
        let forecast = SeasonalNaive.forecast(
          values, seasonality: seasonality, horizon: horizon, firstOrdinal: first, clock: one.clock)
      else { throw ForecasterError(.badSeries, "nothing was observed in the context") }
      var (sum, count) = (0.0, 0.0)
      for t in values.indices where !values[t].isNaN {
        let lag = one.clock.lag(at: first + t, season: seasonality)
        if lag <= t, !values[t - lag].isNaN {
          let error = values[t] - values[t - lag]
          sum += error * error
          count += 1
        }
      }
      let spread = count > 0 ? (sum / count).squareRoot() : WindowScaler(values).scale
      for h in 0..<horizon {
        let width = spread * Double(h / seasonality + 1).squareRoot()
        for q in 0..<Q {
          quantiles[(row * horizon + h) * Q + q] = forecast[h] + width * normal[q]
        }
      }
    }
  }
}
