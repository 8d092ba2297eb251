public import NumericsCore

public enum S4DArchitecture: BackboneArchitecture {
  public static let kind = "s4d"
  public static let help = "Diagonal state spaces as long convolutions: long contexts, cheap steps."
  public static let reference = "gu2022s4d"
  public static let time = "D T log T + T D²"
  public static let memory = "N D"
  public static let options: [ModelOption] = [
    .integer("stateSize", 2...1024, standard: 64, "real numbers of state for each channel, even"),
    .choice(
      "discretisation", Discretisation.allCases.map(\.rawValue),
      standard: Discretisation.zeroOrderHold.rawValue, "from continuous time to steps"),
    .choice(
      "initialisation", StateMatrix.allCases.map(\.rawValue), standard: StateMatrix.linear.rawValue,
      "of the state matrix"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try configuration.requireEven("stateSize", because: "states come in pairs")
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    let size = configuration.integer("stateSize")
    let rule = Discretisation(rawValue: configuration.text("discretisation"))!
    let matrix = StateMatrix(rawValue: configuration.text("initialisation"))!
    return MixerStack<Element>(configuration, inputs: inputs, norm: .layer, layout: &layout) {
      name, layout in
      S4D(name, layout: &layout) {
        DiagonalStates(
          name, width: configuration.hidden, stateSize: size, rule: rule, matrix: matrix,
          context: configuration.contextLength, layout: &$0)
      }
    }
  }
}
