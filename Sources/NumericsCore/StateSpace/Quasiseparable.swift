// Names: shape letters B, T, H, P.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

/// The trained and selected operands of a quasiseparable mixer with `H` heads of `P` channels.
public struct QuasiseparableWeights<Element: Real> {
  /// `dt` of the two directions, positive, each `[T, B, H]`.
  public let steps: (forward: Tensor<Element>, backward: Tensor<Element>)
  /// `[H]`, of both directions.
  public let logDecay: Tensor<Element>
  /// What of a step's input goes to its own result, `[T, B, H]`.
  public let diagonal: Tensor<Element>

  public init(
    steps: (forward: Tensor<Element>, backward: Tensor<Element>), logDecay: Tensor<Element>,
    diagonal: Tensor<Element>
  ) {
    self.steps = steps
    self.logDecay = logDecay
    self.diagonal = diagonal
  }
}

extension Tensor {
  /// The mixer of Hydra (Hwang et al. 2024, arXiv 2407.09941, section 3): a quasiseparable matrix, which sees both
  /// directions, `y = shift(SS(x)) + flip(shift(SS(flip x))) + d x` with two state-space dualities `SS`.
  ///
  /// `self` is `[T, B, H P + 4 G N]`: channels, then `B` and `C` of the forward direction, then those of the backward
  /// one. Linear in `T`.
  ///
  /// - Returns: `[T, B, H P]`.
  public func quasiseparable(
    _ layer: StateSpaceDuality, _ weights: QuasiseparableWeights<Element>
  ) -> Tensor {
    let (T, B, E) = (shape[0], shape[1], layer.channels)
    precondition(shape[2] == E + 2 * layer.selections, "\(shape) for \(layer)")
    let diagonal = weights.diagonal.reshaped([T, B, layer.heads, 1])
    let x = slice(axis: 2, 0..<E).reshaped([T, B, layer.heads, layer.width])
    let own = (x * diagonal).reshaped([T, B, E])
    guard T > 1 else { return own }
    let forward = dual(layer, steps: weights.steps.forward, logDecay: weights.logDecay).outputs
    let backward = dual(
      layer, steps: weights.steps.backward, logDecay: weights.logDecay,
      selection: E + layer.selections, isReversed: true
    ).outputs
    // A result is that of the step before, as seen from its direction.
    let none = graph.constant([Element](repeating: 0, count: B * E), [1, B, E])
    let before = Tensor.joined([none, forward.slice(axis: 0, 0..<(T - 1))], axis: 0)
    let after = Tensor.joined([backward.slice(axis: 0, 1..<T), none], axis: 0)
    return before + after + own
  }
}
