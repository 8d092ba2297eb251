import Foundation

/// Composition of many steps of a few kinds, in one direction of adjacency, by privacy loss distributions.
///
/// Every result is an upper bound, whatever grid, window and tilt are chosen; these decide how close it is.
/// How the bound is kept:
///
/// - `PrivacyLossMasses` rounds losses to the grid on the safe side.
/// - The distribution of the sum of losses is the power of a Fourier transform. Before it, masses are
///   multiplied by `exp(t loss)` (exponential tilting), which puts the middle of the sum near the epsilon
///   that is looked for: rounding errors are then relative to the masses that matter, however small delta is.
/// - The transform is cyclic: sums beyond the window come back at its other end. As masses are not
///   negative this only adds to what is inside. What is missing above the window is bounded by Chernoff's
///   inequality and counts in full.
/// - Rounding errors of transforms and powers are bounded in the Euclidean norm, and the bound is added
///   with the largest weight such an error can have (Cauchy and Schwarz).
package struct PrivacyLossComposition {
  struct Part {
    let mechanism: SubsampledGaussian
    let count: Double
    let quadrature: LossQuadrature
  }

  /// What decides about tightness and time, not about validity.
  package struct Plan {
    var tilt: Double
    var step: Double
    /// Window of the sum of losses, in steps of the grid.
    var bottom: Int
    var size: Int
    /// Order of the Chernoff bound at the upper end.
    var chernoff: Double

    var top: Int { bottom + size - 1 }
  }

  let direction: AdjacencyDirection
  let parts: [Part]
  let total: Double
  /// Beyond it, in standard deviations, no step's normal tail matters.
  private let reach: Double

  /// - Parameter scale: the smallest delta of interest.
  package init(_ steps: [(SubsampledGaussian, Int)], direction: AdjacencyDirection, scale: Double) {
    let total = steps.reduce(0) { $0 + Double($1.1) }
    let reach = (2 * log(max(1, total) / (1e-9 * scale))).squareRoot()
    self.direction = direction
    self.total = total
    self.reach = reach
    parts = steps.map { mechanism, count in
      let noise = mechanism.noiseMultiplier
      // The integrand is analytic between the zeros of P / Q, at a height of pi noise in y.
      let spacing = min(0.4, 0.25 * noise)
      return Part(
        mechanism: mechanism, count: Double(count),
        quadrature: LossQuadrature(
          mechanism, direction: direction, from: -reach,
          to: reach + (direction == .remove ? 1 / noise : 0), step: spacing))
    }
  }

  /// Cumulants of the sum at `t`.
  func cumulants(_ t: Double) -> (value: Double, mean: Double, variance: Double) {
    var sum = (value: 0.0, mean: 0.0, variance: 0.0)
    for part in parts {
      let one = part.quadrature.cumulants(t)
      sum.value += part.count * one.value
      sum.mean += part.count * one.mean
      sum.variance += part.count * one.variance
    }
    return sum
  }

  private func value(_ t: Double) -> Double {
    parts.reduce(0) { $0 + $1.count * $1.quadrature.value(t) }
  }

  // MARK: Estimates

  /// The order t at which the tilted sum has its mean at epsilon, and that epsilon: where `isBelow` turns
  /// from false to true with growing t.
  private func order(where isBelow: (Double) -> Bool) -> Double {
    var low = -30.0
    var high = 30.0
    while high - low > 1e-3 {
      let middle = (low + high) / 2
      if isBelow(exp(middle)) { high = middle } else { low = middle }
    }
    return exp(high)
  }

  /// Approximately the epsilon that belongs to delta: the tilted sum is taken for normal, which is exact
  /// for normal losses.
  func estimate(delta: Double) -> Double {
    let start = cumulants(0)
    let goal = log(delta)
    func logDelta(_ t: Double) -> Double {
      let k = cumulants(t)
      let spread = k.variance.squareRoot()
      return k.value - t * k.mean + log(Self.normalPart(tilt: t, spread: spread))
    }
    if logDelta(1e-9 / max(1e-9, start.variance.squareRoot())) <= goal {
      // Below the mean loss: as if the losses were normal, with the same variance.
      let mu = max(start.variance.squareRoot(), 1e-300)
      let normal = (try? GaussianAccountant(mu: mu).epsilon(atDelta: delta)) ?? 0
      return min(start.mean, normal)
    }
    return cumulants(order { logDelta($0) <= goal }).mean
  }

  /// Epsilon by the Rényi divergence at the best order, without regard for the quadrature's error.
  func renyiEstimate(delta: Double) -> Double {
    let goal = log(delta)
    return max(
      0,
      Self.minimum(
        of: { logOrder in
          let t = exp(logOrder)
          return (value(t) - goal + t * (logOrder - log1p(t)) - log1p(t)) / t
        }, from: -20, to: 25
      ).value)
  }

  /// `E[e^(-t X) (1 - e^-X); X > 0]` for X normal with mean 0 and standard deviation `spread`.
  private static func normalPart(tilt t: Double, spread: Double) -> Double {
    let root = 0.5.squareRoot()
    let x = t * spread * root
    if t > 1e5 || spread < 1e-7 {
      // The difference below would cancel: its derivative.
      let slope =
        x > 10
        ? 1 / (x * x * Double.pi.squareRoot()) / 2
        : 1 / Double.pi.squareRoot() - x * ScaledErrorFunction.erfcx(x)
      return max(slope * spread * root, 1e-300)
    }
    return max(
      (ScaledErrorFunction.erfcx(x) - ScaledErrorFunction.erfcx(x + spread * root)) / 2, 1e-300)
  }

  /// A plan for an epsilon near `epsilon` that keeps rounding to the grid below `tolerance` of it.
  package func plan(near epsilon: Double, delta: Double, tolerance: Double, largest: Int) -> Plan {
    let start = cumulants(0)
    // The saddle point: the tilt that moves the mean of the sum to epsilon.
    let isAbove = epsilon > start.mean
    let deviation = max(start.variance.squareRoot(), 1e-150)
    let least = min(0.01, 0.05 / deviation)
    let saddle = max(least, isAbove ? order { cumulants($0).mean >= epsilon } : 0)
    let spread = max(min(cumulants(saddle).variance.squareRoot(), deviation), 1e-150)
    // Splitting a cell of width h adds at most (t + 1) h² / 8 to epsilon with every step: second order in
    // the cumulant generating function.
    let matters = max(epsilon, 0.03 * spread)
    var h = (8 * tolerance * matters / (total * (saddle + 1))).squareRoot()
    if !isAbove { h = min(h, spread / (4 * total.squareRoot())) }
    let small = log(1e-6 * delta)
    let logSpread = log(spread)

    // The upper end: what is above it is a small part of delta.
    let (logOrder, chernoffTop) = Self.minimum(
      of: { (value(exp($0)) - small) / exp($0) }, from: log(least), to: log(saddle) + 12)
    let top = max(chernoffTop, epsilon + 0.5 * spread)

    // The tilt: the saddle point keeps rounding errors smallest, but where losses have heavy tails it gives
    // the far ones most of the mass, and the window would have to be as wide as these. A weaker tilt
    // has a narrower window then.
    var best: (tilt: Double, bottom: Double, width: Double, lost: Double)?
    for fraction in [1, 0.8, 0.6, 0.45, 0.3, 0.2, 0.1, 0.04, 0.01] {
      let t = saddle * fraction
      // Sums a width above epsilon come back above epsilon, with a weight exp(t width) too large.
      let (_, narrowest) = Self.minimum(
        of: {
          let s = t + exp($0)
          return (value(s) - s * epsilon - small) / (s - t)
        }, from: -logSpread - 4, to: -logSpread + 5)
      // Sums below the window come back with a weight exp(-t width) too small; where that does not
      // suffice they must be rare.
      var bottom = epsilon - 0.25 * spread
      var width = max(top - bottom, narrowest)
      if -t * width > small {
        let (_, lower) = Self.minimum(
          of: { (value(-exp($0)) - small - t * width) / exp($0) }, from: -logSpread - 4,
          to: -logSpread + 5)
        bottom = min(bottom, -lower)
        width = max(top - bottom, narrowest)
      }
      let weights = PrivacyLossProfile.norm(tilt: t, step: h, count: width / h)
      let lost =
        log(total * 1e-14 * weights) - (log(delta) + t * epsilon - value(t)) - log(1e-5)
      let candidate = (t, bottom, width, lost)
      if let found = best {
        let isBetter = found.lost > 0 ? lost < found.lost : lost <= 0 && width < 0.9 * found.width
        if isBetter { best = candidate }
      } else {
        best = candidate
      }
    }
    let (tilt, bottom, width, _) = best!
    let low = min(bottom, epsilon - 2 * h)
    let all = max(width, top - low)
    var size = 256
    while Double(size) < all / h + 8, size < largest { size *= 2 }
    let step = all / Double(size - 8)
    return Plan(
      tilt: tilt, step: step, bottom: Int((low / step).rounded(.down)) - 2, size: size,
      chernoff: exp(logOrder))
  }

  /// About the smallest value of `f`: the best of equidistant points, then golden section around it. The
  /// functions here may turn down again far out, where losses have an upper end.
  private static func minimum(
    of f: (Double) -> Double, from: Double, to: Double
  ) -> (at: Double, value: Double) {
    let points = 24
    let stride = (to - from) / Double(points)
    var best = (at: from, value: f(from))
    for i in 1...points {
      let x = from + Double(i) * stride
      let value = f(x)
      if value < best.value { best = (x, value) }
    }
    let ratio = (5.0.squareRoot() - 1) / 2
    var (a, b) = (max(from, best.at - stride), min(to, best.at + stride))
    while b - a > 0.03 {
      let x = b - ratio * (b - a)
      let y = a + ratio * (b - a)
      let (fx, fy) = (f(x), f(y))
      if fx < best.value { best = (x, fx) }
      if fy < best.value { best = (y, fy) }
      if fx <= fy { b = y } else { a = x }
    }
    return best
  }

  /// Whether `epsilon` surely holds at `delta` for adding a record, by the Rényi divergence alone: then the
  /// composition need not be made.
  ///
  /// The trapezoidal rule is off by a known part at most: where the imaginary part of y is below d = pi noise / 2,
  /// the integrand phi(y) (P / Q)^-t is analytic and at most exp(d² / 2) (1 - q)^-t phi (Trefethen & Weideman
  /// 2014, theorem 5.1); what is beyond `reach` is at most (1 - q)^-t times the two tails.
  func surelyHolds(epsilon: Double, delta: Double) -> Bool {
    guard direction == .add, epsilon > 0 else { return false }
    var errors: [(rate: Double, mass: Double)] = []
    for part in parts {
      guard part.mechanism.samplingRate < 1 else { return false }
      let d = min(
        2 * Double.pi / part.quadrature.step, Double.pi * part.mechanism.noiseMultiplier / 2)
      errors.append(
        (
          -log1p(-part.mechanism.samplingRate),
          2 * exp(d * d / 2 - 2 * Double.pi * d / part.quadrature.step) * 1.01
            + erfc(reach * 0.5.squareRoot()) + 1e-14
        ))
    }
    let goal = log(delta)
    func logDelta(_ logOrder: Double) -> Double {
      let t = exp(logOrder)
      var sum = 0.0
      for (part, error) in zip(parts, errors) {
        sum +=
          part.count * log(exp(part.quadrature.value(t)) + exp(t * error.rate) * error.mass)
      }
      return sum - t * epsilon + t * (logOrder - log1p(t)) - log1p(t)
    }
    let center = log(max(1e-6, -goal / epsilon))
    return Self.minimum(of: logDelta, from: center - 6, to: center + 6).value < goal
  }

  // MARK: The composition itself

  package func compose(_ plan: Plan) -> PrivacyLossProfile {
    let n = plan.size
    let h = plan.step
    let t = plan.tilt
    let transform = FourierTransform(count: n)
    let memory = UnsafeMutablePointer<Double>.allocate(capacity: 4 * n)
    defer { memory.deallocate() }
    let (re, im, sumRe, sumIm) = (memory, memory + n, memory + 2 * n, memory + 3 * n)
    for k in 0..<n { (sumRe[k], sumIm[k]) = (1, 0) }

    var cumulant = 0.0
    var chernoff = 0.0
    var infinite = 0.0
    var inputNorms = 0.0
    var lossMargin = 0.0
    var exponent = 200.0
    for part in parts {
      let range = lossRange(of: part.mechanism, plan)
      let pmf = PrivacyLossMasses(
        part.mechanism, direction: direction, step: h, low: range.lowerBound,
        high: range.upperBound)
      infinite += part.count * pmf.infinite
      var logs = pmf.masses
      var peak = -Double.infinity
      for k in 0..<logs.count {
        logs[k] = logs[k] > 0 ? log(logs[k]) + t * (Double(pmf.first + k) * h) : -.infinity
        peak = max(peak, logs[k])
      }
      var sum = 0.0
      for k in 0..<logs.count { sum += exp(logs[k] - peak) }
      let one = peak + log(sum)
      cumulant += part.count * one
      re.update(repeating: 0, count: n)
      im.update(repeating: 0, count: n)
      // Tilted to the Chernoff order from here: relative to the tilted sum.
      let further = plan.chernoff - t
      var moment = 0.0
      var magnitude = 0.0
      for k in 0..<logs.count where logs[k] > -.infinity {
        let index = pmf.first + k
        let mass = exp(logs[k] - one)
        let loss = Double(index) * h
        re[index & (n - 1)] += mass
        moment += exp(logs[k] - one + further * loss)
        magnitude += mass * abs(loss)
        if mass > 1e-40 { exponent = max(exponent, abs(logs[k]), abs(t * loss)) }
      }
      chernoff += part.count * (one + log(moment))
      var square = 0.0
      for k in 0..<n { square += re[k] * re[k] }
      inputNorms += part.count * square.squareRoot()
      // Positions, tails and masses are each right to a few ulps, which is as if the losses were off by
      // a few ulps of themselves or of what a record can matter.
      lossMargin += part.count * 128 * 0x1p-53 * (part.mechanism.samplingRate + magnitude)
      transform.forward(re, im)
      Self.multiply(sumRe, sumIm, n, byPower: part.count, of: re, im)
    }
    var spectrum = 0.0
    for k in 0..<n { spectrum += sumRe[k] * sumRe[k] + sumIm[k] * sumIm[k] }
    transform.inverse(sumRe, sumIm)
    let scale = 1 / Double(n)
    var square = 0.0
    for k in 0..<n {
      sumRe[k] *= scale
      square += sumRe[k] * sumRe[k]
    }
    let unit = 0x1p-53
    // Errors of the spectra, amplified by the power (no factor is above 1 in magnitude); of the powers
    // (each multiplication is off by at most sqrt(5) units); of the inverse; of the cut in `multiply`.
    let norm =
      inputNorms * transform.relativeError
      + (6 * total + 16) * unit * (spectrum * scale).squareRoot()
      + 2 * transform.relativeError * square.squareRoot()
      + Double(parts.count) * Self.negligible
    let top = plan.top
    return PrivacyLossProfile(
      plan: plan, logScale: cumulant, sums: sumRe, normError: norm,
      constant: infinite + exp(min(0, chernoff - plan.chernoff * Double(top) * h)),
      // Masses are right to as many units each as their exponents, which are rounded, are large.
      factor: exp(total * (2 * exponent + 64) * unit + 1e-12), lossMargin: lossMargin)
  }

  /// Grid indices of the losses of one step; what is beyond counts at the ends.
  private func lossRange(of mechanism: SubsampledGaussian, _ plan: Plan) -> ClosedRange<Int> {
    let h = plan.step
    func index(_ loss: Double) -> Int {
      Int(max(-1e15, min(1e15, (loss / h).rounded(.down))))
    }
    // The mixture reaches further up by the record's own contribution.
    let high = mechanism.loss(
      at: reach + (direction == .remove ? 1 / mechanism.noiseMultiplier : 0))
    let low = max(mechanism.loss(at: -reach), log1p(-mechanism.samplingRate))
    let lowest = mechanism.samplingRate < 1 ? min(low, log1p(-mechanism.samplingRate)) : low
    let window = plan.size
    switch direction {
    case .remove:
      let upper = min(index(high) + 1, max(plan.top, 1))
      return max(index(lowest), upper - window)...upper
    case .add:
      let upper = min(-index(lowest), max(plan.top, 1))
      return max(-index(high) - 1, upper - window)...upper
    }
  }

  /// Magnitudes below it become 0.
  private static let negligible = 1e-28

  private static func multiply(
    _ re: UnsafeMutablePointer<Double>, _ im: UnsafeMutablePointer<Double>, _ n: Int,
    byPower power: Double, of x: UnsafeMutablePointer<Double>, _ y: UnsafeMutablePointer<Double>
  ) {
    let exponent = UInt64(power)
    // |z|^power < 1e-28 needs no power.
    let least = pow(negligible, 2 / power)
    for k in 0..<n {
      var (a, b) = (x[k], y[k])
      if a * a + b * b < least {
        (re[k], im[k]) = (0, 0)
        continue
      }
      var (c, d) = (re[k], im[k])
      var rest = exponent
      while rest > 0 {
        if rest & 1 == 1 { (c, d) = (c * a - d * b, c * b + d * a) }
        rest >>= 1
        if rest > 0 { (a, b) = ((a - b) * (a + b), 2 * a * b) }
      }
      (re[k], im[k]) = (c, d)
    }
  }
}

/// Delta as a function of epsilon, on the window of a composition: an upper bound.
package struct PrivacyLossProfile {
  /// Logarithm of delta at the grid points `bottom ... top`, falling.
  private var logDelta: [Double]
  private let bottom: Int
  private let step: Double
  private let lossMargin: Double

  init(
    plan: PrivacyLossComposition.Plan, logScale: Double, sums: UnsafeMutablePointer<Double>,
    normError: Double, constant: Double, factor: Double, lossMargin: Double
  ) {
    let n = plan.size
    let h = plan.step
    let t = plan.tilt
    bottom = plan.bottom
    step = h
    self.lossMargin = lossMargin
    logDelta = [Double](repeating: 0, count: n)
    let error = normError * Self.norm(tilt: t, step: h, count: Double(n))
    let decay = exp(-t * h)
    let keep = exp(-h)
    let lose = -expm1(-h)
    // With c the untilted masses, S(j) the sum of those from j on, D(j) = delta at j:
    // D(j - 1) = (1 - e^-h) S(j) + e^-h D(j). Nothing cancels. Both are kept tilted.
    var tail = 0.0
    var delta = 0.0
    var j = n - 1
    while j >= 0 {
      let index = bottom + j
      let loss = Double(index) * h
      let scale = exp(min(700, logScale - t * loss))
      logDelta[j] = log(((delta + error) * scale + constant) * factor)
      tail = max(0, sums[index & (n - 1)]) + decay * tail
      delta = decay * (lose * tail + keep * delta)
      j -= 1
    }
  }

  package enum Answer {
    case epsilon(Double)
    /// It is below the window: about there, if delta goes on as at the lower end.
    case below(near: Double)
    case above
  }

  /// At least the Euclidean norm of the weights `exp(-t m h) (1 - exp(-m h))`, m = 1, 2, ... count.
  static func norm(tilt t: Double, step h: Double, count: Double) -> Double {
    let ratio = exp(-2 * t * h)
    let rest = -expm1(-2 * t * h)
    return min(
      (ratio / rest).squareRoot(),
      h * (ratio * (1 + ratio)).squareRoot() / (rest * rest.squareRoot()), count.squareRoot())
  }

  package func epsilon(atDelta delta: Double) -> Answer {
    let goal = log(delta)
    guard logDelta[logDelta.count - 1] <= goal else { return .above }
    // Delta falls; the bound of its error need not quite, so the search is from the top.
    var j = logDelta.count - 1
    while j > 0, logDelta[j - 1] <= goal { j -= 1 }
    let high = Double(bottom + j) * step + lossMargin
    if j == 0 {
      if high <= 0 { return .epsilon(0) }
      let reach = min(16, logDelta.count - 1)
      let slope = (logDelta[0] - logDelta[reach]) / (Double(reach) * step)
      return .below(near: max(0, high - (goal - logDelta[0]) / max(slope, 1e-300)))
    }
    if high <= 0 { return .epsilon(0) }
    // Between grid points delta is a straight line in e^epsilon.
    let (left, right) = (exp(logDelta[j - 1]), exp(logDelta[j]))
    let share = max(0, min(1, (left - delta) / (left - right)))
    // Just in case of rounding in this line, a little up.
    let inside = log1p(share * expm1(step)) + Double(bottom + j - 1) * step + lossMargin
    return .epsilon(max(0, min(high, inside.nextUp + abs(inside) * 1e-12)))
  }

  /// Nil outside of the window.
  func delta(atEpsilon epsilon: Double) -> Double? {
    // The grid point below is an upper bound; the straight line is closer.
    let position = (epsilon - lossMargin) / step - Double(bottom)
    let j = Int(max(-1, min(1e15, position.rounded(.down))))
    guard j >= 0, j < logDelta.count - 1 else { return nil }
    let share = max(0, min(1, expm1((position - Double(j)) * step) / expm1(step)))
    let (left, right) = (exp(logDelta[j]), exp(logDelta[j + 1]))
    return left + (right - left) * share * (1 - 1e-12)
  }
}
