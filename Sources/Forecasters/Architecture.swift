public import NumericsCore

/// An architecture as its folder declares it, once: job files, `forecastctl models`, checkpoints and the
/// conformance suite read the declaration.
public protocol Architecture: Sendable {
  /// What a job file says (`model: {kind: …}`).
  static var kind: String { get }
  /// One sentence for `forecastctl models`.
  static var help: String { get }
  /// Key in docs/references.md.
  static var reference: String { get }
  /// Arithmetic of a forward pass over one series: `T` steps, width `D`, state size `N`.
  static var time: String { get }
  /// Numbers that a stream carries from step to step.
  static var memory: String { get }
  /// What can be chosen beside `hidden`, `layers` and `dropout`.
  static var options: [ModelOption] { get }

  /// What options have to fulfil together.
  ///
  /// - Throws: `ForecasterError.badConfiguration`.
  static func validate(_ configuration: ForecasterConfiguration) throws

}

extension Architecture {
  public static var options: [ModelOption] { [] }
  public static func validate(_ configuration: ForecasterConfiguration) throws {}
}

/// How the parameters of a network are found.
public enum FittingMethod: String, Sendable {
  /// All of them by descent along the gradient.
  case gradient
  /// Those of the encoder are drawn and stay; the map from its state is the solution of a regression.
  case leastSquares
}

/// A network whose parameters are fitted to all series of a panel.
public protocol NetworkArchitecture: Architecture {
  static var fitting: FittingMethod { get }

  /// Makes the model of a validated configuration for `inputs` numbers a step, and adds its parameters to
  /// `layout`.
  static func makeModel<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowModel<Element>
}

extension NetworkArchitecture {
  public static var fitting: FittingMethod { .gradient }
}

/// A network that reads the window into one state, which a linear map takes to all steps ahead.
public protocol EncoderArchitecture: NetworkArchitecture {
  /// As ``NetworkArchitecture/makeModel(_:inputs:layout:)``.
  static func makeEncoder<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowEncoder<Element>
}

extension EncoderArchitecture {
  public static func makeModel<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowModel<Element> {
    let encoder: any WindowEncoder<Element> = makeEncoder(
      configuration, inputs: inputs, layout: &layout)
    return DirectModel(encoder, configuration, layout: &layout)
  }
}

/// A causal encoder that can also read a stream.
public protocol BackboneArchitecture: EncoderArchitecture {
  /// As ``NetworkArchitecture/makeModel(_:inputs:layout:)``.
  static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element>
}

extension BackboneArchitecture {
  public static func makeEncoder<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowEncoder<Element> {
    makeBackbone(configuration, inputs: inputs, layout: &layout)
  }
}

/// A forecaster that learns nothing from a panel: it fits each series by itself when it forecasts, or brings
/// its weights along.
public protocol SeriesArchitecture: Architecture {
  /// - Throws: `ForecasterError` where what it brings along cannot be read.
  static func makeForecaster(
    _ configuration: ForecasterConfiguration
  ) throws -> any SeriesForecaster
}
