// What the mask channel of a window says; see `WindowFeatures`.

import NumericsCore

/// `[T, B]`: 1 from the first observed step of each row on, 0 before it. A window that reaches back before
/// the start of its series is padded there; gaps later on are the series' own. Has no gradient.
///
/// Input: `[T, B, F]`, the mask in channel 1.
struct StepsSinceFirstObserved<Element: Real>: Operation {
  let steps: Int
  let batch: Int
  let channels: Int

  var outputs: [Shape] { [[steps, batch]] }
  func backwardReads(input: Int) -> Bool { false }

  func forward(_ context: OperationContext<Element>) {
    let (x, y) = (context.input(0), context.output())
    for k in 0..<(steps * batch) {
      let before = k >= batch && y[k - batch] != 0
      y[k] = before || x[k * channels + 1] != 0 ? 1 : 0
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0) else { return }
    _ = dx.cleared(steps * batch * channels)
  }
}

/// `[B]`: the last observed value of each row, 0 where there is none.
///
/// Input: `[T, B, F]`, values in channel 0, the mask in channel 1.
struct LastObserved<Element: Real>: Operation {
  let steps: Int
  let batch: Int
  let channels: Int

  var outputs: [Shape] { [[batch]] }

  /// Where the value of a row lies.
  private func place(_ row: Int, _ x: UnsafePointer<Element>) -> Int? {
    for t in stride(from: steps - 1, through: 0, by: -1) {
      let at = (t * batch + row) * channels
      if x[at + 1] != 0 { return at }
    }
    return nil
  }

  func forward(_ context: OperationContext<Element>) {
    let (x, y) = (context.input(0), context.output())
    for row in 0..<batch { y[row] = place(row, x).map { x[$0] } ?? 0 }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0), let dy = context.outputGradient() else { return }
    let (x, to) = (context.input(0), dx.cleared(steps * batch * channels))
    for row in 0..<batch {
      if let at = place(row, x) { to[at] += dy[row] }
    }
  }
}

extension Tensor {
  /// Of inputs `[T, B, F]`, which steps `[T, B]` are not padding before the start of a series.
  func stepsSinceFirstObserved() -> Tensor {
    precondition(shape.rank == 3 && shape[2] >= 2)
    let operation = StepsSinceFirstObserved<Element>(
      steps: shape[0], batch: shape[1], channels: shape[2])
    return graph.apply(operation, to: [self])[0]
  }

  /// Of inputs `[T, B, F]`, the last observed values `[B]`, scaled; 0 where there is none.
  func lastObserved() -> Tensor {
    precondition(shape.rank == 3 && shape[2] >= 2)
    let operation = LastObserved<Element>(steps: shape[0], batch: shape[1], channels: shape[2])
    return graph.apply(operation, to: [self])[0]
  }
}
