// Names: shape letters B, T, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// The mixer of structured state spaces (S4; Gu et al. 2022, arXiv 2111.00396): `GLU(GELU(S4(x) + skip x))`, with a
/// matrix that is normal plus low rank and the bilinear rule.
///
/// Trained as long convolutions, whose kernel of as many taps as the context comes from Cauchy sums and a transform; a
/// step costs `O(N D)`. Starting values as in the paper, but for the range of `dt`: HiPPO-LegS, `dt` log-uniform, `C`
/// complex normal, skip normal.
struct S4<Element: Real>: SequenceMixer {
  let width: Int
  let modes: Int
  /// Taps of the kernel.
  let size: Int
  let steps: StepSize
  let logStep: ParameterLayout.Tensor
  let logDecay: ParameterLayout.Tensor
  let frequency: ParameterLayout.Tensor
  let lowRank: ParameterLayout.Tensor
  let input: ParameterLayout.Tensor
  let output: ParameterLayout.Tensor
  let skip: ParameterLayout.Tensor
  let gate: GatedOutput

  /// - Parameters:
  ///   - stateSize: `N`, even: real numbers of state for each channel.
  ///   - context: steps of a window.
  init(
    _ name: String, width: Int, stateSize: Int, context: Int, layout: inout ParameterLayout
  ) {
    precondition(stateSize >= 2 && stateSize % 2 == 0, "a state of \(stateSize) has no halves")
    let (D, N) = (width, stateSize / 2)
    (self.width, modes) = (D, N)
    size = (max(context, 8)...).first { RealTransformPlan<Element>.supports($0) }!
    steps = StepSize(context: context, rate: 1)
    logStep = layout.add("\(name).log_step", [D])
    logDecay = layout.add("\(name).log_decay", [D, N])
    frequency = layout.add("\(name).frequency", [D, N])
    lowRank = layout.add("\(name).low_rank", [D, N, 2])
    input = layout.add("\(name).state_input", [D, N, 2])
    output = layout.add("\(name).state_output", [D, N, 2])
    skip = layout.add("\(name).skip", [D])
    gate = GatedOutput(name, width: D, layout: &layout)
  }

  private func pointers(_ parameters: UnsafePointer<Element>) -> S4Pointers<Element> {
    S4Pointers(
      logStep: parameters + logStep.offset, logDecay: parameters + logDecay.offset,
      frequency: parameters + frequency.offset, lowRank: parameters + lowRank.offset,
      input: parameters + input.offset, output: parameters + output.offset)
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    let start = StateMatrix.NormalPlusLowRank(size: 2 * modes)
    var c: [Double] = []
    for d in 0..<width {
      parameters[logStep.offset + d] = Element(steps.logUniform(using: &stream))
      for n in 0..<modes {
        let at = d * modes + n
        parameters[logDecay.offset + at] = Element(logarithm(-start.real[n]))
        parameters[frequency.offset + at] = Element(start.imaginary[n])
        for part in 0..<2 {
          parameters[lowRank.offset + 2 * at + part] = Element(start.lowRank[2 * n + part])
          parameters[input.offset + 2 * at + part] = Element(start.input[2 * n + part])
          // A complex normal number of variance 1.
          c.append(stream.normal() * 0.5.squareRoot())
        }
      }
      parameters[skip.offset + d] = Element(stream.normal())
    }
    let truncated = pointers(parameters.base).truncated(c, width: width, modes: modes, size: size)
    for (k, number) in truncated.enumerated() { parameters[output.offset + k] = Element(number) }
    gate.initialize(parameters, using: &stream)
  }

  func mix(_ x: Tensor<Element>, _ run: MixerRun<Element>) -> Tensor<Element> {
    let graph = x.graph
    let y = run.layer { gaps in
      precondition(gaps == nil, "a convolution takes even steps")
      return x.s4(
        S4Weights(
          logStep: graph.parameter(logStep), logDecay: graph.parameter(logDecay),
          frequency: graph.parameter(frequency), lowRank: graph.parameter(lowRank),
          input: graph.parameter(input), output: graph.parameter(output)), size: size)
    } stepping: { parameters in
      x.stepped(
        S4Stepper(
          width: width, modes: modes, size: size, batch: x.shape[1], weights: pointers(parameters))
      )
    }
    return gate((y + x * graph.parameter(skip)).map(.gelu))
  }
}
