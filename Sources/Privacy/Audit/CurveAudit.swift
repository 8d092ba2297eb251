import Foundation

/// Whether a mechanism's trade-off curve is as claimed, by canaries that do not disturb each other.
///
/// A canary is called present where its score is above a threshold. With exact bounds of how often that is wrong for
/// those in the data and for those that are not (Clopper & Pearson 1934), a curve is refuted when it does not allow both
/// to be so rare (as Nasr et al. 2023 do with many runs). It sees far more than ``OneRunAudit``, which has to reckon with
/// a mechanism that rarely leaks, but then everything at once; in exchange it needs canaries whose scores are
/// independent given the coins. Canaries with a coordinate each are, where noise and sampling are.
///
/// The threshold is chosen by every fourth canary, and the bounds are those of the others alone.
package struct CurveAudit: Sendable {
  private struct Errors {
    /// Bounds from above.
    var falsePositive: Double
    var falseNegative: Double

    init(
      _ canaries: Canaries, _ numbers: [Int], threshold: Double, significance: Double
    ) {
      var (inside, outside, positive, negative) = (0, 0, 0, 0)
      for number in numbers {
        // What is no number is as good as a proof.
        let isCalled = !(canaries.scores[number] <= threshold)
        if canaries.isIncluded[number] {
          inside += 1
          negative += isCalled ? 0 : 1
        } else {
          outside += 1
          positive += isCalled ? 1 : 0
        }
      }
      falsePositive = BinomialTails.upperBound(
        positive, of: outside, significance: significance / 2)
      falseNegative = BinomialTails.upperBound(negative, of: inside, significance: significance / 2)
    }

    /// How far beyond the curve these are, in logarithms of odds: above 0 where the curve does not allow them.
    func excess(_ curve: TradeOffCurve) -> Double {
      func odds(_ p: Double) -> Double { log(max(p, 1e-300)) - log(max(1 - p, 1e-300)) }
      return odds(1 - falseNegative) - odds(curve.bound(falsePositive))
    }
  }

  private let errors: Errors

  /// - Parameters:
  ///   - curve: that is claimed; the threshold is chosen for it.
  ///   - confidence: probability that everything that is refuted is wrong indeed.
  package init(_ canaries: Canaries, _ curve: TradeOffCurve, confidence: Double = 0.95) {
    precondition(canaries.count >= 4 && confidence > 0 && confidence < 1)
    let choosing = (0..<canaries.count).filter { $0 % 4 == 0 }
    let scores = choosing.map { canaries.scores[$0] }.filter(\.isFinite).sorted()
    let candidates = (1..<64).compactMap { share in
      let position = scores.count * share / 64
      // Between two scores, so that equal ones fall on one side.
      return position > 0 ? (scores[position - 1] + scores[position]) / 2 : nil
    }
    func errors(_ numbers: [Int], _ threshold: Double) -> Errors {
      Errors(canaries, numbers, threshold: threshold, significance: 1 - confidence)
    }
    let threshold = candidates.max {
      errors(choosing, $0).excess(curve) < errors(choosing, $1).excess(curve)
    }
    self.errors = errors((0..<canaries.count).filter { $0 % 4 != 0 }, threshold ?? 0)
  }

  package func refutes(_ curve: TradeOffCurve) -> Bool {
    errors.excess(curve) > 0
  }

  /// The largest epsilon at `delta` of a mechanism that is refuted, among those with the same rate and number of
  /// steps and any noise; 0 when none is.
  ///
  /// It is a lower bound if the mechanism is one of them. Cost: some dozens of milliseconds times ten.
  ///
  /// - Throws: `PrivacyError`.
  package func bound(
    _ claimed: SubsampledGaussian, steps: Int, delta: Double
  ) throws -> Double {
    func mechanism(_ noise: Double) throws -> SubsampledGaussian {
      try SubsampledGaussian(samplingRate: claimed.samplingRate, noiseMultiplier: noise)
    }
    func isRefuted(_ noise: Double) throws -> Bool {
      try refutes(TradeOffCurve(PrivacyLossAccountant(mechanism(noise), steps: steps)))
    }
    // Less noise is harder to refute. From the claim by powers of two, as far as accountants go; then by halves.
    let least = min(
      claimed.noiseMultiplier, max(NoiseCalibration.leastNoise, claimed.noiseMultiplier / 64))
    var (low, high) = (claimed.noiseMultiplier, claimed.noiseMultiplier)
    if try isRefuted(high) {
      repeat {
        (low, high) = (max(least, low / 2), low)
      } while try low < high && isRefuted(low)
    } else {
      repeat {
        (low, high) = (high, high * 2)
        if high > 256 * claimed.noiseMultiplier { return 0 }
      } while try !isRefuted(high)
    }
    while high / low > 1.01 {
      let middle = (low * high).squareRoot()
      if try isRefuted(middle) { high = middle } else { low = middle }
    }
    return try PrivacyLossAccountant(mechanism(high), steps: steps).epsilon(atDelta: delta)
  }
}
