// Names: shape letters T.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Kalman filter")
struct KalmanFilterTests {
  static let fixtures = try? LayerFixture.all {
    $0.weights["log_variances"] != nil && $0.outputs["predicted_var"] != nil
  }

  @Test("there are files to check")
  func present() { #expect(LayerFixture.isElsewhere || !(Self.fixtures ?? []).isEmpty) }

  @Test(
    "golden: filtered and predicted states, likelihood, its gradient and forecasts",
    arguments: fixtures ?? [])
  func golden(fixture: LayerFixture) throws {
    func data(_ tensor: LayerFixture.Tensor?) throws -> [Double] { try #require(tensor).data }
    let logarithms = try data(fixture.weights["log_variances"])
    let n = logarithms.count - 1
    #expect(n == 1 || n == 2)
    let entries: [(row: Int, column: Int, value: Double)] =
      n == 1 ? [(0, 0, 1)] : [(0, 0, 1), (0, 1, 1), (1, 1, 1)]
    let model = StateSpaceModel(
      size: n, transitions: [SparseMatrix(n, entries)], readout: [(0, 1)],
      variance: (0..<n).map { $0 + 1 }, mean: try data(fixture.weights["m0"]),
      covariance: try data(fixture.weights["P0"]))
    let observed = try data(fixture.inputs["observed"])
    let y = zip(try data(fixture.inputs["y"]), observed).map { $1 == 0 ? Double.nan : $0 }
    let variances = logarithms.map { exp($0) }
    let filter = KalmanFilter(model)
    var (means, covariances): ([Double], [Double]) = ([], [])
    var (predicted, spreads): ([Double], [Double]) = ([], [])
    let watched = y.withUnsafeBufferPointer {
      filter.run($0, variances: variances) { _, a, p, m, filtered in
        means += m.array
        covariances += filtered.array
        predicted.append(a[0])
        spreads.append(p[0] + variances[0])
      }
    }
    let bound = fixture.tolerance.f64
    fixture.compare(means, try #require(fixture.outputs["filtered_mean"]), bound.forward, "mean")
    fixture.compare(
      covariances, try #require(fixture.outputs["filtered_cov"]), bound.forward, "covariance")
    fixture.compare(
      predicted, try #require(fixture.outputs["predicted_mean"]), bound.forward, "predicted")
    fixture.compare(
      spreads, try #require(fixture.outputs["predicted_var"]), bound.forward, "predicted variance")
    let likelihood = y.withUnsafeBufferPointer { filter.run($0, variances: variances) }
    let loss = try #require(fixture.loss)
    expectClose(likelihood, loss, relative: bound.forward.rel)
    expectClose(watched, loss, relative: bound.forward.rel)
    let gradient = zip(filter.gradient().variances, variances).map { $0 * $1 }
    fixture.compare(gradient, try #require(fixture.grads["log_variances"]), bound.grad, "gradient")
    var (ahead, aheadSpreads): ([Double], [Double]) = ([], [])
    let expected = try #require(fixture.outputs["forecast_mean"])
    filter.forecast(expected.data.count) { _, mean, variance in
      ahead.append(mean)
      aheadSpreads.append(variance)
    }
    fixture.compare(ahead, expected, bound.forward, "forecast")
    fixture.compare(
      aheadSpreads, try #require(fixture.outputs["forecast_var"]), bound.forward,
      "forecast variance")
  }

  // MARK: Against the joint normal distribution

  /// All observations and states as one normal vector, computed from the definition with dense matrices.
  private struct Dense {
    let n: Int
    let T: Int
    /// Mean and covariance of the states `[T n]`.
    var mean: [Double] = []
    var covariance: [Double] = []

    init(
      _ model: StateSpaceModel, transition: [Double], start: (mean: [Double], covariance: [Double]),
      disturbance: [Double], T: Int
    ) {
      n = model.size
      self.T = T
      let size = n * T
      covariance = [Double](repeating: 0, count: size * size)
      func product(_ a: [Double], _ b: [Double]) -> [Double] {
        (0..<(n * n)).map { place in
          (0..<n).reduce(0) { $0 + a[place / n * n + $1] * b[$1 * n + place % n] }
        }
      }
      let transposed = (0..<(n * n)).map { transition[$0 % n * n + $0 / n] }
      var (m, p) = start
      var own: [[Double]] = []
      for _ in 0..<T {
        let old = m
        m = (0..<n).map { i in (0..<n).reduce(0) { $0 + transition[i * n + $1] * old[$1] } }
        p = product(product(transition, p), transposed)
        for k in 0..<n { p[k * n + k] += disturbance[k] }
        mean += m
        own.append(p)
      }
      // The covariance of a state with a later one: that of its own, carried on.
      for t in 0..<T {
        var carried = own[t]
        for later in t..<T {
          if later > t { carried = product(transition, carried) }
          for i in 0..<n {
            for j in 0..<n {
              covariance[(later * n + i) * size + t * n + j] = carried[i * n + j]
              covariance[(t * n + j) * size + later * n + i] = carried[i * n + j]
            }
          }
        }
      }
    }
  }

  /// A model with all kinds of states, and its transition as a dense matrix.
  private func model(
    _ trend: StructuralModel.Trend, _ form: StructuralModel.Form, season: Int, damping: Double
  ) -> (model: StateSpaceModel, transition: [Double], readout: [Double]) {
    let structure = StructuralModel(
      trend: trend,
      seasons: StructuralModel.seasons([season], span: 100, form: form, harmonics: 0))
    let model = structure.makeModel(advances: [1], diffuse: 3)
    model.damping = damping
    let n = model.size
    var transition: [Double] = []
    for column in 0..<n {
      var unit = [Double](repeating: 0, count: n)
      unit[column] = 1
      var image = unit
      model.transitions[0].apply(unit, &image)
      transition += image
    }
    transition = (0..<(n * n)).map { transition[$0 % n * n + $0 / n] }
    var readout = [Double](repeating: 0, count: n)
    for (state, weight) in model.readout { readout[state] = weight }
    return (model, transition, readout)
  }

  @Test(
    "likelihood, smoothed states and forecasts are those of the joint normal distribution",
    arguments: StructuralModel.Trend.allCases, StructuralModel.Form.allCases)
  func joint(trend: StructuralModel.Trend, form: StructuralModel.Form) throws {
    let (model, transition, readout) = model(trend, form, season: 4, damping: 0.85)
    let (n, T) = (model.size, 11)
    var random = SeededGenerator(seed: 6)
    let variances = (0..<model.varianceCount).map { _ in 0.1 + random.uniform() }
    var y = random.normals(T + 3).map { 2 * $0 }
    for t in [0, 4, 5, 11, 12, 13] { y[t] = .nan }
    let disturbance = model.variance.map { $0.map { variances[$0] } ?? 0 }
    let dense = Dense(
      model, transition: transition, start: (model.mean, model.covariance),
      disturbance: disturbance, T: T + 3)
    // Condition on what is observed.
    let seen = y.indices.filter { !y[$0].isNaN }
    let size = n * (T + 3)
    func weight(_ t: Int, _ state: Int) -> Double { state / n == t ? readout[state % n] : 0 }
    func cross(_ state: Int, _ t: Int) -> Double {
      (0..<n).reduce(0) { $0 + dense.covariance[state * size + t * n + $1] * readout[$1] }
    }
    let k = seen.count
    var spread = [Double](repeating: 0, count: k * k)
    for (i, s) in seen.enumerated() {
      for (j, t) in seen.enumerated() {
        spread[i * k + j] =
          (0..<n).reduce(0) { $0 + readout[$1] * cross(s * n + $1, t) }
          + (i == j ? variances[0] : 0)
      }
    }
    let errors = seen.map { t in
      y[t] - (0..<n).reduce(0) { $0 + readout[$1] * dense.mean[t * n + $1] }
    }
    var factor = spread
    #expect(Cholesky.factor(&factor, k))
    var solved = errors
    Cholesky.solve(factor, k, &solved, columns: 1)
    let determinant = (0..<k).reduce(0) { $0 + 2 * log(factor[$1 * k + $1]) }
    let expected =
      -0.5
      * (Double(k) * log(2 * .pi) + determinant + zip(errors, solved).reduce(0) { $0 + $1.0 * $1.1 })

    let filter = KalmanFilter(model)
    let past = Array(y.prefix(T))
    let likelihood = past.withUnsafeBufferPointer { filter.run($0, variances: variances) }
    expectClose(likelihood, expected, relative: 1e-12)

    func conditional(_ state: Int) -> (mean: Double, cross: [Double]) {
      let cross = seen.map { cross(state, $0) }
      return (dense.mean[state] + zip(cross, solved).reduce(0) { $0 + $1.0 * $1.1 }, cross)
    }
    func conditional(_ a: Int, _ b: Int) -> Double {
      var solved = conditional(b).cross
      Cholesky.solve(factor, k, &solved, columns: 1)
      return dense.covariance[a * size + b]
        - zip(conditional(a).cross, solved).reduce(0) { $0 + $1.0 * $1.1 }
    }
    past.withUnsafeBufferPointer {
      filter.smooth($0, variances: variances) { t, mean, covariance in
        expectClose(mean, (0..<n).map { conditional(t * n + $0).mean }, absolute: 1e-10)
        expectClose(
          covariance, (0..<(n * n)).map { conditional(t * n + $0 / n, t * n + $0 % n) },
          absolute: 1e-10)
      }
    }
    past.withUnsafeBufferPointer { _ = filter.run($0, variances: variances) }
    filter.forecast(3) { step, mean, variance in
      let t = (T + step) * n
      expectClose(
        mean, (0..<n).reduce(0) { $0 + readout[$1] * conditional(t + $1).mean }, absolute: 1e-10)
      let own = (0..<(n * n)).reduce(0) {
        $0 + readout[$1 / n] * readout[$1 % n] * conditional(t + $1 / n, t + $1 % n)
      }
      expectClose(variance, own + variances[0], absolute: 1e-10)
    }
  }

  @Test(
    "gradients by variances and damping agree with differences, long after the gain stands still",
    arguments: StructuralModel.Trend.allCases, [(7, 20), (3, 700)])
  func gradients(trend: StructuralModel.Trend, size: (season: Int, steps: Int)) {
    let structure = StructuralModel(
      trend: trend,
      seasons: StructuralModel.seasons(
        [size.season], span: size.steps, form: .trigonometric, harmonics: 0))
    let model = structure.makeModel(advances: [1, 3], diffuse: 10)
    let filter = KalmanFilter(model)
    var random = SeededGenerator(seed: 2)
    var y = random.normals(size.steps)
    for t in [3, 9, size.steps / 2, size.steps - 1] { y[t] = .nan }
    var ways = [UInt8](repeating: 0, count: size.steps)
    ways[size.steps / 3] = 1
    let variances = (0..<model.varianceCount).map { 0.1 + 0.2 * Double($0) }
    func likelihood(_ variances: [Double], _ damping: Double) -> Double {
      model.damping = damping
      return y.withUnsafeBufferPointer {
        filter.run($0, advances: ways, variances: variances)
      }
    }
    _ = likelihood(variances, 0.9)
    let gradient = filter.gradient()
    let step = 1e-5
    for k in variances.indices {
      var (above, below) = (variances, variances)
      above[k] += step
      below[k] -= step
      let slope = (likelihood(above, 0.9) - likelihood(below, 0.9)) / (2 * step)
      expectClose(gradient.variances[k], slope, absolute: 1e-5, relative: 1e-6)
    }
    if trend == .damped || trend == .reverting {
      let slope =
        (likelihood(variances, 0.9 + step) - likelihood(variances, 0.9 - step)) / (2 * step)
      expectClose(gradient.damping, slope, absolute: 1e-5, relative: 1e-6)
    }
  }

  @Test("covariances stay symmetric and positive over long series with tiny variances")
  func positive() {
    let structure = StructuralModel(
      trend: .linear,
      seasons: StructuralModel.seasons([12], span: 2000, form: .trigonometric, harmonics: 0))
    let filter = KalmanFilter(structure.makeModel(advances: [1], diffuse: 1e6))
    var random = SeededGenerator(seed: 4)
    let y = random.normals(2000)
    var smallest = Double.infinity
    let likelihood = y.withUnsafeBufferPointer {
      filter.run($0, variances: [1e-9, 1e-9, 1e-9, 1e-9]) { _, _, _, _, p in
        for i in 0..<13 { smallest = min(smallest, p[i * 13 + i]) }
      }
    }
    #expect(likelihood.isFinite)
    #expect(smallest > 0)
  }

  @Test("the minimiser finds minima inside of bounds and on them")
  func minimiser() {
    let bounds = QuasiNewton(lower: [-5, -5], upper: [5, 5])
    var x = [-1.2, 1.0]
    let value = bounds.minimise(&x) { x in
      let (a, b) = (1 - x[0], x[1] - x[0] * x[0])
      return (a * a + 100 * b * b, [-2 * a - 400 * x[0] * b, 200 * b])
    }
    #expect(value < 1e-6)
    x = [4, 4]
    _ = QuasiNewton(lower: [1, -5], upper: [5, 5]).minimise(&x) { x in
      (x[0] * x[0] + (x[1] - 2) * (x[1] - 2), [2 * x[0], 2 * (x[1] - 2)])
    }
    expectClose(x, [1, 2], absolute: 1e-4)
  }
}
