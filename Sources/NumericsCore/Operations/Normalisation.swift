/// Layer normalisation (Ba et al. 2016) or, without centring, RMS normalisation (Zhang & Sennrich 2019),
/// over the last axis, times a gain.
struct Normalisation<Element: Real>: Operation {
  let shape: Shape
  let isCentred: Bool
  let epsilon: Element

  var outputs: [Shape] { [shape] }
  private var rows: Int { shape.count / shape.last }
  var tapeCount: Int { 2 * rows }

  func forward(_ context: OperationContext<Element>) {
    Element.normalise(
      rows: rows, width: shape.last, centred: isCentred, epsilon: epsilon, context.input(0),
      gain: context.input(1), context.output(), statistics: context.tape)
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let dx = context.inputGradient(0)
    Element.normaliseGradient(
      rows: rows, width: shape.last, centred: isCentred, context.input(0), gain: context.input(1),
      statistics: context.tape, dy, dx: dx?.base, adds: dx?.adds ?? false,
      dGain: context.inputGradient(1)?.cleared(shape.last))
  }
}

extension Tensor {
  /// Rows of the last axis with mean 0 and variance 1, times `gain`, plus `bias`.
  public func layerNormalised(gain: Tensor, bias: Tensor, epsilon: Element = 1e-5) -> Tensor {
    normalised(gain, centred: true, epsilon) + bias
  }

  /// Rows of the last axis with mean square 1, times `gain`.
  public func rmsNormalised(gain: Tensor, epsilon: Element = 1e-6) -> Tensor {
    normalised(gain, centred: false, epsilon)
  }

  private func normalised(_ gain: Tensor, centred: Bool, _ epsilon: Element) -> Tensor {
    precondition(gain.shape.count == shape.last)
    let operation = Normalisation<Element>(shape: shape, isCentred: centred, epsilon: epsilon)
    return graph.apply(operation, to: [self, gain])[0]
  }
}
