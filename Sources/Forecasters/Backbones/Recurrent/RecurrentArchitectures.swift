public import NumericsCore

/// Options and construction that the stacks of recurrent cells share.
enum RecurrentOptions {
  static let heads = ModelOption.integer(
    "heads", 1...64, standard: 1,
    "blocks of units that do not see each other's past (FlashRNN); has to divide hidden")

  static let residual = ModelOption.flag(
    "residual", standard: false, "whether every layer after the first adds its input to its output")

  static let reset = ModelOption.choice(
    "reset", ["after", "before"], standard: "after",
    "whether the reset gate acts after the recurrent product (PyTorch) or before it (the paper)")

  static let activation = ModelOption.choice(
    "activation", ["tanh", "relu"], standard: "tanh",
    "what the candidate goes through; relu can diverge, and suits inputs that are not scaled")

  private static func isReLU(_ configuration: ForecasterConfiguration) -> Bool {
    configuration.text(activation.name) == "relu"
  }

  static func elman(_ configuration: ForecasterConfiguration) -> RecurrentCell.Kind {
    isReLU(configuration) ? .elmanReLU : .elman
  }

  static func lstm(_ configuration: ForecasterConfiguration) -> RecurrentCell.Kind {
    isReLU(configuration) ? .lstmReLU : .lstm
  }

  static func gru(_ configuration: ForecasterConfiguration) -> RecurrentCell.Kind {
    configuration.text(reset.name) == "before"
      ? isReLU(configuration) ? .gruResetBeforeReLU : .gruResetBefore
      : isReLU(configuration) ? .gruReLU : .gru
  }

  static func validate(_ configuration: ForecasterConfiguration) throws {
    let heads = configuration.integer(heads.name)
    guard configuration.hidden % heads == 0 else {
      throw ForecasterError(
        .badConfiguration,
        "heads is \(heads), expected a divisor of hidden, which is \(configuration.hidden)")
    }
  }

  static func stack<Element: Real>(
    _ kind: RecurrentCell.Kind, _ configuration: ForecasterConfiguration, inputs: Int,
    layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    StackedRecurrent<Element>(
      kind, inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
      heads: configuration.integer(heads.name), residual: configuration.flag(residual.name),
      dropout: configuration.dropout, layout: &layout)
  }
}

public enum LSTMArchitecture: BackboneArchitecture {
  public static let kind = "lstm"
  public static let help = "Stacked LSTM: tracks state, forgets by choice; the sound default."
  public static let reference = "hochreiter1997"
  public static let time = "T D²"
  public static let memory = "2 D"
  public static let options = [
    RecurrentOptions.heads, RecurrentOptions.residual, RecurrentOptions.activation,
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try RecurrentOptions.validate(configuration)
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    RecurrentOptions.stack(
      RecurrentOptions.lstm(configuration), configuration, inputs: inputs, layout: &layout)
  }
}

public enum GRUArchitecture: BackboneArchitecture {
  public static let kind = "gru"
  public static let help =
    "Stacked GRU: one state and three gates, a quarter cheaper than the LSTM."
  public static let reference = "cho2014"
  public static let time = "T D²"
  public static let memory = "D"
  public static let options = [
    RecurrentOptions.heads, RecurrentOptions.residual, RecurrentOptions.reset,
    RecurrentOptions.activation,
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try RecurrentOptions.validate(configuration)
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    RecurrentOptions.stack(
      RecurrentOptions.gru(configuration), configuration, inputs: inputs, layout: &layout)
  }
}

public enum ElmanArchitecture: BackboneArchitecture {
  public static let kind = "elman"
  public static let help = "Stacked Elman network: the plain recurrent baseline, short memory."
  public static let reference = "elman1990"
  public static let time = "T D²"
  public static let memory = "D"
  public static let options = [
    RecurrentOptions.heads, RecurrentOptions.residual,
    RecurrentOptions.activation,
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try RecurrentOptions.validate(configuration)
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    RecurrentOptions.stack(
      RecurrentOptions.elman(configuration), configuration, inputs: inputs, layout: &layout)
  }
}
