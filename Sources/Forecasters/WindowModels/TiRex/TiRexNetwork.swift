// Names: shape letters B, D, P, Q; n for patches.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

package import NumericsCore

/// Sizes of a TiRex network.
package struct TiRexSize: Hashable, Sendable {
  /// Steps `P` of a patch, the same in and out.
  package var patch: Int
  /// Width `D`.
  package var width: Int
  package var heads: Int
  package var blocks: Int
  /// Width of the gated feed-forward network of a block.
  package var feedForward: Int
  /// Width of the hidden layer of the two residual networks at the ends.
  package var ends: Int
  /// Quantiles `Q`.
  package var quantiles: Int

  package init(
    patch: Int, width: Int, heads: Int, blocks: Int, feedForward: Int, ends: Int, quantiles: Int
  ) {
    self.patch = patch
    self.width = width
    self.heads = heads
    self.blocks = blocks
    self.feedForward = feedForward
    self.ends = ends
    self.quantiles = quantiles
  }

  /// Operations of the matrix products of `patches` patches of one series, of which results are wanted for the
  /// last `wanted`.
  package func operations(patches: Int, wanted: Int) -> Int {
    func end(_ inputs: Int, _ outputs: Int) -> Int {
      inputs * ends + ends * outputs + inputs * outputs
    }
    let (cell, network) = (2 * 4 * width * width / heads, 3 * width * feedForward)
    let recurrent = end(2 * patch, width) + blocks * cell + (blocks - 1) * network
    return 2 * (patches * recurrent + wanted * (network + end(width, patch * quantiles)))
  }
}

/// The network of TiRex (Auer et al. 2025, section 3): values and mask of a patch through a residual network to
/// the width; blocks `x + sLSTM(RMSNorm(x))`, `x + SwiGLU(RMSNorm(x))`; RMSNorm; a residual network to the
/// quantiles of the patch that follows.
///
/// Patches whose mask is 0 are missing; those after the last observed one are the forecast of several patches.
package struct TiRexNetwork<Element: Real>: Sendable {
  let size: TiRexSize
  let entry: ResidualNetwork
  let blocks: [TiRexBlock]
  let gain: ParameterLayout.Tensor
  let exit: ResidualNetwork

  package init(_ size: TiRexSize, layout: inout ParameterLayout) {
    self.size = size
    entry = ResidualNetwork(
      "input", inputs: 2 * size.patch, inner: size.ends, outputs: size.width, &layout)
    blocks = (0..<size.blocks).map { TiRexBlock("block.\($0)", size, &layout) }
    gain = layout.add("norm_gain", [size.width])
    exit = ResidualNetwork(
      "output", inputs: size.width, inner: size.ends, outputs: size.quantiles * size.patch, &layout)
  }

  /// Starting values: weights as those of the xLSTM's reference package (see ``SLSTMBlock``), the last layer
  /// small, so that an untrained network says little.
  package func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    entry.initialize(parameters, scale: 1, using: &stream)
    for (index, block) in blocks.enumerated() {
      block.initialize(
        parameters, depth: blocks.count > 1 ? Double(index) / Double(blocks.count - 1) : 0,
        blocks: blocks.count, using: &stream)
    }
    parameters.fill(gain, 1)
    exit.initialize(parameters, scale: 0.1, using: &stream)
  }

  /// - Parameters:
  ///   - patches: `[n, B, 2 P]`, for each patch its values and whether they are observed.
  ///   - last: how many patches, from the last one backwards, results are wanted for; nil for all.
  ///   - dropout: acts on what blocks add.
  /// - Returns: `[last, B, Q P]`, quantiles of the patch after each.
  package func apply(
    to patches: Tensor<Element>, last: Int? = nil, dropout: Double = 0
  ) -> Tensor<Element> {
    let graph = patches.graph
    var x = entry.apply(to: patches)
    for (index, block) in blocks.enumerated() {
      let isLast = index == blocks.count - 1
      // What follows the last recurrence reads one patch at a time.
      x = block.apply(to: x, last: isLast ? last : nil, dropout: dropout)
    }
    return exit.apply(to: x.rmsNormalised(gain: graph.parameter(gain)))
  }
}

/// `relu(x A + a) B + b + x C + c`.
struct ResidualNetwork: Sendable {
  let hidden: ParameterLayout.Tensor
  let hiddenBias: ParameterLayout.Tensor
  let output: ParameterLayout.Tensor
  let outputBias: ParameterLayout.Tensor
  let residual: ParameterLayout.Tensor
  let residualBias: ParameterLayout.Tensor

  init(_ name: String, inputs: Int, inner: Int, outputs: Int, _ layout: inout ParameterLayout) {
    hidden = layout.add("\(name).hidden_weight", [inputs, inner])
    hiddenBias = layout.add("\(name).hidden_bias", [inner])
    output = layout.add("\(name).output_weight", [inner, outputs])
    outputBias = layout.add("\(name).output_bias", [outputs])
    residual = layout.add("\(name).residual_weight", [inputs, outputs])
    residualBias = layout.add("\(name).residual_bias", [outputs])
  }

  /// - Parameter scale: of the results, beside 1.
  func initialize<Element: Real>(
    _ parameters: Buffer<Element>, scale: Double, using stream: inout RandomStream
  ) {
    for (weight, gain) in [(hidden, 2.0.squareRoot()), (output, scale), (residual, scale)] {
      parameters.fillNormal(
        weight, deviation: gain / Double(weight.shape[0]).squareRoot(), using: &stream)
    }
  }

  func apply<Element: Real>(to x: Tensor<Element>) -> Tensor<Element> {
    let graph = x.graph
    let inner = x.linear(graph.parameter(hidden), bias: graph.parameter(hiddenBias)).map(.relu)
    return inner.linear(graph.parameter(output), bias: graph.parameter(outputBias))
      + x.linear(graph.parameter(residual), bias: graph.parameter(residualBias))
  }
}

/// One block of TiRex: an sLSTM whose gates see their head alone, then a gated feed-forward network.
struct TiRexBlock: Sendable {
  let heads: Int
  let cell: RecurrentCell
  let norm: ParameterLayout.Tensor
  /// `[4, heads, D / heads, D / heads]`, gates in the order of the cell.
  let gates: ParameterLayout.Tensor
  let recurrent: ParameterLayout.Tensor
  let bias: ParameterLayout.Tensor
  let headNorm: ParameterLayout.Tensor
  let networkNorm: ParameterLayout.Tensor
  let upGate: ParameterLayout.Tensor
  let up: ParameterLayout.Tensor
  let down: ParameterLayout.Tensor

  init(_ name: String, _ size: TiRexSize, _ layout: inout ParameterLayout) {
    let (width, part) = (size.width, size.width / size.heads)
    heads = size.heads
    cell = RecurrentCell(gatesOf: .slstm, width: width, heads: size.heads)
    norm = layout.add("\(name).norm_gain", [width])
    gates = layout.add("\(name).gate_weight", [4, size.heads, part, part])
    recurrent = layout.add("\(name).recurrent_weight", cell.recurrentShape.axes)
    bias = layout.add("\(name).bias", cell.biasShape.axes)
    headNorm = layout.add("\(name).head_norm_gain", [width])
    networkNorm = layout.add("\(name).network_norm_gain", [width])
    upGate = layout.add("\(name).up_gate_weight", [width, size.feedForward])
    up = layout.add("\(name).up_weight", [width, size.feedForward])
    down = layout.add("\(name).down_weight", [size.feedForward, width])
  }

  func initialize<Element: Real>(
    _ parameters: Buffer<Element>, depth: Double, blocks: Int, using stream: inout RandomStream
  ) {
    let (width, part) = (norm.count, norm.count / heads)
    for gain in [norm, headNorm, networkNorm] { parameters.fill(gain, 1) }
    parameters.fillNormal(
      gates, deviation: (2 / (5 * Double(part))).squareRoot(), using: &stream)
    parameters.fillForgetBias(bias, width: width, heads: heads, depth: depth)
    for weight in [upGate, up] {
      parameters.fillNormal(
        weight, deviation: (2 / (5 * Double(width))).squareRoot(), using: &stream)
    }
    parameters.fillNormal(
      down, deviation: 2 / (Double(blocks) * Double(width).squareRoot()), using: &stream)
  }

  /// `[n, B, D]` to `[last, B, D]`, the last patches.
  func apply<Element: Real>(
    to x: Tensor<Element>, last: Int?, dropout: Double
  ) -> Tensor<Element> {
    let graph = x.graph
    let n = x.shape[0]
    let kept = (n - (last ?? n))..<n
    let u = x.rmsNormalised(gain: graph.parameter(norm))
    let weights = RecurrentWeights(
      input: nil, recurrent: graph.parameter(recurrent), bias: graph.parameter(bias))
    let h = Tensor.blockDiagonalProducts([u, u, u, u], weight: graph.parameter(gates))
      .recurrent(cell, weights).outputs.slice(axis: 0, kept)
      .groupNormalised(gain: graph.parameter(headNorm), groups: heads)
    let y = x.slice(axis: 0, kept) + h.dropout(dropout, purpose: "dropout of \(norm.name)")
    let v = y.rmsNormalised(gain: graph.parameter(networkNorm))
    let inner = v.linear(graph.parameter(upGate)).map(.silu) * v.linear(graph.parameter(up))
    return y
      + inner.linear(graph.parameter(down))
      .dropout(dropout, purpose: "dropout of \(networkNorm.name)")
  }
}
