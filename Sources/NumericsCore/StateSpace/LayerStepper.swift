/// A layer that keeps a state from one step to the next, as part of a graph of single steps.
///
/// What surrounds it (projections, norms, gates) is written once, for whole sequences and for steps of length
/// 1, and only the layer differs.
public protocol LayerStepper<Element>: AnyObject {
  associatedtype Element: Real

  /// Reads the inputs of the operation, writes its output and moves the state on.
  func run(_ context: OperationContext<Element>)

  /// Back to the zero state.
  func reset()
}

/// One step of a layer with a state. It cannot be differentiated.
private struct SteppedLayer<Element: Real>: Operation, @unchecked Sendable {
  // Unchecked: a stepper belongs to the one execution that runs its graph.
  let stepper: any LayerStepper<Element>
  let shape: Shape

  var outputs: [Shape] { [shape] }
  func forward(_ context: OperationContext<Element>) { stepper.run(context) }
  func backward(_ context: OperationContext<Element>) {
    preconditionFailure("a graph of single steps has no gradient")
  }
}

extension Tensor {
  /// This tensor, and others, through one step of a layer.
  ///
  /// - Parameter shape: of the result; that of this tensor if nil.
  public func stepped(
    _ stepper: any LayerStepper<Element>, with others: [Tensor] = [], shape result: Shape? = nil
  ) -> Tensor {
    graph.apply(
      SteppedLayer(stepper: stepper, shape: result ?? shape), to: [self] + others)[0]
  }
}
