import CKernels

/// The Fourier transform of real sequences of one length, with its factors worked out: see `fourier.inc`.
///
/// `X_k = sum over t of x_t e^(-2 pi i k t / n)` for `k = 0 ... n / 2`. Batched: columns are transformed side by side.
/// About `2.2 n log2 n` operations for each column. Immutable, so all threads can use one plan.
public final class RealTransformPlan<Element: Real>: Sendable {
  /// Steps `n`.
  public let steps: Int
  let table: Buffer<Element>
  let order: [Int32]

  /// - Precondition: `supports(steps)`.
  public init(steps: Int) {
    precondition(Self.supports(steps), "\(steps) is neither 2^k >= 8 nor 3 * 2^k >= 24")
    self.steps = steps
    table = Buffer(ck_fourier_table(steps / 2))
    ck_fourier_prepare(Element.kernelType, steps / 2, table.base)
    var order = [Int32](repeating: 0, count: steps / 2)
    ck_fourier_order(steps / 2, &order)
    self.order = order
  }

  /// 2^k from 8 on and 3 * 2^k from 24 on.
  public static func supports(_ steps: Int) -> Bool {
    let base = steps >= 24 && steps % 3 == 0 ? steps / 3 : steps
    return base >= 8 && base & (base - 1) == 0
  }

  var scratchCount: Int { ck_real_scratch(Element.kernelType, steps) }

  func forward(
    columns: Int, _ x: UnsafePointer<Element>, scale: Double = 1, inner: Double = 1,
    _ re: UnsafeMutablePointer<Element>?, _ im: UnsafeMutablePointer<Element>?, adds: Int32 = 0,
    _ scratch: UnsafeMutablePointer<Element>
  ) {
    ck_real_forward(
      Element.kernelType, steps, table.base, order, columns, x, scale, inner, re, im, adds, scratch)
  }

  func inverse(
    columns: Int, _ re: UnsafePointer<Element>, _ im: UnsafePointer<Element>, scale: Double = 1,
    inner: Double = 1, _ x: UnsafeMutablePointer<Element>, adds: Bool = false,
    _ scratch: UnsafeMutablePointer<Element>
  ) {
    ck_real_inverse(
      Element.kernelType, steps, table.base, order, columns, re, im, scale, inner, x, adds ? 1 : 0,
      scratch)
  }
}

/// `[n, ...]` to real and imaginary parts, each `[n / 2 + 1, ...]`.
struct RealTransform<Element: Real>: Operation {
  let plan: RealTransformPlan<Element>
  let columns: Int
  let outputs: [Shape]
  var scratchCount: Int {
    // The zeros that stand for a gradient that there is not.
    plan.scratchCount + (plan.steps / 2 + 1) * columns
  }
  func backwardReads(input: Int) -> Bool { false }

  func forward(_ context: OperationContext<Element>) {
    plan.forward(
      columns: columns, context.input(0), context.output(0), context.output(1), context.scratch)
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0) else { return }
    let none = context.scratch + plan.scratchCount
    none.clear((plan.steps / 2 + 1) * columns)
    // The transposed map counts the inner frequencies once, the inverse transform twice.
    plan.inverse(
      columns: columns, context.outputGradient(0) ?? none, context.outputGradient(1) ?? none,
      scale: Double(plan.steps), inner: 0.5, dx.base, adds: dx.adds, context.scratch)
  }
}

/// The way back.
struct InverseRealTransform<Element: Real>: Operation {
  let plan: RealTransformPlan<Element>
  let columns: Int
  let outputs: [Shape]
  var scratchCount: Int { plan.scratchCount }
  func backwardReads(input: Int) -> Bool { false }

  func forward(_ context: OperationContext<Element>) {
    plan.inverse(
      columns: columns, context.input(0), context.input(1), context.output(), context.scratch)
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.outputGradient() else { return }
    let (re, im) = (context.inputGradient(0), context.inputGradient(1))
    plan.forward(
      columns: columns, dx, scale: 1 / Double(plan.steps), inner: 2, re?.base, im?.base,
      adds: (re?.adds ?? false ? 1 : 0) | (im?.adds ?? false ? 2 : 0), context.scratch)
  }
}

extension Tensor {
  /// The Fourier transform along the first axis, `[n, ...]` to real and imaginary parts `[n / 2 + 1, ...]`.
  ///
  /// - Precondition: `RealTransformPlan.supports(n)`.
  public func realTransform() -> (real: Tensor, imaginary: Tensor) {
    let rest = Array(shape.axes.dropFirst())
    let result = Shape([shape[0] / 2 + 1] + rest)
    let operation = RealTransform<Element>(
      plan: RealTransformPlan(steps: shape[0]), columns: rest.reduce(1, *),
      outputs: [result, result])
    let parts = graph.apply(operation, to: [self])
    return (parts[0], parts[1])
  }

  /// The real sequence `[n, ...]` whose transform has these real and imaginary parts, `[n / 2 + 1, ...]`. The
  /// imaginary parts of the first and the last frequency do not matter.
  public static func inverseRealTransform(real: Tensor, imaginary: Tensor) -> Tensor {
    precondition(real.shape == imaginary.shape)
    let rest = Array(real.shape.axes.dropFirst())
    let steps = 2 * (real.shape[0] - 1)
    let operation = InverseRealTransform<Element>(
      plan: RealTransformPlan(steps: steps), columns: rest.reduce(1, *),
      outputs: [Shape([steps] + rest)])
    return real.graph.apply(operation, to: [real, imaginary])[0]
  }
}
