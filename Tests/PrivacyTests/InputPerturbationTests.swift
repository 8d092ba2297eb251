import Foundation
import Privacy
import TestSupport
import Testing

@Suite("Input perturbation")
struct InputPerturbationTests {
  /// Noise of a mobility study (Arcolezi et al. 2022, table 5) on 3120 half hours, composed exactly.
  @Test(
    "epsilon of noise on counts over 3120 slots",
    arguments: [
      (1.0, 1e-5, [2.61, 1.51, 1.34, 1.17]), (2.0.squareRoot(), 1e-5, [3.87, 2.22, 1.96, 1.72]),
      (1, 1e-7, [3.23, 1.90, 1.69, 1.49]),
    ])
  func mobility(sensitivity: Double, delta: Double, expected: [Double]) throws {
    for (deviation, epsilon) in zip([87.95, 143.28, 160.14, 180.34], expected) {
      let mechanism = try InputPerturbation(
        sensitivity: sensitivity, slots: 3120, deviation: deviation)
      let found = try mechanism.epsilon(atDelta: delta)
      expectClose(found, epsilon, absolute: 0.00501)
      // Balle & Wang 2018, theorem 8, by the plain formula: at the claimed epsilon delta is not above.
      let mu = 3120.0.squareRoot() * sensitivity / deviation
      func phi(_ x: Double) -> Double { erfc(-x / 2.0.squareRoot()) / 2 }
      let plain = phi(mu / 2 - found / mu) - exp(found) * phi(-mu / 2 - found / mu)
      // The grid of slots with a million cells is paid for: up to 1e-4 of the noise.
      #expect(plain <= delta * (1 + 1e-9) && plain > delta * 0.99)
    }
  }

  @Test("calibrated noise keeps epsilon, and hardly less than that would not")
  func calibrated() throws {
    for (epsilon, delta, slots) in [(1.5, 1e-5, 3120), (0.1, 1e-9, 1), (8, 1e-6, 48)] {
      let mechanism = try InputPerturbation(
        sensitivity: 3, slots: slots, epsilon: epsilon, delta: delta)
      let found = try mechanism.epsilon(atDelta: delta)
      #expect(found <= epsilon && found > epsilon * (1 - 1e-6))
      // Rounding to the grid is paid for: more than without, by a little.
      let plain = try GaussianAccountant.noiseMultiplier(
        forEpsilon: epsilon, delta: delta, steps: slots)
      #expect(mechanism.deviation > 3 * plain && mechanism.deviation < 3 * plain * 1.001)
      #expect(mechanism.noiseMultiplier < mechanism.deviation / 3)
    }
  }

  @Test("the noise is normal, of the deviation asked for, and independent of the values")
  func noise() throws {
    let count = 40_000
    let mechanism = try InputPerturbation(sensitivity: 1, slots: 1, deviation: 2.5)
    let before = (0..<count).map { Double($0 % 1000) * 1e3 + 0.3 }
    var values = before
    try mechanism.perturb(&values, SecureRandom(fixedKey: SIMD8(1, 2, 3, 4, 5, 6, 7, 8)))
    let noise = zip(values, before).map { ($0 - $1) / 2.5 }
    let n = Double(count)
    let mean = noise.reduce(0, +) / n
    let variance = noise.reduce(0) { $0 + $1 * $1 } / n
    let fourth = noise.reduce(0) { $0 + $1 * $1 * $1 * $1 } / n
    let lagged = zip(noise, noise.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 } / n
    let withValues = zip(noise, before).reduce(0) { $0 + $1.0 * ($1.1 / 1e6 - 0.5) } / n
    // Within five standard deviations each.
    #expect(abs(mean) < 5 / n.squareRoot())
    #expect(abs(variance - 1) < 5 * (2 / n).squareRoot())
    #expect(abs(fourth - 3) < 5 * (96 / n).squareRoot())
    #expect(abs(lagged) < 5 / n.squareRoot() && abs(withValues) < 5 * 0.3 / n.squareRoot())
    // Drawn anew each time, from the operating system's key.
    var (first, second) = (before, before)
    try mechanism.perturb(&first)
    try mechanism.perturb(&second)
    #expect(first != second)
  }

  @Test("what comes out lies on the grid, whatever went in; missing stays missing")
  func grid() throws {
    let mechanism = try InputPerturbation(sensitivity: 1, slots: 1, deviation: 3)
    let step = 3 * 0x1p-32
    var values = [0, 1e-300, -7.25, 1e8, 1e300, -.infinity, .nan, 0.1 + 0.2]
    try mechanism.perturb(&values)
    for (i, value) in values.enumerated() where i != 6 {
      let place = value / step - 0.5
      #expect(place == place.rounded() || abs(place) > 0x1p52)
    }
    #expect(values[6].isNaN)
    #expect(abs(values[3] - 1e8) < 40)
    // Cut at 2^29 deviations.
    expectClose(values[4], 3 * 0x1p29, relative: 1e-7)
    expectClose(values[5], -3 * 0x1p29, relative: 1e-7)
    var nothing: [Double] = []
    try mechanism.perturb(&nothing)
    #expect(nothing.isEmpty)
  }

  @Test("parameters that make no sense are refused")
  func refused() {
    for (sensitivity, slots, deviation) in [
      (0.0, 1, 1.0), (-1, 1, 1), (.infinity, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, .nan),
      (1, 1, .infinity), (1e9, 1, 1e-9),
    ] {
      #expect(throws: PrivacyError.self) {
        try InputPerturbation(sensitivity: sensitivity, slots: slots, deviation: deviation)
      }
    }
    for (epsilon, delta) in [(0, 1e-5), (1, 0), (1, 1), (1e-9, 1e-12)] as [(Double, Double)] {
      #expect(throws: PrivacyError.self) {
        try InputPerturbation(sensitivity: 1, slots: 10, epsilon: epsilon, delta: delta)
      }
    }
  }
}
