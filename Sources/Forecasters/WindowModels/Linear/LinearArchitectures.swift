public import NumericsCore

public enum DLinearArchitecture: NetworkArchitecture {
  public static let kind = "dlinear"
  public static let help =
    "Linear maps of a moving average and of the rest; hidden and layers do not matter."
  public static let reference = "zeng2023"
  public static let time = "T H"
  public static let memory = "T: the whole window is read again"
  public static let options: [ModelOption] = [
    .integer("movingAverage", 3...999, standard: 25, "steps of the moving average, odd")
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    let window = configuration.integer("movingAverage")
    guard window % 2 == 1 else {
      throw ForecasterError(
        .badConfiguration, "movingAverage is \(window), expected an odd number: it is centred")
    }
  }

  public static func makeModel<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowModel<Element> {
    DLinear<Element>(
      context: configuration.contextLength,
      outputs: configuration.horizon * configuration.quantiles.count,
      window: configuration.integer("movingAverage"), layout: &layout)
  }
}

public enum NLinearArchitecture: NetworkArchitecture {
  public static let kind = "nlinear"
  public static let help =
    "A linear map of the differences to the last value; hidden and layers do not matter."
  public static let reference = "zeng2023"
  public static let time = "T H"
  public static let memory = "T: the whole window is read again"

  public static func makeModel<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowModel<Element> {
    NLinear<Element>(
      context: configuration.contextLength,
      outputs: configuration.horizon * configuration.quantiles.count, layout: &layout)
  }
}
