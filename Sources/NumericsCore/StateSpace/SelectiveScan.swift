import CKernels

/// The selective state space of Mamba (Gu & Dao 2023, arXiv 2312.00752), fused: see `selective.inc`.
///
/// Inputs: `x` and `delta` `[T, B, E]`, `bc` `[T, B, 2 N]`, `logDecay` `[E, N]`, `skip` `[E]`, and, if they differ, gaps
/// `[T, B]`, then the initial state `[B, E, N]` if there is one. Results: `y` `[T, B, E]` and the last state.
///
/// For each step, sequence, channel and state one exponential and 5 operations forward, the same again and 13
/// backward. The states of all steps are never in memory: the tape holds one of 8.
struct SelectiveScan<Element: Real>: Operation {
  private let scan: ck_selective
  private let vectors: Int
  private let hasGaps: Bool
  private let hasState: Bool

  init(steps: Int, batch: Int, width: Int, states: Int, hasGaps: Bool, hasState: Bool) {
    self.hasGaps = hasGaps
    self.hasState = hasState
    scan = ck_selective(steps: steps, batch: batch, width: width, states: states)
    vectors = withUnsafePointer(to: scan) { ck_selective_vectors(Element.kernelType, $0) }
  }

  var outputs: [Shape] {
    [[scan.steps, scan.batch, scan.width], [scan.batch, scan.width, scan.states]]
  }
  var tapeCount: Int { withUnsafePointer(to: scan) { ck_selective_tape(Element.kernelType, $0) } }
  var scratchCount: Int {
    withUnsafePointer(to: scan) { ck_selective_scratch(Element.kernelType, $0) }
      + scan.batch * vectors + (hasState ? outputs[1].count : 0)
  }
  private var initial: Int { hasGaps ? 6 : 5 }
  func backwardReads(input: Int) -> Bool { input != 3 && input != initial }
  var gradientsAreSeparate: Bool { true }

  func rowForm(_ operands: UnitOperands) -> RowForm? {
    guard operands.inputs[3] == nil, operands.inputs[4] == nil,
      operands.outputs[0] == RowLayout(outer: scan.steps, inner: scan.width)
    else { return nil }
    return RowForm([
      3: RowLayout(outer: 1, inner: scan.width * scan.states),
      4: RowLayout(outer: 1, inner: scan.width),
    ])
  }

  func forward(_ context: OperationContext<Element>) {
    let (tape, state) = (context.tape, context.scratch)
    withUnsafePointer(to: scan) {
      if hasState {
        ck_selective_state(
          Element.kernelType, $0, 0, state, UnsafeMutablePointer(mutating: context.input(initial)))
      } else {
        state.clear(scan.batch * vectors)
      }
      ck_selective_decays(Element.kernelType, $0, context.input(3), tape)
      ck_selective_forward(
        Element.kernelType, $0, context.input(0), context.input(1),
        hasGaps ? context.input(5) : nil, context.input(2), context.input(4), tape, state,
        context.output(), tape)
      ck_selective_state(Element.kernelType, $0, 1, state, context.output(1))
    }
  }

  func backward(_ context: OperationContext<Element>) {
    let (dState, scratch) = (context.scratch, context.scratch + scan.batch * vectors)
    let (dx, dDelta, dBC) = (
      context.inputGradient(0), context.inputGradient(1), context.inputGradient(2)
    )
    let adds =
      (dx?.adds ?? false ? 1 : 0) | (dDelta?.adds ?? false ? 2 : 0) | (dBC?.adds ?? false ? 4 : 0)
    var dDecay = context.inputGradient(3)?.cleared(scan.width * scan.states)
    var dSkip = context.inputGradient(4)?.cleared(scan.width)
    let decayOfRows = context.rowGradient(3)
    let skipOfRows = context.rowGradient(4)
    if let decayOfRows, let skipOfRows {
      (dDecay, dSkip) = (decayOfRows.base, skipOfRows.base)
      decayOfRows.base.clear(scan.batch * scan.width * scan.states)
      skipOfRows.base.clear(scan.batch * scan.width)
    }
    withUnsafePointer(to: scan) {
      if let given = context.outputGradient(1) {
        ck_selective_state(Element.kernelType, $0, 0, dState, given)
      } else {
        dState.clear(scan.batch * vectors)
      }
      ck_selective_backward(
        Element.kernelType, $0, context.input(0), context.input(1),
        hasGaps ? context.input(5) : nil, context.input(2), context.input(4), context.tape,
        context.outputGradient(), dState, dx?.base, dDelta?.base, dBC?.base, Int32(adds), dDecay,
        dSkip, decayOfRows == nil ? 0 : 1, scratch)
      guard hasState, let wanted = context.inputGradient(initial) else { return }
      let count = outputs[1].count
      let plain = context.scratch + scratchCount - count
      ck_selective_state(Element.kernelType, $0, 1, dState, plain)
      Element.scale(count, 1, plain, wanted.base, adds: wanted.adds)
    }
  }
}

/// `silu(bias + sum over k of w[k] x[t - k])` of each channel: the short convolution before a selective state
/// space, in one pass. Scratch memory: the gradients of `K` steps.
struct ShortConvolution<Element: Real>: Operation {
  let steps: Int
  let batch: Int
  let width: Int
  let taps: Int

  var outputs: [Shape] { [[steps, batch, width]] }
  var scratchCount: Int { taps * batch * width }

  func rowForm(_ operands: UnitOperands) -> RowForm? {
    guard operands.inputs[1] == nil, operands.inputs[2] == nil,
      operands.outputs[0] == RowLayout(outer: steps, inner: width)
    else { return nil }
    return RowForm([
      1: RowLayout(outer: 1, inner: taps * width), 2: RowLayout(outer: 1, inner: width),
    ])
  }

  func forward(_ context: OperationContext<Element>) {
    ck_short_forward(
      Element.kernelType, steps, batch, width, taps, context.input(0), context.input(1),
      context.input(2), context.output())
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let dx = context.inputGradient(0)
    let (weightOfRows, biasOfRows) = (context.rowGradient(1), context.rowGradient(2))
    weightOfRows?.base.clear(batch * taps * width)
    biasOfRows?.base.clear(batch * width)
    guard let dw = weightOfRows?.base ?? context.inputGradient(1)?.cleared(taps * width),
      let dBias = biasOfRows?.base ?? context.inputGradient(2)?.cleared(width)
    else { preconditionFailure("the weights of a convolution are differentiated together") }
    ck_short_backward(
      Element.kernelType, steps, batch, width, taps, context.input(0), context.input(1),
      context.input(2), dy, dx?.base, dx?.adds ?? false ? 1 : 0, dw, dBias,
      weightOfRows == nil ? 0 : 1, context.scratch)
  }
}

/// `a f(b)`, in one pass.
struct Gate<Element: Real>: Operation {
  let isSilu: Bool
  let shape: Shape

  var outputs: [Shape] { [shape] }

  func forward(_ context: OperationContext<Element>) {
    ck_gate_product(
      Element.kernelType, isSilu ? 1 : 0, shape.count, context.input(0), context.input(1),
      context.output())
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let (da, db) = (context.inputGradient(0), context.inputGradient(1))
    ck_gate_product_gradient(
      Element.kernelType, isSilu ? 1 : 0, shape.count, context.input(0), context.input(1), dy,
      da?.base, db?.base, (da?.adds ?? false ? 1 : 0) | (db?.adds ?? false ? 2 : 0))
  }
}

/// What a gate does to its argument.
public enum GateFunction: Sendable {
  /// `1 / (1 + exp(-x))`, as in a gated linear unit (Dauphin et al. 2017).
  case sigmoid
  /// `x / (1 + exp(-x))`.
  case silu
}

extension Tensor {
  /// `self f(gate)`; both of one shape.
  public func gated(by gate: Tensor, _ function: GateFunction) -> Tensor {
    precondition(gate.shape == shape)
    return graph.apply(
      Gate<Element>(isSilu: function == .silu, shape: shape), to: [self, gate])[0]
  }

  /// A causal convolution of each channel of `[T, B, E]` with `[K, E]`, tap 0 the newest, plus a bias `[E]`, under
  /// SiLU.
  public func shortConvolution(_ kernel: Tensor, bias: Tensor) -> Tensor {
    precondition(shape.rank == 3 && kernel.shape.rank == 2 && kernel.shape[1] == shape[2])
    precondition(bias.shape.count == shape[2])
    let operation = ShortConvolution<Element>(
      steps: shape[0], batch: shape[1], width: shape[2], taps: kernel.shape[0])
    return graph.apply(operation, to: [self, kernel, bias])[0]
  }

  /// The same with the inputs before the first step carried over.
  public func shortConvolution(
    _ kernel: Tensor, bias: Tensor, _ carried: CarriedStates<Element>
  ) -> Tensor {
    let (T, past) = (shape[0], kernel.shape[0] - 1)
    guard past > 0 else { return shortConvolution(kernel, bias: bias) }
    return carried.layer([[past, shape[1], shape[2]]]) { before in
      guard let before else { return (shortConvolution(kernel, bias: bias), []) }
      let joined = Tensor.joined([before[0], self], axis: 0)
      let all = joined.shortConvolution(kernel, bias: bias)
      return (
        all.slice(axis: 0, past..<(past + T)), [joined.slice(axis: 0, T..<(T + past))]
      )
    }
  }

  /// `h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t`, `y_t = C_t . h_t + skip x_t` with `dt = softplus(delta)` and
  /// `A = -exp(logDecay)`; `x` is this tensor, `[T, B, E]`.
  ///
  /// - Parameters:
  ///   - delta: `[T, B, E]`.
  ///   - bc: `[T, B, 2 N]`, `B` before `C`.
  ///   - logDecay: `[E, N]`.
  ///   - skip: `[E]`.
  ///   - gaps: `[T, B]`, factors of `dt`: the time since the step before in units of the usual one; 1 if nil. No
  ///     gradient flows into them.
  ///   - initial: `h` before the first step, `[B, E, N]`; zero if nil.
  /// - Returns: `y` `[T, B, E]`, and `h` after the last step, `[B, E, N]`.
  public func selectiveScan(
    delta: Tensor, bc: Tensor, logDecay: Tensor, skip: Tensor, gaps: Tensor? = nil,
    initial: Tensor? = nil
  ) -> (outputs: Tensor, state: Tensor) {
    let states = logDecay.shape.last
    precondition(shape.rank == 3 && delta.shape == shape && logDecay.shape == [shape[2], states])
    precondition(bc.shape == [shape[0], shape[1], 2 * states] && skip.shape.count == shape[2])
    precondition(gaps.map { $0.shape.count == shape[0] * shape[1] } ?? true)
    let operation = SelectiveScan<Element>(
      steps: shape[0], batch: shape[1], width: shape[2], states: states, hasGaps: gaps != nil,
      hasState: initial != nil)
    precondition(initial.map { $0.shape == operation.outputs[1] } ?? true)
    let results = graph.apply(
      operation, to: [self, delta, bc, logDecay, skip] + [gaps, initial].compactMap { $0 })
    return (results[0], results[1])
  }
}

/// A selective state space one step at a time, in constant memory. Its operands are those of
/// ``Tensor/selectiveScan(delta:bc:logDecay:skip:gaps:initial:)`` without the weights, which are copied. Not synchronised.
public final class SelectiveStepper<Element: Real>: LayerStepper {
  private var scan: ck_selective
  private let decays: Buffer<Element>
  private let skip: Buffer<Element>
  private let states: Buffer<Element>

  public init(
    width: Int, states count: Int, batch: Int, logDecay: UnsafePointer<Element>,
    skip: UnsafePointer<Element>
  ) {
    scan = ck_selective(steps: 1, batch: batch, width: width, states: count)
    let vectors = ck_selective_vectors(Element.kernelType, &scan)
    decays = Buffer(vectors)
    states = Buffer(batch * vectors)
    self.skip = Buffer(Array(UnsafeBufferPointer(start: skip, count: width)))
    ck_selective_decays(Element.kernelType, &scan, logDecay, decays.base)
  }

  public func run(_ context: OperationContext<Element>) {
    ck_selective_forward(
      Element.kernelType, &scan, context.input(0), context.input(1), nil, context.input(2),
      skip.base,
      decays.base, states.base, context.output(), nil)
  }

  public func reset() { states.zero() }
}

/// A ``Tensor/shortConvolution(_:bias:)`` one step at a time: it keeps the last inputs. Not synchronised.
public final class ShortConvolutionStepper<Element: Real>: LayerStepper {
  private let row: Int
  private let taps: Int
  private let batch: Int
  private let weights: Buffer<Element>
  /// The inputs of the last `taps` steps, the newest last.
  private let window: Buffer<Element>

  /// - Parameters: `kernel` `[K, E]` and `bias` `[E]`; they are copied.
  public init(
    width: Int, taps: Int, batch: Int, kernel: UnsafePointer<Element>,
    bias: UnsafePointer<Element>
  ) {
    row = batch * width
    self.taps = taps
    self.batch = batch
    weights = Buffer((taps + 1) * width)
    weights.base.update(from: kernel, count: taps * width)
    (weights.base + taps * width).update(from: bias, count: width)
    window = Buffer(taps * batch * width)
  }

  public func run(_ context: OperationContext<Element>) {
    if taps > 1 { window.base.update(from: window.base + row, count: (taps - 1) * row) }
    (window.base + (taps - 1) * row).update(from: context.input(0), count: row)
    let width = row / batch
    ck_short_last(
      Element.kernelType, batch, width, taps, window.base, weights.base,
      weights.base + taps * width, context.output())
  }

  public func reset() { window.zero() }
}
