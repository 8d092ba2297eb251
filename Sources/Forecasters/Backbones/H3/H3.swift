// Names: shape letters B, T, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// The mixer H3 (Fu et al. 2023, arXiv 2212.14052, section 3): `q * SSM_diag(SSM_shift(k) * v)` of three projections,
/// then a fourth.
///
/// The shift state space is a convolution with as many taps as it has states; the diagonal one is an S4D. Starting
/// values: taps uniform within `taps^-1/2`, the rest as for S4D.
struct H3<Element: Real>: SequenceMixer {
  let query: Projection
  let key: Projection
  let value: Projection
  /// `[K, D]`.
  let shift: ParameterLayout.Tensor
  let states: DiagonalStates
  let output: Projection

  init(
    _ name: String, width D: Int, stateSize: Int, taps: Int, context: Int,
    layout: inout ParameterLayout
  ) {
    query = Projection("\(name).query", D, D, layout: &layout)
    key = Projection("\(name).key", D, D, layout: &layout)
    value = Projection("\(name).value", D, D, layout: &layout)
    shift = layout.add("\(name).shift", [taps, D])
    states = DiagonalStates(name, width: D, stateSize: stateSize, context: context, layout: &layout)
    output = Projection("\(name).output", D, D, layout: &layout)
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    for projection in [query, key, value] {
      projection.initialize(parameters, using: &stream)
    }
    parameters.fillUniform(
      shift, bound: 1 / Double(shift.shape[0]).squareRoot(), using: &stream)
    states.initialize(parameters, using: &stream)
    output.initialize(parameters, using: &stream)
  }

  func mix(_ x: Tensor<Element>, _ run: MixerRun<Element>) -> Tensor<Element> {
    let k = key(x)
    let y = run.layer { gaps in
      precondition(gaps == nil, "a convolution takes even steps")
      return states.apply(to: k.depthwiseConvolved(x.graph.parameter(shift)) * value(x))
    } stepping: { parameters in
      let shifted = k.stepped(
        DepthwiseStepper(
          width: states.width, taps: shift.shape[0], batch: x.shape[1],
          kernel: parameters + shift.offset))
      return states.step(shifted * value(x), parameters)
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
        taps: configuration.integer("taps"), context: configuration.contextLength, layout: &$1)
    }
  }
}
