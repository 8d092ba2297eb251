import Foundation
package import NumericsCore

/// The Kalman filter of a model with its log-likelihood by prediction errors, the gradient of that, smoothed
/// states and forecasts (Durbin & Koopman 2012, chapters 4 and 7; Harvey 1990).
///
/// A step predicts, then updates the covariance in Joseph's form, which stays positive; a missing observation
/// skips the update. Once a stretch of observed steps has brought the gain to its limit, covariances stand still
/// and are not computed any more. `O(n²)` a step before that, `O(n)` after. Memory belongs to the filter: nothing
/// is allocated once it has seen its longest series.
package final class KalmanFilter {
  package let model: StateSpaceModel
  private let n: Int
  /// Steps of the last series.
  private(set) var count = 0
  private let variances: Buffer<Double>
  private var advances: [UInt8] = []

  /// Variances of the disturbances of the states.
  private let disturbance: Buffer<Double>
  /// The readout with its zeros.
  private let z: Buffer<Double>

  // Of the state: filtered mean and covariance, predicted ones, products.
  private let m: Buffer<Double>
  private let p: Buffer<Double>
  private let a: Buffer<Double>
  private let predicted: Buffer<Double>
  private let product: Buffer<Double>
  private let scratch: Buffer<Double>

  // Of every step: prediction error and its variance (0 where nothing was observed), gain.
  private let errors = Buffer<Double>(0)
  private let spreads = Buffer<Double>(0)
  private let gains = Buffer<Double>(0)
  /// Mean of the damped state before each step, and the damped column of `T P`.
  private let dampedMeans = Buffer<Double>(0)
  private let dampedColumns = Buffer<Double>(0)
  /// Steps from which the gain stands still, at the end of the series.
  private var steadyFrom = 0

  // Backwards: r and N at a prediction, s and S at the state before the transition into it.
  private let r: Buffer<Double>
  private let s: Buffer<Double>
  private let w: Buffer<Double>
  private let information: Buffer<Double>
  private let before: Buffer<Double>

  package init(_ model: StateSpaceModel) {
    self.model = model
    n = model.size
    variances = Buffer(model.varianceCount)
    disturbance = Buffer(model.size)
    z = Buffer(model.size)
    for (state, weight) in model.readout { z[state] += weight }
    func vector() -> Buffer<Double> { Buffer(model.size) }
    func matrix() -> Buffer<Double> { Buffer(model.size * model.size) }
    (m, a, r, s, w) = (vector(), vector(), vector(), vector(), vector())
    scratch = Buffer(model.size)
    (p, predicted, product) = (matrix(), matrix(), matrix())
    (information, before) = (matrix(), matrix())
  }

  // MARK: Forward

  /// Runs over a series.
  ///
  /// - Parameters:
  ///   - values: oldest first, NaN where missing.
  ///   - advances: for each step the transition into it; the ordinary one where nil.
  ///   - variances: as the model numbers them.
  ///   - isStartKnown: whether the state at the start is its mean, whatever its covariance.
  ///   - visit: sees each step's number, predicted mean and covariance, then filtered mean and covariance.
  /// - Returns: the log-likelihood of the observed values; minus infinity where a variance is not positive.
  @discardableResult
  package func run(
    _ values: UnsafeBufferPointer<Double>, advances: [UInt8]? = nil, variances: [Double],
    isStartKnown: Bool = false,
    visit: ((Int, Buffer<Double>, Buffer<Double>, Buffer<Double>, Buffer<Double>) -> Void)? = nil
  ) -> Double {
    count = values.count
    setVariances(variances)
    self.advances = advances ?? []
    errors.reserve(count)
    spreads.reserve(count)
    gains.reserve(count * n)
    if model.damped != nil {
      dampedMeans.reserve(count)
      dampedColumns.reserve(count * n)
    }
    // Places once and for all: a buffer's is looked up at every use.
    let (errors, spreads, gains) = (self.errors.base, self.spreads.base, self.gains.base)
    let (m, a, z) = (self.m.base, self.a.base, self.z.base)
    let dampedMeans = self.dampedMeans.base
    for k in 0..<n { m[k] = model.mean[k] }
    for k in 0..<(n * n) { p[k] = isStartKnown ? 0 : model.covariance[k] }
    var likelihood = 0.0
    /// Steps in a row that left the gain as it was.
    var unchanged = 0
    var isSteady = false
    steadyFrom = count
    for t in 0..<count {
      let way = transition(into: t)
      let observed = !values[t].isNaN
      if isSteady, !observed || way != 0 {
        isSteady = false
        unchanged = 0
        steadyFrom = count
      }
      predict(way, covariance: !isSteady)
      if let damped = model.damped {
        dampedMeans[t] = lastDamped
        let (column, product) = (dampedColumns.base + t * n, product.base)
        for k in 0..<n { column[k] = product[k * n + damped.column] }
      }
      guard observed else {
        m.update(from: a, count: n)
        p.copy(from: predicted)
        spreads[t] = 0
        unchanged = 0
        visit?(t, self.a, predicted, self.m, p)
        continue
      }
      let gain = gains + t * n
      var error = values[t]
      for (state, weight) in model.readout { error -= weight * a[state] }
      if isSteady {
        gain.update(from: gain - n, count: n)
        spreads[t] = spreads[t - 1]
      } else {
        let spread = CovarianceKernels.update(
          n, z: z, noise: self.variances[0], predicted.base, gain: gain, p.base,
          scratch: scratch.base)
        guard spread > 0, spread.isFinite else { return -.infinity }
        spreads[t] = spread
        unchanged = way == 0 && t > 0 && isUnchanged(t) ? unchanged + 1 : 0
        if unchanged > n + 4, visit == nil {
          isSteady = true
          steadyFrom = t
        }
      }
      errors[t] = error
      for k in 0..<n { m[k] = a[k] + gain[k] * error }
      likelihood -= 0.5 * (log(2 * .pi * spreads[t]) + error * error / spreads[t])
      visit?(t, self.a, predicted, self.m, p)
    }
    return likelihood
  }

  private func setVariances(_ numbers: [Double]) {
    for k in 0..<variances.count { variances[k] = numbers[k] }
    for k in 0..<n { disturbance[k] = model.variance[k].map { numbers[$0] } ?? 0 }
  }

  private func transition(into t: Int) -> Int { advances.isEmpty ? 0 : Int(advances[t]) }

  private var lastDamped = 0.0

  private func predict(_ way: Int, covariance: Bool) {
    if let damped = model.damped { lastDamped = m[damped.column] }
    let matrix = model.transitions[way]
    matrix.apply(m.base, a.base)
    guard covariance else { return }
    matrix.congruence(
      p.base, variances: disturbance.base, predicted.base, product: product.base)
  }

  /// Relative change of a step, below which gains are taken to stand still: as many steps as there are states have to
  /// pass below it.
  private static let steady = 1e-11

  /// Whether the gain is that of the step before, nearly to rounding.
  private func isUnchanged(_ t: Int) -> Bool {
    guard spreads[t - 1] > 0, abs(spreads[t] - spreads[t - 1]) <= Self.steady * spreads[t] else {
      return false
    }
    let (gain, last) = (gains.base + t * n, gains.base + (t - 1) * n)
    var (difference, largest) = (0.0, 0.0)
    for k in 0..<n {
      difference = max(difference, abs(gain[k] - last[k]))
      largest = max(largest, abs(gain[k]))
    }
    return difference <= Self.steady * largest
  }

  // MARK: Backward

  /// Derivatives of the log-likelihood of the last run by the variances and, last, by the damping: the
  /// disturbance smoother (Koopman & Shephard 1992), exact.
  package func gradient() -> (variances: [Double], damping: Double) {
    var noise = 0.0
    var damping = 0.0
    var own = [Double](repeating: 0, count: n)
    let (spreads, dampedMeans) = (spreads.base, dampedMeans.base)
    let (dampedColumns, r, information) = (dampedColumns.base, r.base, information.base)
    backward { t, u, d in
      if spreads[t] > 0 { noise += 0.5 * (u * u - d) }
      for k in 0..<n { own[k] += 0.5 * (r[k] * r[k] - information[k * n + k]) }
      guard let damped = model.damped else { return }
      let column = dampedColumns + t * n
      var inner = 0.0
      for k in 0..<n { inner += r[k] * column[k] }
      for row in damped.rows {
        var sum = r[row] * (dampedMeans[t] + inner)
        let line = information + row * n
        for k in 0..<n { sum -= line[k] * column[k] }
        damping += sum
      }
    }
    var slopes = [Double](repeating: 0, count: variances.count)
    slopes[0] = noise
    for k in 0..<n { if let number = model.variance[k] { slopes[number] += own[k] } }
    return (slopes, damping)
  }

  /// The logarithm of the determinant of the information that a series has about the state at the start, which is
  /// taken as unknown: what the errors from a known start do when it is moved (Rosenberg 1973).
  ///
  /// - Returns: nil where the series does not determine the start.
  package func logInformationOfStart(
    _ values: UnsafeBufferPointer<Double>, advances: [UInt8]? = nil, variances: [Double]
  ) -> Double? {
    guard
      run(values, advances: advances, variances: variances, isStartKnown: true).isFinite
    else { return nil }
    let (information, response, next) = (information.base, before.base, product.base)
    information.update(repeating: 0, count: n * n)
    response.update(repeating: 0, count: n * n)
    for k in 0..<n { response[k * n + k] = 1 }
    for t in 0..<count {
      model.transitions[transition(into: t)].apply(response, columns: n, next)
      response.update(from: next, count: n * n)
      guard spreads[t] > 0 else { continue }
      CovarianceKernels.response(
        n, z: z.base, spread: spreads[t], gain: gains.base + t * n, response,
        information: information, scratch: w.base)
    }
    guard Cholesky.factor(information, n) else { return nil }
    return (0..<n).reduce(0) { $0 + 2 * log(information[$1 * n + $1]) }
  }

  /// Means and covariances of the states given the whole series: the numbers of the Rauch-Tung-Striebel
  /// smoother by de Jong's recursion, which inverts no covariance, as those of structural models are singular.
  ///
  /// - Parameter visit: receives step, mean and covariance; last step first.
  package func smooth(
    _ values: UnsafeBufferPointer<Double>, advances: [UInt8]? = nil, variances: [Double],
    visit: (Int, [Double], [Double]) -> Void
  ) {
    var means: [Double] = []
    var covariances: [Double] = []
    run(values, advances: advances, variances: variances) { _, a, predicted, _, _ in
      means += a.array
      covariances += predicted.array
    }
    backward { t, _, _ in
      let covariance = Array(covariances[(t * n * n)..<((t + 1) * n * n)])
      var mean = Array(means[(t * n)..<((t + 1) * n)])
      for i in 0..<n { for j in 0..<n { mean[i] += covariance[i * n + j] * r[j] } }
      var half = covariance
      var smoothed = covariance
      Double.multiply(
        n, n, n, alpha: 1, covariance, .plain, lda: n, information.base, .plain, ldb: n, beta: 0,
        &half, ldc: n)
      Double.multiply(
        n, n, n, alpha: -1, half, .plain, lda: n, covariance, .plain, ldb: n, beta: 1, &smoothed,
        ldc: n)
      visit(t, mean, smoothed)
    }
  }

  /// Runs back over the last series; `visit` finds in `r` and `information` the score and the information about
  /// the predicted state, and receives the weighted error and its variance.
  private func backward(_ visit: (Int, Double, Double) -> Void) {
    let (n, r, s, w, z) = (n, r.base, s.base, w.base, z.base)
    let (information, before) = (information.base, before.base)
    let (errors, spreads, gains) = (errors.base, spreads.base, gains.base)
    s.update(repeating: 0, count: n)
    before.update(repeating: 0, count: n * n)
    var unchanged = 0
    var isSteady = false
    var lastD = 0.0
    for t in stride(from: count - 1, through: 0, by: -1) {
      // Where gains stand still the information comes to a limit too.
      if isSteady, t < steadyFrom {
        isSteady = false
        unchanged = 0
      }
      if t < count - 1 {
        let matrix = model.transposed[transition(into: t + 1)]
        matrix.apply(r, s)
        if !isSteady { matrix.congruence(information, before, product: product.base) }
      }
      var (u, d) = (0.0, 0.0)
      r.update(from: s, count: n)
      if spreads[t] > 0 {
        let gain = gains + t * n
        u = errors[t] / spreads[t]
        for k in 0..<n { u -= gain[k] * s[k] }
        for (state, weight) in model.readout { r[state] += weight * u }
        if isSteady {
          d = lastD
        } else {
          d = CovarianceKernels.information(
            n, z: z, spread: spreads[t], gain: gain, before: before, information, scratch: w)
          unchanged = t > steadyFrom && abs(d - lastD) <= Self.steady * d ? unchanged + 1 : 0
          isSteady = unchanged > n + 4
          lastD = d
        }
      } else {
        information.update(from: before, count: n * n)
        unchanged = 0
      }
      visit(t, u, d)
    }
  }

  // MARK: Ahead

  /// Means and variances of the observations after the last run.
  ///
  /// - Parameter advances: the transitions into the steps ahead; the ordinary one where nil.
  package func forecast(
    _ steps: Int, advances: [UInt8]? = nil,
    _ body: (Int, _ mean: Double, _ variance: Double) -> Void
  ) {
    for step in 0..<steps {
      predict(advances.map { Int($0[step]) } ?? 0, covariance: true)
      var mean = 0.0
      var variance = variances[0]
      for (state, weight) in model.readout {
        mean += weight * a[state]
        for (other, factor) in model.readout {
          variance += weight * factor * predicted[state * n + other]
        }
      }
      body(step, mean, variance)
      m.copy(from: a)
      p.copy(from: predicted)
    }
  }
}
