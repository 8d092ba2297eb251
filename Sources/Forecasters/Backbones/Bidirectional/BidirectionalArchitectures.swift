public import NumericsCore

public enum BiLSTMArchitecture: EncoderArchitecture {
  public static let kind = "bilstm"
  public static let help =
    "Bidirectional LSTM: reads the window forwards and backwards; twice the cost, no stream."
  public static let reference = "schuster1997"
  public static let time = "2 T D²"
  public static let memory = "all of the window"
  public static let options = [RecurrentOptions.heads, RecurrentOptions.activation]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try RecurrentOptions.validate(configuration)
  }

  public static func makeEncoder<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowEncoder<Element> {
    BidirectionalRecurrent<Element>(
      RecurrentOptions.lstm(configuration), inputs: inputs, hidden: configuration.hidden,
      layers: configuration.layers, heads: configuration.integer(RecurrentOptions.heads.name),
      dropout: configuration.dropout,
      layout: &layout)
  }
}

public enum BiGRUArchitecture: EncoderArchitecture {
  public static let kind = "bigru"
  public static let help =
    "Bidirectional GRU: reads the window forwards and backwards, a quarter cheaper than bilstm."
  public static let reference = "schuster1997"
  public static let time = "2 T D²"
  public static let memory = "all of the window"
  public static let options = [
    RecurrentOptions.heads, RecurrentOptions.reset, RecurrentOptions.activation,
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try RecurrentOptions.validate(configuration)
  }

  public static func makeEncoder<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowEncoder<Element> {
    BidirectionalRecurrent<Element>(
      RecurrentOptions.gru(configuration), inputs: inputs, hidden: configuration.hidden,
      layers: configuration.layers, heads: configuration.integer(RecurrentOptions.heads.name),
      dropout: configuration.dropout, layout: &layout)
  }
}
