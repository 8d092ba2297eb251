// Names: shape letters B, T, N, K, V, J and the symbols of the papers.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CKernels

/// A memory with the delta rule for each head: DeltaNet (Yang et al. 2024, arXiv 2406.06484), DeltaProduct (Siems
/// et al. 2025, arXiv 2502.10297), gated DeltaNet (Yang et al. 2024, arXiv 2412.06464).
///
/// With `q` and `k` divided by `sqrt(|.|² + epsilon)`, each step does for every head
/// `S ← α S`, then `S ← (I - β k k^T) S + β k v^T` with `J` keys and values one after another, `y = S^T q`.
/// `S` is the transpose of that of the papers: `[key, value]`. The matrix that `S` is multiplied with has the
/// eigenvalue `1 - β` along `k`: with `β` in (0, 2) it may be negative (Grazzi et al. 2024, arXiv 2411.12537).
public struct DeltaRule: Hashable, Sendable {
  /// How the forward pass goes. Both give the same results.
  public enum Form: Sendable {
    /// Step by step.
    case recurrent
    /// By the WY form: within a chunk a triangular system, all else matrix products.
    case chunkwise
  }

  /// Heads `N`.
  public let heads: Int
  /// Width `K` of a key of one head, and `V` of a value.
  public let keyWidth: Int
  public let valueWidth: Int
  /// Updates `J` in each step, of one key and value each.
  public let householders: Int
  /// Added to the square of the length of keys and queries.
  public let epsilon: Double
  public let form: Form
  /// Steps of a chunk; the states between chunks are what the backward pass starts from.
  public let chunk: Int

  /// - Parameter form, chunk: nil for what is fastest.
  public init(
    heads: Int, keyWidth: Int, valueWidth: Int, householders: Int = 1, epsilon: Double = 1e-6,
    form: Form? = nil, chunk: Int? = nil
  ) {
    precondition(heads >= 1 && keyWidth >= 1 && valueWidth >= 1 && householders >= 1)
    precondition(epsilon >= 0 && (chunk ?? 1) >= 1)
    self.heads = heads
    self.keyWidth = keyWidth
    self.valueWidth = valueWidth
    self.householders = householders
    self.epsilon = epsilon
    // Measured (docs/performance.md): step by step, a state that fits the L1 cache beside what it reads costs less
    // than the extra arithmetic of chunks, whose work grows with the keys in one.
    self.form = form ?? (keyWidth * valueWidth <= 2048 ? .recurrent : .chunkwise)
    self.chunk = chunk ?? max(1, (max(keyWidth, valueWidth) <= 48 ? 16 : 32) / householders)
  }

  /// Numbers of one step of one sequence: queries, `J` keys, `J` values, of all heads.
  public var inputWidth: Int { heads * (keyWidth + householders * (keyWidth + valueWidth)) }

  func kernel(steps: Int, batch: Int, gated: Bool) -> ck_delta {
    ck_delta(
      steps: steps, batch: batch, heads: heads, keys: keyWidth, values: valueWidth,
      factors: householders, chunk: chunk, recurrent: form == .recurrent ? 1 : 0,
      gated: gated ? 1 : 0, epsilon: epsilon)
  }
}

/// A delta rule over a whole sequence, fused: see `delta.inc`.
///
/// Inputs: `q k v` `[T, B, N (K + J K + J V)]`, `β` `[T, B, J N]`, then, if there is one, `log α` `[T, B, N]`, then
/// the initial state `[B, N, K, V]`. Results: `y` `[T, B, N V]` and the final state.
///
/// Multiplications for a step and head with one key of width `D` and chunks of `L`: forward `3 D²` in the
/// recurrent form, `3 D² + 3.5 L D` chunkwise; backward `6 D² + 9.5 L D`. Memory from forward to backward: `J V`
/// corrections for each step and head, and `K V / L` for the states.
struct DeltaRuleSequence<Element: Real>: Operation {
  let layer: DeltaRule
  let steps: Int
  let batch: Int
  let isGated: Bool
  let hasState: Bool

  private var kernel: ck_delta { layer.kernel(steps: steps, batch: batch, gated: isGated) }
  private var stateInput: Int { isGated ? 3 : 2 }

  var outputs: [Shape] {
    [
      [steps, batch, layer.heads * layer.valueWidth],
      [batch, layer.heads, layer.keyWidth, layer.valueWidth],
    ]
  }
  var backwardReadsOutputs: Bool { isGated }
  func backwardReads(input: Int) -> Bool { input < stateInput }
  var tapeCount: Int {
    withUnsafePointer(to: kernel) { ck_delta_tape(Element.kernelType, $0) }
  }
  private var kernelScratch: Int {
    let count = withUnsafePointer(to: kernel) { ck_delta_scratch(Element.kernelType, $0) }
    return (count + 15) / 16 * 16
  }
  /// Scratch: the kernels' own, the gradient of the initial state.
  var scratchCount: Int { kernelScratch + (hasState ? outputs[1].count : 0) }

  func forward(_ context: OperationContext<Element>) {
    var kernel = kernel
    ck_delta_forward(
      Element.kernelType, &kernel, context.input(0), context.input(1),
      isGated ? context.input(2) : nil, hasState ? context.input(stateInput) : nil,
      context.output(), context.output(1), context.tape, context.scratch)
  }

  func backward(_ context: OperationContext<Element>) {
    var kernel = kernel
    guard let dqkv = context.inputGradient(0), let dBeta = context.inputGradient(1),
      !isGated || context.inputGradient(2) != nil
    else {
      preconditionFailure("all inputs of a delta rule are differentiated together")
    }
    let dDecay = isGated ? context.inputGradient(2) : nil
    let dState = hasState ? context.scratch + kernelScratch : nil
    var gradient = ck_delta_gradient(
      dy: context.outputGradient(), dlast: context.outputGradient(1), dqkv: dqkv.base,
      dbeta: dBeta.base, ddecay: dDecay?.base, adds_qkv: dqkv.adds ? 1 : 0,
      adds_beta: dBeta.adds ? 1 : 0, adds_decay: dDecay?.adds ?? false ? 1 : 0, dinitial: dState)
    ck_delta_backward(
      Element.kernelType, &kernel, context.input(0), context.input(1),
      isGated ? context.input(2) : nil, hasState ? 1 : 0, isGated ? context.output() : nil,
      context.tape, &gradient, context.scratch)
    if let dState, let wanted = context.inputGradient(stateInput) {
      Element.scale(outputs[1].count, 1, dState, wanted.base, adds: wanted.adds)
    }
  }
}

extension Tensor {
  /// Runs a delta rule over this sequence of queries, keys and values `[T, B, N (K + J K + J V)]`: queries by head,
  /// then the keys of each update by head, then the values.
  ///
  /// - Parameters:
  ///   - beta: `[T, B, J N]`, in [0, 2] for a stable memory.
  ///   - logDecay: `[T, B, N]`, not positive; nil for a memory that does not fade.
  ///   - initial: `[B, N, K, V]`; zero if nil.
  /// - Returns: results of every step `[T, B, N V]`, and the state after the last.
  public func deltaRule(
    _ layer: DeltaRule, beta: Tensor, logDecay: Tensor? = nil, initial: Tensor? = nil
  ) -> (outputs: Tensor, state: Tensor) {
    precondition(shape.rank == 3 && shape[2] == layer.inputWidth, "\(shape) for \(layer)")
    let (T, B, N) = (shape[0], shape[1], layer.heads)
    precondition(beta.shape == [T, B, layer.householders * N], "\(beta.shape) for \(layer)")
    let operation = DeltaRuleSequence<Element>(
      layer: layer, steps: T, batch: B, isGated: logDecay != nil, hasState: initial != nil)
    if let logDecay { precondition(logDecay.shape == [T, B, N], "\(logDecay.shape) for \(layer)") }
    if let initial { precondition(initial.shape == operation.outputs[1], "\(initial.shape)") }
    let results = graph.apply(
      operation, to: [self, beta] + [logDecay, initial].compactMap { $0 })
    return (results[0], results[1])
  }
}

/// A delta rule one step at a time, in constant memory: the recurrent form.
///
/// As a layer of a graph of single steps it reads queries, keys and values, `β` and, if gated, `log α`.
/// Not synchronised.
public final class DeltaRuleStepper<Element: Real>: LayerStepper {
  public let layer: DeltaRule
  private var kernel: ck_delta
  /// `[B, N, K, V]`.
  public let state: Buffer<Element>

  /// - Parameters:
  ///   - batch: sequences that step together.
  ///   - gated: whether the memory fades.
  public init(_ layer: DeltaRule, batch: Int, gated: Bool) {
    self.layer = layer
    kernel = layer.kernel(steps: 1, batch: batch, gated: gated)
    state = Buffer(batch * layer.heads * layer.keyWidth * layer.valueWidth)
  }

  /// Back to the zero state.
  public func reset() { state.zero() }

  /// Reads `q k v` `[B, N (K + J K + J V)]`, `β` `[B, J N]` and, if gated, `log α` `[B, N]`; writes `[B, N V]`.
  public func step(
    _ qkv: UnsafePointer<Element>, beta: UnsafePointer<Element>,
    logDecay: UnsafePointer<Element>? = nil, _ y: UnsafeMutablePointer<Element>
  ) {
    precondition((logDecay != nil) == (kernel.gated != 0), "a decay where there is none, or none")
    ck_delta_step(Element.kernelType, &kernel, qkv, beta, logDecay, state.base, y)
  }

  public func run(_ context: OperationContext<Element>) {
    step(
      context.input(0), beta: context.input(1),
      logDecay: kernel.gated != 0 ? context.input(2) : nil,
      context.output())
  }
}
