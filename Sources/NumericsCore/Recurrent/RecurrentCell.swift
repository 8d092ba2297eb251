import CKernels

/// A recurrent cell that the fused kernels know.
///
/// | kind | equations (`*` elementwise, `s` the sigmoid) |
/// | --- | --- |
/// | `elman` | `h' = tanh(x W + h R + b)` (Elman 1990) |
/// | `elmanReLU` | `h' = max(0, x W + h R + b)` |
/// | `lstm` | `i, f, o = s(.)`, `g = tanh(.)` of `x W + h R + b`; `c' = f * c + i * g`; `h' = o * tanh(c')` (Hochreiter & Schmidhuber 1997, Gers et al. 2000) |
/// | `lstmReLU` | the same with `max(0, .)` in place of both tanh |
/// | `gru` | `r, z = s(.)`; `n = tanh(x Wn + bn + r * (h Rn + b'))`; `h' = (1 - z) * n + z * h`, the reset gate after the product, as in PyTorch and cuDNN |
/// | `gruResetBefore` | the same with `n = tanh(x Wn + (r * h) Rn + bn)` (Cho et al. 2014) |
/// | `gruReLU`, `gruResetBeforeReLU` | these with `max(0, .)` in place of tanh |
/// | `slstm` | `i = exp(i~)`, `f, o = s(.)`, `z = tanh(.)` of `x W + h R + b`; `c' = f * c + i * z`; `n' = f * n + i`; `h' = o * c' / n'` (Beck et al. 2024, section 2.2) |
/// | `slstmExponential` | the same with `f = exp(f~)` |
///
/// The sLSTM keeps `c` and `n` divided by `exp(m)`, where `m' = max(log f + m, i~)`, so that no exponential
/// exceeds 1 (equations 15 to 17). A state with `n = 0` is empty, whatever its `m`. Results do not depend on
/// `m`, which is a constant in the backward pass: losses may depend on final states through a following
/// sequence or through `c / n`, and `m` itself has no gradient.
public struct RecurrentCell: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case elman, elmanReLU, lstm, lstmReLU, gru, gruReLU, gruResetBefore, gruResetBeforeReLU
    case slstm, slstmExponential
  }

  public let kind: Kind
  /// Numbers `F` that a step reads.
  public let inputs: Int
  /// Units `D`.
  public let width: Int
  /// Blocks that the recurrent weight consists of; the units of different heads do not see each other
  /// (FlashRNN, Pöppel et al. 2024). 1 is the ordinary cell.
  public let heads: Int
  /// Whether inputs are the products `x W` themselves, computed elsewhere, and there is no `W`.
  public let readsGates: Bool

  /// - Precondition: `heads` divides `width`.
  public init(_ kind: Kind, inputs: Int, width: Int, heads: Int = 1) {
    precondition(inputs >= 1 && width >= 1 && heads >= 1 && width % heads == 0)
    self.kind = kind
    self.inputs = inputs
    self.width = width
    self.heads = heads
    readsGates = false
  }

  /// A cell whose inputs `[G D]` are added to the gates as they are: for input weights of another structure.
  ///
  /// - Precondition: `kind` is an sLSTM; `heads` divides `width`.
  public init(gatesOf kind: Kind, width: Int, heads: Int = 1) {
    precondition(kind == .slstm || kind == .slstmExponential)
    precondition(width >= 1 && heads >= 1 && width % heads == 0)
    self.kind = kind
    inputs = 4 * width
    self.width = width
    self.heads = heads
    readsGates = true
  }

  /// Gates `G`, in the order of the columns: `i f g o` of the LSTM, `r z n` of the GRU, `i f z o` of
  /// the sLSTM.
  public var gates: Int {
    switch kind {
    case .elman, .elmanReLU: 1
    case .gru, .gruReLU, .gruResetBefore, .gruResetBeforeReLU: 3
    case .lstm, .lstmReLU, .slstm, .slstmExponential: 4
    }
  }

  /// Memory cells in a state beside `h`: `c` of the LSTM; `c`, `n` and `m` of the sLSTM.
  public var memories: Int {
    switch kind {
    case .elman, .elmanReLU, .gru, .gruReLU, .gruResetBefore, .gruResetBeforeReLU: 0
    case .lstm, .lstmReLU: 1
    case .slstm, .slstmExponential: 3
    }
  }
  /// Those of them that have a gradient.
  var differentiableMemories: Int { min(memories, 2) }
  /// Whether the candidate has a bias of its own inside the reset gate.
  public var hasCandidateBias: Bool { kind == .gru || kind == .gruReLU }

  /// `[F, G D]`, unless the cell reads gates.
  public var inputShape: Shape { [inputs, gates * width] }
  /// `[heads, D / heads, G D / heads]`; for one head `[1, D, G D]`.
  public var recurrentShape: Shape { [heads, width / heads, gates * width / heads] }
  /// `[G D]`.
  public var biasShape: Shape { [gates * width] }

  func kernel(reverse: Bool) -> ck_cell {
    let (family, form, relu) =
      switch kind {
      case .elman: (CK_ELMAN, 0, false)
      case .elmanReLU: (CK_ELMAN, 0, true)
      case .lstm: (CK_LSTM, 0, false)
      case .lstmReLU: (CK_LSTM, 0, true)
      case .gru: (CK_GRU, CK_RESET_AFTER, false)
      case .gruReLU: (CK_GRU, CK_RESET_AFTER, true)
      case .gruResetBefore: (CK_GRU, CK_RESET_BEFORE, false)
      case .gruResetBeforeReLU: (CK_GRU, CK_RESET_BEFORE, true)
      case .slstm: (CK_SLSTM, CK_FORGET_SIGMOID, false)
      case .slstmExponential: (CK_SLSTM, CK_FORGET_EXP, false)
      }
    return ck_cell(
      kind: Int32(family), inputs: readsGates ? 0 : Int32(inputs), hidden: Int32(width),
      heads: Int32(heads), reverse: reverse ? 1 : 0, relu: relu ? 1 : 0, form: Int32(form))
  }
}

/// The trained tensors of a cell in a graph.
public struct RecurrentWeights<Element: Real> {
  public let input: Tensor<Element>?
  public let recurrent: Tensor<Element>
  public let bias: Tensor<Element>
  public let candidateBias: Tensor<Element>?

  /// - Parameters:
  ///   - input: of `inputShape`; nil for a cell that reads gates.
  ///   - recurrent: of `recurrentShape`, or its numbers under another shape.
  ///   - bias: of `biasShape`.
  ///   - candidateBias: `[D]`, for `gru` only.
  public init(
    input: Tensor<Element>?, recurrent: Tensor<Element>, bias: Tensor<Element>,
    candidateBias: Tensor<Element>? = nil
  ) {
    self.input = input
    self.recurrent = recurrent
    self.bias = bias
    self.candidateBias = candidateBias
  }
}

/// The state between two steps: `h` and, of an LSTM, `c`; of an sLSTM, `c`, `n` and `m`; each `[B, D]`.
public struct RecurrentState<Element: Real> {
  public let h: Tensor<Element>
  public let c: Tensor<Element>?
  public let n: Tensor<Element>?
  public let m: Tensor<Element>?

  public init(
    h: Tensor<Element>, c: Tensor<Element>? = nil, n: Tensor<Element>? = nil,
    m: Tensor<Element>? = nil
  ) {
    self.h = h
    self.c = c
    self.n = n
    self.m = m
  }

  /// The memory cells that there are.
  var memories: [Tensor<Element>] { [c, n, m].compactMap { $0 } }

  /// `h`, then the memory cells.
  package var parts: [Tensor<Element>] { [h] + memories }

  package init(parts: [Tensor<Element>]) {
    func part(_ index: Int) -> Tensor<Element>? { index < parts.count ? parts[index] : nil }
    self.init(h: parts[0], c: part(1), n: part(2), m: part(3))
  }
}
