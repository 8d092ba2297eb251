// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// Simplified state spaces (S5; Smith et al. 2023, arXiv 2208.04933): a linear layer into width `D`, then blocks of
/// one diagonal state space with `D` inputs and outputs, and a last norm. A block is
/// `x + GELU(y) * sigmoid(W GELU(y))` with `y = 2 Re(C s) + skip z` and `s` driven by `B z`, `z = norm(x)`.
///
/// Starting values: the diagonal is that of HiPPO-N in blocks, `dt` log-uniform in 0.001 to 0.1 for each mode; `B`
/// and `C` are complex normal, as real normal matrices are in the basis of the eigenvectors, which is unitary.
/// Dropout acts on what a block adds.
public struct S5<Element: Real>: Backbone {
  struct Block: Sendable {
    let norm: Norm
    let input: ParameterLayout.Tensor
    let logStep: ParameterLayout.Tensor
    let logDecay: ParameterLayout.Tensor
    let frequency: ParameterLayout.Tensor
    let output: ParameterLayout.Tensor
    let skip: ParameterLayout.Tensor
    let gate: Projection
  }

  public let width: Int
  let inputs: Int
  let modes: Int
  let blocksOfMatrix: Int
  let rule: Discretisation
  let dropout: Double
  let encoder: Projection
  let blocks: [Block]
  let norm: Norm
  private let end: Int

  /// - Parameters:
  ///   - stateSize: real numbers of state, even; the width, rounded up to even, if nil.
  ///   - blocksOfMatrix: HiPPO matrices on the diagonal at the start; divides half the state.
  ///   - rule: how the continuous system is discretised.
  public init(
    inputs: Int, hidden: Int, layers: Int, dropout: Double, stateSize: Int? = nil,
    blocksOfMatrix: Int = 1, rule: Discretisation = .zeroOrderHold, layout: inout ParameterLayout
  ) {
    let state = stateSize ?? (hidden + 1) / 2 * 2
    precondition(state >= 2 && state % 2 == 0 && (state / 2) % blocksOfMatrix == 0)
    let (D, P) = (hidden, state / 2)
    width = D
    self.inputs = inputs
    modes = P
    self.blocksOfMatrix = blocksOfMatrix
    self.rule = rule
    self.dropout = dropout
    encoder = Projection("backbone.encoder", inputs, D, layout: &layout)
    blocks = (0..<layers).map { index in
      let name = "backbone.\(index)"
      return Block(
        norm: Norm(.layer, "\(name).norm", D, layout: &layout),
        input: layout.add("\(name).state_input", [D, 2 * P]),
        logStep: layout.add("\(name).log_step", [P]),
        logDecay: layout.add("\(name).log_decay", [P]),
        frequency: layout.add("\(name).frequency", [P]),
        output: layout.add("\(name).state_output", [2 * P, D]),
        skip: layout.add("\(name).skip", [D]),
        gate: Projection("\(name).gate", D, D, layout: &layout))
    }
    norm = Norm(.layer, "backbone.norm", D, layout: &layout)
    end = layout.count
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    func normal(_ tensor: ParameterLayout.Tensor, _ deviation: Double) {
      for k in 0..<tensor.count {
        parameters[tensor.offset + k] = Element(stream.normal() * deviation)
      }
    }
    encoder.initialize(parameters, using: &stream)
    let each = modes / blocksOfMatrix
    let start = StateMatrix.legS.eigenvalues(size: 2 * each)
    for block in blocks {
      block.norm.initialize(parameters)
      normal(block.input, 1 / Double(2 * width).squareRoot())
      for p in 0..<modes {
        parameters[block.logStep.offset + p] = Element(StepSize.logUniform(using: &stream))
        parameters[block.logDecay.offset + p] = Element(logarithm(-start.real[p % each]))
        parameters[block.frequency.offset + p] = Element(start.imaginary[p % each])
      }
      // The factor 2 of the conjugate pairs is part of C.
      normal(block.output, 2 / Double(2 * modes).squareRoot())
      normal(block.skip, 1)
      block.gate.initialize(parameters, using: &stream)
    }
    norm.initialize(parameters)
  }

  private func apply(
    to inputs: Tensor<Element>, _ scan: (Block, Tensor<Element>) -> Tensor<Element>
  ) -> Tensor<Element> {
    let graph = inputs.graph
    var x = encoder(inputs)
    for (index, block) in blocks.enumerated() {
      let z = block.norm(x)
      // The imaginary parts of C are stored negative, so that a product gives the real part.
      let s = scan(block, z.linear(graph.parameter(block.input)))
      let y = (s.linear(graph.parameter(block.output)) + z * graph.parameter(block.skip)).map(.gelu)
      x =
        x
        + y.gated(by: block.gate(y), .sigmoid)
        .dropout(dropout, purpose: "dropout of layer \(index)")
    }
    return norm(x)
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    apply(to: inputs, gaps: nil)
  }

  /// - Parameter gaps: `[T, B]`, the time since the step before in units of the usual one; see
  ///   ``Tensor/diagonalScan(logStep:logDecay:frequency:rule:gaps:)``.
  public func apply(to inputs: Tensor<Element>, gaps: Tensor<Element>?) -> BackboneOutput<Element> {
    apply(to: inputs) { block, u in
      u.diagonalScan(
        logStep: u.graph.parameter(block.logStep), logDecay: u.graph.parameter(block.logDecay),
        frequency: u.graph.parameter(block.frequency), rule: rule, gaps: gaps)
    }.backboneOutput()
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    StepGraph(parameters, end: end, batch: batch, inputs: inputs) { x in
      apply(to: x) { block, u in
        u.stepped(
          DiagonalScanStepper(
            modes: modes, rule: rule, batch: batch, logStep: parameters + block.logStep.offset,
            logDecay: parameters + block.logDecay.offset,
            frequency: parameters + block.frequency.offset))
      }
    }
  }
}
