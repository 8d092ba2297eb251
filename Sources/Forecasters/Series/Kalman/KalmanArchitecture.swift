/// Structural models by the Kalman filter: one for each series, fitted when it is forecast.
public enum KalmanArchitecture: SeriesArchitecture {
  public static let kind = "kalman"
  public static let help =
    "Level, slope, reversion and season of each series by the Kalman filter; nothing learned across series."
  public static let reference = "harvey1990"
  public static let time = "T N² for each of some 120 likelihoods"
  public static let memory = "N² + T N"
  public static let options: [ModelOption] = [
    .choice(
      "trend", ["auto", "level", "linear", "damped", "mean-reverting"], standard: "auto",
      "how the level moves; auto chooses for each series by Akaike's criterion"),
    .choice(
      "seasonal", ["trigonometric", "dummy", "none"], standard: "trigonometric",
      "states of a season; it is left out of series that do better without"),
    .integer(
      "harmonics", 0...1000, standard: 6, "of a trigonometric season at most; 0 is all"),
    .choice(
      "transform", ["auto", "none", "log"], standard: "auto",
      "whether logarithms of positive series are modelled; auto chooses for each series"),
    .integer(
      "history", 0...1_000_000, standard: 0,
      "newest steps that are read, whatever contextLength says; 0 is what is affordable, 2000 at most"
    ),
  ]

  /// States of a model at most: likelihoods take the time of their square.
  static let states = 128

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    let states = KalmanForecaster.fullModel(configuration).states
    guard states <= Self.states else {
      throw ForecasterError(
        .badConfiguration,
        "the seasons \(configuration.seasonality) take \(states) states, expected at most \(Self.states): choose seasonal trigonometric with fewer harmonics"
      )
    }
  }

  public static func makeForecaster(
    _ configuration: ForecasterConfiguration
  ) throws -> any SeriesForecaster {
    KalmanForecaster(configuration)
  }
}
