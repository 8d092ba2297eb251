// Names: shape letters B, T, F, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// A plain causal decoder-only Transformer (Vaswani et al. 2017) with the norms before the parts of a block and
/// rotary positions (Su et al. 2021): inputs are projected to the width, blocks of attention and a feed-forward
/// network follow, and a last norm.
///
/// A step reads the `context` steps up to itself, at training as in a stream, whose cache of keys and values is all
/// that it remembers. Weights start uniform within `1 / sqrt(inputs)`, biases at 0.
public struct Transformer<Element: Real>: Backbone {
  public let width: Int
  let inputs: Int
  let encoder: Projection
  let blocks: [AttentionBlock]
  let norm: Norm
  private let end: Int

  /// - Parameters:
  ///   - heads: a divisor of `hidden`.
  ///   - context: steps that a step reads.
  ///   - factor: width of the feed-forward network over `hidden`.
  init(
    inputs: Int, hidden: Int, layers: Int, heads: Int, context: Int, factor: Double = 4,
    norm kind: Norm.Kind = .layer, dropout: Double, layout: inout ParameterLayout
  ) {
    precondition(hidden % heads == 0)
    width = hidden
    self.inputs = inputs
    let attention = Attention(
      heads: heads, width: hidden / heads, window: context, rotaryBase: 10_000)
    encoder = Projection("backbone.encoder", inputs, hidden, layout: &layout)
    blocks = (0..<layers).map {
      AttentionBlock(
        "backbone.\($0)", attention, factor: factor, norm: kind, dropout: dropout, layout: &layout)
    }
    norm = Norm(kind, "backbone.norm", hidden, layout: &layout)
    end = layout.count
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    encoder.initialize(parameters, using: &stream)
    for block in blocks { block.initialize(parameters, using: &stream) }
    norm.initialize(parameters)
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    norm(blocks.reduce(encoder(inputs)) { $1($0) }).backboneOutput()
  }

  /// The last block has one query: that of the last step.
  public func encode(_ inputs: Tensor<Element>) -> Tensor<Element> {
    var x = encoder(inputs)
    for block in blocks.dropLast() { x = block(x) }
    if let last = blocks.last { x = last(x, from: x.shape[0] - 1) }
    return norm(x[x.shape[0] - 1])
  }

  public func encodeRecomputed(_ inputs: Tensor<Element>) -> Tensor<Element> {
    // A block at a time, so that one block's results are in memory at once.
    let graph = inputs.graph
    var x = encoder(inputs)
    for (index, block) in blocks.enumerated() {
      let first = index == blocks.count - 1 ? x.shape[0] - 1 : 0
      x = graph.recomputed([x]) { _, copies in [block(copies[0], from: first)] }[0]
    }
    return norm(x[x.shape[0] - 1])
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    StepGraph(parameters, end: end, batch: batch, inputs: inputs) { x in
      norm(
        blocks.reduce(encoder(x)) { x, block in
          block(x, stepper: AttentionStepper(block.layer, batch: batch))
        })
    }
  }
}
