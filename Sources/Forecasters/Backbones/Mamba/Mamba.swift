// Names: shape letters B, T, D, E, N, R.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// The mixer of selective state spaces (Mamba; Gu & Dao 2023, arXiv 2312.00752).
///
/// Starting values as in the paper's code: `A = -(1 ... N)` for each channel, `dt` log-uniform,
/// factors of the step uniform within `R^-1/2`, skip 1.
struct Mamba<Element: Real>: SequenceMixer {
  let inner: Int
  let states: Int
  let rank: Int
  let steps: StepSize
  let input: Projection
  let gate: Projection
  let convolution: ShortConvolutionPlace
  let stepDown: Projection
  let stepUp: ParameterLayout.Tensor
  let stepBias: ParameterLayout.Tensor
  let selection: Projection
  let logDecay: ParameterLayout.Tensor
  let skip: ParameterLayout.Tensor
  let output: Projection

  /// - Parameters:
  ///   - stateSize: `N`, real states for each inner channel.
  ///   - expansion: inner channels for each outer one.
  ///   - taps: of the short convolution.
  ///   - context: of the training, in steps, which bounds the memory at the start.
  ///   - stepRank: of the projection to the steps; `ceil(D / 16)` if nil.
  init(
    _ name: String, width: Int, stateSize: Int = 16, expansion: Int = 2, taps: Int = 4,
    context: Int, stepRank: Int? = nil, layout: inout ParameterLayout
  ) {
    precondition(stateSize >= 1 && expansion >= 1 && taps >= 1)
    let (D, E, N) = (width, expansion * width, stateSize)
    let R = stepRank ?? (D + 15) / 16
    (inner, states, rank) = (E, N, R)
    steps = StepSize(context: context, rate: 1)
    input = Projection("\(name).input", D, E, bias: false, layout: &layout)
    gate = Projection("\(name).gate", D, E, bias: false, layout: &layout)
    convolution = ShortConvolutionPlace(name, taps: taps, width: E, layout: &layout)
    stepDown = Projection("\(name).step_down", E, R, bias: false, layout: &layout)
    stepUp = layout.add("\(name).step_up", [R, E])
    stepBias = layout.add("\(name).step_bias", [E])
    selection = Projection("\(name).selection", E, 2 * N, bias: false, layout: &layout)
    logDecay = layout.add("\(name).log_decay", [E, N])
    skip = layout.add("\(name).skip", [E])
    output = Projection("\(name).output", E, D, bias: false, layout: &layout)
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    input.initialize(parameters, using: &stream)
    gate.initialize(parameters, using: &stream)
    convolution.initialize(parameters, using: &stream)
    stepDown.initialize(parameters, using: &stream)
    parameters.fillUniform(stepUp, bound: 1 / Double(rank).squareRoot(), using: &stream)
    for e in 0..<inner {
      parameters[stepBias.offset + e] = Element(
        StepSize.inverseSoftplus(ofLogarithm: steps.logUniform(using: &stream)))
      for n in 0..<states {
        parameters[logDecay.offset + e * states + n] = Element(logarithm(Double(n + 1)))
      }
      parameters[skip.offset + e] = 1
    }
    selection.initialize(parameters, using: &stream)
    output.initialize(parameters, using: &stream)
  }

  var carriesStates: Bool { true }

  func mix(_ x: Tensor<Element>, _ run: MixerRun<Element>) -> Tensor<Element> {
    let graph = x.graph
    let weights = MambaWeights(
      input: graph.parameter(input.weight), gate: graph.parameter(gate.weight),
      kernel: graph.parameter(convolution.kernel), kernelBias: graph.parameter(convolution.bias),
      stepDown: graph.parameter(stepDown.weight), stepUp: graph.parameter(stepUp),
      stepBias: graph.parameter(stepBias), selection: graph.parameter(selection.weight),
      logDecay: graph.parameter(logDecay), skip: graph.parameter(skip),
      output: graph.parameter(output.weight))
    return run.layer { gaps in
      x.mamba(weights, gaps: gaps, carried: run.carried)
    } stepping: { parameters in
      let steppers = MambaSteppers(
        convolution: convolution.stepper(parameters, batch: x.shape[1]),
        scan: SelectiveStepper(
          width: inner, states: states, batch: x.shape[1],
          logDecay: parameters + logDecay.offset, skip: parameters + skip.offset))
      return x.mamba(weights, steppers: steppers)
    }
  }
}

/// Where the weights of a short convolution lie; all uniform within `taps^-1/2` at the start.
struct ShortConvolutionPlace: Sendable {
  /// `[K, E]`, tap 0 the newest, and `[E]`.
  let kernel: ParameterLayout.Tensor
  let bias: ParameterLayout.Tensor

  init(_ name: String, taps: Int, width: Int, layout: inout ParameterLayout) {
    kernel = layout.add("\(name).kernel", [taps, width])
    bias = layout.add("\(name).kernel_bias", [width])
  }

  func initialize<Element: Real>(
    _ parameters: Buffer<Element>, using stream: inout RandomStream
  ) {
    let bound = 1 / Double(kernel.shape[0]).squareRoot()
    parameters.fillUniform(kernel, bound: bound, using: &stream)
    parameters.fillUniform(bias, bound: bound, using: &stream)
  }

  func stepper<Element: Real>(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> ShortConvolutionStepper<Element> {
    ShortConvolutionStepper(
      width: kernel.shape[1], taps: kernel.shape[0], batch: batch,
      kernel: parameters + kernel.offset, bias: parameters + bias.offset)
  }
}
