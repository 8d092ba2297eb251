public import NumericsCore

/// A stack of recurrent layers of one kind; see ``RecurrentCell`` for the equations.
///
/// Dropout acts between layers. With residual connections every layer after the first adds its input to its
/// output.
public struct StackedRecurrent<Element: Real>: Backbone {
  public let width: Int
  let layers: [RecurrentLayer]
  let dropout: Double
  let isResidual: Bool

  /// - Parameter name: what parameters are called before the number of their layer.
  public init(
    _ kind: RecurrentCell.Kind, inputs: Int, hidden: Int, layers count: Int, heads: Int = 1,
    residual: Bool = false, dropout: Double, name: String = "backbone",
    layout: inout ParameterLayout
  ) {
    width = hidden
    self.dropout = dropout
    isResidual = residual
    layers = (0..<count).map {
      RecurrentLayer(
        kind, "\(name).\($0)", inputs: $0 == 0 ? inputs : hidden, width: hidden, heads: heads,
        layout: &layout)
    }
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    for layer in layers { layer.initialize(parameters, using: &stream) }
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    // Of a plain stack the last output is the state, which is apart already.
    let (all, states) = run(inputs)
    return BackboneOutput(
      all: all, last: isResidual ? all[all.shape[0] - 1] : states.last!.h)
  }

  /// In segments of about the square root of the length: what is kept of a segment are its outputs and the
  /// states after it.
  public func applyRecomputed(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    let (all, states) = runRecomputed(inputs)
    return BackboneOutput(
      all: all, last: isResidual ? all[all.shape[0] - 1] : states.last!.h)
  }

  /// All layers over `[T, B, F]`: outputs of the last `[T, B, D]`, final states of each.
  func run(
    _ inputs: Tensor<Element>, from initial: [RecurrentState<Element>]? = nil
  ) -> (all: Tensor<Element>, states: [RecurrentState<Element>]) {
    var x = inputs
    var states: [RecurrentState<Element>] = []
    for (index, layer) in layers.enumerated() {
      if index > 0 { x = x.dropout(dropout, purpose: "dropout of layer \(index)") }
      let (outputs, state) = layer.apply(to: x, initial: initial?[index])
      x = isResidual && index > 0 ? x + outputs : outputs
      states.append(state)
    }
    return (x, states)
  }

  /// The same with less kept.
  func runRecomputed(
    _ inputs: Tensor<Element>
  ) -> (all: Tensor<Element>, states: [RecurrentState<Element>]) {
    let steps = inputs.shape[0]
    let segment = max(1, Int(Double(steps).squareRoot().rounded()))
    var parts: [Tensor<Element>] = []
    var states: [RecurrentState<Element>]?
    for start in stride(from: 0, to: steps, by: segment) {
      let x = inputs.slice(axis: 0, start..<min(start + segment, steps))
      let operands = [x] + (states ?? []).flatMap { [$0.h] + ($0.c.map { [$0] } ?? []) }
      let results = inputs.graph.recomputed(operands) { _, copies in
        let (all, states) = run(
          copies[0], from: copies.count > 1 ? unpacked(copies.dropFirst()) : nil)
        return [all] + states.flatMap { [$0.h] + ($0.c.map { [$0] } ?? []) }
      }
      parts.append(results[0])
      states = unpacked(results.dropFirst())
    }
    return (Tensor.joined(parts, axis: 0), states!)
  }

  private func unpacked(_ states: ArraySlice<Tensor<Element>>) -> [RecurrentState<Element>] {
    let perLayer = states.count / layers.count
    return stride(from: states.startIndex, to: states.endIndex, by: perLayer).map {
      RecurrentState(h: states[$0], c: perLayer == 2 ? states[$0 + 1] : nil)
    }
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    RecurrentStackStepper(
      layers.map { [$0.makeStepper(parameters, batch: batch)] }, residual: isResidual)
  }
}
