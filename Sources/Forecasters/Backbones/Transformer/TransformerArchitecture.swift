public import NumericsCore

public enum TransformerArchitecture: BackboneArchitecture {
  public static let kind = "transformer"
  public static let help =
    "Decoder-only Transformer: every step attends to the context; a stream keeps all of it."
  public static let reference = "vaswani2017"
  public static let time = "T² D + T D²"
  public static let memory = "2 T D, of the context"
  public static let options = [
    HeadOptions.heads, AttentionOptions.feedForward, AttentionOptions.norm,
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try HeadOptions.validate(configuration)
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    Transformer<Element>(
      inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
      heads: HeadOptions.heads(configuration), context: configuration.contextLength,
      factor: configuration.number(AttentionOptions.feedForward.name),
      norm: AttentionOptions.norm(configuration), dropout: configuration.dropout, layout: &layout)
  }
}
