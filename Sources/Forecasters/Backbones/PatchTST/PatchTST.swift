// Names: shape letters B, T, F, D, N, P.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// PatchTST (Nie et al. 2023, arXiv 2211.14730): overlapping patches of the series become the tokens of a Transformer
/// that reads in both directions, and all tokens together are the state.
///
/// A token is a linear map of a patch's values and of which of them are observed, plus a trained vector of its place.
/// Other inputs are not read: channels are independent in the paper, and here there is one. Patches end at the last
/// step; what the first one lacks counts as missing (the paper repeats the last value behind it). Blocks have layer
/// norms before their parts where the paper has batch norms behind them, because those depend on the other windows
/// of a batch. Weights start uniform within `1 / sqrt(inputs)`, places normal with deviation 0.02.
public struct PatchTST<Element: Real>: WindowEncoder {
  /// `P D`.
  public var width: Int { patches * hidden }
  let hidden: Int
  let context: Int
  let length: Int
  let stride: Int
  package let patches: Int
  let dropout: Double
  let embedding: Projection
  let places: ParameterLayout.Tensor
  let blocks: [AttentionBlock]
  let norm: Norm

  /// - Parameters:
  ///   - heads: a divisor of `hidden`.
  ///   - length: steps of a patch, at most `context`.
  ///   - stride: steps from one patch to the next, at most `length`.
  init(
    hidden: Int, layers: Int, heads: Int, context: Int, length: Int, stride: Int,
    factor: Double = 4, norm kind: Norm.Kind = .layer, dropout: Double,
    layout: inout ParameterLayout
  ) {
    precondition(hidden % heads == 0 && length <= context && (1...length).contains(stride))
    (self.hidden, self.context, self.length, self.stride) = (hidden, context, length, stride)
    self.dropout = dropout
    patches = (context - length + stride - 1) / stride + 1
    embedding = Projection("encoder.embedding", 2 * length, hidden, layout: &layout)
    places = layout.add("encoder.places", [patches, 1, hidden])
    let attention = Attention(heads: heads, width: hidden / heads, window: nil)
    blocks = (0..<layers).map {
      AttentionBlock(
        "encoder.\($0)", attention, factor: factor, norm: kind, dropout: dropout, layout: &layout)
    }
    norm = Norm(kind, "encoder.norm", hidden, layout: &layout)
  }

  /// Steps of a patch where nothing is said: an eighth of short contexts, 16 from 128 on and, beyond 512, as many as
  /// make 63 patches.
  package static func length(for context: Int) -> Int {
    context > 512 ? context / 32 : min(16, max(min(2, context), context / 8))
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    embedding.initialize(parameters, using: &stream)
    parameters.fillNormal(places, deviation: 0.02, using: &stream)
    for block in blocks { block.initialize(parameters, using: &stream) }
    norm.initialize(parameters)
  }

  /// Patches `[P, B, 2 L]` of values and masks.
  package func patches(of inputs: Tensor<Element>) -> Tensor<Element> {
    let (T, B) = (inputs.shape[0], inputs.shape[1])
    precondition(T == context, "\(T) steps for a context of \(context)")
    var x = inputs.slice(axis: 2, 0..<2)
    let missing = (patches - 1) * stride + length - T
    if missing > 0 {
      let zeros = [Element](repeating: 0, count: missing * B * 2)
      x = .joined([x.graph.constant(zeros, [missing, B, 2]), x], axis: 0)
    }
    let numbers = (0..<patches).flatMap { patch in (0..<length).map { patch * stride + $0 } }
    return x.rows(numbers).reshaped([patches, length, B, 2]).exchanged(axis: 1)
      .reshaped([patches, B, 2 * length])
  }

  private func start(_ inputs: Tensor<Element>) -> Tensor<Element> {
    (embedding(patches(of: inputs)) + inputs.graph.parameter(places))
      .dropout(dropout, purpose: "dropout of the embedding")
  }

  private func flattened(_ x: Tensor<Element>) -> Tensor<Element> {
    norm(x).exchanged(axis: 0).reshaped([x.shape[1], width])
  }

  public func encode(_ inputs: Tensor<Element>) -> Tensor<Element> {
    flattened(blocks.reduce(start(inputs)) { $1($0) })
  }

  /// A block at a time, so that one block's results are in memory at once.
  public func encodeRecomputed(_ inputs: Tensor<Element>) -> Tensor<Element> {
    flattened(
      blocks.reduce(start(inputs)) { x, block in
        x.graph.recomputed([x]) { _, copies in [block(copies[0])] }[0]
      })
  }
}
