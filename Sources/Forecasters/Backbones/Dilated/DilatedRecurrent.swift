public import NumericsCore

/// A stack of recurrent layers that skip back in time (Chang et al. 2017), in blocks with residual
/// connections around them (Smyl 2020).
///
/// A layer of dilation `d` starts step `t` from its state after step `t - d`: `h_t = cell(x_t, h_{t-d})`, from
/// the zero state for `t < d`. So it is `d` interleaved chains, each `d` times shorter. Time-major inputs
/// `[T, B, F]` are chains side by side already, `[T / d, d B, F]`, and run as one fused sequence of `d` times the
/// batch; the `T mod d` steps that are left go on from the states of the first so many chains.
///
/// Every block after the first adds its input to its output. Dropout acts between layers. Starting values are
/// those of ``StackedRecurrent``.
public struct DilatedRecurrent<Element: Real>: Backbone {
  public let width: Int
  /// Steps that each layer goes back.
  public let dilations: [Int]
  let layers: [RecurrentLayer]
  /// Layers of a block, but for the last, which may have fewer; nil without residual connections.
  let block: Int?
  let dropout: Double

  public init(
    _ kind: RecurrentCell.Kind, inputs: Int, hidden: Int, dilations: [Int], block: Int? = nil,
    dropout: Double, name: String = "backbone", layout: inout ParameterLayout
  ) {
    precondition(!dilations.isEmpty && dilations.allSatisfy { $0 >= 1 } && block ?? 1 >= 1)
    width = hidden
    self.dilations = dilations
    self.block = block
    self.dropout = dropout
    layers = dilations.indices.map {
      RecurrentLayer(
        kind, "\(name).\($0)", inputs: $0 == 0 ? inputs : hidden, width: hidden, layout: &layout)
    }
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    for layer in layers { layer.initialize(parameters, using: &stream) }
  }

  /// The first and the end of the layers of every block.
  private var blocks: [Range<Int>] {
    let size = block ?? layers.count
    return stride(from: 0, to: layers.count, by: size).map {
      $0..<min($0 + size, layers.count)
    }
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    stack(inputs) { run($0, $1) }
  }

  /// Layer by layer: what is kept are their outputs.
  public func applyRecomputed(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    stack(inputs) { layer, x in
      x.graph.recomputed([x]) { _, copies in [run(layer, copies[0])] }[0]
    }
  }

  private func stack(
    _ inputs: Tensor<Element>, _ run: (Int, Tensor<Element>) -> Tensor<Element>
  ) -> BackboneOutput<Element> {
    var x = inputs
    for (number, block) in blocks.enumerated() {
      let before = x
      for layer in block { x = run(layer, x) }
      if number > 0 { x = before + x }
    }
    return x.backboneOutput()
  }

  /// One layer over `[T, B, F]`.
  private func run(_ index: Int, _ inputs: Tensor<Element>) -> Tensor<Element> {
    let layer = layers[index]
    let x = index > 0 ? inputs.dropout(dropout, purpose: "dropout of layer \(index)") : inputs
    let (steps, batch, width) = (x.shape[0], x.shape[1], x.shape[2])
    // More chains than steps are none.
    let dilation = min(dilations[index], steps)
    if dilation == 1 { return layer.apply(to: x).outputs }
    let (whole, left) = (steps / dilation, steps % dilation)
    let chains = x.slice(axis: 0, 0..<(whole * dilation))
      .reshaped([whole, dilation * batch, width])
    let (outputs, state) = layer.apply(to: chains)
    let all = outputs.reshaped([whole * dilation, batch, layer.cell.width])
    if left == 0 { return all }
    let rest = x.slice(axis: 0, (whole * dilation)..<steps).reshaped([1, left * batch, width])
    func first(_ state: Tensor<Element>) -> Tensor<Element> {
      state.slice(axis: 0, 0..<(left * batch))
    }
    let last = layer.apply(
      to: rest, initial: RecurrentState(h: first(state.h), c: state.c.map(first))
    ).outputs
    return Tensor.joined([all, last.reshaped([left, batch, layer.cell.width])], axis: 0)
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    RecurrentStackStepper(
      blocks.map { block in
        block.map { layers[$0].makeStepper(parameters, batch: batch, dilation: dilations[$0]) }
      }, residual: block != nil)
  }
}
