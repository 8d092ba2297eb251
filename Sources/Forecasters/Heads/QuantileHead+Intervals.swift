// Apart from the head, because Foundation has an `Operation` of its own.

import Foundation
public import NumericsCore

extension QuantileHead {
  /// Starts with the intervals of a random walk, in place of equal ones: for a training that is too noisy to learn
  /// widths from the data. They are a function of public numbers alone.
  ///
  /// The errors of the last value of a random walk as a forecast have the deviation `s sqrt(h)` after h steps, s that
  /// of one step. In a window of L values, scaled to the deviation 1, s is `sqrt(6 / L)`: the mean squared deviation
  /// of a walk from its own mean is `s² (L² - 1) / 6L`.
  public func initializeIntervals(_ parameters: Buffer<Element>, contextLength: Int) {
    let scores = levels.map(NormalDistribution.quantile)
    for h in 0..<horizon {
      let deviation = (6 * Double(h + 1) / Double(contextLength)).squareRoot()
      for q in levels.indices where q != median {
        let width = deviation * abs(scores[q] - scores[q < median ? q + 1 : q - 1])
        // The inverse of softplus.
        parameters[bias.offset + h * levels.count + q] = Element(log(expm1(width)))
      }
    }
  }
}
