// What steppers are made of: one step of the graph's operations on rows `[B, ...]`, without allocation.

import NumericsCore

/// A product with a matrix.
final class StepProduct<Element: Real> {
  private let weight: Buffer<Element>
  private let inputs: Int
  private let columns: Int
  private let batch: Int

  /// - Parameter tensor: `[K, N]`.
  init(_ parameters: UnsafePointer<Element>, _ tensor: ParameterLayout.Tensor, batch: Int) {
    weight = Buffer(copying: parameters, tensor)
    (inputs, columns, self.batch) = (tensor.shape[0], tensor.shape[1], batch)
  }

  func callAsFunction(_ x: UnsafePointer<Element>, _ y: UnsafeMutablePointer<Element>) {
    Element.multiplyFew(
      rows: batch, inner: inputs, columns: columns, x, weight.base, y, adds: false)
  }
}

/// Products with block-diagonal matrices side by side.
final class StepBlocks<Element: Real> {
  private let weight: Buffer<Element>
  private let scratch: Buffer<Element>
  private let sources: [UnsafePointer<Element>]
  private let shape: [Int]
  private let batch: Int

  /// - Parameters:
  ///   - tensor: `[parts, heads, K, N]`.
  ///   - sources: what each part reads at every step.
  init(
    _ parameters: UnsafePointer<Element>, _ tensor: ParameterLayout.Tensor,
    sources: [Buffer<Element>], batch: Int
  ) {
    weight = Buffer(copying: parameters, tensor)
    shape = tensor.shape
    self.batch = batch
    self.sources = sources.map { UnsafePointer($0.base) }
    scratch = Buffer(
      Element.blockDiagonalScratch(
        rows: batch, parts: shape[0], heads: shape[1], inputs: shape[2], columns: shape[3]))
  }

  func callAsFunction(_ y: UnsafeMutablePointer<Element>) {
    Element.blockDiagonalProducts(
      rows: batch, heads: shape[1], inputs: shape[2], columns: shape[3], sources,
      weight: weight.base, y, scratch: scratch.base)
  }
}

/// Layer or group normalisation.
final class StepNormalisation<Element: Real> {
  private let gain: Buffer<Element>
  private let statistics: Buffer<Element>
  private let groups: Int
  private let batch: Int

  init(
    _ parameters: UnsafePointer<Element>, _ tensor: ParameterLayout.Tensor, groups: Int, batch: Int
  ) {
    gain = Buffer(copying: parameters, tensor)
    statistics = Buffer(2 * batch * groups)
    (self.groups, self.batch) = (groups, batch)
  }

  func callAsFunction(_ x: UnsafePointer<Element>, _ y: UnsafeMutablePointer<Element>) {
    Element.normalise(
      rows: batch * groups, width: gain.count / groups, groups: groups, centred: true,
      epsilon: 1e-5, x, gain: gain.base, y, statistics: statistics.base)
  }
}

/// Causal depthwise convolution with bias and SiLU; remembers as many steps as the kernel is long.
final class StepConvolution<Element: Real> {
  private let weight: Buffer<Element>
  private let bias: Buffer<Element>
  private let past: Buffer<Element>
  private let batch: Int
  private let length: Int
  private let width: Int
  private var newest = 0

  init(_ parameters: UnsafePointer<Element>, _ convolution: GatedConvolution, batch: Int) {
    weight = Buffer(copying: parameters, convolution.weight)
    bias = Buffer(copying: parameters, convolution.bias)
    (length, width) = (convolution.weight.shape[0], convolution.weight.shape[1])
    self.batch = batch
    past = Buffer(length * batch * width)
  }

  func callAsFunction(_ x: UnsafePointer<Element>, _ y: UnsafeMutablePointer<Element>) {
    newest = (newest + 1) % length
    let row = batch * width
    (past.base + newest * row).update(from: x, count: row)
    Element.broadcast(rows: batch, width: width, bias.base, to: y)
    for tap in 0..<length {
      Element.multiplyAdd(
        rows: batch, width: width, past.base + (newest + length - tap) % length * row,
        weight.base + tap * width, to: y)
    }
    Element.unary(.silu, row, y, y)
  }
}

/// The causal convolution of both kinds of blocks: depthwise, with bias, then SiLU.
struct GatedConvolution: Sendable {
  /// `[K, D]`.
  let weight: ParameterLayout.Tensor
  let bias: ParameterLayout.Tensor

  /// - Parameter length: 0 for none.
  init?(_ name: String, length: Int, width: Int, _ layout: inout ParameterLayout) {
    guard length > 0 else { return nil }
    weight = layout.add("\(name).convolution_weight", [length, width])
    bias = layout.add("\(name).convolution_bias", [width])
  }

  func initialize<Element: Real>(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    let bound = 1 / Double(weight.shape[0]).squareRoot()
    parameters.fillUniform(weight, bound: bound, using: &stream)
    parameters.fillUniform(bias, bound: bound, using: &stream)
  }

  func apply<Element: Real>(
    to x: Tensor<Element>, _ carried: CarriedStates<Element>
  ) -> Tensor<Element> {
    x.shortConvolution(x.graph.parameter(weight), bias: x.graph.parameter(bias), carried)
  }
}
