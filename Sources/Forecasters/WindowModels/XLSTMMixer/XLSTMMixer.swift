// Names: shape letters B, D, F, H, Q, T; M for memory tokens.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// xLSTM-Mixer (Kraus et al. 2024): a linear forecast shared by all variates (NLinear), embedded; a stack of sLSTM
/// blocks whose steps are not times but variates, after learned memory tokens; the same stack over the embeddings
/// in reverse order; a linear map of both views.
///
/// A window of ours has one target. Its variates are the features: season lags, phases, the mask, and last the
/// values themselves, so that the recurrence has read the others when it comes to the target, whose forecast is the
/// only one that is made. The paper's results are about many variates that matter; with one series and no season
/// there are two, and the recurrence adds little to the linear forecast. Windows are normalised before they come
/// here (the paper: reversible instance normalisation), and the head adds the linear start.
struct XLSTMMixer<Element: Real>: WindowModel {
  let inputs: Int
  let horizon: Int
  let width: Int
  let linear: ParameterLayout.Tensor  // [T, H]
  let linearBias: ParameterLayout.Tensor
  let embedding: ParameterLayout.Tensor  // [H, D]
  let embeddingBias: ParameterLayout.Tensor
  let memory: ParameterLayout.Tensor?  // [M, D]
  let blocks: [any ResidualBlock<Element>]
  let gain: ParameterLayout.Tensor
  let views: ParameterLayout.Tensor  // [2 D, H Q]

  init(
    _ configuration: ForecasterConfiguration, inputs: Int, heads: Int,
    layout: inout ParameterLayout
  ) {
    self.inputs = inputs
    let (T, H, D) = (
      configuration.contextLength, configuration.horizon, configuration.hidden
    )
    (horizon, width) = (H, D)
    linear = layout.add("linear.weight", [T, H])
    linearBias = layout.add("linear.bias", [H])
    embedding = layout.add("embedding.weight", [H, D])
    embeddingBias = layout.add("embedding.bias", [D])
    let tokens = configuration.integer("memoryTokens")
    memory = tokens > 0 ? layout.add("memory_tokens", [tokens, D]) : nil
    blocks = (0..<configuration.layers).map { index in
      let place = BlockPlace(
        name: "block.\(index)", index: index, count: configuration.layers,
        dropout: configuration.dropout)
      return SLSTMBlock<Element>(
        width: D, heads: heads, convolution: 0,
        projectionFactor: configuration.number("projection"), place, &layout)
    }
    gain = layout.add("norm_gain", [D])
    views = layout.add("views.weight", [2 * D, H * configuration.quantiles.count])
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    // The mean of the window, as published for linear forecasters; windows have mean 0.
    parameters.fillNormal(linear, deviation: 1 / Double(linear.shape[0]), using: &stream)
    parameters.fillNormal(
      embedding, deviation: 1 / Double(horizon).squareRoot(), using: &stream)
    if let memory { parameters.fillNormal(memory, deviation: 0.01, using: &stream) }
    for block in blocks { block.initialize(parameters, using: &stream) }
    parameters.fill(gain, 1)
    parameters.fillNormal(
      views, deviation: 0.1 / Double(2 * width).squareRoot(), using: &stream)
  }

  func apply(to inputs: Tensor<Element>) -> Tensor<Element> {
    let graph = inputs.graph
    let (T, B, F) = (inputs.shape[0], inputs.shape[1], inputs.shape[2])
    // [F, B, T], the values last.
    var variates = inputs.exchanged(axis: 1).exchanged(axis: 0).exchanged(axis: 1)
    variates = Tensor.joined(
      [variates.slice(axis: 0, 1..<F), variates.slice(axis: 0, 0..<1)], axis: 0)
    let last = variates.slice(axis: 2, (T - 1)..<T)
    let forecasts =
      (variates - last).linear(graph.parameter(linear), bias: graph.parameter(linearBias)) + last
    var tokens = forecasts.linear(
      graph.parameter(embedding), bias: graph.parameter(embeddingBias))
    if let memory {
      let M = memory.shape[0]
      let zeros = graph.constant([Element](repeating: 0, count: M * B * width), [M, B, width])
      tokens = Tensor.joined(
        [graph.parameter(memory).reshaped([M, 1, width]) + zeros, tokens], axis: 0)
    }
    // Both views at once: they share the weights.
    var x = Tensor.joined([tokens, tokens.reversed], axis: 1)
    for block in blocks { x = block.apply(to: x) }
    let target = x[x.shape[0] - 1].layerNormalised(gain: graph.parameter(gain))
    let both = Tensor.joined(
      [target.slice(axis: 0, 0..<B), target.slice(axis: 0, B..<(2 * B))], axis: 1)
    return both.linear(graph.parameter(views))
  }
}

public enum XLSTMMixerArchitecture: NetworkArchitecture {
  public static let kind = "xlstm-mixer"
  public static let help =
    "xLSTM-Mixer: a linear forecast of every feature, refined by sLSTM blocks from feature to feature."
  public static let reference = "kraus2024"
  public static let time = "T H + D²"
  public static let memory = "T"
  public static let options: [ModelOption] = [
    XLSTMOptions.heads,
    XLSTMOptions.projection(4.0 / 3, "width of the feed-forward network over hidden"),
    .integer("memoryTokens", 0...64, standard: 1, "learned tokens that the recurrence reads first"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try XLSTMOptions.validate(configuration)
  }

  public static func makeModel<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowModel<Element> {
    XLSTMMixer<Element>(
      configuration, inputs: inputs, heads: XLSTMOptions.heads(configuration), layout: &layout)
  }
}
