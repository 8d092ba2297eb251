public import NumericsCore

public enum S4Architecture: BackboneArchitecture {
  public static let kind = "s4"
  public static let help =
    "State spaces of a normal plus low-rank matrix, HiPPO at the start, as long convolutions."
  public static let reference = "gu2022s4"
  public static let time = "D T (N + log T) + T D²"
  public static let memory = "N D"
  public static let options: [ModelOption] = [
    .integer("stateSize", 2...512, standard: 64, "real numbers of state for each channel, even")
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try configuration.requireEven("stateSize", because: "states come in pairs")
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    MixerStack<Element>(configuration, inputs: inputs, norm: .layer, layout: &layout) {
      S4(
        $0, width: configuration.hidden, stateSize: configuration.integer("stateSize"),
        context: configuration.contextLength, layout: &$1)
    }
  }
}
