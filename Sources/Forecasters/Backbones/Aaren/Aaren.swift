// Names: shape letters B, T, F, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// Attention as a recurrence (Aaren; Feng et al. 2024, arXiv 2405.13956): the query of a head is learned and the
/// same at every step, so that attention over the past is a running mean in constant memory.
///
/// A block is a Transformer's, with the norms before its parts: `y = x + aaren(norm(x)) W`, result
/// `y + network(norm(y))`. With fading, a deviation from the paper, the score of a step falls by a trained rate of its head
/// for each step since, as in attention with linear biases (Press et al. 2021, arXiv 2108.12409): a mean over all the past
/// answers ever slower, and differently at every length. Rates start log-uniform over the heads from 1/2 to 4 over the
/// context. Queries start normal with deviation 1, so that heads differ; other weights uniform within
/// `1 / sqrt(inputs)`. Dropout acts on what a part adds.
public struct Aaren<Element: Real>: Backbone {
  struct Block: Sendable {
    let norm: Norm
    let query: ParameterLayout.Tensor
    /// Logarithms of the rates, `[N]`.
    let fading: ParameterLayout.Tensor?
    let key: Projection
    let value: Projection
    let output: Projection
    let networkNorm: Norm
    let network: FeedForward
  }

  public let width: Int
  let inputs: Int
  let heads: Int
  let context: Int
  let dropout: Double
  let encoder: Projection
  let blocks: [Block]
  let norm: Norm
  private let end: Int

  /// - Parameters:
  ///   - heads: a divisor of `hidden`.
  ///   - context: of the training, in steps.
  ///   - fades: whether what is long ago counts less.
  ///   - factor: width of the feed-forward network over `hidden`.
  init(
    inputs: Int, hidden: Int, layers: Int, heads: Int, context: Int, fades: Bool,
    factor: Double = 4, norm kind: Norm.Kind = .layer, dropout: Double,
    layout: inout ParameterLayout
  ) {
    precondition(hidden % heads == 0)
    width = hidden
    (self.inputs, self.heads, self.context, self.dropout) = (inputs, heads, context, dropout)
    encoder = Projection("backbone.encoder", inputs, hidden, layout: &layout)
    blocks = (0..<layers).map { index in
      let name = "backbone.\(index)"
      return Block(
        norm: Norm(kind, "\(name).norm", hidden, layout: &layout),
        query: layout.add("\(name).query", [heads, hidden / heads]),
        fading: fades ? layout.add("\(name).log_fading", [heads]) : nil,
        key: Projection("\(name).key", hidden, hidden, bias: false, layout: &layout),
        value: Projection("\(name).value", hidden, hidden, bias: false, layout: &layout),
        output: Projection("\(name).output", hidden, hidden, layout: &layout),
        networkNorm: Norm(kind, "\(name).network_norm", hidden, layout: &layout),
        network: FeedForward("\(name).network", width: hidden, factor: factor, layout: &layout))
    }
    norm = Norm(kind, "backbone.norm", hidden, layout: &layout)
    end = layout.count
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    encoder.initialize(parameters, using: &stream)
    for block in blocks {
      block.norm.initialize(parameters)
      parameters.fillNormal(block.query, deviation: 1, using: &stream)
      if let fading = block.fading {
        let (fast, slow) = (logarithm(0.5), logarithm(min(0.5, 4 / Double(context))))
        for head in 0..<heads {
          let share = heads > 1 ? Double(head) / Double(heads - 1) : 1
          parameters[fading.offset + head] = Element(fast + (slow - fast) * share)
        }
      }
      for part in [block.key, block.value, block.output] {
        part.initialize(parameters, using: &stream)
      }
      block.networkNorm.initialize(parameters)
      block.network.initialize(parameters, using: &stream)
    }
    norm.initialize(parameters)
  }

  /// - Parameters:
  ///   - first: the first step that is wanted of the last block.
  ///   - batch: nil for whole sequences, else that of the steppers.
  private func apply(
    to inputs: Tensor<Element>, from first: Int, stepping batch: Int? = nil
  ) -> Tensor<Element> {
    let graph = inputs.graph
    var x = encoder(inputs)
    let steps = x.shape[0]
    for (index, block) in blocks.enumerated() {
      let u = block.norm(x)
      // The same query at every step: keys are never made, only their products with it.
      let keys = graph.parameter(block.key.weight).reshaped([width, heads, width / heads])
      let products = (keys * graph.parameter(block.query)).sum(axis: 2)
        .scaled(by: 1 / Element(width / heads).squareRoot())
      let (scores, values) = (u.linear(products), block.value(u))
      let rates = block.fading.map { graph.parameter($0).map(.exp) }
      let start = index == blocks.count - 1 ? first : 0
      var mixed: Tensor<Element>
      if let batch {
        mixed = values.stepped(
          RunningSoftmaxStepper(
            heads: heads, width: width / heads, batch: batch, fades: rates != nil),
          with: [scores] + (rates.map { [$0] } ?? []))
      } else {
        mixed = values.runningSoftmax(scores: rates.map { risen(scores, by: $0) } ?? scores)
      }
      mixed = block.output(mixed.slice(axis: 0, start..<steps))
      let y =
        x.slice(axis: 0, start..<steps) + mixed.dropout(dropout, purpose: "dropout of \(index)")
      x =
        y
        + block.network(block.networkNorm(y))
        .dropout(dropout, purpose: "dropout of the network of \(index)")
    }
    return norm(x)
  }

  /// Scores `[T, B, N]` plus the rates `[N]` times the number of the step: softmax does not see what all have in common,
  /// so later ones gain what earlier ones should lose.
  private func risen(_ scores: Tensor<Element>, by rates: Tensor<Element>) -> Tensor<Element> {
    let (T, each) = (scores.shape[0], scores.shape[1] * heads)
    let numbers = (0..<(T * each)).map { Element($0 / each - T + 1) }
    return scores + scores.graph.constant(numbers, scores.shape) * rates
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    apply(to: inputs, from: 0).backboneOutput()
  }

  /// Of the last block nothing but the last step goes through its network.
  public func encode(_ inputs: Tensor<Element>) -> Tensor<Element> {
    let last = apply(to: inputs, from: inputs.shape[0] - 1)
    return last[last.shape[0] - 1]
  }

  public func encodeRecomputed(_ inputs: Tensor<Element>) -> Tensor<Element> {
    inputs.graph.recomputed([inputs]) { _, copies in [encode(copies[0])] }[0]
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    StepGraph(parameters, end: end, batch: batch, inputs: inputs) {
      apply(to: $0, from: 0, stepping: batch)
    }
  }
}
