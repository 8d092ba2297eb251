// Names: shape letters B, T, D, P.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// The mixer of simplified state spaces (S5; Smith et al. 2023, arXiv 2208.04933): one diagonal state space with `D`
/// inputs and outputs, `GELU(y) * sigmoid(W GELU(y))` with `y = 2 Re(C s) + skip x` and `s` driven by `B x`.
///
/// Starting values: the diagonal is that of HiPPO-N in blocks, `dt` log-uniform for each mode; `B`
/// and `C` are complex normal, as real normal matrices are in the basis of the eigenvectors, which is unitary.
struct S5<Element: Real>: SequenceMixer {
  let width: Int
  let modes: Int
  let blocksOfMatrix: Int
  let rule: Discretisation
  let timeScale: Double
  let steps: StepSize
  let input: ParameterLayout.Tensor
  let logStep: ParameterLayout.Tensor
  let logDecay: ParameterLayout.Tensor
  let frequency: ParameterLayout.Tensor
  let output: ParameterLayout.Tensor
  let skip: ParameterLayout.Tensor
  let gate: Projection

  /// - Parameters:
  ///   - stateSize: real numbers of state, even; the width, rounded up to even, if nil.
  ///   - blocksOfMatrix: HiPPO matrices on the diagonal at the start; divides half the state.
  ///   - rule: how the continuous system is discretised.
  ///   - steps: range of `dt` at the start.
  ///   - timeScale: factor of all steps `dt`, not trained: the time from one observation to the next.
  init(
    _ name: String, width: Int, stateSize: Int? = nil, blocksOfMatrix: Int = 1,
    rule: Discretisation, steps: StepSize, timeScale: Double = 1, layout: inout ParameterLayout
  ) {
    let state = stateSize ?? (width + 1) / 2 * 2
    precondition(state >= 2 && state % 2 == 0 && (state / 2) % blocksOfMatrix == 0)
    let (D, P) = (width, state / 2)
    (self.width, modes) = (D, P)
    self.blocksOfMatrix = blocksOfMatrix
    self.rule = rule
    self.timeScale = timeScale
    self.steps = steps
    input = layout.add("\(name).state_input", [D, 2 * P])
    logStep = layout.add("\(name).log_step", [P])
    logDecay = layout.add("\(name).log_decay", [P])
    frequency = layout.add("\(name).frequency", [P])
    output = layout.add("\(name).state_output", [2 * P, D])
    skip = layout.add("\(name).skip", [D])
    gate = Projection("\(name).gate", D, D, layout: &layout)
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    let each = modes / blocksOfMatrix
    let start = StateMatrix.legS.eigenvalues(size: 2 * each)
    parameters.fillNormal(input, deviation: 1 / Double(2 * width).squareRoot(), using: &stream)
    for p in 0..<modes {
      parameters[logStep.offset + p] = Element(steps.logUniform(using: &stream))
      parameters[logDecay.offset + p] = Element(logarithm(-start.real[p % each]))
      parameters[frequency.offset + p] = Element(start.imaginary[p % each])
    }
    // The factor 2 of the conjugate pairs is part of C.
    parameters.fillNormal(output, deviation: 2 / Double(2 * modes).squareRoot(), using: &stream)
    parameters.fillNormal(skip, deviation: 1, using: &stream)
    gate.initialize(parameters, using: &stream)
  }

  var carriesStates: Bool { true }

  func mix(_ x: Tensor<Element>, _ run: MixerRun<Element>) -> Tensor<Element> {
    let graph = x.graph
    let u = x.linear(graph.parameter(input))
    let s = run.layer { gaps in
      let trained = graph.parameter(logStep)
      let steps =
        timeScale == 1 ? trained : trained.scaled(by: 1, plus: Element(logarithm(timeScale)))
      let (T, B) = (x.shape[0], x.shape[1])
      return run.carried.layer([[B, 2 * modes]]) {
        let all = u.diagonalScan(
          logStep: steps, logDecay: graph.parameter(logDecay),
          frequency: graph.parameter(frequency), rule: rule, gaps: gaps, initial: $0?[0])
        return (all, [all[T - 1]])
      }
    } stepping: { parameters in
      precondition(timeScale == 1, "a stream has the steps that were trained")
      return u.stepped(
        DiagonalScanStepper(
          modes: modes, rule: rule, batch: x.shape[1], logStep: parameters + logStep.offset,
          logDecay: parameters + logDecay.offset, frequency: parameters + frequency.offset))
    }
    // The imaginary parts of C are stored negative, so that a product gives the real part.
    let y = (s.linear(graph.parameter(output)) + x * graph.parameter(skip)).map(.gelu)
    return y.gated(by: gate(y), .sigmoid)
  }
}
