// Names: shape letters B, T, F, D, E, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// The mLSTM block (Beck et al. 2024, figure 11), `E` being the width times the projection factor:
/// `u = LN(x)`, `a = u A`, `c = SiLU(conv(a))`; queries and keys from `c`, values from `a`, by blocks of four;
/// gates from all three; `g = GN(mLSTM(q, k, v)) + skip * c`; result `x + (g * SiLU(u B)) C`.
///
/// Starting values of the reference package: gate weights zero, forget biases from 3 to 6 over the heads, input
/// biases normal with deviation 0.1, skip 1.
struct MLSTMBlock<Element: Real>: ResidualBlock {
  let width: Int
  let inner: Int
  let place: BlockPlace
  let layer: MLSTM
  /// Width of a block of the projections to queries, keys and values.
  let size: Int
  let norm: ParameterLayout.Tensor
  let up: ParameterLayout.Tensor
  let upGate: ParameterLayout.Tensor
  let convolution: GatedConvolution?
  let operands: ParameterLayout.Tensor
  let gates: ParameterLayout.Tensor
  let gateBias: ParameterLayout.Tensor
  let headNorm: ParameterLayout.Tensor
  let skip: ParameterLayout.Tensor
  let down: ParameterLayout.Tensor

  init(
    width: Int, heads: Int, convolution length: Int, projectionFactor: Double, _ place: BlockPlace,
    _ layout: inout ParameterLayout
  ) {
    precondition(heads >= 1 && length >= 0 && projectionFactor > 0)
    (self.width, self.place) = (width, place)
    let headWidth = Int((projectionFactor * Double(width) / Double(heads)).rounded(.up))
    layer = MLSTM(heads: heads, width: headWidth)
    inner = heads * headWidth
    size = [4, 3, 2].first { [inner] in inner % $0 == 0 } ?? 1
    let name = place.name
    norm = layout.add("\(name).norm_gain", [width])
    up = layout.add("\(name).up_weight", [width, inner])
    upGate = layout.add("\(name).up_gate_weight", [width, inner])
    convolution = GatedConvolution(name, length: length, width: inner, &layout)
    operands = layout.add("\(name).query_key_value_weight", [3, inner / size, size, size])
    gates = layout.add("\(name).gate_weight", [3 * inner, 2 * heads])
    gateBias = layout.add("\(name).gate_bias", [2 * heads])
    headNorm = layout.add("\(name).head_norm_gain", [inner])
    skip = layout.add("\(name).skip", [inner])
    down = layout.add("\(name).down_weight", [inner, width])
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    let heads = layer.heads
    for gain in [norm, headNorm, skip] { parameters.fill(gain, 1) }
    convolution?.initialize(parameters, using: &stream)
    let deviation = (2 / (5 * Double(width))).squareRoot()
    for weight in [up, upGate, operands] {
      parameters.fillNormal(weight, deviation: deviation, using: &stream)
    }
    for head in 0..<heads {
      let position = heads > 1 ? Double(head) / Double(heads - 1) : 0
      parameters[gateBias.offset + head] = Element(stream.normal() * 0.1)
      parameters[gateBias.offset + heads + head] = Element(3 + 3 * position)
    }
    parameters.fillNormal(
      down, deviation: 2 / (Double(place.count) * Double(width).squareRoot()), using: &stream)
  }

  var rowsTogether: Int { 4 }

  func apply(to x: Tensor<Element>, _ carried: CarriedStates<Element>) -> Tensor<Element> {
    let graph = x.graph
    let u = x.layerNormalised(gain: graph.parameter(norm))
    let a = u.linear(graph.parameter(up))
    let c = convolution?.apply(to: a, carried) ?? a
    let operands = Tensor.blockDiagonalProducts([c, c, a], weight: graph.parameter(operands))
    let gates = operands.linear(graph.parameter(gates), bias: graph.parameter(gateBias))
    let (B, N, D) = (x.shape[1], layer.heads, layer.width)
    let h = carried.layer([[B, N, D, D], [B, N, D], [B, N]]) { before in
      let (h, after) = operands.mlstm(
        layer, gates: gates, initial: before.map { MLSTMState(C: $0[0], n: $0[1], m: $0[2]) })
      return (h, [after.C, after.n, after.m])
    }.groupNormalised(gain: graph.parameter(headNorm), groups: layer.heads)
    let g = (h + c * graph.parameter(skip)) * u.linear(graph.parameter(upGate)).map(.silu)
    return x
      + g.linear(graph.parameter(down))
      .dropout(place.dropout, purpose: "dropout of \(place.name)")
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
    private let up: StepProduct<Element>
    private let upGate: StepProduct<Element>
    private let convolution: StepConvolution<Element>?
    private let operands: StepBlocks<Element>
    private let gates: StepProduct<Element>
    private let gateBias: Buffer<Element>
    private let memory: MLSTMStepper<Element>
    private let headNorm: StepNormalisation<Element>
    private let skip: Buffer<Element>
    private let down: StepProduct<Element>
    private let u: Buffer<Element>
    private let a: Buffer<Element>
    private let c: Buffer<Element>
    private let qkv: Buffer<Element>
    private let sums: Buffer<Element>
    private let h: Buffer<Element>
    private let g: Buffer<Element>
    /// `c`, or without convolution `a`.
    private let mixed: Buffer<Element>

    init(_ block: MLSTMBlock, _ parameters: UnsafePointer<Element>, batch: Int) {
      (self.batch, width, inner) = (batch, block.width, block.inner)
      func product(_ tensor: ParameterLayout.Tensor) -> StepProduct<Element> {
        StepProduct(parameters, tensor, batch: batch)
      }
      norm = StepNormalisation(parameters, block.norm, groups: 1, batch: batch)
      (up, upGate, down) = (product(block.up), product(block.upGate), product(block.down))
      convolution = block.convolution.map { StepConvolution(parameters, $0, batch: batch) }
      gates = product(block.gates)
      gateBias = Buffer(copying: parameters, block.gateBias)
      memory = MLSTMStepper(block.layer, batch: batch)
      headNorm = StepNormalisation(
        parameters, block.headNorm, groups: block.layer.heads, batch: batch)
      skip = Buffer(copying: parameters, block.skip)
      u = Buffer(batch * width)
      (a, c, h, g) = (
        Buffer(batch * inner), Buffer(batch * inner), Buffer(batch * inner), Buffer(batch * inner)
      )
      qkv = Buffer(3 * batch * inner)
      sums = Buffer(batch * gateBias.count)
      mixed = convolution == nil ? a : c
      operands = StepBlocks(
        parameters, block.operands, sources: [mixed, mixed, a], batch: batch)
    }

    func step(_ x: UnsafeMutablePointer<Element>) {
      norm(x, u.base)
      up(u.base, a.base)
      upGate(u.base, g.base)
      Element.unary(.silu, batch * inner, g.base, g.base)
      convolution?(a.base, c.base)
      operands(qkv.base)
      gates(qkv.base, sums.base)
      for b in 0..<batch {
        Element.add(gateBias.count, gateBias.base, to: sums.base + b * gateBias.count)
      }
      memory.step(qkv.base, gates: sums.base, h.base)
      // Where there is no convolution, the skip reads what the values were made of.
      let normal = qkv.base
      headNorm(h.base, normal)
      Element.multiplyAdd(rows: batch, width: inner, mixed.base, skip.base, to: normal)
      Element.binary(.multiply, batch * inner, normal, 1, g.base, 1, g.base)
      down(g.base, u.base)
      Element.add(batch * width, u.base, to: x)
    }
  }
}
