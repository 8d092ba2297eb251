import Foundation

/// Privacy of any number of Poisson-subsampled Gaussian steps, by privacy loss distributions.
///
/// Neighbours differ by adding or removing one record. Results are upper bounds: never below the true
/// epsilon, normally less than 0.1 % above it. Steps may be added in any order and of any kinds, so one
/// accountant can follow a model over all its refits.
public struct PrivacyLossAccountant: Sendable, Equatable {
  /// How many steps of each kind.
  public private(set) var counts: [SubsampledGaussian: Int] = [:]

  public init() {}

  /// - Throws: `PrivacyError`.
  public init(_ mechanism: SubsampledGaussian, steps: Int) throws {
    try compose(mechanism, steps: steps)
  }

  /// Adds `steps` steps of `mechanism`.
  ///
  /// - Throws: `PrivacyError.badSteps` for fewer than none, or more in all than 2^53.
  public mutating func compose(_ mechanism: SubsampledGaussian, steps: Int) throws {
    try PrivacyError.check(steps: steps)
    if steps == 0 { return }
    let (sum, overflow) = counts[mechanism, default: 0].addingReportingOverflow(steps)
    guard !overflow, sum <= 1 << 53 else {
      throw PrivacyError(.badSteps, "the number of steps is above 2^53")
    }
    counts[mechanism] = sum
  }

  /// Adds what `other` accounted for.
  ///
  /// - Throws: `PrivacyError.badSteps` above 2^53 steps of a kind.
  public mutating func compose(_ other: PrivacyLossAccountant) throws {
    for (mechanism, steps) in other.counts { try compose(mechanism, steps: steps) }
  }

  /// An epsilon that holds at `delta`.
  ///
  /// Cost: some milliseconds, growing with the square root of the number of steps.
  ///
  /// - Returns: infinity where it is beyond the largest number.
  /// - Throws: `PrivacyError.badDelta` outside of (0, 1).
  public func epsilon(atDelta delta: Double) throws -> Double {
    try PrivacyError.check(delta: delta)
    let kinds = Kinds(counts)
    if kinds.sampled.isEmpty {
      return try kinds.gaussian?.epsilon(atDelta: delta) ?? 0
    }
    if kinds.gaussian == nil, kinds.sampled.count == 1, kinds.sampled[0].1 == 1 {
      return try SingleStep.epsilon(kinds.sampled[0].0, delta: delta)
    }
    let removing = PrivacyLossComposition(kinds.steps, direction: .remove, scale: delta)
    let removed = Self.epsilon(removing, delta: delta)
    let adding = PrivacyLossComposition(kinds.steps, direction: .add, scale: delta)
    if removed < .infinity, adding.surelyHolds(epsilon: removed, delta: delta) { return removed }
    let epsilon = max(removed, Self.epsilon(adding, delta: delta))
    if epsilon <= max(removing.renyiEstimate(delta: delta), adding.renyiEstimate(delta: delta)) {
      return epsilon
    }
    // A grid that had to be coarse, or rounding errors above delta, may be what is seen: Rényi divergence has no
    // such limits, and both are upper bounds.
    var renyi = try RenyiAccountant()
    for (mechanism, steps) in kinds.steps { try renyi.compose(mechanism, steps: steps) }
    return min(epsilon, try renyi.epsilon(atDelta: delta))
  }

  /// A delta for which `epsilon` holds.
  ///
  /// - Throws: `PrivacyError.badEpsilon` below 0.
  public func delta(atEpsilon epsilon: Double) throws -> Double {
    try PrivacyError.check(epsilon: epsilon)
    let kinds = Kinds(counts)
    if kinds.sampled.isEmpty { return try kinds.gaussian?.delta(atEpsilon: epsilon) ?? 0 }
    if epsilon == .infinity { return 0 }
    // Epsilon falls with delta: the logarithm of delta is bracketed and halved.
    var low = log(1e-300)
    var high = log(1 - 0x1p-53)
    if try self.epsilon(atDelta: exp(high)) > epsilon { return 1 }
    while high - low > 1e-4 {
      let middle = (low + high) / 2
      if try self.epsilon(atDelta: exp(middle)) <= epsilon { high = middle } else { low = middle }
    }
    return exp(high)
  }

  /// Steps without sampling are one Gaussian mechanism together; steps that sample nobody are none.
  private struct Kinds {
    var sampled: [(SubsampledGaussian, Int)] = []
    var gaussian: GaussianAccountant?

    init(_ counts: [SubsampledGaussian: Int]) {
      var squares = 0.0
      for (mechanism, count) in counts {
        if mechanism.samplingRate == 1 {
          squares += Double(count) / (mechanism.noiseMultiplier * mechanism.noiseMultiplier)
        } else if mechanism.samplingRate > 0 {
          sampled.append((mechanism, count))
        }
      }
      // A fixed order, so that rounding does not depend on a dictionary's.
      sampled.sort {
        ($0.0.samplingRate, $0.0.noiseMultiplier) < ($1.0.samplingRate, $1.0.noiseMultiplier)
      }
      if squares > 0 {
        gaussian = try? GaussianAccountant(
          mu: squares.squareRoot() * (1 + 1e-14 * Double(counts.count)))
      }
    }

    var steps: [(SubsampledGaussian, Int)] {
      guard let gaussian else { return sampled }
      return sampled + [
        (SubsampledGaussian(uncheckedRate: 1, noiseMultiplier: 1 / gaussian.mu), 1)
      ]
    }
  }

  /// Part of epsilon by which rounding to the grid may raise it.
  private static let tolerance = 1e-4
  private static let largestWindow = 1 << 21

  private static func epsilon(_ composition: PrivacyLossComposition, delta: Double) -> Double {
    var near = composition.estimate(delta: delta)
    var best = Double.infinity
    var previous = Double.nan
    for _ in 0..<8 {
      let plan = composition.plan(
        near: near, delta: delta, tolerance: tolerance, largest: largestWindow)
      let profile = composition.compose(plan)
      let spread = composition.cumulants(plan.tilt).variance.squareRoot()
      switch profile.epsilon(atDelta: delta) {
      case .epsilon(let epsilon):
        best = min(best, epsilon)
        // Another plan helps only where the guess that this one was made for was far off.
        if abs(epsilon - near) <= 0.05 * max(epsilon, 0.2 * spread)
          || abs(epsilon - previous) <= 1e-4 * epsilon || epsilon == 0
        {
          return best
        }
        previous = epsilon
        near = epsilon
      case .below(let guess): near = guess < 0.1 * near ? guess : min(guess, 0.8 * near)
      case .above: near = Double(plan.top) * plan.step + spread
      }
    }
    return best
  }
}

/// One step, in closed form.
enum SingleStep {
  /// Removing a record is the worse direction of a single step (Zhu et al. 2022), and its curve is that of
  /// the Gaussian mechanism on `delta / q` and `log(1 + (e^epsilon - 1) / q)` (Balle et al. 2018, theorem 2).
  static func epsilon(_ mechanism: SubsampledGaussian, delta: Double) throws -> Double {
    let q = mechanism.samplingRate
    if delta >= q { return 0 }
    let whole = try GaussianAccountant(noiseMultiplier: mechanism.noiseMultiplier, steps: 1)
      .epsilon(atDelta: (delta / q).nextDown)
    let epsilon = whole < 30 ? log1p(q * expm1(whole)) : whole + log(q + (1 - q) * exp(-whole))
    return epsilon * (1 + 1e-14)
  }
}
