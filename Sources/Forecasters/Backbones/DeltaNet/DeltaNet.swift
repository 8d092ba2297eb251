// Names: shape letters B, T, F, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// A stack of layers with the delta rule (Yang et al. 2024, arXiv 2406.06484): a linear layer into width `D`, then
/// blocks `y = x + DeltaNet(norm(x))`, `y + (SiLU(norm(y) A) * (norm(y) B)) C`, and a last norm. Norms are by the
/// root of the mean square. Dropout acts on what a half of a block adds.
///
/// A step costs `O(D²)`, and the state of a layer has `D² / N` numbers, whatever the length.
public struct DeltaNet<Element: Real>: Backbone {
  struct Block: Sendable {
    let norm: Norm
    let mixer: DeltaMixer<Element>
    let networkNorm: Norm
    let up: Projection
    let upGate: Projection
    let down: Projection
  }

  public let width: Int
  let inputs: Int
  let dropout: Double
  let encoder: Projection
  let blocks: [Block]
  let norm: Norm
  private let end: Int

  /// - Parameters:
  ///   - hidden: width `D`, a multiple of the heads.
  ///   - projectionFactor: width of the feed-forward networks over `D`; rounded up to a multiple of 8.
  public init(
    inputs: Int, hidden: Int, layers: Int, dropout: Double, _ layer: DeltaNetLayer,
    projectionFactor: Double = 4.0 / 3, layout: inout ParameterLayout
  ) {
    precondition(projectionFactor > 0)
    (width, self.inputs, self.dropout) = (hidden, inputs, dropout)
    let D = hidden
    let inner = Int((projectionFactor * Double(D) / 8).rounded(.up)) * 8
    encoder = Projection("backbone.encoder", inputs, D, layout: &layout)
    blocks = (0..<layers).map { index in
      let name = "backbone.\(index)"
      return Block(
        norm: Norm(.rootMeanSquare, "\(name).norm", D, layout: &layout),
        mixer: DeltaMixer(name, width: D, layer, layout: &layout),
        networkNorm: Norm(.rootMeanSquare, "\(name).network_norm", D, layout: &layout),
        up: Projection("\(name).up", D, inner, bias: false, layout: &layout),
        upGate: Projection("\(name).up_gate", D, inner, bias: false, layout: &layout),
        down: Projection("\(name).down", inner, D, bias: false, layout: &layout))
    }
    norm = Norm(.rootMeanSquare, "backbone.norm", D, layout: &layout)
    end = layout.count
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    encoder.initialize(parameters, using: &stream)
    for block in blocks {
      block.norm.initialize(parameters)
      block.mixer.initialize(parameters, using: &stream)
      block.networkNorm.initialize(parameters)
      for projection in [block.up, block.upGate, block.down] {
        projection.initialize(parameters, using: &stream)
      }
    }
    norm.initialize(parameters)
  }

  private func apply(
    _ index: Int, to x: Tensor<Element>, stepping parameters: UnsafePointer<Element>? = nil,
    carried: CarriedStates<Element> = .none
  ) -> Tensor<Element> {
    let block = blocks[index]
    let mixed = block.mixer.apply(to: block.norm(x), stepping: parameters, carried: carried)
    let y = x + mixed.dropout(dropout, purpose: "dropout of layer \(index)")
    let v = block.networkNorm(y)
    let added = block.down(block.up(v).gated(by: block.upGate(v), .silu))
    return y + added.dropout(dropout, purpose: "dropout of the network of layer \(index)")
  }

  private func apply(to inputs: Tensor<Element>, recomputes: Bool) -> BackboneOutput<Element> {
    let x = blocks.indices.reduce(encoder(inputs)) { x, index in
      x.graph.segmented([x], recomputes: recomputes) { _, copies, carried in
        apply(index, to: copies[0], carried: carried)
      }
    }
    return norm(x).backboneOutput()
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    apply(to: inputs, recomputes: false)
  }

  /// Block by block: what is kept is what each block reads.
  public func applyRecomputed(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    apply(to: inputs, recomputes: true)
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    StepGraph(parameters, end: end, batch: batch, inputs: inputs) { x in
      norm(blocks.indices.reduce(encoder(x)) { apply($1, to: $0, stepping: parameters) })
    }
  }
}
