public import NumericsCore

/// Recurrent layers that read the window in both directions (Schuster & Paliwal 1997).
///
/// Every layer is two cells, one from the first step to the last, one back; the next layer reads both, side by
/// side, `[T, B, 2 D]`. The state `[B, 2 D]` is what either direction of the last layer knows when it has read
/// everything: its output at the last step, and the reverse one's at the first. Dropout acts between layers.
/// Starting values are those of ``StackedRecurrent``.
///
/// It sees only the observed window, yet every output depends on all of it: there is no stream.
public struct BidirectionalRecurrent<Element: Real>: WindowEncoder {
  /// Forward, reverse.
  typealias Layer = (forward: RecurrentLayer, reverse: RecurrentLayer)

  /// `2 D`.
  public let width: Int
  let layers: [Layer]
  let dropout: Double

  /// - Parameter hidden: width `D` of one direction.
  public init(
    _ kind: RecurrentCell.Kind, inputs: Int, hidden: Int, layers count: Int, heads: Int = 1,
    dropout: Double, name: String = "backbone", layout: inout ParameterLayout
  ) {
    width = 2 * hidden
    self.dropout = dropout
    layers = (0..<count).map { index in
      func layer(_ direction: String) -> RecurrentLayer {
        RecurrentLayer(
          kind, "\(name).\(index).\(direction)", inputs: index == 0 ? inputs : 2 * hidden,
          width: hidden, heads: heads, layout: &layout)
      }
      return (layer("forward"), layer("reverse"))
    }
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    for layer in layers {
      layer.forward.initialize(parameters, using: &stream)
      layer.reverse.initialize(parameters, using: &stream)
    }
  }

  /// Padding before the start of a series is passed over: else the reverse direction, which ends there, would
  /// forget the series over it.
  public func encode(_ inputs: Tensor<Element>) -> Tensor<Element> {
    encode(inputs, mask: inputs.stepsSinceFirstObserved())
  }

  /// Layer by layer and direction by direction: what is kept are their outputs.
  public func encodeRecomputed(_ inputs: Tensor<Element>) -> Tensor<Element> {
    encode(inputs, mask: inputs.stepsSinceFirstObserved(), recomputed: true)
  }

  /// Sequences of different lengths.
  ///
  /// - Parameter mask: `[T, B]`; where it is 0 there is nothing, and both directions pass on: the reverse one
  ///   begins at the last step where it is 1.
  public func encode(
    _ inputs: Tensor<Element>, mask: Tensor<Element>?, recomputed: Bool = false
  ) -> Tensor<Element> {
    func run(
      _ layer: RecurrentLayer, _ x: Tensor<Element>, reverse: Bool
    ) -> (outputs: Tensor<Element>, last: Tensor<Element>) {
      guard recomputed else {
        let (outputs, state) = layer.apply(to: x, mask: mask, reverse: reverse)
        return (outputs, state.h)
      }
      let results = x.graph.recomputed([x] + (mask.map { [$0] } ?? [])) { _, copies in
        let (outputs, state) = layer.apply(
          to: copies[0], mask: copies.count > 1 ? copies[1] : nil, reverse: reverse)
        return [outputs, state.h]
      }
      return (results[0], results[1])
    }
    var x = inputs
    for (index, layer) in layers.enumerated() {
      if index > 0 { x = x.dropout(dropout, purpose: "dropout of layer \(index)") }
      let forward = run(layer.forward, x, reverse: false)
      let reverse = run(layer.reverse, x, reverse: true)
      if index == layers.count - 1 {
        return Tensor.joined([forward.last, reverse.last], axis: 1)
      }
      x = Tensor.joined([forward.outputs, reverse.outputs], axis: 2)
    }
    preconditionFailure("there are no layers")
  }
}
