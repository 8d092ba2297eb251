import CKernels

/// A recurrent cell that the fused kernels know.
///
/// | kind | equations (`*` elementwise, `s` the sigmoid) |
/// | --- | --- |
/// | `elman` | `h' = tanh(x W + h R + b)` (Elman 1990) |
/// | `elmanReLU` | `h' = max(0, x W + h R + b)` |
/// | `lstm` | `i, f, o = s(.)`, `g = tanh(.)` of `x W + h R + b`; `c' = f * c + i * g`; `h' = o * tanh(c')` (Hochreiter & Schmidhuber 1997, Gers et al. 2000) |
/// | `gru` | `r, z = s(.)`; `n = tanh(x Wn + bn + r * (h Rn + b'))`; `h' = (1 - z) * n + z * h`, the reset gate after the product, as in PyTorch and cuDNN |
/// | `gruResetBefore` | the same with `n = tanh(x Wn + (r * h) Rn + bn)` (Cho et al. 2014) |
public struct RecurrentCell: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case elman, elmanReLU, lstm, gru, gruResetBefore
  }

  public let kind: Kind
  /// Numbers `F` that a step reads.
  public let inputs: Int
  /// Units `D`.
  public let width: Int
  /// Blocks that the recurrent weight consists of; the units of different heads do not see each other
  /// (FlashRNN, Pöppel et al. 2024). 1 is the ordinary cell.
  public let heads: Int

  /// - Precondition: `heads` divides `width`.
  public init(_ kind: Kind, inputs: Int, width: Int, heads: Int = 1) {
    precondition(inputs >= 1 && width >= 1 && heads >= 1 && width % heads == 0)
    self.kind = kind
    self.inputs = inputs
    self.width = width
    self.heads = heads
  }

  /// Gates `G`, in the order of the columns: `i f g o` of the LSTM, `r z n` of the GRU.
  public var gates: Int {
    switch kind {
    case .elman, .elmanReLU: 1
    case .gru, .gruResetBefore: 3
    case .lstm: 4
    }
  }

  /// Whether there is a memory cell `c` beside `h`.
  public var hasMemory: Bool { kind == .lstm }
  /// Whether the candidate has a bias of its own inside the reset gate.
  public var hasCandidateBias: Bool { kind == .gru }

  /// `[F, G D]`.
  public var inputShape: Shape { [inputs, gates * width] }
  /// `[heads, D / heads, G D / heads]`; for one head `[1, D, G D]`.
  public var recurrentShape: Shape { [heads, width / heads, gates * width / heads] }
  /// `[G D]`.
  public var biasShape: Shape { [gates * width] }

  func kernel(reverse: Bool) -> ck_cell {
    let kinds: [Kind: Int] = [
      .elman: CK_ELMAN, .elmanReLU: CK_ELMAN, .lstm: CK_LSTM, .gru: CK_GRU, .gruResetBefore: CK_GRU,
    ]
    return ck_cell(
      kind: Int32(kinds[kind]!), inputs: Int32(inputs), hidden: Int32(width), heads: Int32(heads),
      reverse: reverse ? 1 : 0, relu: kind == .elmanReLU ? 1 : 0,
      form: Int32(kind == .gruResetBefore ? CK_RESET_BEFORE : CK_RESET_AFTER))
  }
}

/// The trained tensors of a cell in a graph.
public struct RecurrentWeights<Element: Real> {
  public let input: Tensor<Element>
  public let recurrent: Tensor<Element>
  public let bias: Tensor<Element>
  public let candidateBias: Tensor<Element>?

  /// - Parameters:
  ///   - input: of `inputShape`.
  ///   - recurrent: of `recurrentShape`, or its numbers under another shape.
  ///   - bias: of `biasShape`.
  ///   - candidateBias: `[D]`, for `gru` only.
  public init(
    input: Tensor<Element>, recurrent: Tensor<Element>, bias: Tensor<Element>,
    candidateBias: Tensor<Element>? = nil
  ) {
    self.input = input
    self.recurrent = recurrent
    self.bias = bias
    self.candidateBias = candidateBias
  }
}

/// The state between two steps: `h` and, of an LSTM, `c`, each `[B, D]`.
public struct RecurrentState<Element: Real> {
  public let h: Tensor<Element>
  public let c: Tensor<Element>?

  public init(h: Tensor<Element>, c: Tensor<Element>? = nil) {
    self.h = h
    self.c = c
  }
}
