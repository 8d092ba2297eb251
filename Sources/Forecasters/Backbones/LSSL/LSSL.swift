// Names: shape letters B, T, D, N, R.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// The mixer of linear state-space layers with fixed `A` and `dt` (LSSL-f; Gu et al. 2021, arXiv 2110.13985):
/// `GLU(GELU(C x + skip u))` of a HiPPO-LegS memory at several time scales; only `C` and what follows it are trained.
struct LSSL<Element: Real>: SequenceMixer {
  let width: Int
  let system: LinearStateSpace
  let output: ParameterLayout.Tensor
  let skip: ParameterLayout.Tensor
  let gate: GatedOutput

  init(_ name: String, width: Int, system: LinearStateSpace, layout: inout ParameterLayout) {
    self.width = width
    self.system = system
    let R = system.steps.count
    output = layout.add("\(name).state_output", [R, system.order, width / R])
    skip = layout.add("\(name).skip", [width])
    gate = GatedOutput(name, width: width, layout: &layout)
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    // State n of HiPPO-LegS has a size of about sqrt(2 n + 1).
    for k in 0..<output.count {
      let n = k / (width / system.steps.count) % system.order
      parameters[output.offset + k] = Element(
        stream.normal() / Double(system.order * (2 * n + 1)).squareRoot())
    }
    parameters.fillNormal(skip, deviation: 1, using: &stream)
    gate.initialize(parameters, using: &stream)
  }

  func mix(_ x: Tensor<Element>, _ run: MixerRun<Element>) -> Tensor<Element> {
    let graph = x.graph
    let y = run.layer { gaps in
      precondition(gaps == nil, "a convolution takes even steps")
      return x.linearStateSpace(system, output: graph.parameter(output))
    } stepping: { parameters in
      x.stepped(
        LinearStateSpaceStepper(
          system, width: width, batch: x.shape[1], output: parameters + output.offset))
    }
    return gate((y + x * graph.parameter(skip)).map(.gelu))
  }
}

public enum LSSLArchitecture: BackboneArchitecture {
  public static let kind = "lssl"
  public static let help = "Linear state spaces with a fixed HiPPO memory at several time scales."
  public static let reference = "gu2021lssl"
  public static let time = "D T (N + log T) + T D²"
  public static let memory = "N D"
  public static let options: [ModelOption] = [
    .integer("stateSize", 1...256, standard: 32, "states for each channel"),
    .integer("scales", 0...64, standard: 0, "time scales; 0 is 8, or the next fewer that fit"),
    .number("blend", 0.5...1, standard: 0.5, "of the rule: 0.5 is bilinear, 1 is Euler's implicit"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try configuration.requireDivisor("scales", of: configuration.hidden, "hidden")
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    let hidden = configuration.hidden
    let chosen = configuration.integer("scales")
    let scales = chosen > 0 ? chosen : (1...min(8, hidden)).last { hidden % $0 == 0 }!
    // dt spaced evenly in its logarithm from 0.001 to 0.1.
    let steps = (0..<scales).map { StepSize.papers.spaced($0, of: scales) }
    let system = LinearStateSpace(
      order: configuration.integer("stateSize"), steps: steps,
      blend: configuration.number("blend"))
    return MixerStack<Element>(configuration, inputs: inputs, norm: .layer, layout: &layout) {
      LSSL($0, width: hidden, system: system, layout: &$1)
    }
  }
}
