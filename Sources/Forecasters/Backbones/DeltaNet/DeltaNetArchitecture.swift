public import NumericsCore

public enum DeltaNetArchitecture: BackboneArchitecture {
  public static let kind = "deltanet"
  public static let help =
    "DeltaNet: a memory that overwrites what a key held; tracks state, few parameters; DeltaProduct, gated."
  public static let reference = "yang2024deltanet"
  public static let time = "T D²"
  public static let memory = "D² / heads"
  public static let options: [ModelOption] = [
    HeadOptions.heads, HeadOptions.convolution,
    .integer(
      "householders", 1...8, standard: 1,
      "updates of the memory in each step; more than 1 is DeltaProduct"),
    .flag("gated", standard: false, "whether the memory can fade: gated DeltaNet"),
    .flag(
      "negativeEigenvalues", standard: true,
      "whether an update may reverse what the memory holds, which tracking a parity needs"),
    .number(
      "projection", 0.5...8, standard: 4.0 / 3, "width of the feed-forward network over hidden"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try HeadOptions.validate(configuration)
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    DeltaNet<Element>(
      inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
      dropout: configuration.dropout,
      DeltaNetLayer(
        heads: HeadOptions.heads(configuration),
        householders: configuration.integer("householders"),
        convolution: configuration.integer("convolution"), isGated: configuration.flag("gated"),
        hasNegativeEigenvalues: configuration.flag("negativeEigenvalues")),
      projectionFactor: configuration.number("projection"), layout: &layout)
  }
}
