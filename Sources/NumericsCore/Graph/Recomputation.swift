/// A part of a graph whose inner results are not kept for the backward pass but computed again: less memory
/// for one forward pass more (Chen et al. 2016, "Training deep nets with sublinear memory cost").
struct Recomputed<Element: Real>: Operation {
  let plan: Plan<Element>
  /// Values of the inner graph, by number.
  private let inputs: [Int]
  private let results: [Int]
  private let shapes: [Shape]
  let outputs: [Shape]

  init(
    _ graph: Graph<Element>, inputs: [Tensor<Element>], results: [Tensor<Element>]
  ) {
    plan = Plan(graph, results: results)
    self.inputs = inputs.map(\.id)
    self.results = results.map(\.id)
    shapes = inputs.map(\.shape)
    outputs = results.map(\.shape)
  }

  var plans: [Plan<Element>] { [plan] }
  var scratchCount: Int { plan.arenaCount }

  /// Fills in the inputs and runs the part.
  private func run(_ context: OperationContext<Element>) -> Execution<Element> {
    let inner = context.nested(in: context.scratch)
    for (k, id) in inputs.enumerated() {
      inner.pointer(plan.values[id]).update(from: context.input(k), count: shapes[k].count)
    }
    inner.runForward()
    return inner
  }

  func forward(_ context: OperationContext<Element>) {
    let inner = run(context)
    for (k, id) in results.enumerated() {
      context.output(k).update(from: inner.pointer(plan.values[id]), count: outputs[k].count)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    let inner = run(context)
    // Results may be parts of one another: all are cleared before any is added to.
    for (place, count) in plan.given {
      inner.gradientPointer(place).clear(count)
    }
    for (k, id) in results.enumerated() {
      guard let place = plan.gradients[id], let given = context.outputGradient(k) else { continue }
      Element.add(outputs[k].count, given, to: inner.gradientPointer(place))
    }
    inner.runBackward()
    for (k, id) in inputs.enumerated() {
      guard let wanted = context.inputGradient(k) else { continue }
      let count = shapes[k].count
      if let place = plan.gradients[id] {
        Element.scale(count, 1, inner.gradientPointer(place), wanted.base, adds: wanted.adds)
      } else {
        _ = wanted.cleared(count)
      }
    }
  }
}

extension Graph {
  /// Appends a part of which only the results are kept; all else is computed again in the backward pass.
  ///
  /// - Parameters:
  ///   - inputs: what the part reads, beside parameters.
  ///   - part: writes the part into a graph of its own, from that graph's copies of `inputs`.
  /// - Returns: the results of `part`.
  public func recomputed(
    _ inputs: [Tensor<Element>],
    _ part: (Graph<Element>, [Tensor<Element>]) -> [Tensor<Element>]
  ) -> [Tensor<Element>] {
    let inner = Graph()
    let copies = inputs.map {
      inner.input($0.shape, differentiable: values[$0.id].isDifferentiable)
    }
    let results = part(inner, copies)
    return apply(
      Recomputed(inner, inputs: copies, results: results), to: inputs + parameters(of: inner))
  }
}
