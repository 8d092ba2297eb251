public import NumericsCore

/// What the stacks of xLSTM blocks share.
enum XLSTMOptions {
  static func projection(_ standard: Double, _ help: String) -> ModelOption {
    .number("projection", 0.5...8, standard: standard, help)
  }

  static func stack<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, atLeast: Int = 1,
    layout: inout ParameterLayout,
    block: (_ index: Int, _ heads: Int, _ convolution: Int) -> XLSTMBlock
  ) -> any Backbone<Element> {
    let heads = HeadOptions.heads(configuration)
    let convolution = configuration.integer(HeadOptions.convolution.name)
    return XLSTM<Element>(
      inputs: inputs, hidden: configuration.hidden,
      blocks: (0..<max(configuration.layers, atLeast)).map { block($0, heads, convolution) },
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
    HeadOptions.heads, HeadOptions.convolution,
    XLSTMOptions.projection(4.0 / 3, "width of the feed-forward network over hidden"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try HeadOptions.validate(configuration)
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
    HeadOptions.heads, HeadOptions.convolution,
    XLSTMOptions.projection(2, "width of the matrix memory's operands over hidden"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try HeadOptions.validate(configuration)
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
    HeadOptions.heads, HeadOptions.convolution,
    .choices(
      "blocks", ["mlstm", "slstm"], standard: ["mlstm", "slstm"],
      "kinds of the blocks from the first layer on, repeated until there are enough; each is there once at least"
    ),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try HeadOptions.validate(configuration)
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    let kinds = configuration.texts("blocks")
    return XLSTMOptions.stack(
      configuration, inputs: inputs, atLeast: kinds.count, layout: &layout
    ) {
      kinds[$0 % kinds.count] == "slstm"
        ? .slstm(heads: $1, convolution: $2) : .mlstm(heads: $1, convolution: $2)
    }
  }
}
