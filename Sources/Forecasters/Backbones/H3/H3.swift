// Names: shape letters B, T, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// The mixer H3 (Fu et al. 2023, arXiv 2212.14052, section 3): `q * SSM_diag(SSM_shift(k) * v)` of three projections,
/// then a fourth.
///
/// The shift state space is a convolution with as many taps as it has states; the diagonal one is an S4D. Starting
/// values: taps uniform within `taps^-1/2`, the rest as for S4D.
struct H3<Element: Real>: SequenceMixer {
  let width: Int
  let modes: Int
  let query: Projection
  let key: Projection
  let value: Projection
  /// `[K, D]`.
  let shift: ParameterLayout.Tensor
  let logStep: ParameterLayout.Tensor
  let logDecay: ParameterLayout.Tensor
  let frequency: ParameterLayout.Tensor
  let stateOutput: ParameterLayout.Tensor
  let skip: ParameterLayout.Tensor
  let output: Projection

  init(
    _ name: String, width: Int, stateSize: Int, taps: Int, layout: inout ParameterLayout
  ) {
    let (D, N) = (width, stateSize / 2)
    (self.width, modes) = (D, N)
    query = Projection("\(name).query", D, D, layout: &layout)
    key = Projection("\(name).key", D, D, layout: &layout)
    value = Projection("\(name).value", D, D, layout: &layout)
    shift = layout.add("\(name).shift", [taps, D])
    logStep = layout.add("\(name).log_step", [D])
    logDecay = layout.add("\(name).log_decay", [D, N])
    frequency = layout.add("\(name).frequency", [D, N])
    stateOutput = layout.add("\(name).state_output", [D, N, 2])
    skip = layout.add("\(name).skip", [D])
    output = Projection("\(name).output", D, D, layout: &layout)
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    for projection in [query, key, value] {
      projection.initialize(parameters, using: &stream)
    }
    parameters.fillUniform(
      shift, bound: 1 / Double(shift.shape[0]).squareRoot(), using: &stream)
    S4DStart.initialize(
      parameters, width: width, matrix: .linear, logStep: logStep, logDecay: logDecay,
      frequency: frequency, output: stateOutput, skip: skip, using: &stream)
    output.initialize(parameters, using: &stream)
  }

  func mix(_ x: Tensor<Element>, _ run: MixerRun<Element>) -> Tensor<Element> {
    let (graph, batch) = (x.graph, x.shape[1])
    let k = key(x)
    let y = run.layer { gaps in
      precondition(gaps == nil, "a convolution takes even steps")
      return (k.depthwiseConvolved(graph.parameter(shift)) * value(x)).s4d(
        S4DWeights(
          logStep: graph.parameter(logStep), logDecay: graph.parameter(logDecay),
          frequency: graph.parameter(frequency), output: graph.parameter(stateOutput),
          skip: graph.parameter(skip)))
    } stepping: { parameters in
      let shifted = k.stepped(
        DepthwiseStepper(
          width: width, taps: shift.shape[0], batch: batch, kernel: parameters + shift.offset))
      return (shifted * value(x)).stepped(
        S4DStepper(
          width: width, modes: modes, rule: .zeroOrderHold, batch: batch,
          logStep: parameters + logStep.offset, logDecay: parameters + logDecay.offset,
          frequency: parameters + frequency.offset, output: parameters + stateOutput.offset,
          skip: parameters + skip.offset))
    }
    return output(query(x) * y)
  }
}

public enum H3Architecture: BackboneArchitecture {
  public static let kind = "h3"
  public static let help = "Two state spaces with products between: a shift and a diagonal one."
  public static let reference = "fu2023h3"
  public static let time = "D T (log T + K) + T D²"
  public static let memory = "(N + K) D"
  public static let options: [ModelOption] = [
    .integer("stateSize", 2...1024, standard: 64, "real numbers of state for each channel, even"),
    .integer("taps", 1...256, standard: 8, "states of the shift"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try configuration.requireEven("stateSize", because: "states come in pairs")
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    MixerStack<Element>(configuration, inputs: inputs, norm: .layer, layout: &layout) {
      H3(
        $0, width: configuration.hidden, stateSize: configuration.integer("stateSize"),
        taps: configuration.integer("taps"), layout: &$1)
    }
  }
}
