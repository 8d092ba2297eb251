// Names: shape letters B, T, F, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore

/// The sLSTM block (Beck et al. 2024, figure 10), with `LN` layer and `GN` group normalisation by head:
/// `u = LN(x)`, `c = SiLU(conv(u))`; gates `i, f` from `c` and `z, o` from `u`, by head;
/// `y = x + GN(sLSTM(i, f, z, o))`; result `y + (GELU(LN(y) A) * (LN(y) B)) C`.
///
/// Starting values of the reference package: recurrent weights zero; forget biases from 5 down to -7 over the
/// units of a head, by a power law that depends on the depth; other biases zero.
struct SLSTMBlock<Element: Real>: ResidualBlock {
  let width: Int
  let heads: Int
  let place: BlockPlace
  let cell: RecurrentCell
  let norm: ParameterLayout.Tensor
  let convolution: GatedConvolution?
  let gates: ParameterLayout.Tensor
  let recurrent: ParameterLayout.Tensor
  let bias: ParameterLayout.Tensor
  let headNorm: ParameterLayout.Tensor
  let networkNorm: ParameterLayout.Tensor
  let up: ParameterLayout.Tensor
  let upGate: ParameterLayout.Tensor
  let down: ParameterLayout.Tensor

  init(
    width: Int, heads: Int, convolution length: Int, projectionFactor: Double, _ place: BlockPlace,
    _ layout: inout ParameterLayout
  ) {
    precondition(width % heads == 0 && length >= 0 && projectionFactor > 0)
    (self.width, self.heads, self.place) = (width, heads, place)
    cell = RecurrentCell(gatesOf: .slstm, width: width, heads: heads)
    let size = width / heads
    // Rounded up to a multiple of 8, for the sake of the matrix products (the package: of 64).
    let inner = Int((projectionFactor * Double(width) / 8).rounded(.up)) * 8
    let name = place.name
    norm = layout.add("\(name).norm_gain", [width])
    convolution = GatedConvolution(name, length: length, width: width, &layout)
    gates = layout.add("\(name).gate_weight", [4, heads, size, size])
    recurrent = layout.add("\(name).recurrent_weight", cell.recurrentShape.axes)
    bias = layout.add("\(name).bias", cell.biasShape.axes)
    headNorm = layout.add("\(name).head_norm_gain", [width])
    networkNorm = layout.add("\(name).network_norm_gain", [width])
    upGate = layout.add("\(name).up_gate_weight", [width, inner])
    up = layout.add("\(name).up_weight", [width, inner])
    down = layout.add("\(name).down_weight", [inner, width])
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    let size = width / heads
    for gain in [norm, headNorm, networkNorm] { parameters.fill(gain, 1) }
    convolution?.initialize(parameters, using: &stream)
    parameters.fillNormal(
      gates, deviation: (2 / (5 * Double(size))).squareRoot(), using: &stream)
    parameters.fillForgetBias(bias, width: width, heads: heads, depth: place.depth)
    let deviation = (2 / (5 * Double(width))).squareRoot()
    parameters.fillNormal(upGate, deviation: deviation, using: &stream)
    parameters.fillNormal(up, deviation: deviation, using: &stream)
    parameters.fillNormal(
      down, deviation: 2 / (Double(place.count) * Double(width).squareRoot()), using: &stream)
  }

  /// Rows share what the recurrent product reads at every step.
  var rowsTogether: Int { 8 }

  func apply(to x: Tensor<Element>, _ carried: CarriedStates<Element>) -> Tensor<Element> {
    let graph = x.graph
    let u = x.layerNormalised(gain: graph.parameter(norm))
    let c = convolution?.apply(to: u, carried) ?? u
    let weights = RecurrentWeights(
      input: nil, recurrent: graph.parameter(recurrent), bias: graph.parameter(bias))
    let sums = Tensor.blockDiagonalProducts([c, c, u, u], weight: graph.parameter(gates))
    let state = Shape([x.shape[1], width])
    let h = carried.layer([Shape](repeating: state, count: 1 + cell.memories)) { before in
      let (h, after) = sums.recurrent(
        cell, weights, initial: before.map { RecurrentState(parts: $0) })
      return (h, after.parts)
    }
    let y =
      x
      + h.dropout(place.dropout, purpose: "dropout of \(place.name)")
      .groupNormalised(gain: graph.parameter(headNorm), groups: heads)
    let v = y.layerNormalised(gain: graph.parameter(networkNorm))
    let inner = v.linear(graph.parameter(upGate)).map(.gelu) * v.linear(graph.parameter(up))
    return y
      + inner.linear(graph.parameter(down))
      .dropout(place.dropout, purpose: "dropout of the network of \(place.name)")
  }

  func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any ResidualStepper<Element> {
    Stepper(self, parameters, batch: batch)
  }

  private final class Stepper: ResidualStepper {
    private let batch: Int
    private let width: Int
    private let inner: Int
    private let norm: StepNormalisation<Element>
    private let convolution: StepConvolution<Element>?
    private let gates: StepBlocks<Element>
    private let cell: RecurrentStepper<Element>
    private let headNorm: StepNormalisation<Element>
    private let networkNorm: StepNormalisation<Element>
    private let upGate: StepProduct<Element>
    private let up: StepProduct<Element>
    private let down: StepProduct<Element>
    /// Rows of the width, of the four gates, of the gates in whole vectors, of the network.
    private let u: Buffer<Element>
    private let c: Buffer<Element>
    private let sums: Buffer<Element>
    private let wide: Buffer<Element>
    private let first: Buffer<Element>
    private let second: Buffer<Element>

    init(_ block: SLSTMBlock, _ parameters: UnsafePointer<Element>, batch: Int) {
      let width = block.width
      (self.batch, self.width, inner) = (batch, width, block.up.shape[1])
      func product(_ tensor: ParameterLayout.Tensor) -> StepProduct<Element> {
        StepProduct(parameters, tensor, batch: batch)
      }
      norm = StepNormalisation(parameters, block.norm, groups: 1, batch: batch)
      convolution = block.convolution.map { StepConvolution(parameters, $0, batch: batch) }
      cell = RecurrentStepper(
        block.cell, batch: batch, input: nil, recurrent: parameters + block.recurrent.offset,
        bias: parameters + block.bias.offset)
      headNorm = StepNormalisation(
        parameters, block.headNorm, groups: block.heads, batch: batch)
      networkNorm = StepNormalisation(parameters, block.networkNorm, groups: 1, batch: batch)
      (upGate, up, down) = (product(block.upGate), product(block.up), product(block.down))
      (u, c) = (Buffer(batch * width), Buffer(batch * width))
      sums = Buffer(4 * batch * width)
      wide = Buffer(4 * batch * cell.rowLength)
      (first, second) = (Buffer(batch * inner), Buffer(batch * inner))
      let mixed = convolution == nil ? u : c
      gates = StepBlocks(parameters, block.gates, sources: [mixed, mixed, u, u], batch: batch)
    }

    func step(_ x: UnsafeMutablePointer<Element>) {
      norm(x, u.base)
      convolution?(u.base, c.base)
      gates(sums.base)
      let row = cell.rowLength
      for part in 0..<(4 * batch) {
        (wide.base + part * row).update(from: sums.base + part * width, count: width)
      }
      let h = cell.step(wide.base)
      for b in 0..<batch { (u.base + b * width).update(from: h + b * row, count: width) }
      headNorm(u.base, c.base)
      Element.add(batch * width, c.base, to: x)
      networkNorm(x, u.base)
      upGate(u.base, first.base)
      Element.unary(.gelu, batch * inner, first.base, first.base)
      up(u.base, second.base)
      Element.binary(
        .multiply, batch * inner, first.base, 1, second.base, 1, first.base)
      down(first.base, u.base)
      Element.add(batch * width, u.base, to: x)
    }
  }
}

extension Buffer {
  /// Forget biases of an sLSTM from 5 down to -7 over the units of a head, by a power law that depends on the
  /// depth of the block; the other biases stay.
  ///
  /// - Parameters:
  ///   - bias: `[4 D]`, gates `i f z o`.
  ///   - depth: 0 for the first block, 1 for the last.
  func fillForgetBias(_ bias: ParameterLayout.Tensor, width: Int, heads: Int, depth: Double) {
    let size = width / heads
    for unit in 0..<width {
      let position = size > 1 ? Double(unit % size) / Double(size - 1) : 0
      self[bias.offset + width + unit] = Element(5 - 12 * pow(position, 0.3 + 1.3 * depth))
    }
  }
}
