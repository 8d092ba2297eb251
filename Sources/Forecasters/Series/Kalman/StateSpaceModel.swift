/// A linear-Gaussian state space model with one observation a step (Durbin & Koopman 2012, chapter 3):
/// `y_t = z' a_t + e_t`, `a_t = T_t a_{t-1} + w_t`, with `e_t ~ N(0, h)` and independent `w_t,j ~ N(0, q_g(j))`.
///
/// Belongs to one thread: the damping can be changed.
package final class StateSpaceModel {
  /// Numbers `n` in a state.
  package let size: Int
  /// `T`, by how a step follows the one before; the first is the ordinary one.
  package let transitions: [SparseMatrix]
  private(set) var transposed: [SparseMatrix]
  /// What of a state is observed: `z`.
  package let readout: [(state: Int, weight: Double)]
  /// For each state the variance of its disturbance among those of the model, where 0 is `h`; nil for none.
  package let variance: [Int?]
  /// Mean `[n]` and covariance `[n, n]` of the state before the first transition.
  package let mean: [Double]
  package let covariance: [Double]
  /// The column of `T` whose entries in `damped.rows` are the damping factor.
  let damped: (column: Int, rows: [Int])?

  package init(
    size: Int, transitions: [SparseMatrix], readout: [(state: Int, weight: Double)],
    variance: [Int?], mean: [Double], covariance: [Double],
    damped: (column: Int, rows: [Int])? = nil
  ) {
    precondition(variance.count == size && mean.count == size && covariance.count == size * size)
    self.size = size
    self.transitions = transitions
    transposed = transitions.map(\.transposed)
    self.readout = readout
    self.variance = variance
    self.mean = mean
    self.covariance = covariance
    self.damped = damped
  }

  /// Variances of the model, `h` included.
  package var varianceCount: Int { 1 + (variance.compactMap { $0 }.max() ?? 0) }

  /// The damping factor; 1 where there is none.
  package var damping: Double {
    get { damped.map { transitions[0][$0.rows[0], $0.column] } ?? 1 }
    set {
      guard let damped else { return }
      for (matrix, transpose) in zip(transitions, transposed) {
        for row in damped.rows {
          matrix[row, damped.column] = newValue
          transpose[damped.column, row] = newValue
        }
      }
    }
  }
}
