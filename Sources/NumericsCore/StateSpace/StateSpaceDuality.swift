// Names: shape letters B, T, H, P, G, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CKernels

/// State-space duality (SSD, Mamba-2; Dao & Gu 2024, arXiv 2405.21060): for each of `H` heads a state `S` of
/// `N` x `P` numbers that decays by one scalar,
/// `S_t = exp(dt_t A) S_{t-1} + B_t (dt_t x_t)'`, `y_t = C_t' S_t + skip x_t` with `A = -exp(logDecay)`.
/// Heads of a group share `B` and `C`.
///
/// Equal to `y = ((C B') o L) (dt x)` with `L_ij = exp(sum of dt A)`, and computed by chunks, in matrix products.
/// Chunks of all steps are the quadratic form, chunks of one step the recurrent one.
public struct StateSpaceDuality: Hashable, Sendable {
  /// `H`, a multiple of the groups.
  public let heads: Int
  /// Channels `P` of a head.
  public let width: Int
  /// `G`.
  public let groups: Int
  /// `N`.
  public let states: Int
  /// Steps of a chunk.
  public let chunk: Int

  /// - Parameter chunk: nil for what is fastest.
  public init(heads: Int, width: Int, groups: Int = 1, states: Int, chunk: Int? = nil) {
    precondition(heads >= 1 && width >= 1 && groups >= 1 && states >= 1 && heads % groups == 0)
    precondition((chunk ?? 1) >= 1)
    self.heads = heads
    self.width = width
    self.groups = groups
    self.states = states
    // Within a chunk the work grows with its length, between chunks with the state over the length.
    self.chunk = chunk ?? (width + states <= 64 ? 32 : 64)
  }

  /// Channels of all heads.
  public var channels: Int { heads * width }
  /// Numbers of `B` and `C` of a step.
  public var selections: Int { 2 * groups * states }

  /// - Parameters:
  ///   - row: numbers of a step of the tensor that `x`, `B` and `C` lie in.
  ///   - selection: where `B` begins in it; `C` follows.
  func kernel(
    steps: Int, batch: Int, row: Int, selection: Int, deltaRow: Int, isReversed: Bool = false
  ) -> ck_ssd {
    ck_ssd(
      steps: steps, batch: batch, heads: heads, width: width, groups: groups, states: states,
      row: row, b: selection, c: selection + groups * states, delta_row: deltaRow, chunk: chunk,
      reverse: isReversed ? 1 : 0)
  }
}

/// State-space duality over a whole sequence, fused: see `ssd.inc`.
///
/// Inputs: `x`, `B` and `C` in one tensor `[T, B, row]`, `dt` `[T, B, H...]`, `logDecay` `[H]`, then `skip` `[H]` and the
/// initial state `[B, H, N, P]` where there are such. Results: `y` `[T, B, H P]` and the last state.
///
/// With chunks of `L`: `2 N L / H + L P + 4 N P` operations for each step and head forward, about three times that
/// backward. Memory from forward to backward: `N P / L` numbers for each step and head.
struct DualSequence<Element: Real>: Operation {
  let layer: StateSpaceDuality
  private let kernel: ck_ssd
  private let hasSkip: Bool
  private let hasState: Bool

  init(_ layer: StateSpaceDuality, _ kernel: ck_ssd, hasSkip: Bool, hasState: Bool) {
    self.layer = layer
    self.kernel = kernel
    self.hasSkip = hasSkip
    self.hasState = hasState
  }

  var outputs: [Shape] {
    [
      [kernel.steps, kernel.batch, layer.channels],
      [kernel.batch, layer.heads, layer.states, layer.width],
    ]
  }
  func backwardReads(input: Int) -> Bool { input < (hasSkip ? 4 : 3) }
  var tapeCount: Int { withUnsafePointer(to: kernel) { ck_ssd_tape(Element.kernelType, $0) } }
  /// Scratch: the kernels' own, the gradients of x, of the steps and of the initial state where they are not
  /// wanted.
  var scratchCount: Int { kernelScratch + steps + outputs[1].count }
  private var kernelScratch: Int {
    let count = withUnsafePointer(to: kernel) { ck_ssd_scratch(Element.kernelType, $0) }
    return (count + 15) / 16 * 16
  }
  private var steps: Int { kernel.steps * kernel.batch * kernel.delta_row }
  private var numbers: Int { kernel.steps * kernel.batch * kernel.row }

  private func state(_ context: OperationContext<Element>) -> UnsafePointer<Element>? {
    hasState ? context.input(hasSkip ? 4 : 3) : nil
  }

  func forward(_ context: OperationContext<Element>) {
    withUnsafePointer(to: kernel) {
      ck_ssd_forward(
        Element.kernelType, $0, context.input(0), context.input(1), context.input(2),
        hasSkip ? context.input(3) : nil, state(context), context.output(0), context.output(1),
        context.tape, context.scratch)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0)?.cleared(numbers) else {
      preconditionFailure("what a state space mixes is differentiated with the rest")
    }
    let unwanted = context.scratch + kernelScratch
    let dDelta = context.inputGradient(1)?.cleared(steps)
    let dDecay = context.inputGradient(2)?.cleared(layer.heads)
    let dSkip = hasSkip ? context.inputGradient(3)?.cleared(layer.heads) : nil
    let wanted = hasState ? context.inputGradient(hasSkip ? 4 : 3) : nil
    if dDelta == nil { unwanted.clear(steps) }
    let dState = unwanted + steps
    withUnsafePointer(to: kernel) {
      ck_ssd_backward(
        Element.kernelType, $0, context.input(0), context.input(1), context.input(2),
        hasSkip ? context.input(3) : nil, context.tape, context.outputGradient(0),
        context.outputGradient(1), dx, dDelta ?? unwanted, dDecay, dSkip,
        wanted == nil ? nil : dState, context.scratch)
    }
    if let wanted {
      Element.scale(outputs[1].count, 1, dState, wanted.base, adds: wanted.adds)
    }
  }
}

extension Tensor {
  /// This sequence through a state-space duality.
  ///
  /// `self` is `[T, B, H P + ...]`: the channels of all heads first, `B` `[G, N]` from `selection` on, and `C` behind it.
  ///
  /// - Parameters:
  ///   - steps: `dt`, positive, `[T, B, H]`; times the true gap where observations are irregular.
  ///   - logDecay: `[H]`.
  ///   - skip: `[H]`.
  ///   - initial: `[B, H, N, P]`; zero if nil.
  ///   - selection: behind the channels if nil.
  ///   - isReversed: whether the sequence is read from its end.
  /// - Returns: `y` `[T, B, H P]`, and the state after the last step that is read, `[B, H, N, P]`.
  public func dual(
    _ layer: StateSpaceDuality, steps: Tensor, logDecay: Tensor, skip: Tensor? = nil,
    initial: Tensor? = nil, selection: Int? = nil, isReversed: Bool = false
  ) -> (outputs: Tensor, state: Tensor) {
    let place = selection ?? layer.channels
    precondition(shape.rank == 3 && place + layer.selections <= shape[2], "\(shape) for \(layer)")
    precondition(
      steps.shape == [shape[0], shape[1], layer.heads], "\(steps.shape) for \(layer)")
    precondition(logDecay.shape.count == layer.heads)
    precondition(skip.map { $0.shape.count == layer.heads } ?? true)
    precondition(
      initial.map { $0.shape == [shape[1], layer.heads, layer.states, layer.width] } ?? true)
    let operation = DualSequence<Element>(
      layer,
      layer.kernel(
        steps: shape[0], batch: shape[1], row: shape[2], selection: place, deltaRow: layer.heads,
        isReversed: isReversed), hasSkip: skip != nil, hasState: initial != nil)
    let results = graph.apply(
      operation, to: [self, steps, logDecay] + [skip, initial].compactMap { $0 })
    return (results[0], results[1])
  }
}

/// A ``Tensor/dual(_:steps:logDecay:skip:initial:selection:isReversed:)`` one step at a time, in constant memory.
/// Weights are copied. Not synchronised.
public final class DualStepper<Element: Real>: LayerStepper {
  private var kernel: ck_ssd
  private let logDecay: Buffer<Element>
  private let skip: Buffer<Element>
  /// `[B, H, N, P]`.
  public let state: Buffer<Element>

  public init(
    _ layer: StateSpaceDuality, batch: Int, logDecay: UnsafePointer<Element>,
    skip: UnsafePointer<Element>
  ) {
    kernel = layer.kernel(
      steps: 1, batch: batch, row: layer.channels + layer.selections, selection: layer.channels,
      deltaRow: layer.heads)
    self.logDecay = Buffer(Array(UnsafeBufferPointer(start: logDecay, count: layer.heads)))
    self.skip = Buffer(Array(UnsafeBufferPointer(start: skip, count: layer.heads)))
    state = Buffer(batch * layer.heads * layer.states * layer.width)
  }

  public func run(_ context: OperationContext<Element>) {
    ck_ssd_step(
      Element.kernelType, &kernel, context.input(0), context.input(1), logDecay.base, skip.base,
      state.base, context.output())
  }

  public func reset() { state.zero() }
}
