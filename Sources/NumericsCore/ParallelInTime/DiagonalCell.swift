/// A gated cell whose recurrent weights are diagonal: each unit sees the inputs and its own last state
/// (ParaRNN, Danieli et al. 2025), so that the Jacobian of a step is diagonal, or has 2 x 2 blocks.
///
/// `u` are weighted inputs with biases, `a` recurrent weights, `p` peepholes, `s` the sigmoid, `*` elementwise.
///
/// | kind | equations |
/// | --- | --- |
/// | `paraGRU` | `z, r = s(u + a * h)`; `n = tanh(u + a * (r * h))`; `h' = (1 - z) * h + z * n` |
/// | `paraLSTM` | `f = s(u + a * h + p * c)`; `g = tanh(u + a * h)`; `c' = f * c + (1 - f) * g`; `o = s(u + a * h + p * c')`; `h' = o * tanh(c')` |
///
/// States that start within [-1, 1] stay there.
public struct DiagonalCell: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case paraGRU, paraLSTM
  }

  public let kind: Kind
  /// Units `D`.
  public let width: Int

  public init(_ kind: Kind, width: Int) {
    precondition(width >= 1)
    self.kind = kind
    self.width = width
  }

  /// Gates, in the order of the columns: `z r n` of the GRU, `f o g` of the LSTM.
  public static var gates: Int { 3 }
  /// Whether there is a memory cell `c` beside `h`, and peepholes from it.
  public var hasMemory: Bool { kind == .paraLSTM }

  /// `[3, D]`.
  public var recurrentShape: Shape { [Self.gates, width] }
  /// `[2, D]`: of `f` and of `o`.
  public var peepholeShape: Shape? { hasMemory ? [2, width] : nil }
  /// Planes of a state: `h`, and `c`.
  var states: Int { hasMemory ? 2 : 1 }
  /// Numbers of a step and unit that the gradient needs beside the states.
  var keptGates: Int { hasMemory ? 4 : 3 }
}

/// How a nonlinear recurrence is computed.
public enum RecurrenceForm: String, Hashable, Sendable, CaseIterable {
  /// Step after step; units and sequences are divided among threads.
  case sequential
  /// All steps at once by Newton's method.
  case newton
  /// As ``ParallelInTimeRule`` finds.
  case automatic
}

/// When Newton's method ends.
public struct NewtonLimits: Hashable, Sendable {
  /// Largest difference between a state and what the cell makes of the one before, in units of the rounding
  /// of 1 (states are at most 1).
  public var tolerance: Double
  /// Linear recurrences solved before the sequential form takes over.
  public var iterations: Int

  public init(tolerance: Double = 16, iterations: Int = 16) {
    precondition(tolerance > 0 && iterations >= 1)
    self.tolerance = tolerance
    self.iterations = iterations
  }
}
