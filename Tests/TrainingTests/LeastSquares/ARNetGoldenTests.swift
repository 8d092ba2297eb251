// Names: shape letters D, P.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import TestSupport
import Testing
import Training

@Suite("AR-Net: golden values")
struct ARNetGoldenTests {
  static let fixtures = try? LayerFixture.all {
    $0.inputs["series"] != nil && $0.outputs["p3.coefficients_lag1_to_p"] != nil
  }

  @Test("there are files to check")
  func present() { #expect(LayerFixture.isElsewhere || !(Self.fixtures ?? []).isEmpty) }

  /// Lags of a series, lag 1 first, and what follows.
  private func data(_ series: [Double], order: Int) -> RegressionData {
    let data = RegressionData(
      places: (order..<series.count).map { .init(series: 0, position: $0) }, width: order, steps: 1)
    for row in 0..<data.rows {
      for lag in 0..<order {
        data.features[row * order + lag] = Float(series[order + row - 1 - lag])
      }
      data.targets[row] = Float(series[order + row])
    }
    return data
  }

  /// The normal equations, constant last.
  private func equations(_ series: [Double], order: Int) -> (
    gram: Buffer<Double>, products: Buffer<Double>, squares: Double, rows: Double
  ) {
    let P = order + 1
    let (gram, products) = (Buffer<Double>(P * P), Buffer<Double>(P))
    var squares = 0.0
    for t in order..<series.count {
      let x = (1...order).map { series[t - $0] } + [1]
      Cholesky.addGram(rows: 1, P, x, to: gram.base)
      for k in 0..<P { products[k] += x[k] * series[t] }
      squares += series[t] * series[t]
    }
    return (gram, products, squares, Double(series.count - order))
  }

  /// Mean squared error plus the weighted regulariser, and its gradient.
  private func objective(_ w: [Double], _ series: [Double], sparsity: Double) -> (
    value: Double, gradient: [Double]
  ) {
    let order = w.count - 1
    let n = Double(series.count - order)
    var value = 0.0
    var gradient = [Double](repeating: 0, count: order + 1)
    for t in order..<series.count {
      let x = (1...order).map { series[t - $0] } + [1]
      let error = zip(x, w).reduce(-series[t]) { $0 + $1.0 * $1.1 }
      value += error * error / n
      for k in 0...order { gradient[k] += 2 * error * x[k] / n }
    }
    for k in 0..<order {
      value += sparsity / Double(order) * SparseRegression.regulariser(w[k])
      if w[k] != 0 {
        gradient[k] +=
          sparsity / Double(order) * SparseRegression.slope(abs(w[k])) * (w[k] < 0 ? -1 : 1)
      }
    }
    return (value, gradient)
  }

  @Test("golden: coefficients, predictions, regulariser and recursion", arguments: fixtures ?? [])
  func golden(fixture: LayerFixture) throws {
    let series = try #require(fixture.inputs["series"]).data
    let orders = Set(
      fixture.outputs.keys.compactMap { name in
        name.hasPrefix("p") ? Int(name.dropFirst().prefix { $0 != "." }) : nil
      })
    #expect(!orders.isEmpty)
    for order in orders {
      func tensor(_ name: String) throws -> LayerFixture.Tensor {
        try #require(fixture.outputs["p\(order).\(name)"])
      }
      let forward = fixture.tolerance.f64.forward
      let equations = equations(series, order: order)
      let factor = Buffer(equations.gram.array)
      #expect(Cholesky.factor(factor.base, order + 1))
      let solution = Buffer(equations.products.array)
      Cholesky.solve(factor.base, order + 1, solution.base, columns: 1)
      let w = solution.array
      fixture.compare(w, try tensor("coefficients_lag1_to_p"), forward, "coefficients")
      fixture.compare([w[order]], try tensor("intercept"), forward, "intercept")
      let predictions = (order..<series.count).map { t in
        (0..<order).reduce(w[order]) { $0 + w[$1] * series[t - 1 - $1] }
      }
      fixture.compare(predictions, try tensor("one_step_predictions"), forward, "predictions")

      // What fits models reads single precision.
      let fitted = try RidgeRegression(data(series, order: order), threads: 1).solution(1e-10)
      let single = fixture.tolerance.f32.forward
      fixture.compare(
        fitted.coefficients, try tensor("coefficients_lag1_to_p"), single, "regression")
      fixture.compare(fitted.constants, try tensor("intercept"), single, "constant")

      let at = objective(
        [Double](repeating: 0.1, count: order + 1), series, sparsity: 0.05)
      fixture.compare(
        [at.value], try tensor("at_w_0.1_loss_mse_plus_0.05_R"), forward, "regularised loss")
      fixture.compare(
        at.gradient, try tensor("at_w_0.1_gradient_of_mse_plus_0.05_R"), fixture.tolerance.f64.grad,
        "regularised gradient")

      if order == 3, let recursion = fixture.outputs["recursive_forecast_12_steps_p3"] {
        var ahead = series
        for _ in recursion.data.indices {
          ahead.append((0..<3).reduce(w[3]) { $0 + w[$1] * ahead[ahead.count - 1 - $1] })
        }
        fixture.compare(
          Array(ahead.suffix(recursion.data.count)), recursion, forward, "recursion")
      }
    }
  }

  @Test(
    "the sparse form is as low as the gradient leads, and where it leads",
    arguments: [0.02, 0.05, 0.2, 1])
  func sparse(sparsity: Double) throws {
    // An autoregression of lags 1 and 4 of 8.
    var random = SeededGenerator(seed: 12)
    var series = random.normals(4)
    for t in 4..<600 {
      series.append(0.3 + 0.5 * series[t - 1] + 0.3 * series[t - 4] + random.normal())
    }
    let order = 8
    let equations = equations(series, order: order)
    let factor = Buffer(equations.gram.array)
    #expect(Cholesky.factor(factor.base, order + 1))
    let least = Buffer(equations.products.array)
    Cholesky.solve(factor.base, order + 1, least.base, columns: 1)
    let sparse = Buffer(least.array)
    SparseRegression(
      gram: equations.gram, products: equations.products, columns: 1, count: equations.rows,
      penalty: 0, sparsity: sparsity, unit: 1
    ).refine(sparse.base)
    let found = objective(sparse.array, series, sparsity: sparsity)

    // Adam with a falling rate from the least squares, as the paper trains; near zero it goes to and fro, so the
    // lowest value counts, with small coefficients at zero.
    var w = least.array
    var (first, second) = ([Double](repeating: 0, count: 9), [Double](repeating: 0, count: 9))
    var lowest = Double.infinity
    for step in 1...6000 {
      let rate = 0.02 * pow(1 - Double(step - 1) / 6000, 2) + 1e-7
      let gradient = objective(w, series, sparsity: sparsity).gradient
      for k in w.indices {
        first[k] = 0.9 * first[k] + 0.1 * gradient[k]
        second[k] = 0.999 * second[k] + 0.001 * gradient[k] * gradient[k]
        let correction = (1 - pow(0.999, Double(step))).squareRoot() / (1 - pow(0.9, Double(step)))
        w[k] -= rate * correction * first[k] / (second[k].squareRoot() + 1e-12)
      }
    }
    lowest = min(
      objective(w, series, sparsity: sparsity).value,
      objective(
        w.enumerated().map { $0 < 8 && abs($1) < 0.01 ? 0 : $1 }, series, sparsity: sparsity
      )
      .value)
    #expect(found.value <= lowest + 1e-4, "\(found.value), by the gradient \(lowest)")
    // A minimum: no slope where coefficients are, and none of them would rather be elsewhere.
    for (k, weight) in sparse.array.enumerated() where weight != 0 {
      expectClose(found.gradient[k], 0, absolute: 1e-5)
    }
    for k in 0..<8 {
      for value in [-0.5, -0.2, -0.05, 0, 0.05, 0.2, 0.5] {
        var moved = sparse.array
        moved[k] = value
        #expect(objective(moved, series, sparsity: sparsity).value >= found.value - 1e-9)
      }
    }
    if sparsity == 0.2 {
      let kept = (0..<8).filter { sparse[$0] != 0 }
      #expect(kept == [0, 3], "kept lags \(kept.map { $0 + 1 })")
    }
  }
}
