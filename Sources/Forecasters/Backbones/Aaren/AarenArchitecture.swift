public import NumericsCore

public enum AarenArchitecture: BackboneArchitecture {
  public static let kind = "aaren"
  public static let help =
    "Attention as a recurrence: learned queries read the past in constant memory."
  public static let reference = "feng2024"
  public static let time = "T D²"
  public static let memory = "D + 2 heads"
  public static let options = [
    HeadOptions.heads, AttentionOptions.feedForward, AttentionOptions.norm,
    .flag("fading", standard: true, "whether what is long ago counts less, by trained rates"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try HeadOptions.validate(configuration)
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    Aaren<Element>(
      inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
      heads: HeadOptions.heads(configuration),
      context: configuration.contextLength, fades: configuration.flag("fading"),
      factor: configuration.number(AttentionOptions.feedForward.name),
      norm: AttentionOptions.norm(configuration), dropout: configuration.dropout, layout: &layout)
  }
}
