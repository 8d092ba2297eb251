import Foundation
import NumericsCore

/// Starting values of the step `dt` of a discretised state space.
struct StepSize: Sendable {
  /// 0.001 to 0.1, as in the papers: modes down to those that remember thousands of steps.
  static let papers = StepSize(smallest: 0.001, largest: 0.1)

  let smallest: Double
  let largest: Double

  private init(smallest: Double, largest: Double) {
    (self.smallest, self.largest) = (smallest, largest)
  }

  /// Those of the papers, without steps for which the slowest mode would outlast the context.
  ///
  /// Training never sees such a mode settle: it goes on growing in a longer stream, under weights that were fitted to
  /// its beginning, and the error with it. The papers' contexts have thousands of steps.
  ///
  /// - Parameters:
  ///   - context: steps.
  ///   - rate: `-Re A` of the slowest mode.
  init(context: Int, rate: Double) {
    smallest = max(Self.papers.smallest, 1 / (rate * Double(context)))
    largest = max(Self.papers.largest, 4 * smallest)
  }

  /// `log dt` with `dt` log-uniform.
  func logUniform(using stream: inout RandomStream) -> Double {
    log(smallest) + (log(largest) - log(smallest)) * stream.uniform()
  }

  /// Steps spaced evenly in their logarithm; of one alone, the one in the middle.
  func spaced(_ index: Int, of count: Int) -> Double {
    let share = count > 1 ? Double(index) / Double(count - 1) : 0.5
    return exp(log(smallest) + (log(largest) - log(smallest)) * share)
  }

  /// The `x` with `log(1 + exp(x)) = exp(y)`.
  static func inverseSoftplus(ofLogarithm y: Double) -> Double { log(expm1(exp(y))) }
}

/// Foundation's function, for files that do not import it.
func logarithm(_ x: Double) -> Double { log(x) }
