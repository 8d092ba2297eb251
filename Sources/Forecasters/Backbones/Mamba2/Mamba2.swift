// Names: shape letters B, T, D, E, H, G, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// The mixer of Mamba-2 (Dao & Gu 2024, arXiv 2405.21060, section 7): a selective state space with one decay for
/// each head, computed by chunks in matrix products.
///
/// `E` inner channels in heads; `x`, `B`, `C` and the steps are projected side by side, a short convolution acts on `x`,
/// `B` and `C`, and the result is gated and RMS-normalised by groups before the last projection. Starting values as in
/// the paper's code: `-A` uniform in 1 to 16, `dt` log-uniform, skip 1.
struct Mamba2<Element: Real>: SequenceMixer {
  let layer: StateSpaceDuality
  let mixed: Projection
  let gate: Projection
  let convolution: ShortConvolutionPlace
  let heads: DualHeads
  let steps: StepSize
  let skip: ParameterLayout.Tensor
  let gain: ParameterLayout.Tensor
  let output: Projection

  /// - Parameters:
  ///   - layer: its channels are the inner ones.
  ///   - taps: of the short convolution.
  ///   - context: of the training, in steps, which bounds the memory at the start.
  init(
    _ name: String, width: Int, layer: StateSpaceDuality, taps: Int, context: Int,
    layout: inout ParameterLayout
  ) {
    steps = StepSize(context: context, rate: 1)
    let E = layer.channels
    self.layer = layer
    mixed = Projection("\(name).mixed", width, E + layer.selections, bias: false, layout: &layout)
    gate = Projection("\(name).gate", width, E, bias: false, layout: &layout)
    convolution = ShortConvolutionPlace(
      name, taps: taps, width: E + layer.selections, layout: &layout)
    heads = DualHeads(name, width: width, heads: layer.heads, directions: 1, layout: &layout)
    skip = layout.add("\(name).skip", [layer.heads])
    gain = layout.add("\(name).inner_norm.gain", [E])
    output = Projection("\(name).output", E, width, bias: false, layout: &layout)
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    mixed.initialize(parameters, using: &stream)
    gate.initialize(parameters, using: &stream)
    convolution.initialize(parameters, using: &stream)
    heads.initialize(parameters, rates: 1...16, steps: steps, using: &stream)
    parameters.fill(skip, 1)
    parameters.fill(gain, 1)
    output.initialize(parameters, using: &stream)
  }

  var carriesStates: Bool { true }

  func mix(_ x: Tensor<Element>, _ run: MixerRun<Element>) -> Tensor<Element> {
    let graph = x.graph
    let projected = mixed(x)
    var steps = heads.steps(x)[0]
    let y = run.layer { gaps in
      if let gaps { steps = steps * gaps.reshaped([x.shape[0], x.shape[1], 1]) }
      let u = projected.shortConvolution(
        graph.parameter(convolution.kernel), bias: graph.parameter(convolution.bias), run.carried)
      return run.carried.layer([[x.shape[1], layer.heads, layer.states, layer.width]]) {
        let (y, state) = u.dual(
          layer, steps: steps, logDecay: graph.parameter(heads.logDecay),
          skip: graph.parameter(skip), initial: $0?[0])
        return (y, [state])
      }
    } stepping: { parameters in
      projected.stepped(convolution.stepper(parameters, batch: x.shape[1])).stepped(
        DualStepper(
          layer, batch: x.shape[1], logDecay: parameters + heads.logDecay.offset,
          skip: parameters + skip.offset),
        with: [steps], shape: [1, x.shape[1], layer.channels])
    }
    let gated = y.gated(by: gate(x), .silu)
    return output(
      gated.rmsNormalised(gain: graph.parameter(gain), groups: layer.groups, epsilon: 1e-5))
  }
}

/// Steps and decays of the heads of state-space dualities: `dt = softplus(x W + b)`, the bias shared by the
/// directions, and `log(-A)`.
struct DualHeads: Sendable {
  let step: ParameterLayout.Tensor
  let stepBias: ParameterLayout.Tensor
  let logDecay: ParameterLayout.Tensor
  let directions: Int

  init(
    _ name: String, width: Int, heads: Int, directions: Int, layout: inout ParameterLayout
  ) {
    self.directions = directions
    step = layout.add("\(name).step", [directions, width, heads])
    stepBias = layout.add("\(name).step_bias", [heads])
    logDecay = layout.add("\(name).log_decay", [heads])
  }

  /// - Parameter rates: `-A` is uniform in this range.
  func initialize<Element: Real>(
    _ parameters: Buffer<Element>, rates: ClosedRange<Double>, steps: StepSize,
    using stream: inout RandomStream
  ) {
    parameters.fillUniform(step, bound: 1 / Double(step.shape[1]).squareRoot(), using: &stream)
    for head in 0..<stepBias.count {
      parameters[stepBias.offset + head] = Element(
        StepSize.inverseSoftplus(ofLogarithm: steps.logUniform(using: &stream)))
      let rate = rates.lowerBound + (rates.upperBound - rates.lowerBound) * stream.uniform()
      parameters[logDecay.offset + head] = Element(logarithm(rate))
    }
  }

  /// `[T, B, H]` for each direction.
  func steps<Element: Real>(_ x: Tensor<Element>) -> [Tensor<Element>] {
    let (weight, bias) = (x.graph.parameter(step), x.graph.parameter(stepBias))
    return (0..<directions).map { x.linear(weight[$0], bias: bias).map(.softplus) }
  }
}

/// Sizes of state-space dualities as configurations choose them.
enum DualOptions {
  static let all: [ModelOption] = [
    .integer("stateSize", 1...1024, standard: 64, "states for each inner channel"),
    .integer("expansion", 1...8, standard: 2, "inner channels for each outer one"),
    .integer(
      "headWidth", 0...1024, standard: 0,
      "inner channels of a head; 0 is the next below 64 that fits"),
    .integer("groups", 1...64, standard: 1, "groups of heads that select together"),
  ]

  static func validate(_ configuration: ForecasterConfiguration) throws {
    let channels = configuration.hidden * configuration.integer("expansion")
    try configuration.requireDivisor("headWidth", of: channels, "hidden times expansion")
    try configuration.requireDivisor("groups", of: layer(configuration, groups: 1).heads, "heads")
  }

  static func layer(
    _ configuration: ForecasterConfiguration, groups: Int? = nil
  ) -> StateSpaceDuality {
    let channels = configuration.hidden * configuration.integer("expansion")
    let chosen = configuration.integer("headWidth")
    let width = chosen > 0 ? chosen : (1...min(64, channels)).last { channels % $0 == 0 }!
    return StateSpaceDuality(
      heads: channels / width, width: width, groups: groups ?? configuration.integer("groups"),
      states: configuration.integer("stateSize"))
  }
}
