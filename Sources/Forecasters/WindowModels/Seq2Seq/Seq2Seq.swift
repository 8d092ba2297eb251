// Names: shape letters B, T, F, D, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// An LSTM encoder and an LSTM decoder of as many layers (Sutskever et al. 2014), with or without attention to
/// all steps of the encoder (Luong et al. 2015); see ``RecurrentDecoder`` for the equations.
///
/// Each layer of the decoder begins in the final state of the encoder's. The decoder reads a level in scaled
/// units: at first the last observed value, then its own median of the step before, which is the last observed
/// value plus what it wrote. It never reads a target, in training no more than in prediction, so that there is no
/// difference between the two that errors could grow in. What it wrote are the raw numbers, to which the head adds
/// its linear start: where that has a season, the level that is read has none.
///
/// Starting values: those of ``StackedRecurrent``, Xavier uniform for the attention, outputs near 0. Dropout acts
/// between the layers of the encoder.
public struct Seq2Seq<Element: Real>: WindowModel {
  public let decoder: RecurrentDecoder
  /// Steps ahead `H`.
  public let horizon: Int
  let encoder: StackedRecurrent<Element>
  let layers: [RecurrentLayer]
  let output: ParameterLayout.Tensor  // [D, Q]
  let bias: ParameterLayout.Tensor  // [Q]
  /// `[D, D]` and `[2 D, D]`.
  let attention: (query: ParameterLayout.Tensor, combine: ParameterLayout.Tensor)?

  /// - Parameters:
  ///   - quantiles: `Q`.
  ///   - median: which of them is read at the next step.
  public init(
    inputs: Int, hidden: Int, layers count: Int, horizon: Int, quantiles: Int, median: Int,
    attention hasAttention: Bool, dropout: Double, layout: inout ParameterLayout
  ) {
    decoder = RecurrentDecoder(
      width: hidden, layers: count, outputs: quantiles, fed: median, addsStart: true)
    self.horizon = horizon
    encoder = StackedRecurrent(
      .lstm, inputs: inputs, hidden: hidden, layers: count, dropout: dropout, name: "encoder",
      layout: &layout)
    layers = decoder.cells.enumerated().map {
      RecurrentLayer(
        .lstm, "decoder.\($0)", inputs: $1.inputs, width: hidden, layout: &layout)
    }
    attention =
      hasAttention
      ? (
        layout.add("decoder.query_weight", [hidden, hidden]),
        layout.add("decoder.combine_weight", [2 * hidden, hidden])
      ) : nil
    output = layout.add("decoder.output_weight", [hidden, quantiles])
    bias = layout.add("decoder.output_bias", [quantiles])
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    encoder.initialize(parameters, using: &stream)
    for layer in layers { layer.initialize(parameters, using: &stream) }
    for tensor in attention.map({ [$0.query, $0.combine] }) ?? [] {
      let bound = (6 / Double(tensor.shape[0] + tensor.shape[1])).squareRoot()
      for k in 0..<tensor.count {
        parameters[tensor.offset + k] = Element((2 * stream.uniform() - 1) * bound)
      }
    }
    for k in 0..<output.count {
      parameters[output.offset + k] =
        Element(stream.normal() * 0.1 / Double(decoder.width).squareRoot())
    }
  }

  public func apply(to inputs: Tensor<Element>) -> Tensor<Element> {
    decode(inputs, encoder.run(inputs))
  }

  /// The encoder in segments; the decoder keeps what it needs.
  public func applyRecomputed(to inputs: Tensor<Element>) -> Tensor<Element> {
    decode(inputs, encoder.runRecomputed(inputs))
  }

  private func decode(
    _ inputs: Tensor<Element>,
    _ encoded: (all: Tensor<Element>, states: [RecurrentState<Element>])
  ) -> Tensor<Element> {
    let graph = inputs.graph
    let weights = DecoderWeights(
      layers: layers.map { $0.weights(in: graph) }, output: graph.parameter(output),
      bias: graph.parameter(bias),
      attention: attention.map { (graph.parameter($0.query), graph.parameter($0.combine)) })
    let decoded = inputs.lastObserved().decoded(
      by: decoder, weights, from: encoded.states,
      attending: attention == nil ? nil : encoded.all, steps: horizon)
    return decoded.outputs.reshaped([inputs.shape[1], horizon * decoder.outputs])
  }
}
