// Names: shape letters B, T, F, D, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// Reverso (Fu et al. 2026, arXiv 2602.17634): long convolutions and DeltaNet in turn, without patches, and a
/// decoder that attends to the encoded window.
///
/// Inputs are projected to width `D`; then, `layers` times, with `LN` layer normalisation and `MLP(x) = x + LN(ReLU(x A
/// + a) C + c)`:
/// `x + LN(ReLU(long convolution(gate(x) * x)))`, MLP, `x + LN(DeltaNet(x'))`, MLP. The gate is a
/// convolution of length 3 centred on the step, SiLU, a projection, sigmoid. The long convolution is as long as the
/// window and circular, so every step sees the whole window. `x'` is `x` with the last step added to the first
/// (state weaving; not in the last layer), so that the memory begins with a summary of the window.
/// Decoder: `H` mixtures of the encoded steps are queries, the encoded steps keys and values of one attention
/// head, whose results are projected to the quantiles of each step ahead.
///
/// Deviations from the published model: it scales a window to [0, 1] by its extremes and its forecasts back; here the
/// window's values arrive scaled by mean and deviation, are brought to [0, 1] for the encoder, and the results are
/// raw numbers of the head, in units of the deviation. Missing values are the mean of the window rather than
/// interpolated. The other inputs of a step (mask, seasons) are read beside the value, and the embedding has a
/// bias. There are quantiles in place of a point, and `H` is the horizon rather than 48. Keys have no bias, which
/// attention would not see. The long kernels start with deviation `1 / sqrt(T)` rather than 1.
public struct Reverso<Element: Real>: WindowModel {
  struct Network: Sendable {
    let up: Projection
    let down: Projection
    let norm: Norm
  }
  struct Convolution: Sendable {
    /// `[3, D]`, tap 0 the newest, and `[D]`.
    let gateKernel: ParameterLayout.Tensor
    let gateKernelBias: ParameterLayout.Tensor
    let gate: Projection
    /// `[T, D]`.
    let kernel: ParameterLayout.Tensor
    let norm: Norm
    let network: Network
  }
  struct Memory: Sendable {
    let mixer: DeltaMixer<Element>
    let norm: Norm
    let network: Network
  }

  let (steps, width, horizon, quantiles): (Int, Int, Int, Int)
  let dropout: Double
  let embedding: Projection
  let convolutions: [Convolution]
  let memories: [Memory]
  /// `[T, H]` and `[H]`.
  let mixture: ParameterLayout.Tensor
  let mixtureBias: ParameterLayout.Tensor
  let query: Projection
  let key: Projection
  let value: Projection
  let output: Projection

  /// - Parameters:
  ///   - steps: length `T` of every window.
  ///   - layers: pairs of a long convolution and a DeltaNet layer.
  ///   - projectionFactor: width of the MLPs over `D`.
  public init(
    steps: Int, inputs: Int, hidden: Int, layers: Int, dropout: Double, _ layer: DeltaNetLayer,
    projectionFactor: Double = 4, horizon: Int, quantiles: Int, layout: inout ParameterLayout
  ) {
    (self.steps, width, self.horizon, self.quantiles) = (steps, hidden, horizon, quantiles)
    self.dropout = dropout
    let (T, D) = (steps, hidden)
    let inner = max(1, Int((projectionFactor * Double(D)).rounded()))
    func network(_ name: String, _ layout: inout ParameterLayout) -> Network {
      Network(
        up: Projection("\(name).up", D, inner, layout: &layout),
        down: Projection("\(name).down", inner, D, layout: &layout),
        norm: Norm(.layer, "\(name).network_norm", D, layout: &layout))
    }
    embedding = Projection("model.embedding", inputs, D, layout: &layout)
    var convolutions: [Convolution] = []
    var memories: [Memory] = []
    for index in 0..<layers {
      var name = "model.\(index).convolution"
      convolutions.append(
        Convolution(
          gateKernel: layout.add("\(name).gate_kernel", [3, D]),
          gateKernelBias: layout.add("\(name).gate_kernel_bias", [D]),
          gate: Projection("\(name).gate", D, D, layout: &layout),
          kernel: layout.add("\(name).kernel", [T, D]),
          norm: Norm(.layer, "\(name).norm", D, layout: &layout), network: network(name, &layout)))
      name = "model.\(index).memory"
      memories.append(
        Memory(
          mixer: DeltaMixer(name, width: D, layer, layout: &layout),
          norm: Norm(.layer, "\(name).norm", D, layout: &layout), network: network(name, &layout)))
    }
    (self.convolutions, self.memories) = (convolutions, memories)
    mixture = layout.add("model.mixture", [T, horizon])
    mixtureBias = layout.add("model.mixture_bias", [horizon])
    query = Projection("model.query", D, D, layout: &layout)
    key = Projection("model.key", D, D, bias: false, layout: &layout)
    value = Projection("model.value", D, D, layout: &layout)
    output = Projection("model.output", D, quantiles, bias: false, layout: &layout)
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    func start(_ network: Network, _ stream: inout RandomStream) {
      network.up.initialize(parameters, using: &stream)
      network.down.initialize(parameters, using: &stream)
      network.norm.initialize(parameters)
    }
    embedding.initialize(parameters, using: &stream)
    let deviation = 1 / Double(steps).squareRoot()
    for (convolution, memory) in zip(convolutions, memories) {
      let bound = 1 / 3.0.squareRoot()
      parameters.fillUniform(convolution.gateKernel, bound: bound, using: &stream)
      parameters.fillUniform(convolution.gateKernelBias, bound: bound, using: &stream)
      convolution.gate.initialize(parameters, using: &stream)
      parameters.fillNormal(convolution.kernel, deviation: deviation, using: &stream)
      convolution.norm.initialize(parameters)
      start(convolution.network, &stream)
      memory.mixer.initialize(parameters, using: &stream)
      memory.norm.initialize(parameters)
      start(memory.network, &stream)
    }
    parameters.fillUniform(mixture, bound: deviation, using: &stream)
    parameters.fill(mixtureBias, 0)
    for projection in [query, key, value] { projection.initialize(parameters, using: &stream) }
    // Results start small, so that a forecast starts near the linear start.
    parameters.fillNormal(
      output.weight, deviation: 0.1 / Double(width).squareRoot(), using: &stream)
  }

  /// The inputs with the value of each step brought to [0, 1] within its window.
  private func scaled(_ inputs: Tensor<Element>) -> Tensor<Element> {
    let (T, B, F) = (inputs.shape[0], inputs.shape[1], inputs.shape[2])
    let value = inputs.slice(axis: 2, 0..<1).reshaped([T, B])
    /// Over all steps, by halves that may overlap: `[1, B]`.
    func extreme(_ function: BinaryFunction) -> Tensor<Element> {
      var rest = value
      while rest.shape[0] > 1 {
        let (length, half) = (rest.shape[0], (rest.shape[0] + 1) / 2)
        rest = rest.slice(axis: 0, 0..<half)
          .combined(function, with: rest.slice(axis: 0, (length - half)..<length))
      }
      return rest
    }
    let lowest = extreme(.minimum)
    let floor = inputs.graph.constant([1e-5], [1])
    let range = (extreme(.maximum) - lowest).combined(.maximum, with: floor)
    let unit = ((value - lowest) / range).reshaped([T, B, 1])
    return F == 1 ? unit : .joined([unit, inputs.slice(axis: 2, 1..<F)], axis: 2)
  }

  private func apply(_ network: Network, to x: Tensor<Element>, _ name: String) -> Tensor<Element> {
    let y = network.norm(network.down(network.up(x).map(.relu)))
    return x + y.dropout(dropout, purpose: "dropout of the network of \(name)")
  }

  private func convolution(_ index: Int, _ x: Tensor<Element>) -> Tensor<Element> {
    let (graph, layer) = (x.graph, convolutions[index])
    let T = x.shape[0]
    // A causal convolution of length 3 that reads one step more gives the centred one.
    let next = Tensor.joined(
      [x, x[T - 1].scaled(by: 0).reshaped([1, x.shape[1], width])], axis: 0)
    let centred = next.shortConvolution(
      graph.parameter(layer.gateKernel), bias: graph.parameter(layer.gateKernelBias)
    ).slice(axis: 0, 1..<(T + 1))
    let gated = x.gated(by: layer.gate(centred), .sigmoid)
    // Circular: the window once more before itself.
    let y = Tensor.joined([gated, gated], axis: 0).fftConvolution(graph.parameter(layer.kernel))
      .slice(axis: 0, T..<(2 * T))
    let added = layer.norm(y.map(.relu))
    let name = "convolution \(index)"
    return apply(layer.network, to: x + added.dropout(dropout, purpose: "dropout of \(name)"), name)
  }

  private func memory(_ index: Int, _ x: Tensor<Element>) -> Tensor<Element> {
    let (T, layer) = (x.shape[0], memories[index])
    var read = x
    if index < memories.count - 1 && T > 1 {
      let first = (x[0] + x[T - 1]).reshaped([1, x.shape[1], width])
      read = .joined([first, x.slice(axis: 0, 1..<T)], axis: 0)
    }
    let added = layer.norm(layer.mixer.apply(to: read))
    let name = "memory \(index)"
    return apply(layer.network, to: x + added.dropout(dropout, purpose: "dropout of \(name)"), name)
  }

  /// Attention of `H` queries to the encoded window `[T, B, D]`: `[B, H Q]`.
  private func decoded(_ x: Tensor<Element>) -> Tensor<Element> {
    let graph = x.graph
    let (T, B, D, H) = (x.shape[0], x.shape[1], width, horizon)
    let mixed = graph.parameter(mixture).product(x.reshaped([T, B * D]), transposed: true)
      .reshaped([H, B, D])
    let asked = query(mixed + graph.parameter(mixtureBias).reshaped([H, 1, 1])).exchanged(axis: 0)
    let (keys, values) = (key(x).exchanged(axis: 0), value(x).exchanged(axis: 0))
    let weights = asked.product(keys, otherTransposed: true)
      .scaled(by: 1 / Element(D).squareRoot()).softmax()
    return output(weights.product(values)).reshaped([B, H * quantiles])
  }

  private func apply(
    to inputs: Tensor<Element>,
    _ run: (Tensor<Element>, (Tensor<Element>) -> Tensor<Element>) -> Tensor<Element>
  ) -> Tensor<Element> {
    precondition(inputs.shape[0] == steps, "a window of \(inputs.shape[0]) steps, not \(steps)")
    let x = convolutions.indices.reduce(embedding(scaled(inputs))) { x, index in
      run(run(x) { convolution(index, $0) }) { memory(index, $0) }
    }
    return run(x) { decoded($0) }
  }

  public func apply(to inputs: Tensor<Element>) -> Tensor<Element> {
    apply(to: inputs) { x, part in part(x) }
  }

  /// Layer by layer: what is kept is what each of them reads.
  public func applyRecomputed(to inputs: Tensor<Element>) -> Tensor<Element> {
    apply(to: inputs) { x, part in
      x.graph.recomputed([x]) { _, copies in [part(copies[0])] }[0]
    }
  }
}
