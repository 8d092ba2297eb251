import Forecasters

extension TrainedForecaster {
  /// The same weights for series of another sampling, or another context or horizon, without a new fit (FlowState;
  /// Graf et al. 2025).
  ///
  /// - Parameter seasonality: the same seasons in steps of the new sampling: 48 for half hours where hours had 24.
  /// - Throws: `ForecasterError.badConfiguration`; see ``ForecastNetwork/resampled(_:contextLength:horizon:seasonality:)``.
  public func resampled(
    contextLength: Int, horizon: Int, seasonality: [Int]
  ) throws -> TrainedForecaster {
    let (network, parameters) = try ForecastNetwork<Float>(configuration).resampled(
      parameters, contextLength: contextLength, horizon: horizon, seasonality: seasonality)
    return TrainedForecaster(configuration: network.configuration, parameters: parameters)
  }
}
