import Foundation

/// The largest modulus of a square matrix's eigenvalues, which need be neither real nor distinct.
public enum SpectralRadius {
  /// By Gelfand's formula `|A^k|^(1/k)` at `k = 2^16`, reached by squaring: a product of matrices each time,
  /// and no vector that could lie in the wrong place, as in the power method with complex pairs.
  ///
  /// - Parameter a: `[n, n]`.
  /// - Returns: a number above the radius by less than `log(c) / 65536` of it, with `c` the condition of the
  ///   eigenvectors; 0 for a nilpotent matrix.
  public static func of(_ a: [Double], _ n: Int) -> Double {
    precondition(a.count == n * n)
    var power = a
    var square = a
    // A^(2^s) is power * exp(logarithm).
    var logarithm = 0.0
    let squarings = 16
    for step in 0...squarings {
      let norm = power.reduce(0) { $0 + $1 * $1 }.squareRoot()
      guard norm > 0, norm.isFinite else { return norm == 0 ? 0 : norm }
      logarithm += log(norm)
      for k in power.indices { power[k] /= norm }
      if step == squarings { break }
      Double.multiply(
        n, n, n, alpha: 1, power, .plain, lda: n, power, .plain, ldb: n, beta: 0, &square, ldc: n)
      swap(&power, &square)
      logarithm *= 2
    }
    return exp(logarithm / Double(1 << squarings))
  }
}
