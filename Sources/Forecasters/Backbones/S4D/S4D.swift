// Names: shape letters B, T, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// The mixer of diagonal structured state spaces (S4D; Gu et al. 2022, arXiv 2206.11893): `GLU(GELU(S4D(x)))`.
///
/// Trained as long convolutions in `O(T log T)`; a step costs `O(N D)` for a state of `N`. Starting values as
/// in the paper: `dt` log-uniform in 0.001 to 0.1, `C` complex normal, skip normal.
struct S4D<Element: Real>: SequenceMixer {
  let width: Int
  let modes: Int
  let rule: Discretisation
  let matrix: StateMatrix
  let logStep: ParameterLayout.Tensor
  let logDecay: ParameterLayout.Tensor
  let frequency: ParameterLayout.Tensor
  let output: ParameterLayout.Tensor
  let skip: ParameterLayout.Tensor
  let gate: GatedOutput

  /// - Parameters:
  ///   - stateSize: `N`, even: real numbers of state for each channel.
  ///   - rule: how the continuous system is discretised.
  ///   - matrix: starting values of its diagonal.
  init(
    _ name: String, width: Int, stateSize: Int, rule: Discretisation, matrix: StateMatrix,
    layout: inout ParameterLayout
  ) {
    precondition(stateSize >= 2 && stateSize % 2 == 0, "a state of \(stateSize) has no halves")
    let (D, N) = (width, stateSize / 2)
    (self.width, modes) = (D, N)
    self.rule = rule
    self.matrix = matrix
    logStep = layout.add("\(name).log_step", [D])
    logDecay = layout.add("\(name).log_decay", [D, N])
    frequency = layout.add("\(name).frequency", [D, N])
    output = layout.add("\(name).state_output", [D, N, 2])
    skip = layout.add("\(name).skip", [D])
    gate = GatedOutput(name, width: D, layout: &layout)
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    S4DStart.initialize(
      parameters, width: width, matrix: matrix, logStep: logStep, logDecay: logDecay,
      frequency: frequency, output: output, skip: skip, using: &stream)
    gate.initialize(parameters, using: &stream)
  }

  func mix(_ x: Tensor<Element>, _ run: MixerRun<Element>) -> Tensor<Element> {
    let graph = x.graph
    let y = run.layer { gaps in
      let weights = S4DWeights(
        logStep: graph.parameter(logStep), logDecay: graph.parameter(logDecay),
        frequency: graph.parameter(frequency), output: graph.parameter(output),
        skip: graph.parameter(skip))
      return gaps.map { x.s4d(weights, rule: rule, gaps: $0) } ?? x.s4d(weights, rule: rule)
    } stepping: { parameters in
      x.stepped(
        S4DStepper(
          width: width, modes: modes, rule: rule, batch: x.shape[1],
          logStep: parameters + logStep.offset, logDecay: parameters + logDecay.offset,
          frequency: parameters + frequency.offset, output: parameters + output.offset,
          skip: parameters + skip.offset))
    }
    return gate(y.map(.gelu))
  }
}

/// Starting values of diagonal state spaces, one for each channel.
enum S4DStart {
  static func initialize<Element: Real>(
    _ parameters: Buffer<Element>, width: Int, matrix: StateMatrix,
    logStep: ParameterLayout.Tensor, logDecay: ParameterLayout.Tensor,
    frequency: ParameterLayout.Tensor, output: ParameterLayout.Tensor,
    skip: ParameterLayout.Tensor, using stream: inout RandomStream
  ) {
    let modes = logDecay.shape[1]
    let start = matrix.eigenvalues(size: 2 * modes)
    for d in 0..<width {
      parameters[logStep.offset + d] = Element(StepSize.logUniform(using: &stream))
      for n in 0..<modes {
        let at = d * modes + n
        parameters[logDecay.offset + at] = Element(logarithm(-start.real[n]))
        parameters[frequency.offset + at] = Element(start.imaginary[n])
        // A complex normal number of variance 1.
        for part in 0..<2 {
          parameters[output.offset + 2 * at + part] = Element(stream.normal() * 0.5.squareRoot())
        }
      }
      parameters[skip.offset + d] = Element(stream.normal())
    }
  }
}

/// A gated linear unit (Dauphin et al. 2017): `(x V + b) sigmoid(x W + c)`.
struct GatedOutput: Sendable {
  let value: Projection
  let gate: Projection

  init(_ name: String, width: Int, layout: inout ParameterLayout) {
    value = Projection("\(name).value", width, width, layout: &layout)
    gate = Projection("\(name).gate", width, width, layout: &layout)
  }

  func initialize<Element: Real>(
    _ parameters: Buffer<Element>, using stream: inout RandomStream
  ) {
    value.initialize(parameters, using: &stream)
    gate.initialize(parameters, using: &stream)
  }

  func callAsFunction<Element: Real>(_ x: Tensor<Element>) -> Tensor<Element> {
    value(x).gated(by: gate(x), .sigmoid)
  }
}
