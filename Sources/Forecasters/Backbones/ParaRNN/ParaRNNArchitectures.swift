public import NumericsCore

public enum ParaLSTMArchitecture: BackboneArchitecture {
  public static let kind = "paralstm"
  public static let help =
    "Stacked LSTM with diagonal recurrent weights: cheap steps, input and forget gate coupled."
  public static let reference = "danieli2025"
  public static let time = "T D² (inputs), T D (state)"
  public static let memory = "2 D"

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    ParaRNN<Element>(
      .paraLSTM, inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
      dropout: configuration.dropout, layout: &layout)
  }
}

public enum ParaGRUArchitecture: BackboneArchitecture {
  public static let kind = "paragru"
  public static let help =
    "Stacked GRU with diagonal recurrent weights: the cheapest gated recurrence."
  public static let reference = "danieli2025"
  public static let time = "T D² (inputs), T D (state)"
  public static let memory = "D"

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    ParaRNN<Element>(
      .paraGRU, inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
      dropout: configuration.dropout, layout: &layout)
  }
}
