import Foundation

/// How far a mechanism allows an observer to tell neighbouring data sets apart, for all error rates at once.
///
/// With f the trade-off function (Dong, Roth & Su 2022), an event that has probability x without a record has at
/// most `bound(x) = 1 - f(x)` with it, or the other way around. The curve is made of some points (epsilon, delta) for which
/// the mechanism is known to be differentially private: it lies at or above the true one, so that a test
/// against it is on the safe side.
package struct TradeOffCurve: Sendable {
  private struct Point {
    let delta: Double
    let growth: Double
  }
  private let points: [Point]

  /// From where some thousand canaries can show nothing to where nothing is promised any more.
  private static let deltas = [
    1e-6, 1e-5, 1e-4, 1e-3, 0.003, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4,
    0.5, 0.6, 0.7, 0.8, 0.9,
  ]

  /// - Throws: `PrivacyError`.
  package init(_ accountant: PrivacyLossAccountant) throws {
    points = try Self.deltas.compactMap { delta in
      let epsilon = try accountant.epsilon(atDelta: delta)
      return epsilon < 700 ? Point(delta: delta, growth: exp(epsilon)) : nil
    }
  }

  /// The largest probability with the record of an event that has `probability` without it.
  package func bound(_ probability: Double) -> Double {
    points.reduce(1) { least, point in
      min(
        least, point.delta + point.growth * probability,
        1 - (1 - point.delta - probability) / point.growth)
    }
  }
}
