// Names: shape letters N, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// Quantiles of what predictions leave, for every step ahead.
///
/// Those of a step's own residuals where there are many; with fewer, they are drawn towards the shape of all steps'
/// residuals together, widened to the step's own spread.
struct ResidualQuantiles {
  /// `[H, Q]`, rising in `Q`.
  let values: [Double]
  /// Mean quantile loss of the residuals around them.
  let loss: Double

  /// Residuals of a step at which its own and the common shape count alike.
  private static let trust = 100.0

  /// - Parameter residuals: `[N, H]`, NaN where missing.
  init(_ residuals: Buffer<Float>, steps H: Int, levels: [Double]) {
    let N = residuals.count / max(H, 1)
    let Q = levels.count
    var own = (0..<H).map { h in
      (0..<N).map { residuals[$0 * H + h] }.filter { !$0.isNaN }.sorted()
    }
    // A step that was never observed is as uncertain as the one before.
    for h in 0..<H where own[h].isEmpty { own[h] = h > 0 ? own[h - 1] : [0] }
    let spreads = own.map { row in
      (row.reduce(0) { $0 + Double($1) * Double($1) } / Double(row.count)).squareRoot()
    }
    // Of very many a part tells the shape, in which they hardly count.
    let part = max(1, N >> 12)
    let common = zip(own, spreads).flatMap { row, spread in
      spread > 0 ? stride(from: 0, to: row.count, by: part).map { row[$0] / Float(spread) } : []
    }.sorted()
    var values = [Double](repeating: 0, count: H * Q)
    for h in 0..<H {
      let weight = Double(own[h].count) / (Double(own[h].count) + Self.trust)
      for (q, level) in levels.enumerated() {
        let shared = common.isEmpty ? 0 : spreads[h] * Self.quantile(common, level)
        values[h * Q + q] = weight * Self.quantile(own[h], level) + (1 - weight) * shared
      }
    }
    self.values = values
    var (sum, count) = (0.0, 0.0)
    for h in 0..<H {
      for residual in own[h] {
        for (q, level) in levels.enumerated() {
          let error = Double(residual) - values[h * Q + q]
          sum += error >= 0 ? level * error : (level - 1) * error
        }
      }
      count += Double(own[h].count * Q)
    }
    loss = count > 0 ? sum / count : 0
  }

  /// Nearly unbiased whatever the distribution (Hyndman & Fan 1996, definition 8).
  private static func quantile(_ sorted: [Float], _ level: Double) -> Double {
    let position = (Double(sorted.count) + 1.0 / 3) * level + 1.0 / 3 - 1
    let below = min(max(Int(position.rounded(.down)), 0), sorted.count - 1)
    let above = min(below + 1, sorted.count - 1)
    let part = min(max(position - Double(below), 0), 1)
    return Double(sorted[below]) * (1 - part) + Double(sorted[above]) * part
  }
}
