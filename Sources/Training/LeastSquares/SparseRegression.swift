// Names: shape letters D, P.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
package import NumericsCore

/// The sparse form of AR-Net (Triebe, Laptev & Rajagopal 2019): the mean squared error plus `sparsity` times
/// `R(w) = mean(2 / (1 + exp(-c1 |w|^(1 / c2))) - 1)`, the constant left out, with `c1 = c2 = 3`.
///
/// The paper descends along the gradient. Here the same function of the Gram matrix is majorised: `R` rises ever
/// more slowly in `w²`, so it lies below its tangents there, and the minimum of error and tangent is a ridge
/// regression with a weight for each coefficient (Hunter & Lange 2004). No step rises, none needs a rate, and what
/// goes to zero arrives there: near zero the tangents are steep without bound. Coefficients that the path from the
/// least squares has taken to zero are then tried one by one, which leaves minima that a path cannot, until none
/// changes: a minimum along every axis.
package struct SparseRegression {
  package static let c1 = 3.0
  package static let c2 = 3.0

  /// `[P, P]`, the lower triangle, constant last, and `[P, columns]`: sums over `count` rows.
  let gram: Buffer<Double>
  let products: Buffer<Double>
  let columns: Int
  let count: Double
  /// Of the ridge, for each row.
  let penalty: Double
  let sparsity: Double
  /// What a coefficient is multiplied with to be one of the features as they came.
  let unit: Double

  package init(
    gram: Buffer<Double>, products: Buffer<Double>, columns: Int, count: Double, penalty: Double,
    sparsity: Double, unit: Double
  ) {
    self.gram = gram
    self.products = products
    self.columns = columns
    self.count = count
    self.penalty = penalty
    self.sparsity = sparsity
    self.unit = unit
  }

  /// `2 / (1 + exp(-c1 |w|^(1/c2))) - 1`, which is `tanh(c1 |w|^(1/c2) / 2)`.
  package static func regulariser(_ w: Double) -> Double {
    tanh(c1 * pow(abs(w), 1 / c2) / 2)
  }

  /// Its slope in `|w|`, above zero.
  package static func slope(_ w: Double) -> Double {
    let value = regulariser(w)
    return (1 - value * value) * c1 / (2 * c2) * pow(abs(w), 1 / c2 - 1)
  }

  /// - Parameter solution: `[P, columns]`: the least squares, then the sparse solution.
  package func refine(_ solution: UnsafeMutablePointer<Double>) {
    let P = Int(Double(gram.count).squareRoot().rounded())
    let system = Buffer<Double>(P * P)
    var w = [Double](repeating: 0, count: P)
    var roots = w
    for column in 0..<columns {
      for k in 0..<P { w[k] = solution[k * columns + column] }
      for _ in 0..<20 {
        majorise(&w, column, &roots, system)
        if !exchange(&w, column) { break }
      }
      for k in 0..<P { solution[k * columns + column] = w[k] }
    }
  }

  private func entry(_ i: Int, _ j: Int, _ P: Int) -> Double {
    gram[max(i, j) * P + min(i, j)]
  }

  /// Weighted ridge regressions until nothing moves. With `w = s v` and `s` the root of one over the weight, the
  /// system is that of `v` with the unit matrix as penalty, which zeros do not spoil.
  private func majorise(
    _ w: inout [Double], _ column: Int, _ roots: inout [Double], _ system: Buffer<Double>
  ) {
    let P = w.count
    let D = P - 1
    var right = [Double](repeating: 0, count: P)
    for _ in 0..<500 {
      for k in 0..<D {
        let size = abs(w[k]) * unit
        if size < 1e-9 {
          (w[k], roots[k]) = (0, 0)
          continue
        }
        let weight =
          penalty + sparsity / Double(D) * Self.slope(size) / (2 * size) * unit * unit
        roots[k] = (1 / (weight * count)).squareRoot()
      }
      for i in 0..<P {
        let own = i < D ? roots[i] : 1
        for j in 0...i {
          system[i * P + j] = own * (j < D ? roots[j] : 1) * gram[i * P + j]
        }
        if i < D { system[i * P + i] += 1 }
        right[i] = own * products[i * columns + column]
      }
      guard Cholesky.factor(system.base, P) else { return }
      Cholesky.solve(system.base, P, &right, columns: 1)
      var change = 0.0
      for k in 0..<P {
        let next = (k < D ? roots[k] : 1) * right[k]
        change = max(change, abs(next - w[k]))
        w[k] = next
      }
      if change < 1e-10 { return }
    }
  }

  /// Puts each coefficient at the minimum along its own axis, zero included.
  ///
  /// - Returns: whether any changed sides.
  private func exchange(_ w: inout [Double], _ column: Int) -> Bool {
    let P = w.count
    let D = P - 1
    var changed = false
    for k in 0..<D {
      let curvature = entry(k, k, P) / count + penalty
      guard curvature > 0 else { continue }
      var rest = products[k * columns + column]
      for j in 0..<P where j != k { rest -= entry(k, j, P) * w[j] }
      let (slope, minimum) = (rest / count, rest / count / curvature)
      func value(_ x: Double) -> Double {
        curvature * x * x - 2 * slope * x + sparsity / Double(D) * Self.regulariser(x * unit)
      }
      // The penalty pulls towards zero: fixed points of the slope, from the least squares downwards.
      var x = minimum
      for _ in 0..<200 {
        let size = abs(x) * unit
        guard size > 1e-9 else {
          x = 0
          break
        }
        let weight = sparsity / Double(D) * Self.slope(size) * unit * unit / (2 * size)
        let next = slope / (curvature + weight)
        let isDone = abs(next - x) < 1e-12
        x = next
        if isDone { break }
      }
      if value(x) >= 0 { x = 0 }
      if (x == 0) != (w[k] == 0) || (x != 0 && value(x) < value(w[k]) - 1e-12) {
        w[k] = x
        changed = true
      }
    }
    return changed
  }
}
