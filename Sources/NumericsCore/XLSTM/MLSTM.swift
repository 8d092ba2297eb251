// Names: shape letters B, T, D, N and the symbols of the paper.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CKernels

/// The mLSTM of xLSTM (Beck et al. 2024, arXiv 2405.04517, section 2.3): a matrix memory for each head.
///
/// With `k' = k / sqrt(D)`, `i = exp(i~)` and `f = s(f~)`:
/// `C' = f C + i k' v^T`, `n' = f n + i k'`, `h = C'^T q / (max(|n' . q|, 1) + eps)`. As in the paper's appendix
/// `C` and `n` are kept divided by `exp(m)`, where `m' = max(log f + m, i~)` starts at 0, and the `1` becomes
/// `exp(-m)`; epsilon is added to the denominator of that form.
///
/// The three forms are one computation with chunks of different length: `steps` for the parallel one, 1 for
/// the recurrent one (for which ``MLSTMStepper`` has less work to do), something between for the chunkwise
/// one, linear in the length.
public struct MLSTM: Hashable, Sendable {
  /// Heads `N`.
  public let heads: Int
  /// Width `D` of a head.
  public let width: Int
  /// Added to the denominator: 1e-6 in the reference package.
  public let epsilon: Double
  /// Steps of a chunk.
  public let chunk: Int

  /// - Parameter chunk: nil for what is fastest.
  public init(heads: Int, width: Int, epsilon: Double = 1e-6, chunk: Int? = nil) {
    precondition(heads >= 1 && width >= 1 && epsilon >= 0 && (chunk ?? 1) >= 1)
    self.heads = heads
    self.width = width
    self.epsilon = epsilon
    // Within a chunk the work grows with its length, between chunks with width / length.
    self.chunk = chunk ?? (width <= 48 ? 32 : 64)
  }

  func kernel(steps: Int, batch: Int) -> ck_mlstm {
    ck_mlstm(
      steps: steps, batch: batch, heads: heads, width: width, chunk: chunk, epsilon: epsilon)
  }
}

/// The state between two steps of an mLSTM: `C` `[B, N, D, D]` (key, value), `n` `[B, N, D]`, `m` `[B, N]`.
public struct MLSTMState<Element: Real> {
  public let C: Tensor<Element>
  public let n: Tensor<Element>
  public let m: Tensor<Element>

  public init(C: Tensor<Element>, n: Tensor<Element>, m: Tensor<Element>) {
    self.C = C
    self.n = n
    self.m = m
  }
}

/// An mLSTM over a whole sequence, fused: see `mlstm.inc`.
///
/// Inputs: `q k v` `[T, B, 3 N D]`, gates `[T, B, 2 N]`, then, if there is an initial state, `C`, `n` and `m`.
/// Results: `h` `[T, B, N D]` and the final `C`, `n` and `m`.
///
/// Arithmetic of a step and head with chunks of `L`: `4 D (L + D)` operations forward, `13 / 4` of that
/// backward. Memory from forward to backward: `D (D + 1) / L` numbers for each step and head.
struct MLSTMSequence<Element: Real>: Operation {
  let layer: MLSTM
  let steps: Int
  let batch: Int
  let hasState: Bool

  private var N: Int { layer.heads }
  private var D: Int { layer.width }
  private var kernel: ck_mlstm { layer.kernel(steps: steps, batch: batch) }

  var outputs: [Shape] {
    [[steps, batch, N * D], [batch, N, D, D], [batch, N, D], [batch, N]]
  }
  var backwardReadsOutputs: Bool { true }
  func backwardReads(input: Int) -> Bool { input < 2 }
  var tapeCount: Int {
    withUnsafePointer(to: kernel) { ck_mlstm_tape(Element.kernelType, $0) }
  }
  private var kernelScratch: Int {
    let count = withUnsafePointer(to: kernel) { ck_mlstm_scratch(Element.kernelType, $0) }
    return (count + 15) / 16 * 16
  }
  /// Scratch: the kernels' own, the gradient of the initial state.
  var scratchCount: Int {
    kernelScratch + (hasState ? stateCounts.reduce(0, +) : 0)
  }
  private var stateCounts: [Int] { outputs[1...].map(\.count) }

  func forward(_ context: OperationContext<Element>) {
    var kernel = kernel
    var initial = ck_mlstm_state()
    if hasState {
      initial = ck_mlstm_state(
        c: UnsafeMutableRawPointer(mutating: context.input(2)),
        n: UnsafeMutableRawPointer(mutating: context.input(3)),
        m: UnsafeMutableRawPointer(mutating: context.input(4)))
    }
    var last = ck_mlstm_state(c: context.output(1), n: context.output(2), m: context.output(3))
    withUnsafePointer(to: &initial) {
      ck_mlstm_forward(
        Element.kernelType, &kernel, context.input(0), context.input(1), hasState ? $0 : nil,
        context.output(), &last, context.tape, context.scratch)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    var kernel = kernel
    var last = ck_mlstm_state(
      c: context.outputGradient(1), n: context.outputGradient(2), m: context.outputGradient(3))
    guard let dqkv = context.inputGradient(0), let dgates = context.inputGradient(1) else {
      preconditionFailure("inputs and gates of an mLSTM are differentiated together")
    }
    let dC = context.scratch + kernelScratch
    let (dn, dm) = (dC + stateCounts[0], dC + stateCounts[0] + stateCounts[1])
    var first = ck_mlstm_state(c: dC, n: dn, m: dm)
    withUnsafePointer(to: &first) {
      ck_mlstm_backward(
        Element.kernelType, &kernel, context.input(0), context.input(1), context.output(),
        context.outputGradient(), &last, context.tape, dqkv.base, dqkv.adds ? 1 : 0, dgates.base,
        dgates.adds ? 1 : 0, hasState ? $0 : nil, context.scratch)
    }
    guard hasState else { return }
    for (index, part) in [dC, dn, dm].enumerated() {
      guard let gradient = context.inputGradient(2 + index) else { continue }
      Element.scale(stateCounts[index], 1, part, gradient.base, adds: gradient.adds)
    }
  }
}

extension Tensor {
  /// Runs an mLSTM over this sequence of queries, keys and values `[T, B, 3 N D]`.
  ///
  /// - Parameters:
  ///   - gates: `[T, B, 2 N]`, input and forget gates before exponential and sigmoid.
  ///   - initial: zero if nil.
  /// - Returns: `h` of every step `[T, B, N D]`, and the state after the last.
  public func mlstm(
    _ layer: MLSTM, gates: Tensor, initial: MLSTMState<Element>? = nil
  ) -> (outputs: Tensor, state: MLSTMState<Element>) {
    let (N, D) = (layer.heads, layer.width)
    precondition(shape.rank == 3 && shape[2] == 3 * N * D, "\(shape) for \(layer)")
    precondition(gates.shape == [shape[0], shape[1], 2 * N], "\(gates.shape) for \(layer)")
    let operation = MLSTMSequence<Element>(
      layer: layer, steps: shape[0], batch: shape[1], hasState: initial != nil)
    let state = initial.map { [$0.C, $0.n, $0.m] } ?? []
    let results = graph.apply(operation, to: [self, gates] + state)
    return (results[0], MLSTMState(C: results[1], n: results[2], m: results[3]))
  }
}

/// An mLSTM one step at a time, in constant memory: the recurrent form.
///
/// Not synchronised.
public final class MLSTMStepper<Element: Real> {
  public let layer: MLSTM
  public let batch: Int
  private var kernel: ck_mlstm
  /// The state, in the shapes of ``MLSTMState``.
  public let C: Buffer<Element>
  public let n: Buffer<Element>
  public let m: Buffer<Element>

  /// - Parameter batch: sequences that step together.
  public init(_ layer: MLSTM, batch: Int) {
    self.layer = layer
    self.batch = batch
    kernel = layer.kernel(steps: 1, batch: batch)
    let heads = batch * layer.heads
    (C, n, m) = (
      Buffer(heads * layer.width * layer.width), Buffer(heads * layer.width), Buffer(heads)
    )
  }

  /// Back to the zero state.
  public func reset() { for part in [C, n, m] { part.zero() } }

  /// Reads `q k v` `[B, 3 N D]` and gates `[B, 2 N]` and writes `h` `[B, N D]`.
  public func step(
    _ qkv: UnsafePointer<Element>, gates: UnsafePointer<Element>,
    _ h: UnsafeMutablePointer<Element>
  ) {
    var state = ck_mlstm_state(c: C.base, n: n.base, m: m.base)
    ck_mlstm_step(Element.kernelType, &kernel, qkv, gates, &state, h)
  }
}
