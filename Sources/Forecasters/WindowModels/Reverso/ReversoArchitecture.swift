public import NumericsCore

public enum ReversoArchitecture: NetworkArchitecture {
  public static let kind = "reverso"
  public static let help =
    "Reverso: long convolutions and DeltaNet in turn, attention decoder; small and accurate, fixed context."
  public static let reference = "fu2026reverso"
  public static let time = "D T log T + T D²"
  public static let memory = "T D"
  public static let options: [ModelOption] = [
    HeadOptions.heads, HeadOptions.convolution,
    .flag(
      "negativeEigenvalues", standard: false,
      "whether an update may reverse what the memory holds; the published model may not"),
    .number(
      "projection", 0.5...16, standard: 4, "width of the networks between layers over hidden"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try HeadOptions.validate(configuration)
  }

  public static func makeModel<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowModel<Element> {
    Reverso<Element>(
      steps: configuration.contextLength, inputs: inputs, hidden: configuration.hidden,
      layers: configuration.layers, dropout: configuration.dropout,
      DeltaNetLayer(
        heads: HeadOptions.heads(configuration),
        convolution: configuration.integer("convolution"),
        hasNegativeEigenvalues: configuration.flag("negativeEigenvalues")),
      projectionFactor: configuration.number("projection"), horizon: configuration.horizon,
      quantiles: configuration.quantiles.count, layout: &layout)
  }
}
