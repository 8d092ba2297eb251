public import NumericsCore

public enum HydraArchitecture: EncoderArchitecture {
  public static let kind = "hydra"
  public static let help = "Selective state spaces in both directions over the observed window."
  public static let reference = "hwang2024"
  public static let time = "T D (N + D)"
  public static let memory = "none: it reads windows, not streams"
  public static let options: [ModelOption] =
    DualOptions.all + [
      .integer("taps", 1...31, standard: 7, "length of the centred convolution, odd")
    ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try DualOptions.validate(configuration)
    guard configuration.integer("taps") % 2 == 1 else {
      throw ForecasterError(
        .badConfiguration,
        "taps is \(configuration.integer("taps")), expected an odd number: it has a centre")
    }
  }

  public static func makeEncoder<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowEncoder<Element> {
    let layer = DualOptions.layer(configuration)
    return Hydra(
      MixerStack<Element>(configuration, inputs: inputs, norm: .rootMeanSquare, layout: &layout) {
        HydraMixer(
          $0, width: configuration.hidden, layer: layer, taps: configuration.integer("taps"),
          layout: &$1)
      })
  }
}
