public import NumericsCore

public enum Mamba2Architecture: BackboneArchitecture {
  public static let kind = "mamba2"
  public static let help = "Selective state spaces by heads, in matrix products: faster than mamba."
  public static let reference = "dao2024"
  public static let time = "T D (N + D)"
  public static let memory = "2 D (N + 3)"
  public static let options: [ModelOption] =
    DualOptions.all + [
      .integer("taps", 1...16, standard: 4, "length of the short convolution")
    ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try DualOptions.validate(configuration)
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    let layer = DualOptions.layer(configuration)
    return MixerStack<Element>(
      configuration, inputs: inputs, norm: .rootMeanSquare, layout: &layout
    ) {
      Mamba2(
        $0, width: configuration.hidden, layer: layer, taps: configuration.integer("taps"),
        context: configuration.contextLength, layout: &$1)
    }
  }
}
