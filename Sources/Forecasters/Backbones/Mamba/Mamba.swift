// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// Selective state spaces (Mamba; Gu & Dao 2023, arXiv 2312.00752): a linear layer into width `D`, then blocks
/// `x + mixer(RMSNorm(x))`, and a last norm.
///
/// Starting values as in the paper's code: `A = -(1 ... N)` for each channel, `dt` log-uniform in 0.001 to 0.1,
/// factors of the step uniform within `R^-1/2`, skip 1. Dropout acts on what a block adds.
public struct Mamba<Element: Real>: Backbone {
  struct Block: Sendable {
    let norm: Norm
    let input: Projection
    let gate: Projection
    let kernel: ParameterLayout.Tensor
    let kernelBias: ParameterLayout.Tensor
    let stepDown: Projection
    let stepUp: ParameterLayout.Tensor
    let stepBias: ParameterLayout.Tensor
    let selection: Projection
    let logDecay: ParameterLayout.Tensor
    let skip: ParameterLayout.Tensor
    let output: Projection
  }

  public let width: Int
  let inputs: Int
  let inner: Int
  let states: Int
  let taps: Int
  let rank: Int
  let dropout: Double
  let encoder: Projection
  let blocks: [Block]
  let norm: Norm
  private let end: Int

  /// - Parameters:
  ///   - stateSize: `N`, real states for each inner channel.
  ///   - expansion: inner channels for each outer one.
  ///   - taps: of the short convolution.
  ///   - stepRank: of the projection to the steps; `ceil(D / 16)` if nil.
  public init(
    inputs: Int, hidden: Int, layers: Int, dropout: Double, stateSize: Int = 16,
    expansion: Int = 2, taps: Int = 4, stepRank: Int? = nil, layout: inout ParameterLayout
  ) {
    precondition(stateSize >= 1 && expansion >= 1 && taps >= 1)
    let (D, E, N) = (hidden, expansion * hidden, stateSize)
    let R = stepRank ?? (D + 15) / 16
    width = D
    self.inputs = inputs
    (inner, states, self.taps, rank) = (E, N, taps, R)
    self.dropout = dropout
    encoder = Projection("backbone.encoder", inputs, D, layout: &layout)
    blocks = (0..<layers).map { index in
      let name = "backbone.\(index)"
      return Block(
        norm: Norm(.rootMeanSquare, "\(name).norm", D, layout: &layout),
        input: Projection("\(name).input", D, E, bias: false, layout: &layout),
        gate: Projection("\(name).gate", D, E, bias: false, layout: &layout),
        kernel: layout.add("\(name).kernel", [taps, E]),
        kernelBias: layout.add("\(name).kernel_bias", [E]),
        stepDown: Projection("\(name).step_down", E, R, bias: false, layout: &layout),
        stepUp: layout.add("\(name).step_up", [R, E]),
        stepBias: layout.add("\(name).step_bias", [E]),
        selection: Projection("\(name).selection", E, 2 * N, bias: false, layout: &layout),
        logDecay: layout.add("\(name).log_decay", [E, N]),
        skip: layout.add("\(name).skip", [E]),
        output: Projection("\(name).output", E, D, bias: false, layout: &layout))
    }
    norm = Norm(.rootMeanSquare, "backbone.norm", D, layout: &layout)
    end = layout.count
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    func uniform(_ tensor: ParameterLayout.Tensor, _ bound: Double) {
      for k in 0..<tensor.count {
        parameters[tensor.offset + k] = Element((2 * stream.uniform() - 1) * bound)
      }
    }
    encoder.initialize(parameters, using: &stream)
    for block in blocks {
      block.norm.initialize(parameters)
      block.input.initialize(parameters, using: &stream)
      block.gate.initialize(parameters, using: &stream)
      uniform(block.kernel, 1 / Double(taps).squareRoot())
      uniform(block.kernelBias, 1 / Double(taps).squareRoot())
      block.stepDown.initialize(parameters, using: &stream)
      uniform(block.stepUp, 1 / Double(rank).squareRoot())
      for e in 0..<inner {
        parameters[block.stepBias.offset + e] = Element(
          StepSize.inverseSoftplus(ofLogarithm: StepSize.logUniform(using: &stream)))
        for n in 0..<states {
          parameters[block.logDecay.offset + e * states + n] = Element(logarithm(Double(n + 1)))
        }
        parameters[block.skip.offset + e] = 1
      }
      block.selection.initialize(parameters, using: &stream)
      block.output.initialize(parameters, using: &stream)
    }
    norm.initialize(parameters)
  }

  /// - Parameter parameters: nil for whole sequences, else where steppers find their weights.
  private func apply(
    to inputs: Tensor<Element>, stepping parameters: UnsafePointer<Element>?
  ) -> Tensor<Element> {
    let (graph, batch) = (inputs.graph, inputs.shape[1])
    var x = encoder(inputs)
    for (index, block) in blocks.enumerated() {
      let weights = MambaWeights(
        input: graph.parameter(block.input.weight), gate: graph.parameter(block.gate.weight),
        kernel: graph.parameter(block.kernel), kernelBias: graph.parameter(block.kernelBias),
        stepDown: graph.parameter(block.stepDown.weight), stepUp: graph.parameter(block.stepUp),
        stepBias: graph.parameter(block.stepBias),
        selection: graph.parameter(block.selection.weight),
        logDecay: graph.parameter(block.logDecay), skip: graph.parameter(block.skip),
        output: graph.parameter(block.output.weight))
      let steppers = parameters.map { parameters in
        MambaSteppers(
          convolution: ShortConvolutionStepper(
            width: inner, taps: taps, batch: batch, kernel: parameters + block.kernel.offset,
            bias: parameters + block.kernelBias.offset),
          scan: SelectiveStepper(
            width: inner, states: states, batch: batch,
            logDecay: parameters + block.logDecay.offset, skip: parameters + block.skip.offset))
      }
      let mixed = block.norm(x).mamba(weights, steppers: steppers)
      x = x + mixed.dropout(dropout, purpose: "dropout of layer \(index)")
    }
    return norm(x)
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    apply(to: inputs, stepping: nil).backboneOutput()
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    StepGraph(parameters, end: end, batch: batch, inputs: inputs) {
      apply(to: $0, stepping: parameters)
    }
  }
}
