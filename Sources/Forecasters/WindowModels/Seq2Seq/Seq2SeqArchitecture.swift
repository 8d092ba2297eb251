public import NumericsCore

public enum Seq2SeqArchitecture: NetworkArchitecture {
  public static let kind = "seq2seq"
  public static let help =
    "Encoder-decoder LSTM with attention: forecasts step by step, each from its last median."
  public static let reference = "luong2015"
  public static let time = "T D² + H (D² + T D)"
  public static let memory = "all of the window"
  public static let options: [ModelOption] = [
    .choice(
      "attention", ["luong", "none"], standard: "luong",
      "how the decoder looks at the window: at every step of it, or at the encoder's last state only"
    )
  ]

  public static func makeModel<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowModel<Element> {
    Seq2Seq<Element>(
      inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
      horizon: configuration.horizon, quantiles: configuration.quantiles.count,
      median: configuration.median, attention: configuration.text("attention") == "luong",
      dropout: configuration.dropout, layout: &layout)
  }
}
