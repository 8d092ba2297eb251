// Names: shape letters B, T, F, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// One residual block of an xLSTM.
public enum XLSTMBlock: Hashable, Sendable {
  /// An sLSTM, then a gated feed-forward network of `projectionFactor` times the width (Beck et al. 2024,
  /// figure 10). `convolution` is the length of the causal convolution before input and forget gate, 0 for none.
  case slstm(heads: Int, convolution: Int = 4, projectionFactor: Double = 4.0 / 3)
  /// An mLSTM inside a projection to `projectionFactor` times the width (figure 11). `convolution` is the length
  /// of the causal convolution before queries and keys, 0 for none.
  case mlstm(heads: Int, convolution: Int = 4, projectionFactor: Double = 2)
}

/// A stack of xLSTM blocks (Beck et al. 2024, arXiv 2405.04517): inputs are projected to the width, every block
/// adds to what it gets, and the last result is normalised.
///
/// Starting values are those of the reference package: projections normal with variance `2 / (5 D)`, those back
/// to the width with deviation `2 / (blocks sqrt(D))`, recurrent weights zero; see ``SLSTMBlock`` and
/// ``MLSTMBlock`` for the gates.
public struct XLSTM<Element: Real>: Backbone {
  public let width: Int
  let inputs: Int
  let inputWeight: ParameterLayout.Tensor
  let inputBias: ParameterLayout.Tensor
  let blocks: [any ResidualBlock<Element>]
  let gain: ParameterLayout.Tensor

  /// - Parameters:
  ///   - hidden: width `D`, a multiple of the heads of every block.
  ///   - blocks: in the order of the stack.
  ///   - dropout: acts on what a block adds.
  public init(
    inputs: Int, hidden: Int, blocks kinds: [XLSTMBlock], dropout: Double,
    layout: inout ParameterLayout
  ) {
    width = hidden
    self.inputs = inputs
    inputWeight = layout.add("backbone.input_weight", [inputs, hidden])
    inputBias = layout.add("backbone.input_bias", [hidden])
    blocks = kinds.enumerated().map { index, kind in
      let place = BlockPlace(
        name: "backbone.\(index)", index: index, count: kinds.count, dropout: dropout)
      switch kind {
      case .slstm(let heads, let convolution, let factor):
        return SLSTMBlock(
          width: hidden, heads: heads, convolution: convolution, projectionFactor: factor, place,
          &layout)
      case .mlstm(let heads, let convolution, let factor):
        return MLSTMBlock(
          width: hidden, heads: heads, convolution: convolution, projectionFactor: factor, place,
          &layout)
      }
    }
    gain = layout.add("backbone.norm_gain", [hidden])
  }

  /// Heads where nothing else is said: 4, or the next smaller number that divides the width.
  public static func heads(for width: Int) -> Int { [4, 3, 2].first { width % $0 == 0 } ?? 1 }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    let deviation = 1 / Double(inputs).squareRoot()
    parameters.fillNormal(inputWeight, deviation: deviation, using: &stream)
    for block in blocks { block.initialize(parameters, using: &stream) }
    parameters.fill(gain, 1)
  }

  private func apply(to inputs: Tensor<Element>, recomputes: Bool) -> BackboneOutput<Element> {
    let graph = inputs.graph
    var x = inputs.linear(graph.parameter(inputWeight), bias: graph.parameter(inputBias))
    for block in blocks {
      x = graph.segmented([x], rows: block.rowsTogether, recomputes: recomputes) {
        _, copies, carried in
        block.apply(to: copies[0], carried)
      }
    }
    let all = x.layerNormalised(gain: graph.parameter(gain))
    return BackboneOutput(all: all, last: all[all.shape[0] - 1])
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    apply(to: inputs, recomputes: false)
  }

  /// Block by block.
  public func applyRecomputed(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    apply(to: inputs, recomputes: true)
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    Stepper(self, parameters, batch: batch)
  }

  private final class Stepper: BackboneStepper {
    private let project: StepProduct<Element>
    private let bias: Buffer<Element>
    private let blocks: [any ResidualStepper<Element>]
    private let norm: StepNormalisation<Element>
    private let x: Buffer<Element>
    private let batch: Int
    private let width: Int

    init(_ model: XLSTM, _ parameters: UnsafePointer<Element>, batch: Int) {
      (self.batch, width) = (batch, model.width)
      project = StepProduct(parameters, model.inputWeight, batch: batch)
      bias = Buffer(copying: parameters, model.inputBias)
      blocks = model.blocks.map { $0.makeStepper(parameters, batch: batch) }
      norm = StepNormalisation(parameters, model.gain, groups: 1, batch: batch)
      x = Buffer(batch * width)
    }

    func step(_ input: UnsafePointer<Element>, _ output: UnsafeMutablePointer<Element>) {
      project(input, x.base)
      for b in 0..<batch { Element.add(width, bias.base, to: x.base + b * width) }
      for block in blocks { block.step(x.base) }
      norm(x.base, output)
    }
  }
}

/// A block that adds to its input; it knows where its parameters lie, as a ``Backbone`` does.
protocol ResidualBlock<Element>: Sendable {
  associatedtype Element: Real

  /// The most rows to compute together where not all are.
  var rowsTogether: Int { get }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream)
  /// `[T, B, D]` to `[T, B, D]`: a whole sequence, or a segment with its states.
  func apply(to x: Tensor<Element>, _ carried: CarriedStates<Element>) -> Tensor<Element>
  func makeStepper(_ parameters: UnsafePointer<Element>, batch: Int)
    -> any ResidualStepper<Element>
}

extension ResidualBlock {
  /// A whole sequence from the zero state.
  func apply(to x: Tensor<Element>) -> Tensor<Element> { apply(to: x, .none) }
}

/// A block that reads a stream. Not synchronised.
protocol ResidualStepper<Element>: AnyObject {
  associatedtype Element: Real

  /// Adds to `x` `[B, D]`.
  func step(_ x: UnsafeMutablePointer<Element>)
}

/// Where a block stands in its stack, which its starting values depend on.
struct BlockPlace: Sendable {
  let name: String
  let index: Int
  let count: Int
  let dropout: Double

  /// 0 for the first block, 1 for the last.
  var depth: Double { count > 1 ? Double(index) / Double(count - 1) : 0 }
}

extension Buffer {
  func fill(_ tensor: ParameterLayout.Tensor, _ value: Element) {
    for k in 0..<tensor.count { self[tensor.offset + k] = value }
  }

  func fillNormal(
    _ tensor: ParameterLayout.Tensor, deviation: Double, using stream: inout RandomStream
  ) {
    for k in 0..<tensor.count { self[tensor.offset + k] = Element(stream.normal() * deviation) }
  }

  func fillUniform(
    _ tensor: ParameterLayout.Tensor, bound: Double, using stream: inout RandomStream
  ) {
    for k in 0..<tensor.count {
      self[tensor.offset + k] = Element((2 * stream.uniform() - 1) * bound)
    }
  }

  /// A tensor's numbers, so that a stepper keeps what it reads.
  convenience init(copying parameters: UnsafePointer<Element>, _ tensor: ParameterLayout.Tensor) {
    self.init(tensor.count)
    base.update(from: parameters + tensor.offset, count: tensor.count)
  }
}
