import Privacy
import TestSupport
import Testing

@Suite("The noise that an epsilon needs")
struct NoiseCalibrationTests {
  @Test("it equals the reference, and its epsilon does not exceed the target")
  func reference() throws {
    // Every other one, unless asked for others: each takes some tenths of a second.
    let rows = try PrivacyReference.all().flatMap { $0.inverse ?? [] }
    for (i, row) in rows.enumerated() where i % 2 == 0 || PrivacyReference.isElsewhere {
      let found = try NoiseCalibration(
        epsilon: row.target_epsilon, samplingRate: row.q, steps: row.steps, delta: row.delta)
      #expect(found.epsilon <= row.target_epsilon)
      #expect(found.noiseMultiplier >= row.sigma * 0.9995, "\(row.description)")
      #expect(found.noiseMultiplier <= row.sigma * 1.001, "\(row.description)")
    }
  }

  @Test("what it reports is what the accountant says", arguments: AccountantKind.allCases)
  func verified(kind: AccountantKind) throws {
    for (epsilon, q, steps, delta) in [
      (0.1, 0.01, 100, 1e-6), (1, 1e-4, 50_000, 1e-8), (30, 0.2, 1000, 1e-5), (2, 1, 10, 1e-5),
      (1e-3, 1e-5, 2000, 1e-9),
    ] {
      let found = try NoiseCalibration(
        epsilon: epsilon, samplingRate: q, steps: steps, delta: delta, accountant: kind)
      let mechanism = try SubsampledGaussian(
        samplingRate: q, noiseMultiplier: found.noiseMultiplier)
      #expect(try kind.epsilon(of: mechanism, steps: steps, delta: delta) == found.epsilon)
      #expect(found.epsilon <= epsilon)
      let less = try SubsampledGaussian(
        samplingRate: q, noiseMultiplier: found.noiseMultiplier * 0.995)
      #expect(try kind.epsilon(of: less, steps: steps, delta: delta) > epsilon)
    }
  }

  @Test("where delta alone covers who may be sampled, hardly any noise is needed")
  func free() throws {
    let found = try NoiseCalibration(epsilon: 1, samplingRate: 1e-6, steps: 10, delta: 1e-2)
    #expect(found.noiseMultiplier == NoiseCalibration.leastNoise)
  }

  @Test("impossible values are refused")
  func refused() {
    for epsilon in [0, -1, .nan, .infinity] as [Double] {
      #expect(throws: PrivacyError.self) {
        try NoiseCalibration(epsilon: epsilon, samplingRate: 0.1, steps: 10, delta: 1e-5)
      }
    }
    #expect(throws: PrivacyError.self) {
      try NoiseCalibration(epsilon: 1, samplingRate: 2, steps: 10, delta: 1e-5)
    }
    #expect(throws: PrivacyError.self) {
      try NoiseCalibration(epsilon: 1, samplingRate: 0.1, steps: -1, delta: 1e-5)
    }
    #expect(throws: PrivacyError.self) {
      try NoiseCalibration(epsilon: 1, samplingRate: 0.1, steps: 10, delta: 0)
    }
  }
}
