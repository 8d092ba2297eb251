import Foundation

/// Functions on -1 to 1 whose sums are forecasts: what the coefficients of a functional-basis decoder (FlowState;
/// Graf et al. 2025, arXiv 2508.05287) are coefficients of.
public enum FunctionalBasis: String, Sendable, Codable, CaseIterable {
  /// Legendre polynomials `P_k`.
  case legendre
  /// 1, then sine and cosine of 1, 2, ... half turns over the interval.
  case fourier

  /// The first `count` functions at `x`.
  public func values(_ count: Int, at x: Double) -> [Double] {
    switch self {
    case .legendre:
      var values = [1.0, x]
      for k in 1..<max(count, 2) {
        values.append(
          (Double(2 * k + 1) * x * values[k] - Double(k) * values[k - 1]) / Double(k + 1))
      }
      return Array(values.prefix(count))
    case .fourier:
      return (0..<count).map { k in
        let angle = .pi / 2 * Double((k + 1) / 2) * (x + 1)
        return k == 0 ? 1 : k % 2 == 1 ? sin(angle) : cos(angle)
      }
    }
  }
}
