/// The nonlinear recurrence of a Legendre Memory Unit (Voelker et al. 2019, eq. 9 to 11), with the terms of the
/// inputs worked out before:
/// `u_t = ux_t + e_h . h_{t-1} + e_m . m_{t-1}`, `m_t = A_bar m_{t-1} + B_bar u_t`,
/// `h_t = tanh(wx_t + h_{t-1} W_h + m_t W_m)`.
///
/// Inputs: `ux` `[T, B]`, `wx` `[T, B, H]`, `e_h` `[H]`, `e_m` `[q]`, `W_h` `[H, H]`, `W_m` `[q, H]`, and, for a state
/// other than zero, `h` `[B, H]` and `m` `[B, q]` without gradients. Results: `h` `[T, B, H]` and `m` `[T, B, q]`.
///
/// `2 (H^2 + q H + q^2)` operations for each step and sequence in three matrix products forward, and three times
/// that backward; products of a step are small, so their start costs as much as they do below width 32.
struct LegendreCell<Element: Real>: Operation, @unchecked Sendable {
  // Unchecked: the constants are written once, here.
  let steps: Int
  let batch: Int
  let width: Int
  let order: Int
  let hasState: Bool
  private let transition: Buffer<Element>
  private let input: Buffer<Element>

  init(steps: Int, batch: Int, width: Int, memory: LegendreMemory, hasState: Bool) {
    self.steps = steps
    self.batch = batch
    self.width = width
    order = memory.order
    self.hasState = hasState
    transition = Buffer(memory.transition.map { Element($0) })
    input = Buffer(memory.input.map { Element($0) })
  }

  var outputs: [Shape] { [[steps, batch, width], [steps, batch, order]] }
  func backwardReads(input: Int) -> Bool { input >= 2 }
  var backwardReadsOutputs: Bool { true }
  /// Gradients of what tanh sees and of `u`, of every step; of `h` and `m` after a step, and of `m`.
  var scratchCount: Int {
    steps * batch * (width + 1) + batch * (width + 2 * order + 1)
  }

  private typealias Numbers = UnsafePointer<Element>

  func forward(_ context: OperationContext<Element>) {
    let (B, H, q) = (batch, width, order)
    let (h, m) = (context.output(0), context.output(1))
    let u = context.scratch
    for t in 0..<steps {
      let before: (h: Numbers, m: Numbers)?
      if t > 0 {
        before = (Numbers(h) + (t - 1) * B * H, Numbers(m) + (t - 1) * B * q)
      } else {
        before = hasState ? (context.input(6), context.input(7)) : nil
      }
      let (newH, newM) = (h + t * B * H, m + t * B * q)
      u.update(from: context.input(0) + t * B, count: B)
      newH.update(from: context.input(1) + t * B * H, count: B * H)
      if let before {
        Element.multiply(
          B, 1, H, alpha: 1, before.h, .plain, lda: H, context.input(2), .plain, ldb: 1, beta: 1,
          u, ldc: 1)
        Element.multiply(
          B, 1, q, alpha: 1, before.m, .plain, lda: q, context.input(3), .plain, ldb: 1, beta: 1,
          u, ldc: 1)
        Element.multiply(
          B, H, H, alpha: 1, before.h, .plain, lda: H, context.input(4), .plain, ldb: H, beta: 1,
          newH, ldc: H)
        Element.multiply(
          B, q, q, alpha: 1, before.m, .plain, lda: q, transition.base, .transposed, ldb: q,
          beta: 0, newM, ldc: q)
      }
      Element.multiply(
        B, q, 1, alpha: 1, u, .plain, lda: 1, input.base, .plain, ldb: q,
        beta: before == nil ? 0 : 1, newM, ldc: q)
      Element.multiply(
        B, H, q, alpha: 1, newM, .plain, lda: q, context.input(5), .plain, ldb: H, beta: 1, newH,
        ldc: H)
      Element.unary(.tanh, B * H, newH, newH)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    precondition(!hasState, "gradients go back to the zero state only")
    let (T, B, H, q) = (steps, batch, width, order)
    let (h, m) = (Numbers(context.output(0)), Numbers(context.output(1)))
    let dWX = context.scratch
    let dUX = dWX + T * B * H
    let dh = dUX + T * B
    let dm = dh + B * H
    let later = dm + B * q
    dh.clear(B * H)
    later.clear(B * q)
    for t in stride(from: T - 1, through: 0, by: -1) {
      if let given = context.outputGradient(0) { Element.add(B * H, given + t * B * H, to: dh) }
      let inside = dWX + t * B * H
      Element.unaryGradient(
        .tanh, B * H, h + t * B * H, h + t * B * H, dh, inside, adds: false)
      // m_t: what came from later steps, from outside, and through h_t.
      dm.update(from: later, count: B * q)
      if let given = context.outputGradient(1) { Element.add(B * q, given + t * B * q, to: dm) }
      Element.multiply(
        B, q, H, alpha: 1, inside, .plain, lda: H, context.input(5), .transposed, ldb: H, beta: 1,
        dm, ldc: q)
      let du = dUX + t * B
      Element.multiply(
        B, 1, q, alpha: 1, dm, .plain, lda: q, input.base, .plain, ldb: 1, beta: 0, du, ldc: 1)
      guard t > 0 else { break }
      Element.multiply(
        B, H, H, alpha: 1, inside, .plain, lda: H, context.input(4), .transposed, ldb: H, beta: 0,
        dh, ldc: H)
      Element.multiply(
        B, H, 1, alpha: 1, du, .plain, lda: 1, context.input(2), .plain, ldb: H, beta: 1, dh,
        ldc: H)
      Element.multiply(
        B, q, q, alpha: 1, dm, .plain, lda: q, transition.base, .plain, ldb: q, beta: 0, later,
        ldc: q)
      Element.multiply(
        B, q, 1, alpha: 1, du, .plain, lda: 1, context.input(3), .plain, ldb: q, beta: 1, later,
        ldc: q)
    }
    // Weights: products over all steps at once.
    func sum(
      _ index: Int, _ left: Numbers, _ rows: Int, _ right: Numbers, _ columns: Int, steps: Int
    ) {
      guard let to = context.inputGradient(index) else { return }
      if steps == 0 {
        if !to.adds { to.base.clear(rows * columns) }
        return
      }
      Element.multiply(
        rows, columns, steps * B, alpha: 1, left, .transposed, lda: rows, right, .plain,
        ldb: columns, beta: to.beta, to.base, ldc: columns)
    }
    sum(2, h, H, dUX + B, 1, steps: T - 1)
    sum(3, m, q, dUX + B, 1, steps: T - 1)
    sum(4, h, H, dWX + B * H, H, steps: T - 1)
    sum(5, m, q, dWX, H, steps: T)
    if let to = context.inputGradient(0) { Element.scale(T * B, 1, dUX, to.base, adds: to.adds) }
    if let to = context.inputGradient(1) {
      Element.scale(T * B * H, 1, dWX, to.base, adds: to.adds)
    }
  }
}

/// The trained tensors of a Legendre Memory Unit of width `H` with `F` inputs and a memory of order `q`.
public struct LegendreWeights<Element: Real> {
  /// `e_x` `[F]`, `e_h` `[H]`, `e_m` `[q]`: what is written into the memory.
  public let inputEncoder: Tensor<Element>
  public let hiddenEncoder: Tensor<Element>
  public let memoryEncoder: Tensor<Element>
  /// `[F, H]`, `[H, H]`, `[q, H]`.
  public let input: Tensor<Element>
  public let hidden: Tensor<Element>
  public let memory: Tensor<Element>

  public init(
    inputEncoder: Tensor<Element>, hiddenEncoder: Tensor<Element>, memoryEncoder: Tensor<Element>,
    input: Tensor<Element>, hidden: Tensor<Element>, memory: Tensor<Element>
  ) {
    self.inputEncoder = inputEncoder
    self.hiddenEncoder = hiddenEncoder
    self.memoryEncoder = memoryEncoder
    self.input = input
    self.hidden = hidden
    self.memory = memory
  }
}

extension Tensor {
  /// `[T, B, F]` through a Legendre Memory Unit.
  ///
  /// - Parameter initial: `h` `[B, H]` and `m` `[B, q]`, without gradients; zero if nil.
  /// - Returns: `h` `[T, B, H]` and `m` `[T, B, q]` of every step.
  public func legendreUnit(
    _ weights: LegendreWeights<Element>, memory: LegendreMemory,
    initial: (hidden: Tensor, memory: Tensor)? = nil
  ) -> (hidden: Tensor, memory: Tensor) {
    let width = weights.hidden.shape[0]
    precondition(shape.rank == 3 && weights.memory.shape == [memory.order, width])
    precondition(weights.inputEncoder.shape.count == shape[2])
    let operation = LegendreCell<Element>(
      steps: shape[0], batch: shape[1], width: width, memory: memory, hasState: initial != nil)
    let written = linear(weights.inputEncoder.reshaped([shape[2], 1]))
    let results = graph.apply(
      operation,
      to: [
        written, linear(weights.input), weights.hiddenEncoder, weights.memoryEncoder,
        weights.hidden, weights.memory,
      ] + (initial.map { [$0.hidden, $0.memory] } ?? []))
    return (results[0], results[1])
  }
}
