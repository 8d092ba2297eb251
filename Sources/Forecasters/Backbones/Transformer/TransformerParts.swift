// What blocks with attention share, causal or not.

import NumericsCore

/// The position-wise network of a Transformer block: `GELU(x A + a) C + c`.
struct FeedForward: Sendable {
  private let up: Projection
  private let down: Projection

  init(_ name: String, width: Int, factor: Double, layout: inout ParameterLayout) {
    let inner = max(1, Int((factor * Double(width)).rounded()))
    up = Projection("\(name).up", width, inner, layout: &layout)
    down = Projection("\(name).down", inner, width, layout: &layout)
  }

  func initialize<Element: Real>(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    up.initialize(parameters, using: &stream)
    down.initialize(parameters, using: &stream)
  }

  func callAsFunction<Element: Real>(_ x: Tensor<Element>) -> Tensor<Element> {
    down(up(x).map(.gelu))
  }
}

/// A Transformer block with the norms before its parts (Xiong et al. 2020): `y = x + attention(norm(x)) W`, result
/// `y + network(norm(y))`. Dropout acts on what a part adds.
struct AttentionBlock: Sendable {
  let layer: Attention
  private let name: String
  private let dropout: Double
  private let norm: Norm
  private let operands: Projection
  private let output: Projection
  private let networkNorm: Norm
  private let network: FeedForward

  init(
    _ name: String, _ layer: Attention, factor: Double, norm kind: Norm.Kind, dropout: Double,
    layout: inout ParameterLayout
  ) {
    let width = layer.heads * layer.width
    (self.name, self.layer, self.dropout) = (name, layer, dropout)
    norm = Norm(kind, "\(name).norm", width, layout: &layout)
    // A bias of keys cancels in the softmax, and that of values is part of the output's.
    operands = Projection(
      "\(name).query_key_value", width, 3 * width, bias: false, layout: &layout)
    output = Projection("\(name).output", width, width, layout: &layout)
    networkNorm = Norm(kind, "\(name).network_norm", width, layout: &layout)
    network = FeedForward("\(name).network", width: width, factor: factor, layout: &layout)
  }

  func initialize<Element: Real>(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    norm.initialize(parameters)
    operands.initialize(parameters, using: &stream)
    output.initialize(parameters, using: &stream)
    networkNorm.initialize(parameters)
    network.initialize(parameters, using: &stream)
  }

  /// `[T, B, D]` to the steps from `first` on; with a stepper a sequence of length 1 that goes on from its state.
  func callAsFunction<Element: Real>(
    _ x: Tensor<Element>, from first: Int = 0, stepper: AttentionStepper<Element>? = nil
  ) -> Tensor<Element> {
    let qkv = operands(norm(x))
    let mixed =
      stepper.map {
        qkv.stepped($0, shape: x.shape)
      } ?? qkv.attention(layer, from: first)
    let y =
      x.slice(axis: 0, first..<x.shape[0])
      + output(mixed).dropout(dropout, purpose: "dropout of \(name)")
    return y + network(networkNorm(y)).dropout(dropout, purpose: "dropout of \(name).network")
  }
}

/// Options of blocks with attention, beside those of ``HeadOptions``.
enum AttentionOptions {
  static let feedForward = ModelOption.number(
    "feedForward", 0.5...8, standard: 4, "width of the feed-forward network over hidden")
  static let norm = ModelOption.choice(
    "norm", ["layer", "rms"], standard: "layer", "normalisation before every part of a block")

  static func norm(_ configuration: ForecasterConfiguration) -> Norm.Kind {
    configuration.text(norm.name) == "layer" ? .layer : .rootMeanSquare
  }
}
