// Names: shape letters B, T, F, D, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// A temporal convolutional network (Bai, Kolter & Koltun 2018, arXiv 1803.01271): residual blocks of two dilated
/// causal convolutions, `ReLU(x + ReLU(conv(ReLU(conv(x)))))`, with dilations 1, 2, 4 and so on.
///
/// Inputs are projected to the width first, which is the paper's convolution of width 1 around its first block.
/// With `weightNorm` a kernel is a direction times a length for each output (Salimans & Kingma 2016). Weights start
/// normal with deviation `sqrt(2 / (K D))`, the second of a block at half of that, biases at 0. Dropout acts behind
/// every convolution.
///
/// For one state of the last step, ``encode(_:)`` computes only what that step depends on: a block with dilation `d`
/// only every `d`-th step, about `3 T` convolutions of a step in all in place of `2 T` for each block.
public struct TCN<Element: Real>: Backbone {
  struct Convolution: Sendable {
    let weight: ParameterLayout.Tensor  // [K, D, D]
    let length: ParameterLayout.Tensor?  // [D]
    let bias: ParameterLayout.Tensor  // [D]
  }
  struct Block: Sendable {
    let dilation: Int
    let first: Convolution
    let second: Convolution
  }

  public let width: Int
  let inputs: Int
  let taps: Int
  let dropout: Double
  let encoder: Projection
  let blocks: [Block]
  private let end: Int

  /// - Parameters:
  ///   - levels: blocks, with dilation doubling from one to the next.
  ///   - repeats: how often these follow one another.
  ///   - taps: of a convolution, 2 or more.
  init(
    inputs: Int, hidden: Int, levels: Int, repeats: Int = 1, taps: Int, weightNorm: Bool = false,
    dropout: Double, layout: inout ParameterLayout
  ) {
    precondition(levels >= 1 && repeats >= 1 && taps >= 2)
    (width, self.inputs, self.taps, self.dropout) = (hidden, inputs, taps, dropout)
    encoder = Projection("backbone.encoder", inputs, hidden, layout: &layout)
    func convolution(_ name: String) -> Convolution {
      Convolution(
        weight: layout.add("\(name).weight", [taps, hidden, hidden]),
        length: weightNorm ? layout.add("\(name).length", [hidden]) : nil,
        bias: layout.add("\(name).bias", [hidden]))
    }
    blocks = (0..<(repeats * levels)).map { index in
      Block(
        dilation: 1 << (index % levels), first: convolution("backbone.\(index).first"),
        second: convolution("backbone.\(index).second"))
    }
    end = layout.count
  }

  /// Steps that the last one depends on, itself included.
  public var receptiveField: Int {
    1 + blocks.reduce(0) { $0 + 2 * (taps - 1) * $1.dilation }
  }

  /// The fewest levels whose receptive field is at least `context`.
  package static func levels(covering context: Int, taps: Int) -> Int {
    var levels = 1
    while 1 + 2 * (taps - 1) * ((1 << levels) - 1) < context { levels += 1 }
    return levels
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    encoder.initialize(parameters, using: &stream)
    let deviation = (2 / Double(taps * width)).squareRoot()
    for block in blocks {
      for (part, factor) in [(block.first, 1.0), (block.second, 0.5)] {
        parameters.fillNormal(part.weight, deviation: deviation * factor, using: &stream)
        parameters.fill(part.bias, 0)
        guard let length = part.length else { continue }
        // So that the kernel is the one that was drawn.
        for e in 0..<width {
          let sum = (0..<(taps * width)).reduce(0.0) {
            let weight = Double(parameters[part.weight.offset + $1 * width + e])
            return $0 + weight * weight
          }
          parameters[length.offset + e] = Element(sum.squareRoot())
        }
      }
    }
  }

  private func kernel(_ part: Convolution, _ graph: Graph<Element>) -> Tensor<Element> {
    let weight = graph.parameter(part.weight)
    guard let length = part.length else { return weight }
    let squares = weight.reshaped([taps * width, width]).map(.square).sum(axis: 0)
    // A direction of length 0 stays 0.
    return weight * (graph.parameter(length) / squares.scaled(by: 1, plus: 1e-12).map(.squareRoot))
  }

  /// - Parameters:
  ///   - dilation: in steps of `x`.
  ///   - stride: every how many steps of `x` are wanted, counted from the last.
  private func apply(
    _ block: Block, _ index: Int, to x: Tensor<Element>, dilation: Int, stride: Int = 1
  ) -> Tensor<Element> {
    func convolved(_ x: Tensor<Element>, _ part: Convolution, _ name: String, stride: Int)
      -> Tensor<Element>
    {
      x.causallyConvolved(
        kernel(part, x.graph), bias: x.graph.parameter(part.bias), dilation: dilation,
        stride: stride
      ).map(.relu).dropout(dropout, purpose: "\(name) dropout of block \(index)")
    }
    let inner = convolved(x, block.first, "first", stride: 1)
    let added = convolved(inner, block.second, "second", stride: stride)
    return (x.thinned(by: stride) + added).map(.relu)
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    var x = encoder(inputs)
    for (index, block) in blocks.enumerated() {
      x = apply(block, index, to: x, dilation: block.dilation)
    }
    return x.backboneOutput()
  }

  /// Every how many steps the inputs of each block are needed for the last step of the last one.
  private var strides: [Int] {
    var strides: [Int] = []
    for block in blocks.reversed() {
      // Dilations are powers of two: the smaller of two strides divides the other.
      strides.insert(min(strides.first ?? block.dilation, block.dilation), at: 0)
    }
    return strides
  }

  public func encode(_ inputs: Tensor<Element>) -> Tensor<Element> {
    let strides = strides
    var x = encoder(inputs.thinned(by: strides[0]))
    for (index, block) in blocks.enumerated() {
      x = apply(
        block, index, to: x, dilation: block.dilation / strides[index],
        stride: index == blocks.count - 1 ? x.shape[0] : strides[index + 1] / strides[index])
    }
    return x[x.shape[0] - 1]
  }

  public func encodeRecomputed(_ inputs: Tensor<Element>) -> Tensor<Element> {
    inputs.graph.recomputed([inputs]) { _, copies in [encode(copies[0])] }[0]
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    Stepper(self, parameters, batch: batch)
  }

  private final class Stepper: BackboneStepper {
    private let weight: Buffer<Element>
    private let bias: Buffer<Element>
    private let (batch, inputs, width): (Int, Int, Int)
    private let blocks: [[CausalConvolutionStepper<Element>]]
    private let x: Buffer<Element>
    private let inner: Buffer<Element>
    private let added: Buffer<Element>

    init(_ model: TCN, _ parameters: UnsafePointer<Element>, batch: Int) {
      (self.batch, inputs, width) = (batch, model.inputs, model.width)
      weight = Buffer(copying: parameters, model.encoder.weight)
      bias = Buffer(copying: parameters, model.encoder.bias!)
      blocks = model.blocks.map { block in
        [block.first, block.second].map { part in
          // Normed kernels are made once.
          let graph = Graph<Element>()
          let kernel = model.kernel(part, graph)
          graph.keep(kernel)
          let execution = Execution(Plan(graph))
          execution.forward(parameters: parameters)
          return CausalConvolutionStepper(
            taps: model.taps, dilation: block.dilation, inputs: model.width, outputs: model.width,
            batch: batch, kernel: execution.value(kernel), bias: parameters + part.bias.offset)
        }
      }
      (x, inner, added) = (Buffer(batch * width), Buffer(batch * width), Buffer(batch * width))
    }

    func step(_ input: UnsafePointer<Element>, _ output: UnsafeMutablePointer<Element>) {
      let count = batch * width
      Element.broadcast(rows: batch, width: width, bias.base, to: x.base)
      Element.multiplyFew(
        rows: batch, inner: inputs, columns: width, input, weight.base, x.base, adds: true)
      for block in blocks {
        block[0].step(x.base, inner.base)
        Element.unary(.relu, count, inner.base, inner.base)
        block[1].step(inner.base, added.base)
        Element.unary(.relu, count, added.base, added.base)
        Element.add(count, added.base, to: x.base)
        Element.unary(.relu, count, x.base, x.base)
      }
      output.update(from: x.base, count: count)
    }
  }
}
