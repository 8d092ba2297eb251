// Names: shape letters B, T, D, J, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// What a layer with the delta rule leaves open.
public struct DeltaNetLayer: Hashable, Sendable {
  /// Heads `N`, which divide the width.
  public var heads: Int
  /// Updates `J` in each step: 1 is DeltaNet, more DeltaProduct (Siems et al. 2025, arXiv 2502.10297).
  public var householders: Int
  /// Length of the causal convolution before queries, keys and values, 0 for none.
  public var convolution: Int
  /// Whether the memory fades, and its result is gated (Yang et al. 2024, arXiv 2412.06464).
  public var isGated: Bool
  /// Whether `β` goes to 2 rather than 1, so that the memory's transition has eigenvalues down to -1 (Grazzi et
  /// al. 2024, arXiv 2411.12537).
  public var hasNegativeEigenvalues: Bool

  public init(
    heads: Int, householders: Int = 1, convolution: Int = 4, isGated: Bool = false,
    hasNegativeEigenvalues: Bool = true
  ) {
    self.heads = heads
    self.householders = householders
    self.convolution = convolution
    self.isGated = isGated
    self.hasNegativeEigenvalues = hasNegativeEigenvalues
  }
}

/// The mixer of DeltaNet (Yang et al. 2024, arXiv 2406.06484, section 4): queries, keys and values
/// `SiLU(conv(u A))`, `β = s(u b)` or twice that, the delta rule, root mean square norm of each head with one
/// gain for all, projection. Gated: `log α = -exp(a) softplus(u c + d)` for each head, and the normalised result
/// times `SiLU(u G)`.
///
/// Keys and values are as wide as the width over the heads. Deviations from the reference package: the
/// convolution has a bias; projections start uniform within `1 / sqrt(D)`.
struct DeltaMixer<Element: Real>: Sendable {
  let rule: DeltaRule
  let layer: DeltaNetLayer
  let operands: Projection
  /// `[taps, channels]` and `[channels]`.
  let kernel: ParameterLayout.Tensor?
  let kernelBias: ParameterLayout.Tensor?
  let beta: Projection
  let decay: Projection?
  let logRate: ParameterLayout.Tensor?
  let gate: Projection?
  let headNorm: Norm
  let output: Projection

  init(_ name: String, width: Int, _ layer: DeltaNetLayer, layout: inout ParameterLayout) {
    let (N, J, D) = (layer.heads, layer.householders, width)
    precondition(N >= 1 && D % N == 0 && J >= 1 && layer.convolution >= 0)
    self.layer = layer
    rule = DeltaRule(heads: N, keyWidth: D / N, valueWidth: D / N, householders: J)
    let channels = rule.inputWidth
    operands = Projection("\(name).query_key_value", D, channels, bias: false, layout: &layout)
    let taps = layer.convolution
    kernel = taps > 0 ? layout.add("\(name).convolution_weight", [taps, channels]) : nil
    kernelBias = taps > 0 ? layout.add("\(name).convolution_bias", [channels]) : nil
    beta = Projection("\(name).beta", D, J * N, layout: &layout)
    decay = layer.isGated ? Projection("\(name).decay", D, N, layout: &layout) : nil
    logRate = layer.isGated ? layout.add("\(name).log_decay_rate", [N]) : nil
    gate = layer.isGated ? Projection("\(name).gate", D, D, bias: false, layout: &layout) : nil
    headNorm = Norm(.rootMeanSquare, "\(name).head_norm", D / N, layout: &layout)
    output = Projection("\(name).output", D, D, bias: false, layout: &layout)
  }

  /// Rates from 1 to 16 and steps log-uniform from 0.001 to 0.1, as in the reference package.
  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    operands.initialize(parameters, using: &stream)
    if let kernel, let kernelBias {
      let bound = 1 / Double(kernel.shape[0]).squareRoot()
      parameters.fillUniform(kernel, bound: bound, using: &stream)
      parameters.fillUniform(kernelBias, bound: bound, using: &stream)
    }
    beta.initialize(parameters, using: &stream)
    if let decay, let bias = decay.bias, let logRate, let gate {
      decay.initialize(parameters, using: &stream)
      for head in 0..<layer.heads {
        parameters[bias.offset + head] = Element(
          StepSize.inverseSoftplus(ofLogarithm: StepSize.papers.logUniform(using: &stream)))
        parameters[logRate.offset + head] = Element(logarithm(1 + 15 * stream.uniform()))
      }
      gate.initialize(parameters, using: &stream)
    }
    headNorm.initialize(parameters)
    output.initialize(parameters, using: &stream)
  }

  /// `[T, B, D]` to `[T, B, D]`, without norm and residual.
  ///
  /// - Parameters:
  ///   - stepping: where the steppers of a sequence of length 1 find their weights; nil for longer ones.
  ///   - carried: the states of a segment.
  func apply(
    to u: Tensor<Element>, stepping parameters: UnsafePointer<Element>? = nil,
    carried: CarriedStates<Element> = .none
  ) -> Tensor<Element> {
    let (graph, N) = (u.graph, layer.heads)
    let (T, B, D) = (u.shape[0], u.shape[1], u.shape[2])
    let qkv = convolved(operands(u), stepping: parameters, carried)
    let beta = beta(u).map(.sigmoid).scaled(by: layer.hasNegativeEigenvalues ? 2 : 1)
    var logDecay: Tensor<Element>?
    if let decay, let logRate {
      logDecay = decay(u).map(.softplus) * graph.parameter(logRate).map(.exp).map(.negate)
    }
    let y =
      parameters == nil
      ? carried.layer([[B, N, rule.keyWidth, rule.valueWidth]]) {
        let (y, state) = qkv.deltaRule(rule, beta: beta, logDecay: logDecay, initial: $0?[0])
        return (y, [state])
      }
      : qkv.stepped(
        DeltaRuleStepper(rule, batch: B, gated: layer.isGated),
        with: [beta] + (logDecay.map { [$0] } ?? []), shape: [T, B, D])
    let normal = headNorm(y.reshaped([T, B, N, D / N])).reshaped([T, B, D])
    return output(gate.map { normal.gated(by: $0(u), .silu) } ?? normal)
  }

  private func convolved(
    _ x: Tensor<Element>, stepping parameters: UnsafePointer<Element>?,
    _ carried: CarriedStates<Element>
  ) -> Tensor<Element> {
    guard let kernel, let kernelBias else { return x.map(.silu) }
    let graph = x.graph
    guard let parameters else {
      return x.shortConvolution(
        graph.parameter(kernel), bias: graph.parameter(kernelBias), carried)
    }
    return x.stepped(
      ShortConvolutionStepper(
        width: kernel.shape[1], taps: kernel.shape[0], batch: x.shape[1],
        kernel: parameters + kernel.offset, bias: parameters + kernelBias.offset))
  }
}
