// Names: shape letters B, T, D, E, H.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// The mixer of Hydra (Hwang et al. 2024, arXiv 2407.09941): as Mamba-2's, but every step sees both directions.
///
/// A quasiseparable matrix in place of the state space, with own `B`, `C` and steps for each direction and `A` and the
/// bias of the steps shared; the convolution is centred, what passes by the state is selected by the input, and the
/// norm comes before the gate. Starting values as in the paper's code: `A = -1`, `dt` log-uniform in 0.001 to 0.1.
struct HydraMixer<Element: Real>: SequenceMixer {
  let layer: StateSpaceDuality
  let mixed: Projection
  let gate: Projection
  let convolution: ShortConvolutionPlace
  let heads: DualHeads
  let diagonal: ParameterLayout.Tensor
  let skip: ParameterLayout.Tensor
  let gain: ParameterLayout.Tensor
  let output: Projection

  /// - Parameter taps: of the centred convolution, odd.
  init(
    _ name: String, width: Int, layer: StateSpaceDuality, taps: Int, layout: inout ParameterLayout
  ) {
    precondition(taps % 2 == 1)
    let (E, H) = (layer.channels, layer.heads)
    let all = E + 2 * layer.selections
    self.layer = layer
    mixed = Projection("\(name).mixed", width, all, bias: false, layout: &layout)
    gate = Projection("\(name).gate", width, E, bias: false, layout: &layout)
    convolution = ShortConvolutionPlace(name, taps: taps, width: all, layout: &layout)
    heads = DualHeads(name, width: width, heads: H, directions: 2, layout: &layout)
    diagonal = layout.add("\(name).diagonal", [E, H])
    skip = layout.add("\(name).skip", [H])
    gain = layout.add("\(name).inner_norm.gain", [E])
    output = Projection("\(name).output", E, width, bias: false, layout: &layout)
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    mixed.initialize(parameters, using: &stream)
    gate.initialize(parameters, using: &stream)
    convolution.initialize(parameters, using: &stream)
    heads.initialize(parameters, rates: 1...1, steps: .papers, using: &stream)
    let bound = 1 / Double(layer.channels).squareRoot()
    parameters.fillUniform(diagonal, bound: bound, using: &stream)
    parameters.fill(skip, 1)
    parameters.fill(gain, 1)
    output.initialize(parameters, using: &stream)
  }

  func mix(_ x: Tensor<Element>, _ run: MixerRun<Element>) -> Tensor<Element> {
    guard case .sequence(nil, _) = run else { preconditionFailure("a window is read as a whole") }
    let graph = x.graph
    let (T, B, E) = (x.shape[0], x.shape[1], layer.channels)
    // Centred: the causal convolution of a sequence that goes on with zeros, without its first results.
    let ahead = convolution.kernel.shape[0] / 2
    let projected = mixed(x)
    let width = projected.shape[2]
    let zeros = graph.constant(
      [Element](repeating: 0, count: ahead * B * width), [ahead, B, width])
    let longer = ahead > 0 ? Tensor.joined([projected, zeros], axis: 0) : projected
    let u = longer.shortConvolution(
      graph.parameter(convolution.kernel), bias: graph.parameter(convolution.bias)
    ).slice(axis: 0, ahead..<(ahead + T))
    let steps = heads.steps(x)
    let d = u.slice(axis: 2, 0..<E).linear(
      graph.parameter(diagonal), bias: graph.parameter(skip))
    let y = u.quasiseparable(
      layer,
      QuasiseparableWeights(
        steps: (steps[0], steps[1]), logDecay: graph.parameter(heads.logDecay), diagonal: d))
    let normed = y.rmsNormalised(
      gain: graph.parameter(gain), groups: layer.groups, epsilon: 1e-5)
    return output(normed.gated(by: gate(x), .silu))
  }
}

/// Reads a window in both directions: a stack of ``HydraMixer``s, of which the last step and the mean over all steps
/// are the result, `2 D` numbers.
public struct Hydra<Element: Real>: WindowEncoder {
  private let stack: MixerStack<Element>

  public var width: Int { 2 * stack.width }

  init(_ stack: MixerStack<Element>) { self.stack = stack }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    stack.initialize(parameters, using: &stream)
  }

  private func pooled(_ all: Tensor<Element>) -> Tensor<Element> {
    .joined([all[all.shape[0] - 1], all.mean(axis: 0)], axis: 1)
  }

  public func encode(_ inputs: Tensor<Element>) -> Tensor<Element> {
    pooled(stack.sequence(inputs))
  }

  /// Block by block.
  public func encodeRecomputed(_ inputs: Tensor<Element>) -> Tensor<Element> {
    pooled(stack.recomputed(inputs))
  }
}
