// Names: shape letters N, H, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// The mixture of the candidates of the linear start with the least squared error, for every step ahead: what a
/// regression is shrunk towards.
struct LinearStart {
  let steps: Int
  let candidates: Int
  /// `[H, K]`, positive, each row sums to 1.
  private(set) var shares: [Double]

  /// - Parameters:
  ///   - starts: `[N, H, K]`.
  ///   - targets: `[N, H]`, NaN where missing.
  init(
    _ starts: UnsafePointer<Float>, _ targets: UnsafePointer<Float>, rows: Int, steps: Int,
    candidates: Int
  ) {
    self.steps = steps
    self.candidates = candidates
    let K = candidates
    shares = [Double](repeating: 1 / Double(K), count: steps * K)
    guard K > 1 else { return }
    for h in 0..<steps {
      var gram = [Double](repeating: 0, count: K * K)
      var products = [Double](repeating: 0, count: K)
      for row in 0..<rows {
        let y = Double(targets[row * steps + h])
        if y.isNaN { continue }
        let c = starts + (row * steps + h) * K
        for i in 0..<K {
          products[i] += y * Double(c[i])
          for j in 0...i { gram[i * K + j] += Double(c[i]) * Double(c[j]) }
        }
      }
      for i in 0..<K { for j in 0..<i { gram[j * K + i] = gram[i * K + j] } }
      Self.minimise(gram, products, &shares, h * K, K)
    }
  }

  /// Weight is moved between pairs of candidates, as far as is best, until no move helps: each is the minimum of
  /// a parabola, and on a simplex that suffices.
  private static func minimise(
    _ gram: [Double], _ products: [Double], _ shares: inout [Double], _ at: Int, _ K: Int
  ) {
    let scale = (0..<K).reduce(0) { $0 + gram[$1 * K + $1] }
    guard scale > 0 else { return }
    for _ in 0..<200 {
      var moved = 0.0
      for i in 0..<K {
        for j in 0..<i {
          var slope = products[i] - products[j]
          for k in 0..<K { slope -= (gram[i * K + k] - gram[j * K + k]) * shares[at + k] }
          let curvature = gram[i * K + i] + gram[j * K + j] - 2 * gram[i * K + j]
          guard curvature > 1e-12 * scale else { continue }
          let step = min(max(slope / curvature, -shares[at + i]), shares[at + j])
          shares[at + i] += step
          shares[at + j] -= step
          moved = max(moved, abs(step))
        }
      }
      if moved < 1e-9 { break }
    }
    // The head's mixture is a softmax: no share is quite 0.
    var sum = 0.0
    for k in 0..<K {
      shares[at + k] = max(shares[at + k], 1e-9)
      sum += shares[at + k]
    }
    for k in 0..<K { shares[at + k] /= sum }
  }

  func value(_ starts: UnsafePointer<Float>, row: Int, step: Int) -> Double {
    let c = starts + (row * steps + step) * candidates
    var sum = 0.0
    for k in 0..<candidates { sum += shares[step * candidates + k] * Double(c[k]) }
    return sum
  }
}
