// Names: shape letters N, H.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// Targets that are moved to within a measure of their predictions: least squares of them are the estimate of Huber
/// (1964) of the targets themselves, and the Gram matrix stays what it is (the modified residuals of Huber & Dutter
/// 1974).
final class WinsorisedTargets {
  static let rounds = 2
  /// Standard deviations of normal residuals that count in full: an efficiency of 96 % where they are normal.
  private static let measure: Float = 1.5

  private let data: RegressionData
  private let original: Buffer<Float>

  init(_ data: RegressionData) {
    self.data = data
    original = Buffer(data.targets.count)
    original.copy(from: data.targets)
  }

  /// Moves targets whose residuals are too large.
  ///
  /// - Parameter residuals: `[N, H]` of the original targets, NaN where missing.
  func limit(_ residuals: Buffer<Float>) {
    let (N, H) = (data.rows, data.steps)
    var sizes: [Float] = []
    sizes.reserveCapacity(N)
    for h in 0..<H {
      sizes.removeAll(keepingCapacity: true)
      // Of very many a part tells the median.
      for row in stride(from: 0, to: N, by: max(1, N >> 14)) {
        let size = abs(residuals[row * H + h])
        if !size.isNaN { sizes.append(size) }
      }
      guard !sizes.isEmpty else { continue }
      sizes.sort()
      // The median of normal residuals' sizes is 0.6745 standard deviations.
      let limit = Self.measure * sizes[sizes.count / 2] / 0.6745
      for row in 0..<N {
        let (k, residual) = (row * H + h, residuals[row * H + h])
        data.targets[k] = original[k] - residual + max(-limit, min(limit, residual))
      }
    }
  }

  /// Turns residuals of the moved targets into those of the original ones.
  func restore(_ residuals: Buffer<Float>) {
    for k in 0..<residuals.count { residuals[k] += original[k] - data.targets[k] }
  }
}
