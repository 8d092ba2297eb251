// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// Diagonal structured state spaces (S4D; Gu et al. 2022, arXiv 2206.11893): a linear layer into width `D`, then
/// blocks `x + GLU(GELU(S4D(norm(x))))`, and a last norm.
///
/// Trained as long convolutions in `O(T log T)`; a step costs `O(N D)` for a state of `N`. Starting values as
/// in the paper: `dt` log-uniform in 0.001 to 0.1, `C` complex normal, skip normal. Dropout acts on what a block
/// adds.
public struct S4D<Element: Real>: Backbone {
  struct Block: Sendable {
    let norm: Norm
    let logStep: ParameterLayout.Tensor
    let logDecay: ParameterLayout.Tensor
    let frequency: ParameterLayout.Tensor
    let output: ParameterLayout.Tensor
    let skip: ParameterLayout.Tensor
    /// The two halves of the GLU.
    let value: Projection
    let gate: Projection
  }

  public let width: Int
  let inputs: Int
  let modes: Int
  let rule: Discretisation
  let matrix: StateMatrix
  let dropout: Double
  let encoder: Projection
  let blocks: [Block]
  let norm: Norm
  private let end: Int

  /// - Parameters:
  ///   - stateSize: `N`, even: real numbers of state for each channel.
  ///   - rule: how the continuous system is discretised.
  ///   - matrix: starting values of its diagonal.
  public init(
    inputs: Int, hidden: Int, layers: Int, dropout: Double, stateSize: Int = 64,
    rule: Discretisation = .zeroOrderHold, matrix: StateMatrix = .linear,
    layout: inout ParameterLayout
  ) {
    precondition(stateSize >= 2 && stateSize % 2 == 0, "a state of \(stateSize) has no halves")
    width = hidden
    self.inputs = inputs
    modes = stateSize / 2
    self.rule = rule
    self.matrix = matrix
    self.dropout = dropout
    let (D, N) = (hidden, stateSize / 2)
    encoder = Projection("backbone.encoder", inputs, D, layout: &layout)
    blocks = (0..<layers).map { index in
      let name = "backbone.\(index)"
      return Block(
        norm: Norm(.layer, "\(name).norm", D, layout: &layout),
        logStep: layout.add("\(name).log_step", [D]),
        logDecay: layout.add("\(name).log_decay", [D, N]),
        frequency: layout.add("\(name).frequency", [D, N]),
        output: layout.add("\(name).state_output", [D, N, 2]),
        skip: layout.add("\(name).skip", [D]),
        value: Projection("\(name).value", D, D, layout: &layout),
        gate: Projection("\(name).gate", D, D, layout: &layout))
    }
    norm = Norm(.layer, "backbone.norm", D, layout: &layout)
    end = layout.count
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    encoder.initialize(parameters, using: &stream)
    let start = matrix.eigenvalues(size: 2 * modes)
    for block in blocks {
      block.norm.initialize(parameters)
      for d in 0..<width {
        parameters[block.logStep.offset + d] = Element(StepSize.logUniform(using: &stream))
        for n in 0..<modes {
          let at = d * modes + n
          parameters[block.logDecay.offset + at] = Element(logarithm(-start.real[n]))
          parameters[block.frequency.offset + at] = Element(start.imaginary[n])
          // A complex normal number of variance 1.
          for part in 0..<2 {
            parameters[block.output.offset + 2 * at + part] =
              Element(stream.normal() * 0.5.squareRoot())
          }
        }
        parameters[block.skip.offset + d] = Element(stream.normal())
      }
      block.value.initialize(parameters, using: &stream)
      block.gate.initialize(parameters, using: &stream)
    }
    norm.initialize(parameters)
  }

  /// Everything but the state spaces themselves.
  private func apply(
    to inputs: Tensor<Element>, _ layer: (Int, Tensor<Element>) -> Tensor<Element>
  ) -> Tensor<Element> {
    var x = encoder(inputs)
    for (index, block) in blocks.enumerated() {
      let y = layer(index, block.norm(x)).map(.gelu)
      let glu = block.value(y).gated(by: block.gate(y), .sigmoid)
      x = x + glu.dropout(dropout, purpose: "dropout of layer \(index)")
    }
    return norm(x)
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    let graph = inputs.graph
    return apply(to: inputs) { index, x in
      let block = blocks[index]
      return x.s4d(
        S4DWeights(
          logStep: graph.parameter(block.logStep), logDecay: graph.parameter(block.logDecay),
          frequency: graph.parameter(block.frequency), output: graph.parameter(block.output),
          skip: graph.parameter(block.skip)), rule: rule)
    }.backboneOutput()
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    StepGraph(parameters, end: end, batch: batch, inputs: inputs) { x in
      apply(to: x) { index, x in
        let block = blocks[index]
        return x.stepped(
          S4DStepper(
            width: width, modes: modes, rule: rule, batch: batch,
            logStep: parameters + block.logStep.offset,
            logDecay: parameters + block.logDecay.offset,
            frequency: parameters + block.frequency.offset,
            output: parameters + block.output.offset, skip: parameters + block.skip.offset))
      }
    }
  }
}
