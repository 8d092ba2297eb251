import Foundation
import Privacy
import TestSupport
import Testing

@Suite("The accountant by privacy loss distributions")
struct PrivacyLossAccountantTests {
  private func epsilon(
    _ q: Double, _ noise: Double, _ steps: Int, _ delta: Double
  ) throws -> Double {
    try AccountantKind.pld.epsilon(
      of: SubsampledGaussian(samplingRate: q, noiseMultiplier: noise), steps: steps, delta: delta)
  }

  @Test("epsilon is never below the reference, and at most 0.1 % above")
  func reference() throws {
    for row in try PrivacyReference.all().flatMap(\.forward) {
      let found = try epsilon(row.q, row.sigma, row.steps, row.delta)
      // The reference is itself an upper bound, by up to 5e-5.
      #expect(found >= row.epsilon * (1 - 2e-4), "\(row.description): \(found)")
      #expect(found <= row.epsilon * 1.001 + 1e-9, "\(row.description): \(found)")
    }
  }

  @Test("epsilon is never below the inverted Laplace transform, over many orders of magnitude")
  func wide() throws {
    let reference: PrivacyReference = try Golden.json("privacy_wide.json")
    #expect(reference.forward.count >= 20)
    for row in reference.forward {
      let found = try epsilon(row.q, row.sigma, row.steps, row.delta)
      #expect(found >= row.epsilon * (1 - 5e-5), "\(row.description): \(found)")
      #expect(found <= row.epsilon * 1.003, "\(row.description): \(found)")
    }
  }

  @Test("ten thousand steps take less than 50 ms")
  func speed() throws {
    // The processor's time, and the best of several: the machine may be busy.
    func time() -> Double {
      var now = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
      return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
    }
    for (q, noise) in [(0.01, 1.0), (0.001, 0.8), (0.1, 2)] {
      var best = Double.infinity
      for _ in 0..<5 {
        let begin = time()
        _ = try epsilon(q, noise, 10_000, 1e-5)
        best = min(best, time() - begin)
      }
      #expect(best < 0.05, "q \(q), noise \(noise): \(best) s")
    }
  }

  @Test("without sub-sampling it is the Gaussian mechanism, exactly")
  func unsampled() throws {
    let gaussian = try GaussianAccountant(noiseMultiplier: 3, steps: 50)
    #expect(try epsilon(1, 3, 50, 1e-6) <= gaussian.epsilon(atDelta: 1e-6) * (1 + 1e-12))
    // And the composition by transforms agrees with it, which shows it on a case with a known answer.
    for direction in AdjacencyDirection.allCases {
      for (noise, steps, delta) in [(3.0, 50, 1e-6), (0.5, 10, 1e-10), (40, 1000, 1e-3)] {
        let composition = PrivacyLossComposition(
          [(SubsampledGaussian(uncheckedRate: 1, noiseMultiplier: noise), steps)],
          direction: direction, scale: delta)
        let exact = try GaussianAccountant(noiseMultiplier: noise, steps: steps)
          .epsilon(atDelta: delta)
        let plan = composition.plan(near: exact, delta: delta, tolerance: 1e-4, largest: 1 << 20)
        guard case .epsilon(let found) = composition.compose(plan).epsilon(atDelta: delta) else {
          Issue.record("epsilon \(exact) is outside of the window")
          continue
        }
        #expect(found >= exact * (1 - 1e-10), "noise \(noise)")
        #expect(found <= exact * 1.001, "noise \(noise)")
      }
    }
  }

  @Test("a single step is the closed form, in both directions")
  func single() throws {
    func tail(_ x: Double) -> Double { erfc(x / 2.0.squareRoot()) / 2 }
    for q in [1e-4, 0.01, 0.3, 0.9] {
      for noise in [0.4, 1, 5] {
        let mechanism = try SubsampledGaussian(samplingRate: q, noiseMultiplier: noise)
        for epsilon in [0.001, 0.05, 0.7, 2] {
          let y = mechanism.position(ofLoss: epsilon)
          let removed =
            (1 - q) * tail(y) + q * tail(y - 1 / noise) - exp(epsilon) * tail(y)
          let z = mechanism.position(ofLoss: -epsilon)
          let added =
            tail(-z) - exp(epsilon) * ((1 - q) * tail(-z) + q * tail(-z + 1 / noise))
          #expect(added <= removed + 1e-15)
          guard removed > 1e-10 else { continue }
          let found = try PrivacyLossAccountant(mechanism, steps: 1).epsilon(atDelta: removed)
          expectClose(found, epsilon, absolute: 1e-14 / removed, relative: 1e-6)
        }
      }
    }
  }

  @Test("epsilon rises with steps and rate, and falls with noise and delta")
  func monotone() throws {
    // Rounding to a grid is good to 1e-4: factors are larger.
    func rising(_ values: [Double]) -> Bool {
      zip(values, values.dropFirst()).allSatisfy { $0 < $1 }
    }
    for (q, noise, steps, delta) in [
      (0.01, 1.0, 500, 1e-5), (1e-3, 0.5, 100, 1e-7), (0.2, 4, 3000, 1e-9), (1e-5, 1, 9999, 1e-8),
    ] {
      #expect(rising(try [1, 2, 5, 30].map { try epsilon(q, noise, steps * $0, delta) }))
      #expect(rising(try [1, 1.2, 2, 4.9].map { try epsilon(q * $0, noise, steps, delta) }))
      #expect(rising(try [3, 1.5, 1, 0.8].map { try epsilon(q, noise * $0, steps, delta) }))
      #expect(rising(try [10, 3, 1, 0.01].map { try epsilon(q, noise, steps, delta * $0) }))
    }
  }

  @Test("composition does not depend on the order or on how steps are grouped")
  func composition() throws {
    let kinds = try [(0.01, 1.0, 300), (0.002, 0.7, 1000), (1, 20, 5)].map {
      (try SubsampledGaussian(samplingRate: $0, noiseMultiplier: $1), $2)
    }
    var forward = PrivacyLossAccountant()
    for (mechanism, steps) in kinds { try forward.compose(mechanism, steps: steps) }
    var backward = PrivacyLossAccountant()
    for (mechanism, steps) in kinds.reversed() {
      var part = try PrivacyLossAccountant(mechanism, steps: steps / 3)
      try part.compose(mechanism, steps: steps - steps / 3)
      try backward.compose(part)
    }
    #expect(forward == backward)
    let epsilon = try forward.epsilon(atDelta: 1e-6)
    #expect(try backward.epsilon(atDelta: 1e-6) == epsilon)
    // More than any part, less than the sum of the parts.
    let parts = try kinds.map {
      try PrivacyLossAccountant($0, steps: $1).epsilon(atDelta: 1e-6)
    }
    #expect(epsilon > parts.max()!)
    #expect(epsilon < parts.reduce(0, +))
    var renyi = try RenyiAccountant()
    for (mechanism, steps) in kinds { try renyi.compose(mechanism, steps: steps) }
    #expect(epsilon < (try renyi.epsilon(atDelta: 1e-6)))
  }

  @Test("kinds that are nearly the same cost what one kind does")
  func mixture() throws {
    var mixed = PrivacyLossAccountant()
    for k in 0..<5 {
      try mixed.compose(
        SubsampledGaussian(samplingRate: 0.02, noiseMultiplier: 1.2 + 1e-9 * Double(k)), steps: 200)
    }
    expectClose(
      try mixed.epsilon(atDelta: 1e-6), try epsilon(0.02, 1.2, 1000, 1e-6), relative: 5e-4)
  }

  @Test("it is not above the Rényi accountant")
  func belowRenyi() throws {
    for q in [1e-6, 1e-4, 0.01, 0.5] {
      for noise in [0.3, 1, 30] {
        for steps in [2, 300, 20_000] {
          let mechanism = try SubsampledGaussian(samplingRate: q, noiseMultiplier: noise)
          for delta in [1e-4, 1e-12] {
            let renyi = try AccountantKind.rdp.epsilon(of: mechanism, steps: steps, delta: delta)
            let found = try epsilon(q, noise, steps, delta)
            #expect(found.isFinite && found >= 0)
            #expect(found <= renyi * (1 + 1e-3), "q \(q), noise \(noise), \(steps), \(delta)")
          }
        }
      }
    }
  }

  @Test("delta and epsilon belong together")
  func inverse() throws {
    let accountant = try PrivacyLossAccountant(
      SubsampledGaussian(samplingRate: 0.01, noiseMultiplier: 1), steps: 1000)
    let delta = try accountant.delta(atEpsilon: 2)
    #expect(try accountant.epsilon(atDelta: delta) <= 2)
    #expect(try accountant.epsilon(atDelta: delta * 0.99) > 2)
  }

  @Test("nobody sampled and no steps cost nothing; a large delta needs no epsilon")
  func nothing() throws {
    #expect(try PrivacyLossAccountant().epsilon(atDelta: 1e-9) == 0)
    #expect(try epsilon(0, 1, 1000, 1e-9) == 0)
    #expect(try epsilon(0.5, 1, 0, 1e-9) == 0)
    #expect(try epsilon(1e-6, 1, 100, 1e-2) == 0)
  }

  @Test("masses on the grid keep both distributions, and lie on the safe side")
  func masses() throws {
    for (q, noise, step) in [(0.01, 1.0, 0.01), (0.5, 0.5, 0.2), (1e-4, 2, 1e-5)] {
      let mechanism = try SubsampledGaussian(samplingRate: q, noiseMultiplier: noise)
      for direction in AdjacencyDirection.allCases {
        let range = direction == .remove ? -200...900 : -900...200
        let masses = PrivacyLossMasses(
          mechanism, direction: direction, step: step, low: range.lowerBound,
          high: range.upperBound)
        var p = masses.infinite
        var other = 0.0
        for (k, mass) in masses.masses.enumerated() {
          #expect(mass >= 0)
          p += mass
          other += mass * exp(-Double(masses.first + k) * step)
        }
        expectClose(p, 1, absolute: 1e-12)
        #expect(other <= 1 + 1e-12)
        // Delta at grid points is exact for one step, and never below.
        for epsilon in [0, 5, 20, 100].map({ Double($0) * step }) {
          var delta = masses.infinite
          for (k, mass) in masses.masses.enumerated() {
            delta += mass * max(0, 1 - exp(epsilon - Double(masses.first + k) * step))
          }
          let exact = try exactDelta(mechanism, direction, epsilon)
          #expect(delta >= exact - 1e-13)
        }
      }
    }
  }

  private func exactDelta(
    _ mechanism: SubsampledGaussian, _ direction: AdjacencyDirection, _ epsilon: Double
  ) throws -> Double {
    func tail(_ x: Double) -> Double { erfc(x / 2.0.squareRoot()) / 2 }
    let q = mechanism.samplingRate
    let shift = 1 / mechanism.noiseMultiplier
    if direction == .remove {
      let y = mechanism.position(ofLoss: epsilon)
      return (1 - q) * tail(y) + q * tail(y - shift) - exp(epsilon) * tail(y)
    }
    let y = mechanism.position(ofLoss: -epsilon)
    return tail(-y) - exp(epsilon) * ((1 - q) * tail(-y) + q * tail(-y + shift))
  }

  @Test(
    "the transform equals its definition, and its inverse undoes it", arguments: [4, 8, 64, 512])
  func transform(count: Int) {
    let transform = FourierTransform(count: count)
    var generator = SeededGenerator(seed: 7)
    let x = generator.normals(count)
    let re = UnsafeMutablePointer<Double>.allocate(capacity: 2 * count)
    defer { re.deallocate() }
    let im = re + count
    for k in 0..<count { (re[k], im[k]) = (x[k], 0) }
    transform.forward(re, im)
    let bits = count.trailingZeroBitCount
    for k in 0..<count {
      var reversed = 0
      for b in 0..<bits where k >> b & 1 == 1 { reversed |= 1 << (bits - 1 - b) }
      var (a, b) = (0.0, 0.0)
      for j in 0..<count {
        let angle = -2 * Double.pi * Double(j * reversed % count) / Double(count)
        a += x[j] * cos(angle)
        b += x[j] * sin(angle)
      }
      expectClose(re[k], a, absolute: 1e-12 * Double(count))
      expectClose(im[k], b, absolute: 1e-12 * Double(count))
    }
    transform.inverse(re, im)
    for k in 0..<count { expectClose(re[k] / Double(count), x[k], absolute: 1e-13) }
  }

  @Test("impossible values are refused with their code")
  func refused() throws {
    func code(_ body: () throws -> Void) -> PrivacyError.Code? {
      do {
        try body()
        return nil
      } catch { return (error as? PrivacyError)?.code }
    }
    for q in [-0.1, 1.1, .nan] as [Double] {
      #expect(
        code { _ = try SubsampledGaussian(samplingRate: q, noiseMultiplier: 1) }
          == .badSamplingRate)
    }
    for noise in [0, -1, .nan, .infinity] as [Double] {
      #expect(
        code { _ = try SubsampledGaussian(samplingRate: 0.1, noiseMultiplier: noise) }
          == .badNoiseMultiplier)
    }
    #expect(code { _ = try epsilon(0.1, 1, -1, 1e-5) } == .badSteps)
    #expect(code { _ = try epsilon(0.1, 1, .max, 1e-5) } == .badSteps)
    for delta in [0, 1, -1, .nan] as [Double] {
      #expect(code { _ = try epsilon(0.1, 1, 1, delta) } == .badDelta)
    }
  }
}
