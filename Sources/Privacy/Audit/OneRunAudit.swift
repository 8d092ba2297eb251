import Foundation

/// A lower bound on epsilon from one run of a mechanism on data with canaries (Steinke, Nasr & Jagielski 2023).
///
/// Each of m canaries was in the data or not by a fair coin; from the result, and nothing else, r of the coins are
/// guessed. A private mechanism does not allow many right guesses: that they were v refutes every
/// epsilon for which v or more have a probability of less than 1 - confidence. Nothing is assumed of the
/// mechanism, and the canaries need not be independent of one another in what comes out.
///
/// Several numbers of guesses are tried, and the probability of an error is divided among them: the chance that any of
/// them gives too large a bound is at most 1 - confidence.
package struct OneRunAudit: Sendable {
  package struct Bound: Sendable, Equatable {
    /// With the stated confidence the mechanism's epsilon is not below.
    package var epsilon = 0.0
    /// Of the guesses that it comes from; all canaries where no number of guesses shows anything.
    package var guesses: Int
    package var correct: Int
  }

  package let confidence: Double
  private let canaries: Int
  private let tried: [(guesses: Int, correct: Int)]

  /// - Parameter confidence: probability that the bound holds.
  /// - Precondition: there are canaries, and 0 < `confidence` < 1.
  package init(_ canaries: Canaries, confidence: Double = 0.95) {
    precondition(canaries.count > 0 && confidence > 0 && confidence < 1)
    self.confidence = confidence
    self.canaries = canaries.count
    tried = canaries.plans.map { ($0.count, canaries.correct($0)) }
  }

  private var significance: Double { (1 - confidence) / Double(tried.count) }

  /// The most that any mechanism which is (epsilon, delta)-private allows as the probability of `correct` or more right
  /// among `guesses` guesses (ibid., theorem 5.2 and appendix D).
  ///
  /// With W (`right`) binomial, of `guesses` trials with probability `1 / (1 + exp(-epsilon))`: `P(W >= v) + 2 m delta max over i of
  /// P(v > W >= v - i) / i`.
  package static func pValue(
    canaries: Int, guesses: Int, correct: Int, epsilon: Double, delta: Double
  ) -> Double {
    precondition(0 <= correct && correct <= guesses && guesses <= canaries)
    let right = BinomialTails(trials: guesses, probability: 1 / (1 + exp(-epsilon)))
    var (sum, most) = (0.0, 0.0)
    var logMass = right.logMass(correct - 1)
    for i in stride(from: 1, through: correct, by: 1) {
      sum += exp(logMass)
      most = max(most, sum / Double(i))
      // To the next one below: P(k - 1) / P(k) = k / (r - k + 1) / exp(epsilon).
      logMass += log(Double(correct - i) / Double(guesses - correct + i + 1)) - epsilon
    }
    return min(1, right.upper(correct) + 2 * Double(canaries) * delta * most)
  }

  /// The largest epsilon that is refuted at `delta`; 0 when none is.
  package func bound(delta: Double) -> Bound {
    let all = tried[tried.count - 1]
    var best = Bound(guesses: all.guesses, correct: all.correct)
    for (guesses, correct) in tried {
      func refutes(_ epsilon: Double) -> Bool {
        Self.pValue(
          canaries: canaries, guesses: guesses, correct: correct, epsilon: epsilon, delta: delta)
          < significance
      }
      guard refutes(best.epsilon) else { continue }
      var (low, high) = (best.epsilon, max(1, 2 * best.epsilon))
      while refutes(high) { (low, high) = (high, 2 * high) }
      while high - low > 1e-4 {
        let middle = (low + high) / 2
        if refutes(middle) { low = middle } else { high = middle }
      }
      best = Bound(epsilon: low, guesses: guesses, correct: correct)
    }
    return best
  }

  /// What ``bound(delta:)`` would be if all guesses were right: so many canaries cannot show more.
  package func ceiling(delta: Double) -> Double {
    OneRunAudit(perfect: self).bound(delta: delta).epsilon
  }

  private init(perfect other: OneRunAudit) {
    confidence = other.confidence
    canaries = other.canaries
    tried = other.tried.map { ($0.guesses, $0.guesses) }
  }
}
