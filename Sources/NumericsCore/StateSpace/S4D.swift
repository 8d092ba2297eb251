import CKernels

/// How a continuous state space becomes one in steps; `A` and `B` are those of the continuous one.
public enum Discretisation: String, Sendable, Codable, CaseIterable {
  /// The input is held between steps: `exp(dt A)`, `(exp(dt A) - 1) / A B`. Exact for such inputs, whatever the
  /// steps.
  case zeroOrderHold
  /// The trapezoidal rule: `(1 + dt A / 2) / (1 - dt A / 2)`, `dt / (1 - dt A / 2) B`.
  case bilinear
}

/// The trained tensors of diagonal state spaces, one of `N` modes for each of `D` channels (S4D; Gu et al. 2022,
/// arXiv 2206.11893). Only one mode of each conjugate pair is stored, so `N` is half the size of the state.
public struct S4DWeights<Element: Real> {
  /// `log dt` `[D]`.
  public let logStep: Tensor<Element>
  /// `log(-Re A)` `[D, N]`.
  public let logDecay: Tensor<Element>
  /// `Im A` `[D, N]`, in radians for each unit of time.
  public let frequency: Tensor<Element>
  /// `C` `[D, N, 2]`, real and imaginary part.
  public let output: Tensor<Element>
  /// `[D]`: what of the input goes past the state.
  public let skip: Tensor<Element>?

  public init(
    logStep: Tensor<Element>, logDecay: Tensor<Element>, frequency: Tensor<Element>,
    output: Tensor<Element>, skip: Tensor<Element>? = nil
  ) {
    let (width, modes) = (logDecay.shape[0], logDecay.shape[1])
    precondition(logStep.shape.count == width && frequency.shape.count == width * modes)
    precondition(output.shape.count == 2 * width * modes)
    precondition(skip.map { $0.shape.count == width } ?? true)
    self.logStep = logStep
    self.logDecay = logDecay
    self.frequency = frequency
    self.output = output
    self.skip = skip
  }

  public var width: Int { logDecay.shape[0] }
  public var modes: Int { logDecay.shape[1] }
}

/// The kernel of the convolution that a diagonal state space is: `[T, D]` from the weights.
///
/// `4 N T D` operations forward and twice that backward, in the time of as many multiplications: see
/// `s4d_kernel.inc`. The tape holds about `6 sqrt(T) N D` numbers.
struct S4DKernel<Element: Real>: Operation {
  private let layer: ck_s4d
  private let hasSkip: Bool

  init(steps: Int, width: Int, modes: Int, rule: Discretisation, hasSkip: Bool) {
    layer = ck_s4d(
      steps: steps, width: width, modes: modes, bilinear: rule == .bilinear ? 1 : 0)
    self.hasSkip = hasSkip
  }

  var outputs: [Shape] { [[layer.steps, layer.width]] }
  var tapeCount: Int { withUnsafePointer(to: layer) { ck_s4d_tape(Element.kernelType, $0) } }
  var scratchCount: Int { withUnsafePointer(to: layer) { ck_s4d_scratch(Element.kernelType, $0) } }
  // The tape has all that the gradient needs of the weights.
  func backwardReads(input: Int) -> Bool { false }
  var backwardRepeats: Bool { true }

  func forward(_ context: OperationContext<Element>) {
    withUnsafePointer(to: layer) {
      ck_s4d_kernel(
        Element.kernelType, $0, context.input(0), context.input(1), context.input(2),
        context.input(3), hasSkip ? context.input(4) : nil, context.output(), context.tape)
    }
  }

  @specialized(where Element == Float)
  func backward(_ context: OperationContext<Element>) {
    guard let dKernel = context.outputGradient() else { return }
    let (width, modes) = (layer.width, layer.modes)
    let counts = [width, width * modes, width * modes, 2 * width * modes]
    let gradients = counts.enumerated().map { context.inputGradient($0)?.cleared($1) }
    guard let dStep = gradients[0], let dDecay = gradients[1], let dFrequency = gradients[2],
      let dOutput = gradients[3]
    else { preconditionFailure("the weights of a state space are differentiated together") }
    let dSkip = hasSkip ? context.inputGradient(4)?.cleared(width) : nil
    withUnsafePointer(to: layer) {
      ck_s4d_kernel_gradient(
        Element.kernelType, $0, context.tape, dKernel, dStep, dDecay, dFrequency, dOutput, dSkip,
        context.scratch)
    }
  }
}

extension S4DWeights {
  /// The response `[T, D]` to a unit input at the first step.
  public func kernel(steps: Int, rule: Discretisation) -> Tensor<Element> {
    let operation = S4DKernel<Element>(
      steps: steps, width: width, modes: modes, rule: rule, hasSkip: skip != nil)
    let operands = [logStep, logDecay, frequency, output] + (skip.map { [$0] } ?? [])
    return logStep.graph.apply(operation, to: operands)[0]
  }
}

extension Tensor {
  /// Each channel of `[T, B, D]` through a diagonal state space of its own, from the zero state.
  ///
  /// As a convolution with ``S4DWeights/kernel(steps:rule:)``: by its sum for short sequences, by transforms for
  /// long ones. For single steps see ``S4DStepper``.
  public func s4d(_ weights: S4DWeights<Element>, rule: Discretisation = .zeroOrderHold) -> Tensor {
    precondition(shape.rank == 3 && shape[2] == weights.width)
    return fftConvolution(weights.kernel(steps: shape[0], rule: rule))
  }
}

/// Diagonal state spaces over observations at any times: the recurrence, discretised anew for every gap.
///
/// Inputs: `x` `[T, B, D]`, gaps `[T, B]`, and the weights as in ``S4DWeights``. Result: `y` `[T, B, D]`.
///
/// For each step, sequence, channel and mode an exponential and three sines, and 12 operations more forward; the
/// same again and 50 backward. The states of all steps are never in memory: the tape holds one of 8.
struct S4DGaps<Element: Real>: Operation {
  private let layer: ck_s4d
  private let batch: Int
  private let hasSkip: Bool

  init(
    steps: Int, batch: Int, width: Int, modes: Int, rule: Discretisation, hasSkip: Bool
  ) {
    layer = ck_s4d(
      steps: steps, width: width, modes: modes, bilinear: rule == .bilinear ? 1 : 0)
    self.batch = batch
    self.hasSkip = hasSkip
  }

  var outputs: [Shape] { [[layer.steps, batch, layer.width]] }
  var tapeCount: Int {
    withUnsafePointer(to: layer) { ck_s4d_gaps_tape(Element.kernelType, $0, batch) }
  }
  var scratchCount: Int {
    withUnsafePointer(to: layer) { ck_s4d_gaps_scratch(Element.kernelType, $0) }
  }
  func backwardReads(input: Int) -> Bool { input < 2 || input == 6 }

  func forward(_ context: OperationContext<Element>) {
    withUnsafePointer(to: layer) {
      ck_s4d_rates(
        Element.kernelType, $0, context.input(2), context.input(3), context.input(4),
        context.input(5), context.tape)
      ck_s4d_gaps_forward(
        Element.kernelType, $0, batch, context.tape, hasSkip ? context.input(6) : nil,
        context.input(1), context.input(0), context.output(), context.tape)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let (width, modes) = (layer.width, layer.modes)
    let counts = [width, width * modes, width * modes, 2 * width * modes]
    let gradients = counts.enumerated().map { context.inputGradient($0 + 2)?.cleared($1) }
    guard let dStep = gradients[0], let dDecay = gradients[1], let dFrequency = gradients[2],
      let dOutput = gradients[3]
    else { preconditionFailure("the weights of a state space are differentiated together") }
    let dx = context.inputGradient(0)
    let dSkip = hasSkip ? context.inputGradient(6)?.cleared(width) : nil
    withUnsafePointer(to: layer) {
      ck_s4d_gaps_backward(
        Element.kernelType, $0, batch, context.tape, hasSkip ? context.input(6) : nil,
        context.input(1), context.input(0), context.tape, dy, dx?.base, dx?.adds ?? false ? 1 : 0,
        dStep, dDecay, dFrequency, dOutput, dSkip, context.scratch)
    }
  }
}

extension Tensor {
  /// ``s4d(_:rule:)`` where the time from one step to the next differs.
  ///
  /// - Parameter gaps: `[T, B]`: the time since the step before in units of each channel's `dt`. The system is
  ///   discretised for each, so that irregular observations are treated exactly under the rule. No gradient
  ///   flows into them.
  public func s4d(
    _ weights: S4DWeights<Element>, rule: Discretisation = .zeroOrderHold, gaps: Tensor
  ) -> Tensor {
    precondition(shape.rank == 3 && shape[2] == weights.width)
    precondition(gaps.shape.count == shape[0] * shape[1])
    let operation = S4DGaps<Element>(
      steps: shape[0], batch: shape[1], width: weights.width, modes: weights.modes, rule: rule,
      hasSkip: weights.skip != nil)
    return graph.apply(
      operation,
      to: [
        self, gaps, weights.logStep, weights.logDecay, weights.frequency, weights.output,
      ] + (weights.skip.map { [$0] } ?? []))[0]
  }
}

/// Diagonal state spaces one step at a time, in constant memory: `N D` complex numbers for each sequence.
///
/// Not synchronised.
public final class S4DStepper<Element: Real>: LayerStepper {
  public let batch: Int
  private var layer: ck_s4d
  private let constants: Buffer<Element>
  private let rates: Buffer<Element>
  private let skip: Buffer<Element>?
  private let states: Buffer<Element>
  private let padded: Int

  /// - Parameters: numbers in the layout of ``S4DWeights``; they are copied.
  public init(
    width: Int, modes: Int, rule: Discretisation, batch: Int, logStep: UnsafePointer<Element>,
    logDecay: UnsafePointer<Element>, frequency: UnsafePointer<Element>,
    output: UnsafePointer<Element>, skip: UnsafePointer<Element>? = nil
  ) {
    self.batch = batch
    layer = ck_s4d(steps: 1, width: width, modes: modes, bilinear: rule == .bilinear ? 1 : 0)
    padded = ck_padded(Element.kernelType, width)
    constants = Buffer(6 * modes * padded)
    rates = Buffer((1 + 4 * modes) * padded)
    states = Buffer(batch * modes * 2 * padded)
    self.skip = skip.map { Buffer(Array(UnsafeBufferPointer(start: $0, count: width))) }
    ck_s4d_pack(
      Element.kernelType, &layer, logStep, logDecay, frequency, output, constants.base)
    ck_s4d_rates(Element.kernelType, &layer, logStep, logDecay, frequency, output, rates.base)
  }

  /// Reads `x` `[B, D]` and writes `y` `[B, D]`.
  public func step(_ x: UnsafePointer<Element>, _ y: UnsafeMutablePointer<Element>) {
    ck_s4d_step(
      Element.kernelType, &layer, constants.base, skip?.base, batch, x, states.base, states.base, y)
  }

  /// The same where the time since the last step is not one `dt` but `gaps` `[B]` of them: discretised for each
  /// sequence with its own time, so irregular observations are treated exactly under ``Discretisation``.
  ///
  /// Under `zeroOrderHold` the input is taken to have been `x` since the last step. A gap of 0 leaves the state.
  public func step(
    _ x: UnsafePointer<Element>, gaps: UnsafePointer<Element>,
    _ y: UnsafeMutablePointer<Element>
  ) {
    ck_s4d_gap_step(
      Element.kernelType, &layer, rates.base, skip?.base, batch, gaps, x, states.base, states.base,
      y)
  }

  public func run(_ context: OperationContext<Element>) { step(context.input(0), context.output()) }

  public func reset() { states.zero() }

  /// The state of one mode, real and imaginary part.
  public func state(row: Int, channel: Int, mode: Int) -> (Element, Element) {
    let at = (row * layer.modes + mode) * 2 * padded + channel
    return (states[at], states[at + padded])
  }
}
