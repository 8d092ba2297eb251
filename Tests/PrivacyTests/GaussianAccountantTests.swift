// Names: keys of the golden file.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import Privacy
import TestSupport
import Testing

@Suite("The Gaussian mechanism")
struct GaussianAccountantTests {
  struct Reference: Decodable {
    struct Forward: Decodable {
      let sigma: Double
      let steps: Int
      let delta: Double
      let epsilon: Double
    }
    struct Inverse: Decodable {
      let steps: Int
      let delta: Double
      let target_epsilon: Double
      let sigma: Double
    }
    let forward: [Forward]
    let inverse: [Inverse]
  }

  private func reference() throws -> Reference {
    try Golden.json("gaussian_mechanism.json")
  }

  @Test("epsilon equals the reference and is not below it")
  func forward() throws {
    let rows = try reference().forward
    #expect(rows.count == 16)
    for row in rows {
      let accountant = try GaussianAccountant(noiseMultiplier: row.sigma, steps: row.steps)
      let epsilon = try accountant.epsilon(atDelta: row.delta)
      // The reference is solved to 1e-12 itself.
      #expect(epsilon >= row.epsilon * (1 - 2e-12), "noise \(row.sigma), \(row.steps) steps")
      expectClose(epsilon, row.epsilon, relative: 1e-10, "noise \(row.sigma), \(row.steps) steps")
    }
  }

  @Test("the noise for an epsilon equals the reference")
  func inverse() throws {
    let rows = try reference().inverse
    #expect(rows.count == 13)
    for row in rows {
      let noise = try GaussianAccountant.noiseMultiplier(
        forEpsilon: row.target_epsilon, delta: row.delta, steps: row.steps)
      expectClose(noise, row.sigma, relative: 1e-9, "epsilon \(row.target_epsilon)")
    }
  }

  @Test("the epsilon that is reported holds: its delta is not above the one asked for")
  func consistent() throws {
    for noise in [0.05, 0.6, 1, 3, 50, 1e4, 1e7] {
      for steps in [1, 7, 1000, 1_000_000] {
        let accountant = try GaussianAccountant(noiseMultiplier: noise, steps: steps)
        for delta in [0.5, 1e-3, 1e-5, 1e-9, 1e-12] {
          let epsilon = try accountant.epsilon(atDelta: delta)
          #expect(epsilon >= 0 && epsilon.isFinite)
          #expect(try accountant.delta(atEpsilon: epsilon) <= delta)
          if epsilon > 1e-6 {
            // And it is tight: a little less does not hold.
            #expect(try accountant.delta(atEpsilon: epsilon * (1 - 1e-7)) > delta)
          }
        }
      }
    }
  }

  @Test("delta equals the sum of the two normal tails where that does not overflow")
  func definition() throws {
    func tail(_ x: Double) -> Double { erfc(x / 2.0.squareRoot()) / 2 }
    for noise in [0.5, 1, 2, 5] {
      let accountant = try GaussianAccountant(noiseMultiplier: noise, steps: 4)
      let mu = 2 / noise
      for epsilon in [0, 0.1, 1, 3, 10] {
        let expected =
          tail(epsilon / mu - mu / 2) - exp(epsilon) * tail(epsilon / mu + mu / 2)
        expectClose(
          try accountant.delta(atEpsilon: epsilon), expected, absolute: 1e-14, relative: 1e-9,
          "noise \(noise), epsilon \(epsilon)")
      }
    }
  }

  @Test("epsilon rises with steps and falls with noise and delta")
  func monotone() throws {
    func epsilon(_ noise: Double, _ steps: Int, _ delta: Double) throws -> Double {
      try GaussianAccountant(noiseMultiplier: noise, steps: steps).epsilon(atDelta: delta)
    }
    let steps = try [1, 2, 5, 50, 5000].map { try epsilon(2, $0, 1e-6) }
    #expect(zip(steps, steps.dropFirst()).allSatisfy { $0 < $1 })
    let noises = try [0.3, 1, 1.01, 4, 100].map { try epsilon($0, 10, 1e-6) }
    #expect(zip(noises, noises.dropFirst()).allSatisfy { $0 > $1 })
    let deltas = try [1e-12, 1e-9, 1e-6, 1e-2].map { try epsilon(2, 10, $0) }
    #expect(zip(deltas, deltas.dropFirst()).allSatisfy { $0 > $1 })
  }

  @Test("steps compose: n steps equal one with the noise over the root of n", arguments: [4, 100])
  func composition(steps: Int) throws {
    let many = try GaussianAccountant(noiseMultiplier: 3, steps: steps)
    let one = try GaussianAccountant(
      noiseMultiplier: 3 / Double(steps).squareRoot(), steps: 1)
    expectClose(
      try many.epsilon(atDelta: 1e-6), try one.epsilon(atDelta: 1e-6), relative: 1e-12)
  }

  @Test("no steps cost nothing; a generous delta needs no epsilon")
  func nothing() throws {
    let none = try GaussianAccountant(noiseMultiplier: 1, steps: 0)
    #expect(try none.epsilon(atDelta: 1e-9) == 0)
    #expect(try none.delta(atEpsilon: 0) == 0)
    #expect(try GaussianAccountant(noiseMultiplier: 10, steps: 1).epsilon(atDelta: 0.1) == 0)
  }

  @Test("input perturbation: noise on every cell of 3120 time slots")
  func inputPerturbation() throws {
    // (noise in people, epsilon at delta 1e-5 and 1e-7, and at 1e-5 for a person who may be in two cells),
    // computed independently, to the digits given.
    for (noise, usual, strict, mover) in [
      (87.95, 2.61, 3.23, 3.87), (143.28, 1.51, 1.90, 2.22), (160.14, 1.34, 1.69, 1.96),
      (180.34, 1.17, 1.49, 1.72),
    ] {
      let account = try GaussianAccountant(sensitivity: 1, noise: noise, releases: 3120)
      expectClose(try account.epsilon(atDelta: 1e-5), usual, absolute: 0.0051)
      expectClose(try account.epsilon(atDelta: 1e-7), strict, absolute: 0.0051)
      let moving = try GaussianAccountant(
        sensitivity: 2.0.squareRoot(), noise: noise, releases: 3120)
      expectClose(try moving.epsilon(atDelta: 1e-5), mover, absolute: 0.0051)
    }
  }

  @Test("different releases compose, in any order, and small ones are not lost")
  func heterogeneous() throws {
    let parts = try [(1.0, 2.0, 3), (0.5, 10, 40), (3, 7, 1)].map {
      try GaussianAccountant(sensitivity: $0, noise: $1, releases: $2)
    }
    var forward = GaussianAccountant()
    for part in parts { forward.compose(part) }
    var backward = GaussianAccountant()
    for part in parts.reversed() { backward.compose(part) }
    let mu = (3.0 / 4 + 40 * 0.0025 + 9.0 / 49).squareRoot()
    expectClose(forward.mu, mu, relative: 1e-14)
    expectClose(backward.mu, forward.mu, relative: 1e-14)
    let before = forward
    forward.compose(try GaussianAccountant(sensitivity: 1e-200, noise: 1, releases: 1))
    #expect(forward.mu > before.mu)
    #expect(
      try GaussianAccountant(sensitivity: 0, noise: 1, releases: 5).epsilon(atDelta: 1e-9) == 0)
    #expect(throws: PrivacyError.self) {
      try GaussianAccountant(sensitivity: -1, noise: 1, releases: 5)
    }
  }

  @Test("impossible values are refused with their code")
  func refused() throws {
    func code(_ body: () throws -> Void) -> PrivacyError.Code? {
      do {
        try body()
        return nil
      } catch { return (error as? PrivacyError)?.code }
    }
    for noise in [0, -1, .nan, .infinity] as [Double] {
      #expect(
        code { _ = try GaussianAccountant(noiseMultiplier: noise, steps: 1) } == .badNoiseMultiplier
      )
    }
    #expect(code { _ = try GaussianAccountant(noiseMultiplier: 1, steps: -1) } == .badSteps)
    let accountant = try GaussianAccountant(noiseMultiplier: 1, steps: 1)
    for delta in [0, 1, -1, .nan] as [Double] {
      #expect(code { _ = try accountant.epsilon(atDelta: delta) } == .badDelta)
    }
    for epsilon in [-1, .nan] as [Double] {
      #expect(code { _ = try accountant.delta(atEpsilon: epsilon) } == .badEpsilon)
    }
    for epsilon in [0, .infinity, .nan] as [Double] {
      #expect(
        code {
          _ = try GaussianAccountant.noiseMultiplier(forEpsilon: epsilon, delta: 1e-6, steps: 1)
        } == .badEpsilon)
    }
  }
}
