import Foundation
import Privacy
import TestSupport
import Testing

/// Canaries that were answered by a mechanism whose privacy is known.
private enum Simulated {
  /// The Gaussian mechanism with sensitivity 1: scores are logarithms of likelihood ratios.
  static func gaussian(_ count: Int, noise: Double, seed: UInt64) -> Canaries {
    var canaries = coins(count, seed)
    var random = SeededGenerator(seed: seed)
    for canary in 0..<count {
      let y = (canaries.isIncluded[canary] ? 1 : 0) + noise * random.normal()
      canaries.add((y - 0.5) / (noise * noise), to: canary)
    }
    return canaries
  }

  /// Randomised response: each coin is told rightly with the largest probability that epsilon allows.
  static func response(_ count: Int, epsilon: Double, seed: UInt64) -> Canaries {
    var canaries = coins(count, seed)
    var random = SeededGenerator(seed: seed)
    for canary in 0..<count {
      let isTold = random.uniform() < 1 / (1 + exp(-epsilon))
      // Which of equal scores are taken is up to nobody.
      let score = canaries.isIncluded[canary] == isTold ? epsilon : -epsilon
      canaries.add(score + 1e-6 * random.uniform(), to: canary)
    }
    return canaries
  }

  private static func coins(_ count: Int, _ seed: UInt64) -> Canaries {
    Canaries(
      count: count,
      random: SecureRandom(fixedKey: SIMD8(repeating: UInt32(truncatingIfNeeded: seed))))
  }
}

@Suite("Binomial tails")
struct BinomialTailsTests {
  @Test("tails and bounds are those of the reference (scipy 1.17)")
  func reference() {
    let hundred = BinomialTails(trials: 100, probability: 0.2)
    expectClose(hundred.upper(30), 0.011248978720991648, relative: 1e-11)
    expectClose(hundred.lower(11), 0.012574876348121796, relative: 1e-11)
    let many = BinomialTails(trials: 1_000_000, probability: 0.01)
    expectClose(many.upper(10_500), 3.1585658792471077e-07, relative: 1e-8)
    expectClose(
      BinomialTails.upperBound(5, of: 100, significance: 0.01), 0.12585173069767863, absolute: 2e-9)
    expectClose(
      BinomialTails.upperBound(0, of: 500, significance: 0.001), 0.013720514368789526,
      absolute: 2e-9)
    #expect(BinomialTails.upperBound(7, of: 7, significance: 0.01) == 1)
  }

  @Test("tails add up to one, whatever the probability", arguments: [0, 1e-9, 0.3, 0.999, 1])
  func complement(probability: Double) {
    for trials in [1, 7, 40] {
      let tails = BinomialTails(trials: trials, probability: probability)
      for k in 1...trials { expectClose(tails.upper(k) + tails.lower(k - 1), 1, relative: 1e-12) }
      expectClose([tails.upper(0), tails.lower(trials)], [1, 1], relative: 1e-12)
      #expect(tails.upper(trials + 1) == 0 && tails.lower(-1) == 0)
    }
  }
}

@Suite("One-run audit")
struct OneRunAuditTests {
  @Test(
    "the chance of so many right guesses is that of the reference",
    arguments: [
      // From Steinke et al. 2023, appendix D, written again in Python with scipy 1.17.
      (1000, 1000, 1000, 4, 1e-5, 0.0007839058862200755),
      (1000, 250, 180, 0.5, 1e-5, 0.00128349884358577),
      (1000, 30, 29, 1, 1e-4, 0.01968672254308247),
      (100, 100, 60, 0, 0, 0.028443966820490444),
      (5000, 5000, 3000, 0.3, 1e-6, 0.00018324697815370346),
    ])
  func reference(
    canaries: Int, guesses: Int, correct: Int, epsilon: Double, delta: Double, expected: Double
  ) {
    expectClose(
      OneRunAudit.pValue(
        canaries: canaries, guesses: guesses, correct: correct, epsilon: epsilon, delta: delta),
      expected, relative: 1e-10)
  }

  @Test("without noise the bound is above 4; guesses by chance give none")
  func extremes() {
    var perfect = Canaries(count: 1000)
    for canary in 0..<1000 { perfect.add(perfect.isIncluded[canary] ? 1 : 0, to: canary) }
    let audit = OneRunAudit(perfect)
    let bound = audit.bound(delta: 1e-5)
    #expect(bound.epsilon > 4 && bound.guesses == 750 && bound.correct == 750)
    #expect(bound.epsilon == audit.ceiling(delta: 1e-5))
    let blind = OneRunAudit(Simulated.response(1000, epsilon: 0, seed: 3))
    #expect(blind.bound(delta: 1e-5).epsilon < 0.1)
  }

  @Test("a score that is no number counts as a proof")
  func notANumber() {
    var canaries = Canaries(count: 640)
    for canary in 0..<640 where canaries.isIncluded[canary] { canaries.add(.nan, to: canary) }
    #expect(OneRunAudit(canaries).bound(delta: 1e-5).epsilon > 3)
  }

  /// Audits of a mechanism whose epsilon is known.
  static let audits = 250

  @Test("the bound holds as often as it says: randomised response", arguments: [0.5, 1, 3])
  func response(epsilon: Double) {
    for confidence in [0.95, 0.6] {
      var (missed, sum) = (0, 0.0)
      for seed in 1...Self.audits {
        let canaries = Simulated.response(500, epsilon: epsilon, seed: UInt64(seed))
        let bound = OneRunAudit(canaries, confidence: confidence).bound(delta: 0).epsilon
        missed += bound > epsilon ? 1 : 0
        sum += bound
      }
      #expect(Double(missed) <= (1 - confidence) * Double(Self.audits), "\(missed)")
      // It says something.
      #expect(sum / Double(Self.audits) > 0.5 * epsilon, "\(sum / Double(Self.audits))")
    }
  }

  @Test(
    "the bounds hold as often as they say: the Gaussian mechanism", arguments: [0.6, 1, 2.5, 10])
  func gaussian(noise: Double) throws {
    let delta = 1e-5
    let mechanism = try SubsampledGaussian(samplingRate: 1, noiseMultiplier: noise)
    let accountant = try PrivacyLossAccountant(mechanism, steps: 1)
    let epsilon = try accountant.epsilon(atDelta: delta)
    let curve = try TradeOffCurve(accountant)
    for confidence in [0.95, 0.6] {
      var (missed, missedCurve, sum) = (0, 0, 0.0)
      for seed in 1...Self.audits {
        let canaries = Simulated.gaussian(500, noise: noise, seed: UInt64(seed))
        let plain = OneRunAudit(canaries, confidence: confidence).bound(delta: delta).epsilon
        missed += plain > epsilon ? 1 : 0
        let audit = CurveAudit(canaries, curve, confidence: confidence)
        // What the bound of epsilon being above it comes to.
        let isRefuted = audit.refutes(curve)
        missedCurve += isRefuted ? 1 : 0
        guard seed <= 10 else { continue }
        let bound = try audit.bound(mechanism, steps: 1, delta: delta)
        #expect(isRefuted == (bound >= epsilon * (1 - 1e-3)), "\(bound)")
        sum += bound
      }
      let most = (1 - confidence) * Double(Self.audits)
      #expect(Double(missed) <= most && Double(missedCurve) <= most, "\(missed) \(missedCurve)")
      if noise < 2 { #expect(sum / 10 > 0.4 * epsilon, "\(sum / 10)") }
    }
  }

  @Test("half of the noise refutes the curve that is claimed", arguments: [0.6, 1])
  func halfNoise(noise: Double) throws {
    let claim = try SubsampledGaussian(samplingRate: 1, noiseMultiplier: noise)
    let curve = try TradeOffCurve(PrivacyLossAccountant(claim, steps: 1))
    for seed in 1...20 {
      let canaries = Simulated.gaussian(1000, noise: noise / 2, seed: UInt64(seed))
      #expect(CurveAudit(canaries, curve).refutes(curve))
    }
  }

  @Test("the curve lies at or above the exact one, and near it", arguments: [0.3, 1, 3])
  func curve(mu: Double) throws {
    func phi(_ x: Double) -> Double { 0.5 * erfc(-x * 0.5.squareRoot()) }
    let curve = try TradeOffCurve(
      PrivacyLossAccountant(
        SubsampledGaussian(samplingRate: 1, noiseMultiplier: 1 / mu), steps: 1))
    var last = 0.0
    for a in stride(from: -4.0, through: 4, by: 0.05) {
      // Neyman and Pearson: 1 - f(phi(a)) = phi(a + mu).
      let bound = curve.bound(phi(a))
      #expect(bound >= phi(a + mu) - 1e-9 && bound <= phi(a + mu) + 0.02 && bound >= last)
      last = bound
    }
  }
}

@Suite("Check of sampling")
struct SamplingCheckTests {
  /// Records, rate and steps; few steps, large and small batches.
  static let cases = [(300, 0.2, 60), (2000, 0.01, 40), (128, 0.5, 24), (5000, 0.02, 10)]

  private func check(
    _ setting: (Int, Double, Int), _ batch: (inout PrivateSteps, Int) throws -> [Int],
    key: UInt32 = 5
  ) throws -> [String] {
    let (records, rate, steps) = setting
    var check = SamplingCheck(records: records, samplingRate: rate)
    var source = try PrivateSteps(
      records: records, samplingRate: rate, noiseMultiplier: 1, steps: steps,
      random: SecureRandom(fixedKey: SIMD8(repeating: key)))
    for step in 0..<steps { check.add(try batch(&source, step)) }
    #expect(check.counts.count == 4)
    return check.faults.map(\.name)
  }

  @Test("independent draws pass", arguments: cases)
  func independent(setting: (Int, Double, Int)) throws {
    for key in 0..<100 {
      #expect(try check(setting, { steps, _ in try steps.nextBatch() }, key: UInt32(key)) == [])
    }
  }

  @Test("a shuffled order in batches of a fixed size is seen", arguments: cases)
  func shuffled(setting: (Int, Double, Int)) throws {
    let (records, rate, _) = setting
    let size = Int(Double(records) * rate)
    var random = SeededGenerator(seed: 8)
    var order: [Int] = []
    // Sixty steps at least: counts of less are too small for so rare a false alarm.
    let faults = try check((records, rate, max(setting.2, 60))) { _, _ in
      if order.count < size { order = Array(0..<records).shuffled(using: &random) }
      defer { order.removeFirst(size) }
      return Array(order.prefix(size))
    }
    #expect(faults.contains("batches near the expected size"), "\(faults)")
    #expect(faults.contains("records near the expected number of batches"), "\(faults)")
  }

  @Test("batches of a fixed size, drawn anew each time, are seen", arguments: [cases[0], cases[1]])
  func fixedSize(setting: (Int, Double, Int)) throws {
    let (records, rate, _) = setting
    var random = SeededGenerator(seed: 9)
    let faults = try check(setting) { _, _ in
      Array(Array(0..<records).shuffled(using: &random).prefix(Int(Double(records) * rate)))
    }
    #expect(faults == ["batches near the expected size"])
  }

  @Test("another rate is seen, and the same batch again and again", arguments: cases)
  func wrongRate(setting: (Int, Double, Int)) throws {
    var random = SeededGenerator(seed: 10)
    let higher = try check(setting) { _, _ in
      (0..<setting.0).filter { _ in random.uniform() < 1.5 * setting.1 }
    }
    #expect(higher.contains("participations"), "\(higher)")
    let same = try check(setting) { _, _ in
      (0..<setting.0).filter { Double($0) < Double(setting.0) * setting.1 }
    }
    #expect(same.contains("records in two batches running"), "\(same)")
  }
}
