/// Layer normalisation (Ba et al. 2016) or, without centring, RMS normalisation (Zhang & Sennrich 2019),
/// over groups of the last axis, times a gain.
struct Normalisation<Element: Real>: Operation {
  let shape: Shape
  let isCentred: Bool
  let epsilon: Element
  /// Groups of the last axis that are normalised apart.
  let groups: Int

  var outputs: [Shape] { [shape] }
  var gradientsAreSeparate: Bool { true }
  private var width: Int { shape.last / groups }
  private var rows: Int { shape.count / width }
  var tapeCount: Int { 2 * rows }

  func rowForm(_ operands: UnitOperands) -> RowForm? {
    guard operands.inputs[1] == nil, operands.outputs[0]?.inner == shape.last else { return nil }
    var form = RowForm([1: RowLayout(outer: 1, inner: shape.last)])
    form.scratchCounts[1] = operands.rows * shape.last
    return form
  }

  func forward(_ context: OperationContext<Element>) {
    Element.normalise(
      rows: rows, width: width, groups: groups, centred: isCentred, epsilon: epsilon,
      context.input(0),
      gain: context.input(1), context.output(), statistics: context.tape)
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let dx = context.inputGradient(0)
    if let each = context.rowGradient(1) {
      // A gain of its own for every row of the batch: groups repeat after all of them.
      let count = each.rows * shape.last
      let gains = each.base + count
      Element.broadcast(rows: each.rows, width: shape.last, context.input(1), to: gains)
      each.base.clear(count)
      Element.normaliseGradient(
        rows: rows, width: width, groups: each.rows * groups, centred: isCentred,
        context.input(0), gain: gains, statistics: context.tape, dy, dx: dx?.base,
        adds: dx?.adds ?? false, dGain: each.base)
      return
    }
    Element.normaliseGradient(
      rows: rows, width: width, groups: groups, centred: isCentred, context.input(0),
      gain: context.input(1),
      statistics: context.tape, dy, dx: dx?.base, adds: dx?.adds ?? false,
      dGain: context.inputGradient(1)?.cleared(shape.last))
  }
}

extension Tensor {
  /// Rows of the last axis with mean 0 and variance 1, times `gain`, plus `bias`.
  public func layerNormalised(
    gain: Tensor, bias: Tensor? = nil, epsilon: Element = 1e-5
  ) -> Tensor {
    let y = normalised(gain, centred: true, epsilon, groups: 1)
    return bias.map { y + $0 } ?? y
  }

  /// Group normalisation (Wu & He 2018): each of `groups` equal parts of a row with mean 0 and variance 1,
  /// times `gain`.
  public func groupNormalised(
    gain: Tensor, groups: Int, epsilon: Element = 1e-5
  ) -> Tensor {
    normalised(gain, centred: true, epsilon, groups: groups)
  }

  /// Each of `groups` equal parts of the rows of the last axis with mean square 1, times `gain`.
  public func rmsNormalised(gain: Tensor, groups: Int = 1, epsilon: Element = 1e-6) -> Tensor {
    normalised(gain, centred: false, epsilon, groups: groups)
  }

  private func normalised(
    _ gain: Tensor, centred: Bool, _ epsilon: Element, groups: Int
  ) -> Tensor {
    precondition(gain.shape.count == shape.last && shape.last % groups == 0)
    let operation = Normalisation<Element>(
      shape: shape, isCentred: centred, epsilon: epsilon, groups: groups)
    return graph.apply(operation, to: [self, gain])[0]
  }
}
