// Names: shape letters B, T, D, N and the symbols of the paper.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CKernels

/// Attention of a query that is the same at every step, as a recurrence (Feng et al. 2024, section 3): with scores
/// `s` and values `v`, `y_t = sum over j <= t of exp(s_j) v_j / sum over j <= t of exp(s_j)`.
///
/// Kept are the largest score so far `m`, the sum `u` of `exp(s_j - m)` and the mean itself, which is `w / u` in the
/// paper. The prefix scan of the paper does the same work in another order; one processor that has several
/// sequences gains nothing by it.
///
/// Inputs: `s` `[T, B, N]`, `v` `[T, B, N D]`. Result `[T, B, N D]`. Memory from forward to backward: the result, `m`
/// and `u`.
struct RunningSoftmax<Element: Real>: Operation {
  let steps: Int
  /// Sequences times heads.
  let rows: Int
  let width: Int
  let outputs: [Shape]

  private var kernel: ck_softmax_scan { ck_softmax_scan(steps: steps, rows: rows, width: width) }
  var backwardReadsOutputs: Bool { true }
  /// `m`, then `u`.
  var tapeCount: Int { 2 * steps * rows }
  var scratchCount: Int {
    withUnsafePointer(to: kernel) { ck_softmax_scan_scratch(Element.kernelType, $0) }
  }

  func forward(_ context: OperationContext<Element>) {
    var kernel = kernel
    withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: 3) { none in
      none.initialize(repeating: nil)
      ck_softmax_scan_forward(
        Element.kernelType, &kernel, context.input(0), context.input(1), none.baseAddress,
        context.output(), context.tape, context.tape + steps * rows, context.scratch)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    var kernel = kernel
    let (ds, dv) = (context.inputGradient(0), context.inputGradient(1))
    ck_softmax_scan_backward(
      Element.kernelType, &kernel, context.input(0), context.input(1), context.output(),
      context.tape, context.tape + steps * rows, dy, ds?.base, ds?.adds == true ? 1 : 0, dv?.base,
      dv?.adds == true ? 1 : 0, context.scratch)
  }
}

extension Tensor {
  /// Means of these values `[T, B, N D]` so far, weighted by the exponentials of `scores` `[T, B, N]`.
  public func runningSoftmax(scores: Tensor) -> Tensor {
    precondition(
      shape.rank == 3 && scores.shape.rank == 3 && shape[0] == scores.shape[0]
        && shape[1] == scores.shape[1] && shape[2] % scores.shape[2] == 0,
      "\(scores.shape) for \(shape)")
    let operation = RunningSoftmax<Element>(
      steps: shape[0], rows: shape[1] * scores.shape[2], width: shape[2] / scores.shape[2],
      outputs: [shape])
    return graph.apply(operation, to: [scores, self])[0]
  }
}

/// ``Tensor/runningSoftmax(scores:)`` one step at a time, in constant memory. Not synchronised.
public final class RunningSoftmaxStepper<Element: Real>: LayerStepper {
  private var kernel: ck_softmax_scan
  /// The largest score so far and the sum of `exp(s - m)`, `[B, N]`; the mean `[B, N D]`.
  public let m: Buffer<Element>
  public let u: Buffer<Element>
  public let mean: Buffer<Element>
  private let scratch: Buffer<Element>
  private let heads: Int
  private let fades: Bool
  private var isEmpty = true

  /// - Parameter fades: whether a graph gives rates `[N]` after the scores, by which all earlier scores fall in a step.
  public init(heads: Int, width: Int, batch: Int, fades: Bool = false) {
    (self.heads, self.fades) = (heads, fades)
    kernel = ck_softmax_scan(steps: 1, rows: batch * heads, width: width)
    (m, u) = (Buffer(batch * heads), Buffer(batch * heads))
    mean = Buffer(batch * heads * width)
    scratch = Buffer(ck_softmax_scan_scratch(Element.kernelType, &kernel))
  }

  /// Reads `s` `[B, N]` and `v` `[B, N D]`; the results are in ``m``, ``u`` and ``mean``.
  public func step(scores: UnsafePointer<Element>, values: UnsafePointer<Element>) {
    withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: 3) { before in
      for (k, part) in [m, u, mean].enumerated() {
        before[k] = isEmpty ? nil : UnsafeRawPointer(part.base)
      }
      ck_softmax_scan_forward(
        Element.kernelType, &kernel, scores, values, before.baseAddress, mean.base, m.base, u.base,
        scratch.base)
    }
    isEmpty = false
  }

  /// Values first, then scores and rates, as ``Tensor/stepped(_:with:shape:)`` of the values gives them.
  public func run(_ context: OperationContext<Element>) {
    if fades, !isEmpty {
      let rates = context.input(2)
      for k in 0..<m.count { m[k] -= rates[k % heads] }
    }
    step(scores: context.input(1), values: context.input(0))
    context.output().update(from: mean.base, count: mean.count)
  }

  public func reset() { isEmpty = true }
}
