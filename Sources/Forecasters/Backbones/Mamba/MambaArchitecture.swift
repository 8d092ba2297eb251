public import NumericsCore

public enum MambaArchitecture: BackboneArchitecture {
  public static let kind = "mamba"
  public static let help = "Selective state spaces: the input decides what is kept."
  public static let reference = "gu2023mamba"
  public static let time = "T D (N + D)"
  public static let memory = "2 D (N + 3)"
  public static let options: [ModelOption] = [
    .integer("stateSize", 1...256, standard: 16, "states for each inner channel"),
    .integer("expansion", 1...8, standard: 2, "inner channels for each outer one"),
    .integer("taps", 1...16, standard: 4, "length of the short convolution"),
  ]

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    MixerStack<Element>(configuration, inputs: inputs, norm: .rootMeanSquare, layout: &layout) {
      Mamba(
        $0, width: configuration.hidden, stateSize: configuration.integer("stateSize"),
        expansion: configuration.integer("expansion"), taps: configuration.integer("taps"),
        context: configuration.contextLength, layout: &$1)
    }
  }
}
