// Names: shape letters B, T, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// The mixer of diagonal structured state spaces (S4D; Gu et al. 2022, arXiv 2206.11893): `GLU(GELU(S4D(x)))`.
///
/// Trained as long convolutions in `O(T log T)`; a step costs `O(N D)` for a state of `N`.
struct S4D<Element: Real>: SequenceMixer {
  let states: DiagonalStates
  let gate: GatedOutput

  /// - Parameter states: adds those of the mixer to the layout, under its name.
  init(
    _ name: String, layout: inout ParameterLayout,
    states: (inout ParameterLayout) -> DiagonalStates
  ) {
    self.states = states(&layout)
    gate = GatedOutput(name, width: self.states.width, layout: &layout)
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    states.initialize(parameters, using: &stream)
    gate.initialize(parameters, using: &stream)
  }

  func mix(_ x: Tensor<Element>, _ run: MixerRun<Element>) -> Tensor<Element> {
    gate(
      run.layer {
        states.apply(to: x, gaps: $0)
      } stepping: {
        states.step(x, $0)
      }.map(.gelu))
  }
}

/// The place of a diagonal state space for each channel: `D` channels of `N` modes.
///
/// Starting values as in the paper of S4D, but for the range of `dt`: `dt` log-uniform, `C` complex normal, skip normal.
struct DiagonalStates: Sendable {
  let width: Int
  let modes: Int
  let rule: Discretisation
  let matrix: StateMatrix
  let steps: StepSize
  let logStep: ParameterLayout.Tensor
  let logDecay: ParameterLayout.Tensor
  let frequency: ParameterLayout.Tensor
  let output: ParameterLayout.Tensor
  let skip: ParameterLayout.Tensor

  /// - Parameters:
  ///   - stateSize: twice `N`: real numbers of state for each channel.
  ///   - rule: how the continuous system is discretised.
  ///   - matrix: starting values of its diagonal.
  ///   - context: of the training, which bounds the memory at the start.
  init(
    _ name: String, width: Int, stateSize: Int, rule: Discretisation = .zeroOrderHold,
    matrix: StateMatrix = .linear, context: Int, layout: inout ParameterLayout
  ) {
    precondition(stateSize >= 2 && stateSize % 2 == 0, "a state of \(stateSize) has no halves")
    let (D, N) = (width, stateSize / 2)
    (self.width, modes) = (D, N)
    (self.rule, self.matrix) = (rule, matrix)
    // All matrices but the real one have modes of this rate, and the slowest of that one is faster.
    steps = StepSize(context: context, rate: 0.5)
    logStep = layout.add("\(name).log_step", [D])
    logDecay = layout.add("\(name).log_decay", [D, N])
    frequency = layout.add("\(name).frequency", [D, N])
    output = layout.add("\(name).state_output", [D, N, 2])
    skip = layout.add("\(name).skip", [D])
  }

  /// Over whole sequences `[T, B, D]`, observed in even steps or `[T, B]` of them apart.
  func apply<Element: Real>(
    to x: Tensor<Element>, gaps: Tensor<Element>? = nil
  ) -> Tensor<Element> {
    let graph = x.graph
    let weights = S4DWeights(
      logStep: graph.parameter(logStep), logDecay: graph.parameter(logDecay),
      frequency: graph.parameter(frequency), output: graph.parameter(output),
      skip: graph.parameter(skip))
    return gaps.map { x.s4d(weights, rule: rule, gaps: $0) } ?? x.s4d(weights, rule: rule)
  }

  /// One step `[1, B, D]` that goes on where the one before ended.
  func step<Element: Real>(
    _ x: Tensor<Element>, _ parameters: UnsafePointer<Element>
  ) -> Tensor<Element> {
    x.stepped(
      S4DStepper(
        width: width, modes: modes, rule: rule, batch: x.shape[1],
        logStep: parameters + logStep.offset, logDecay: parameters + logDecay.offset,
        frequency: parameters + frequency.offset, output: parameters + output.offset,
        skip: parameters + skip.offset))
  }

  func initialize<Element: Real>(
    _ parameters: Buffer<Element>, using stream: inout RandomStream
  ) {
    let start = matrix.eigenvalues(size: 2 * modes)
    for d in 0..<width {
      parameters[logStep.offset + d] = Element(steps.logUniform(using: &stream))
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
