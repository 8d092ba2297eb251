import Foundation

/// Variances and damping of a structural model by maximum likelihood, from exact slopes.
///
/// The start is diffuse by a variance that dwarfs the data's, so what is maximised is the diffuse likelihood (Durbin &
/// Koopman 2012, section 7.2.2) but for a constant. The series should have a variance near 1.
package final class MaximumLikelihood {
  /// Variance of an unknown state at the start.
  static let diffuse = 1e6
  /// Variances are sought between these, as logarithms.
  private static let (lowest, highest) = (log(1e-9), log(1e2))
  /// Range of the damping factor: below it a slope is hardly one, above it it is hardly damped; and an autoregression
  /// is noise below and a level above.
  private var dampings: ClosedRange<Double> { structure.trend == .damped ? 0.7...0.98 : 0.2...0.99 }

  package let structure: StructuralModel
  package let filter: KalmanFilter

  /// - Parameter advances: see ``StructuralModel/makeModel(advances:diffuse:)``.
  package init(_ structure: StructuralModel, advances: [Int] = [1]) {
    self.structure = structure
    filter = KalmanFilter(structure.makeModel(advances: advances, diffuse: Self.diffuse))
  }

  package struct Fit {
    package let structure: StructuralModel
    package let variances: [Double]
    package let damping: Double
    /// The log-likelihood at its highest over variances, damping and the state at the start.
    package let logLikelihood: Double
    /// Akaike's criterion with the correction for few observations (Hurvich & Tsai 1989); the state at the start
    /// counts as parameters. Lower is better; infinite where there are too few observations.
    package let criterion: Double
  }

  /// - Parameters:
  ///   - values: NaN where missing.
  ///   - ways: for each step which of `advances` leads into it; nil for the first throughout.
  ///   - near: a fit of the same series to a like model, where the search begins.
  ///   - iterations: of the search at most.
  package func fit(
    _ values: UnsafeBufferPointer<Double>, ways: [UInt8]? = nil, near: Fit? = nil,
    iterations: Int = 60
  ) -> Fit {
    let observed = values.count { !$0.isNaN }
    let count = structure.variances
    var x = start(values, near)
    let isDamped = structure.hasDamping
    let bounds = QuasiNewton(
      lower: [Double](repeating: Self.lowest, count: count) + (isDamped ? [-5] : []),
      upper: [Double](repeating: Self.highest, count: count) + (isDamped ? [5] : []))
    let scale = 1 / Double(max(observed, 1))
    let value = bounds.minimise(&x, iterations: iterations) { x in
      let variances = x.prefix(count).map { exp($0) }
      let damping = isDamped ? dampingFactor(x[count]) : (value: 1, slope: 0)
      filter.model.damping = damping.value
      let likelihood = filter.run(values, advances: ways, variances: variances)
      guard likelihood.isFinite else { return (.infinity, []) }
      let slopes = filter.gradient()
      return (
        -likelihood * scale,
        (0..<count).map { -slopes.variances[$0] * variances[$0] * scale }
          + (isDamped ? [-slopes.damping * damping.slope * scale] : [])
      )
    }
    let variances = x.prefix(count).map { exp($0) }
    let damping = isDamped ? dampingFactor(x[count]).value : 1
    let parameters = Double(structure.parameters + structure.states)
    let room = Double(observed) - parameters - 1
    guard value.isFinite else {
      return Fit(
        structure: structure, variances: variances, damping: damping, logLikelihood: -.infinity,
        criterion: .infinity)
    }
    // The diffuse likelihood is the integral over the start: its unit depends on the number of states, so it
    // cannot compare models. The one at the best start can; they differ by the determinant of its information.
    filter.model.damping = damping
    let information = filter.logInformationOfStart(values, advances: ways, variances: variances)
    let likelihood =
      -value / scale
      + 0.5 * (Double(structure.states) * log(Self.diffuse) + (information ?? -.infinity))
    return Fit(
      structure: structure, variances: variances, damping: damping, logLikelihood: likelihood,
      criterion: room > 0 && information != nil
        ? -2 * likelihood + 2 * parameters * Double(observed) / room : .infinity)
  }

  private func dampingFactor(_ x: Double) -> (value: Double, slope: Double) {
    let share = 1 / (1 + exp(-x))
    let range = dampings.upperBound - dampings.lowerBound
    return (dampings.lowerBound + range * share, range * share * (1 - share))
  }

  /// Noise and level (with an autoregression, noise and that) share the variance of the changes; slopes, seasons and a
  /// level beside an autoregression move slowly. What a fit of the same series to
  /// a like model found comes in their place, but for what it found to be next to nothing, where slopes are flat.
  private func start(_ values: UnsafeBufferPointer<Double>, _ near: Fit?) -> [Double] {
    var (sum, count) = (0.0, 0)
    for t in values.indices.dropFirst() {
      let change = values[t] - values[t - 1]
      if !change.isNaN {
        sum += change * change
        count += 1
      }
    }
    let changes = max(count > 0 ? sum / Double(count) : 1, 1e-6)
    var x = [log(0.2 * changes), log(0.2 * changes)]
    if structure.trend != .level { x.append(log(2e-3 * changes)) }
    if structure.trend == .reverting { x.swapAt(1, 2) }
    for _ in structure.seasons { x.append(log(2e-3 * changes)) }
    if let near, near.logLikelihood.isFinite {
      func take(_ from: Int, _ to: Int) { x[to] = max(log(near.variances[from]), log(1e-5)) }
      take(0, 0)
      if (structure.trend == .reverting) == (near.structure.trend == .reverting) {
        take(1, 1)
        if structure.trend != .level, near.structure.trend != .level { take(2, 2) }
      } else {
        // What moves the level fast in one moves the autoregression in the other.
        take(near.structure.trend == .reverting ? 2 : 1, structure.trend == .reverting ? 2 : 1)
      }
      let (own, other) = (structure.trend == .level ? 2 : 3, near.structure.trend == .level ? 2 : 3)
      if near.structure.seasons == structure.seasons {
        for season in structure.seasons.indices { take(other + season, own + season) }
      }
    }
    if structure.hasDamping {
      let alike = near.flatMap { $0.structure.trend == structure.trend ? $0 : nil }
      let share =
        alike.map {
          ($0.damping - dampings.lowerBound) / (dampings.upperBound - dampings.lowerBound)
        } ?? 1
      x.append(share > 0.02 && share < 0.98 ? log(share / (1 - share)) : 1)
    }
    return x
  }
}
