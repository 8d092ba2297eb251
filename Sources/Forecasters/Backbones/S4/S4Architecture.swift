public import NumericsCore

public enum S4Architecture: BackboneArchitecture {
  public static let kind = "s4"
  public static let help =
    "State spaces of a normal plus low-rank matrix, HiPPO at the start, as long convolutions."
  public static let reference = "gu2022s4"
  public static let time = "D T (N + log T) + T D²"
  public static let memory = "N D"
  public static let options: [ModelOption] = [
    .integer(
      "stateSize", 0...512, standard: 0,
      "real numbers of state for each channel, even; 0 means what contextLength resolves, 64 at most"
    )
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try configuration.requireEven("stateSize", because: "states come in pairs")
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    MixerStack<Element>(configuration, inputs: inputs, norm: .layer, layout: &layout) {
      S4(
        $0, width: configuration.hidden, stateSize: stateSize(configuration),
        context: configuration.contextLength, layout: &$1)
    }
  }

  /// As it is set, or as large as the context resolves.
  ///
  /// The fastest of N modes turns with about `N² / pi`. The bilinear rule takes what turns by much more than a circle
  /// within a step to the edge of the unit circle, where it never settles: in a stream longer than those of training
  /// the error grows. Steps of `1 / context` bear `N = sqrt(4 pi context)`.
  static func stateSize(_ configuration: ForecasterConfiguration) -> Int {
    let wanted = configuration.integer("stateSize")
    guard wanted == 0 else { return wanted }
    let resolved = (4 * Double.pi * Double(configuration.contextLength)).squareRoot()
    return min(64, max(2, Int(resolved) / 2 * 2))
  }
}
