import Foundation
import NumericsCore

/// Starting values of the step `dt` of a discretised state space.
enum StepSize {
  /// `log dt` with `dt` log-uniform in 0.001 to 0.1.
  static func logUniform(using stream: inout RandomStream) -> Double {
    log(0.001) + (log(0.1) - log(0.001)) * stream.uniform()
  }

  /// Steps spaced evenly in their logarithm from 0.001 to 0.1; of one alone, 0.01.
  static func spaced(_ index: Int, of count: Int) -> Double {
    let share = count > 1 ? Double(index) / Double(count - 1) : 0.5
    return exp(log(0.001) + (log(0.1) - log(0.001)) * share)
  }

  /// The `x` with `log(1 + exp(x)) = exp(y)`.
  static func inverseSoftplus(ofLogarithm y: Double) -> Double { log(expm1(exp(y))) }
}

/// Foundation's function, for files that do not import it.
func logarithm(_ x: Double) -> Double { log(x) }
