import NumericsCore

/// A network whose weights know time and not steps, so that they forecast series of another sampling, and other
/// horizons.
public protocol ContinuousTimeArchitecture: NetworkArchitecture {
  /// Time from one step of the series to the next, in units of the weights.
  static func stepLength(_ configuration: ForecasterConfiguration) -> Double

  /// The configuration with what would else follow from sampling and horizon written out.
  static func settled(_ configuration: ForecasterConfiguration) -> ForecasterConfiguration
}

extension ForecastNetwork {
  /// The network for another sampling, context or horizon, and its parameters.
  ///
  /// The weights of the model stay; those of the head, which are of steps ahead, are read off at the times of the new ones,
  /// linear between the old ones and constant beyond.
  ///
  /// - Parameters:
  ///   - parameters: of this network.
  ///   - seasonality: the same seasons, in steps of the new sampling.
  /// - Throws: `ForecasterError.badConfiguration` where weights are of steps, where inputs would differ, and where the
  ///   horizon ends after what the weights describe.
  public func resampled(
    _ parameters: [Element], contextLength: Int, horizon: Int, seasonality: [Int]
  ) throws -> (network: ForecastNetwork, parameters: [Element]) {
    guard let entry = Registry.entry(configuration.kind) as? any ContinuousTimeArchitecture.Type
    else {
      throw ForecasterError(
        .badConfiguration,
        "the weights of \(configuration.kind) are of steps, not of time: fit it anew for another sampling or horizon"
      )
    }
    var changed = entry.settled(configuration)
    changed.contextLength = contextLength
    changed.horizon = horizon
    changed.seasonality = seasonality
    let network = try ForecastNetwork(changed)
    let (old, new) = (entry.stepLength(configuration), entry.stepLength(changed))
    let head = [self.head.bias.name, self.head.mix.name]
    var result: [Element] = []
    for tensor in network.layout.tensors {
      let source = layout.tensors.first { $0.name == tensor.name }
      let perStep = head.contains(tensor.name)
      let width = perStep ? tensor.count / horizon : 0
      guard let source,
        perStep ? source.count == width * configuration.horizon : source.shape == tensor.shape
      else {
        throw ForecasterError(
          .badConfiguration,
          "a context of \(contextLength) with seasons \(seasonality) gives other inputs than \(configuration.contextLength) with \(configuration.seasonality): as many seasons have to fit in"
        )
      }
      guard perStep else {
        result += parameters[source.offset..<(source.offset + source.count)]
        continue
      }
      for step in 0..<horizon {
        let last = Double(configuration.horizon - 1)
        let place = min(max(Double(step + 1) * new / old - 1, 0), last)
        let below = Int(place)
        let share = Element(place - Double(below))
        let above = min(below + 1, configuration.horizon - 1)
        for k in 0..<width {
          let (a, b) = (
            parameters[source.offset + below * width + k],
            parameters[source.offset + above * width + k]
          )
          result.append(a + share * (b - a))
        }
      }
    }
    return (network, result)
  }
}
