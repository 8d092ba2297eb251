public import NumericsCore

public enum LMUArchitecture: BackboneArchitecture {
  public static let kind = "lmu"
  public static let help = "Legendre Memory Unit: a window held as coefficients of polynomials."
  public static let reference = "voelker2019"
  public static let time = "T (D² + N D + N²)"
  public static let memory = "D + N"
  public static let options: [ModelOption] = [
    .integer("order", 1...512, standard: 32, "coefficients of the memory"),
    .integer("window", 0...1_000_000, standard: 0, "steps that the memory holds; 0 is the context"),
  ]

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    let window = configuration.integer("window")
    return LMU<Element>(
      inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
      dropout: configuration.dropout, order: configuration.integer("order"),
      window: Double(window == 0 ? configuration.contextLength : window), layout: &layout)
  }
}
