public import NumericsCore

public enum S5Architecture: BackboneArchitecture {
  public static let kind = "s5"
  public static let help = "One diagonal state space for all channels, scanned in time."
  public static let reference = "smith2023s5"
  public static let time = "T D (N + D)"
  public static let memory = "N"
  public static let options: [ModelOption] = [
    .integer("stateSize", 0...4096, standard: 0, "real numbers of state, even; 0 is hidden"),
    .choice(
      "discretisation", Discretisation.allCases.map(\.rawValue),
      standard: Discretisation.zeroOrderHold.rawValue, "from continuous time to steps"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try configuration.requireEven("stateSize", because: "states come in pairs")
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    let size = configuration.integer("stateSize")
    let rule = Discretisation(rawValue: configuration.text("discretisation"))!
    return MixerStack<Element>(configuration, inputs: inputs, norm: .layer, layout: &layout) {
      S5(
        $0, width: configuration.hidden, stateSize: size == 0 ? nil : size, rule: rule,
        steps: StepSize(context: configuration.contextLength, rate: 0.5), layout: &$1)
    }
  }
}
