import CKernels

/// A diagonal state space of `P` complex modes over a sequence (S5; Smith et al. 2023, arXiv 2208.04933):
/// `s_t = A_bar s_{t-1} + B_bar u_t`, step by step. See `state_space.inc`.
///
/// Inputs: `u` `[T, B, 2 P]`, the logarithms of step and decay and the frequency `[P]`, and, if they differ, gaps
/// `[T, B]`, then the initial state `[B, 2 P]` if there is one. Result: `s` `[T, B, 2 P]`, real before imaginary parts.
///
/// 10 operations for each mode, step and sequence forward, 24 backward; with gaps an exponential and three
/// sines more in each.
struct DiagonalScan<Element: Real>: Operation {
  private let layer: ck_modes
  private let hasGaps: Bool
  private let hasState: Bool

  init(
    steps: Int, batch: Int, modes: Int, rule: Discretisation, hasGaps: Bool, hasState: Bool
  ) {
    layer = ck_modes(
      steps: steps, batch: batch, modes: modes, bilinear: rule == .bilinear ? 1 : 0)
    self.hasGaps = hasGaps
    self.hasState = hasState
  }

  var outputs: [Shape] { [[layer.steps, layer.batch, 2 * layer.modes]] }
  /// The constants of the modes.
  var tapeCount: Int { 7 * ck_padded(Element.kernelType, layer.modes) }
  private var stateCount: Int { hasState ? layer.batch * 2 * layer.modes : 0 }
  var scratchCount: Int {
    withUnsafePointer(to: layer) { ck_modes_scratch(Element.kernelType, $0) } + stateCount
  }
  private var initial: Int { hasGaps ? 5 : 4 }
  private func state(_ context: OperationContext<Element>) -> UnsafePointer<Element>? {
    hasState ? context.input(initial) : nil
  }
  var backwardReadsOutputs: Bool { true }
  func backwardReads(input: Int) -> Bool { input == 0 || input >= 4 }

  func forward(_ context: OperationContext<Element>) {
    withUnsafePointer(to: layer) {
      ck_modes_pack(
        Element.kernelType, $0, context.input(1), context.input(2), context.input(3), context.tape)
      ck_modes_forward(
        Element.kernelType, $0, context.tape, hasGaps ? context.input(4) : nil, context.input(0),
        state(context), context.output())
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let du = context.inputGradient(0)
    guard let dStep = context.inputGradient(1)?.cleared(layer.modes),
      let dDecay = context.inputGradient(2)?.cleared(layer.modes),
      let dFrequency = context.inputGradient(3)?.cleared(layer.modes)
    else { preconditionFailure("the weights of a state space are differentiated together") }
    let dInitial: UnsafeMutablePointer<Element>? =
      hasState ? context.scratch + scratchCount - stateCount : nil
    let initialState = state(context)
    withUnsafePointer(to: layer) {
      ck_modes_backward(
        Element.kernelType, $0, context.tape, hasGaps ? context.input(4) : nil, context.input(0),
        initialState, context.output(), dy, du?.base, du?.adds ?? false ? 1 : 0, dStep, dDecay,
        dFrequency, dInitial, context.scratch)
    }
    if let dInitial, let wanted = context.inputGradient(initial) {
      Element.scale(stateCount, 1, dInitial, wanted.base, adds: wanted.adds)
    }
  }
}

extension Tensor {
  /// `P` complex modes driven by this tensor, `[T, B, 2 P]` with real before imaginary parts.
  ///
  /// - Parameters:
  ///   - logStep, logDecay, frequency: `log dt`, `log(-Re A)` and `Im A`, each `[P]`.
  ///   - gaps: `[T, B]`: the time since the step before, in units of `dt`; 1 if nil. Discretised for each, so
  ///     irregular observations are treated as what they are. No gradient flows into them.
  ///   - initial: the state before the first step, `[B, 2 P]`; zero if nil.
  /// - Returns: the state of every step, `[T, B, 2 P]`.
  public func diagonalScan(
    logStep: Tensor, logDecay: Tensor, frequency: Tensor, rule: Discretisation = .zeroOrderHold,
    gaps: Tensor? = nil, initial: Tensor? = nil
  ) -> Tensor {
    let modes = logStep.shape.count
    precondition(shape.rank == 3 && shape[2] == 2 * modes, "\(shape) for \(modes) modes")
    precondition(logDecay.shape.count == modes && frequency.shape.count == modes)
    precondition(gaps.map { $0.shape.count == shape[0] * shape[1] } ?? true)
    let operation = DiagonalScan<Element>(
      steps: shape[0], batch: shape[1], modes: modes, rule: rule, hasGaps: gaps != nil,
      hasState: initial != nil)
    precondition(initial.map { $0.shape.count == shape[1] * shape[2] } ?? true)
    let operands = [self, logStep, logDecay, frequency] + [gaps, initial].compactMap { $0 }
    return graph.apply(operation, to: operands)[0]
  }
}

/// A ``Tensor/diagonalScan(logStep:logDecay:frequency:rule:gaps:initial:)`` one step at a time: `2 P` numbers of state for
/// each sequence. Not synchronised.
public final class DiagonalScanStepper<Element: Real>: LayerStepper {
  private var layer: ck_modes
  private let constants: Buffer<Element>
  private let states: Buffer<Element>

  /// - Parameters: numbers for each mode; they are copied.
  public init(
    modes: Int, rule: Discretisation, batch: Int, logStep: UnsafePointer<Element>,
    logDecay: UnsafePointer<Element>, frequency: UnsafePointer<Element>
  ) {
    layer = ck_modes(steps: 1, batch: batch, modes: modes, bilinear: rule == .bilinear ? 1 : 0)
    constants = Buffer(7 * ck_padded(Element.kernelType, modes))
    states = Buffer(batch * 2 * modes)
    ck_modes_pack(Element.kernelType, &layer, logStep, logDecay, frequency, constants.base)
  }

  /// Reads `u` `[B, 2 P]` and writes the state `[B, 2 P]`; `gaps` `[B]` as in the scan.
  public func step(
    _ u: UnsafePointer<Element>, gaps: UnsafePointer<Element>? = nil,
    _ s: UnsafeMutablePointer<Element>
  ) {
    ck_modes_forward(Element.kernelType, &layer, constants.base, gaps, u, states.base, s)
    states.base.update(from: s, count: states.count)
  }

  public func run(_ context: OperationContext<Element>) { step(context.input(0), context.output()) }

  public func reset() { states.zero() }
}
