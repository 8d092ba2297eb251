public import NumericsCore

public enum NHiTSArchitecture: NetworkArchitecture {
  public static let kind = "nhits"
  public static let help =
    "N-HiTS: perceptrons at several rates, forecasts interpolated between a few knots."
  public static let reference = "challu2023"
  public static let time = "T D + D²"
  public static let memory = "T: the whole window is read again"
  public static let options: [ModelOption] = [
    .integer("stacks", 1...8, standard: 3, "rates, from slow to fast"),
    .integer("blocks", 1...8, standard: 1, "blocks of a stack"),
    .choice(
      "pooling", ["maximum", "mean"], standard: "maximum", "how a block lowers the rate it reads"),
  ]

  public static func makeModel<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowModel<Element> {
    NHiTS<Element>(
      inputs: inputs, context: configuration.contextLength, horizon: configuration.horizon,
      quantiles: configuration.quantiles.count, hidden: configuration.hidden,
      layers: configuration.layers, stacks: configuration.integer("stacks"),
      blocksEach: configuration.integer("blocks"),
      pooling: NHiTS<Element>.Pooling(rawValue: configuration.text("pooling"))!,
      dropout: configuration.dropout, layout: &layout)
  }
}
