public import NumericsCore

public enum TCNArchitecture: BackboneArchitecture {
  public static let kind = "tcn"
  public static let help =
    "Temporal convolutional network: residual blocks of dilated causal convolutions over the context."
  public static let reference = "bai2018"
  public static let time = "T D²"
  public static let memory = "T D, of the receptive field"
  public static let options: [ModelOption] = [
    .integer("taps", 2...16, standard: 3, "steps that a convolution reads"),
    .integer(
      "levels", 0...16, standard: 0,
      "blocks whose dilation doubles, repeated for every layer; 0 is as many as cover the context"),
    .flag("weightNorm", standard: false, "kernels as directions and lengths"),
  ]

  /// A receptive field far beyond the context has weights that never see anything.
  public static func validate(_ configuration: ForecasterConfiguration) throws {
    let (taps, levels) = (configuration.integer("taps"), configuration.integer("levels"))
    let most = TCN<Float>.levels(covering: configuration.contextLength, taps: taps)
    guard levels <= most else {
      throw ForecasterError(
        .badConfiguration,
        "levels is \(levels), expected at most \(most): as many cover a context of "
          + "\(configuration.contextLength) with \(taps) taps")
    }
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    let (taps, levels) = (configuration.integer("taps"), configuration.integer("levels"))
    return TCN<Element>(
      inputs: inputs, hidden: configuration.hidden,
      levels: levels > 0
        ? levels : TCN<Element>.levels(covering: configuration.contextLength, taps: taps),
      repeats: configuration.layers, taps: taps, weightNorm: configuration.flag("weightNorm"),
      dropout: configuration.dropout, layout: &layout)
  }
}
