public import NumericsCore

/// Options and construction that stacks of xLSTM blocks share.
enum XLSTMOptions {
  static let heads = ModelOption.integer(
    "heads", 0...64, standard: 0,
    "heads of a block; 0 means 4, or fewer where hidden is not divisible by 4")
  static let convolution = ModelOption.integer(
    "convolution", 0...32, standard: 4,
    "length of the causal convolution at the start of a block, 0 for none")

  static func projection(_ standard: Double, _ help: String) -> ModelOption {
    .number("projection", 0.5...8, standard: standard, help)
  }

  static func heads(_ configuration: ForecasterConfiguration) -> Int {
    let heads = configuration.integer(heads.name)
    return heads > 0 ? heads : XLSTM<Float>.heads(for: configuration.hidden)
  }

  static func validate(_ configuration: ForecasterConfiguration) throws {
    let heads = heads(configuration)
    guard configuration.hidden % heads == 0 else {
      throw ForecasterError(
        .badConfiguration,
        "heads is \(heads), expected a divisor of hidden, which is \(configuration.hidden)")
    }
  }

  static func stack<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout,
    block: (_ index: Int, _ heads: Int, _ convolution: Int) -> XLSTMBlock
  ) -> any Backbone<Element> {
    let convolution = configuration.integer(convolution.name)
    return XLSTM<Element>(
      inputs: inputs, hidden: configuration.hidden,
      blocks: (0..<configuration.layers).map { block($0, heads(configuration), convolution) },
      dropout: configuration.dropout, layout: &layout)
  }
}

public enum SLSTMArchitecture: BackboneArchitecture {
  public static let kind = "slstm"
  public static let help =
    "sLSTM blocks of xLSTM: exponential gates with a normaliser; tracks state, decides late."
  public static let reference = "beck2024"
  public static let time = "T D²"
  public static let memory = "4 D"
  public static let options = [
    XLSTMOptions.heads, XLSTMOptions.convolution,
    XLSTMOptions.projection(4.0 / 3, "width of the feed-forward network over hidden"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try XLSTMOptions.validate(configuration)
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    let factor = configuration.number("projection")
    return XLSTMOptions.stack(configuration, inputs: inputs, layout: &layout) {
      .slstm(heads: $1, convolution: $2, projectionFactor: factor)
    }
  }
}

public enum MLSTMArchitecture: BackboneArchitecture {
  public static let kind = "mlstm"
  public static let help =
    "mLSTM blocks of xLSTM: a matrix memory, trained in parallel over time, read in a stream."
  public static let reference = "beck2024"
  public static let time = "T D²"
  public static let memory = "4 D² / heads"
  public static let options = [
    XLSTMOptions.heads, XLSTMOptions.convolution,
    XLSTMOptions.projection(2, "width of the matrix memory's operands over hidden"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try XLSTMOptions.validate(configuration)
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    let factor = configuration.number("projection")
    return XLSTMOptions.stack(configuration, inputs: inputs, layout: &layout) {
      .mlstm(heads: $1, convolution: $2, projectionFactor: factor)
    }
  }
}

public enum XLSTMArchitecture: BackboneArchitecture {
  public static let kind = "xlstm"
  public static let help = "xLSTM: mLSTM blocks to remember and sLSTM blocks to track state, mixed."
  public static let reference = "beck2024"
  public static let time = "T D²"
  public static let memory = "4 D² / heads"
  public static let options = [
    XLSTMOptions.heads, XLSTMOptions.convolution,
    .choices(
      "blocks", ["mlstm", "slstm"], standard: ["mlstm", "slstm"],
      "kinds of the blocks from the first layer on, repeated until there are enough"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try XLSTMOptions.validate(configuration)
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    let kinds = configuration.texts("blocks")
    return XLSTMOptions.stack(configuration, inputs: inputs, layout: &layout) {
      kinds[$0 % kinds.count] == "slstm"
        ? .slstm(heads: $1, convolution: $2) : .mlstm(heads: $1, convolution: $2)
    }
  }
}
