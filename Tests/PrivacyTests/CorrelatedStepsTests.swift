import Foundation
import Privacy
import TestSupport
import Testing

@Suite("Steps with correlated noise")
struct CorrelatedStepsTests {
  private static let key = SIMD8<UInt32>(3, 1, 4, 1, 5, 9, 2, 6)

  private func steps(
    _ mechanism: CorrelatedGaussian, phases: [Int] = [], parameters: Int, norm: Double = 1
  ) throws -> CorrelatedSteps {
    try CorrelatedSteps(
      mechanism, phases: phases, parameters: parameters, clippingNorm: norm,
      random: SecureRandom(fixedKey: Self.key))
  }

  @Test("a record takes part in its phase of every cycle, as is accounted for")
  func participation() throws {
    let mechanism = try CorrelatedGaussian(steps: 11, cycle: 4, bands: 2, noiseMultiplier: 1)
    var steps = try steps(mechanism, phases: [3, 0, 1, 0, 3], parameters: 1)
    var sum = try steps.makeSum()
    var result = [0.0]
    var batches: [[Int]] = []
    for taken in 1...11 {
      batches.append(try steps.nextBatch())
      // Noise of a step depends on those before: none is left out.
      #expect(throws: PrivacyError.self) { try steps.nextBatch() }
      try result.withUnsafeMutableBufferPointer { try steps.release(&sum, into: $0) }
      #expect(steps.taken == taken && steps.noised == taken)
    }
    #expect(
      batches == [[1, 3], [2], [], [0, 4], [1, 3], [2], [], [0, 4], [1, 3], [2], []])
    #expect(throws: PrivacyError.self) { try steps.nextBatch() }
    let participation = try mechanism.participation
    #expect(participation == (try Participation(steps: 11, times: 3, separation: 4)))
    for record in 0..<5 {
      let turns = batches.indices.filter { batches[$0].contains(record) }
      #expect(turns.count <= participation.times)
      #expect(zip(turns, turns.dropFirst()).allSatisfy { $1 - $0 >= participation.separation })
    }
    #expect(try steps.accountant == steps.plannedAccountant)
    #expect(try steps.plannedAccountant == mechanism.accountant)
  }

  @Test("released sums are the sums and C^-1 z: its covariance is measured", arguments: [1, 4, 8])
  func covariance(bands: Int) throws {
    let (count, parameters, noise, norm) = (8, 20_000, 2.0, 0.5)
    let mechanism = try CorrelatedGaussian(
      steps: count, cycle: 3, bands: bands, noiseMultiplier: noise)
    let strategy = try mechanism.strategy
    var steps = try steps(mechanism, phases: [0], parameters: parameters, norm: norm)
    var sum = try steps.makeSum()
    var released: [[Double]] = []
    for step in 0..<count {
      let batch = try steps.nextBatch()
      var contribution = [Float](repeating: 0, count: parameters)
      contribution[step] = 0.25
      for _ in batch { try contribution.withUnsafeBufferPointer { _ = try sum.add($0) } }
      var result = [Double](repeating: 0, count: parameters)
      try result.withUnsafeMutableBufferPointer {
        try steps.release(&sum, into: $0, threads: step % 2 + 1)
      }
      if !batch.isEmpty { result[step] -= 0.25 }
      released.append(result)
    }
    // Cov(C^-1 z) = s² C^-1 C^-T, from an inverse made by hand.
    let inverse = strategy.inverse(count: count)
    for i in 0..<count {
      for j in 0...i {
        let expected =
          (0...j).reduce(0.0) { $0 + inverse[i - $1] * inverse[j - $1] } * noise * noise * norm
          * norm
        let found =
          zip(released[i], released[j]).reduce(0) { $0 + $1.0 * $1.1 } / Double(parameters)
        // Five standard deviations of a product of normals with variances up to 2.
        #expect(abs(found - expected) < 5 * 1.6 / Double(parameters).squareRoot(), "\(i) \(j)")
      }
    }
    // Mixed by C they are independent again, and of the stated size.
    for row in 1..<count {
      var (power, product) = (0.0, 0.0)
      for k in 0..<parameters {
        func mix(_ row: Int) -> Double {
          (0...min(row, bands - 1)).reduce(0) {
            $0 + strategy.coefficients[$1] * released[row - $1][k]
          }
        }
        let own = mix(row)
        power += own * own
        product += own * mix(row - 1)
      }
      #expect(abs(power / Double(parameters) - 1) < 5 * (2 / Double(parameters)).squareRoot())
      #expect(abs(product / Double(parameters)) < 5 / Double(parameters).squareRoot())
    }
  }

  @Test("noise is for a sensitivity that no pattern of participation exceeds, coefficients rounded")
  func sensitivity() throws {
    for bands in [1, 2, 8] {
      for cycle in [1, 2, 3, 5, 16] {
        let mechanism = try CorrelatedGaussian(
          steps: 14, cycle: cycle, bands: bands, noiseMultiplier: 1)
        let coefficients = try mechanism.strategy.coefficients
        #expect(coefficients.allSatisfy { ($0 * 4096).rounded() == $0 * 4096 })
        var worst = 0.0
        for phase in 0..<min(14, cycle) {
          let turns = stride(from: phase, to: 14, by: cycle)
          // Contributions of one sign in one direction add up most.
          var square = 0.0
          for row in 0..<14 {
            let sum = turns.reduce(0.0) {
              row >= $1 && row - $1 < bands ? $0 + coefficients[row - $1] : $0
            }
            square += sum * sum
          }
          worst = max(worst, square.squareRoot())
        }
        expectClose(try mechanism.sensitivity, worst, relative: 1e-11)
      }
    }
  }

  @Test("calibration keeps epsilon; suitable bands are better than none; one band is plain noise")
  func calibration() throws {
    for (steps, cycle) in [(1, 1), (100, 10), (100, 1), (500, 500), (300, 40)] {
      let mechanism = try CorrelatedGaussian(steps: steps, cycle: cycle, epsilon: 4, delta: 1e-6)
      let epsilon = try mechanism.accountant.epsilon(atDelta: 1e-6)
      #expect(epsilon <= 4 && epsilon > 3.9999)
      // As one step of a training without sampling: the same epsilon by other arithmetic, a little above.
      let losses = try PrivacyLossAccountant(mechanism.equivalent, steps: 1).epsilon(atDelta: 1e-6)
      #expect(losses >= epsilon * (1 - 1e-4) && losses < epsilon * 1.003)
      func error(_ bands: Int) throws -> Double {
        let mechanism = try CorrelatedGaussian(
          steps: steps, cycle: cycle, bands: bands, epsilon: 4, delta: 1e-6)
        let noise = mechanism.noiseMultiplier
        return try mechanism.strategy.prefixVariances(count: steps).reduce(0, +) * noise * noise
      }
      let best = try error(mechanism.bands)
      for bands in [1, 2, 4, 8, 16, 32, 64] where bands <= steps {
        #expect(try best <= error(bands) * (1 + 1e-9))
      }
    }
    let plain = try CorrelatedGaussian(steps: 30, cycle: 10, bands: 1, noiseMultiplier: 2)
    expectClose(
      try plain.accountant.mu, try GaussianAccountant(noiseMultiplier: 2, steps: 3).mu,
      relative: 1e-11)
  }

  @Test("a phase is up to the name alone, and names spread evenly")
  func phases() {
    var counts = [Int](repeating: 0, count: 10)
    for number in 0..<10_000 {
      counts[CorrelatedSteps.phase(of: "series \(number)", cycle: 10)] += 1
    }
    // Within six standard deviations.
    #expect(counts.allSatisfy { abs($0 - 1000) < 180 })
    #expect(CorrelatedSteps.phase(of: "a", cycle: 1) == 0)
  }

  @Test("sums that were not made for these steps, and impossible patterns, are refused")
  func refused() throws {
    let mechanism = try CorrelatedGaussian(steps: 4, cycle: 2, bands: 2, noiseMultiplier: 2)
    var result = [0.0, 0.0]
    for (norm, noise, bits) in [(1.0, 2.0, 32), (2, 2, 28), (1, 1, 28)] {
      var steps = try steps(mechanism, parameters: 2)
      var sum = try ClippedSum(
        parameters: 2, clippingNorm: norm, noiseMultiplier: noise, bits: bits)
      _ = try steps.nextBatch()
      #expect(throws: PrivacyError.self) {
        try result.withUnsafeMutableBufferPointer { try steps.release(&sum, into: $0) }
      }
      #expect(steps.noised == 0)
    }
    #expect(throws: PrivacyError.self) {
      _ = try CorrelatedSteps(mechanism, phases: [0, 2], parameters: 2, clippingNorm: 1)
    }
    for (steps, cycle, bands) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 257)] {
      #expect(throws: PrivacyError.self) {
        try CorrelatedGaussian(steps: steps, cycle: cycle, bands: bands, noiseMultiplier: 1)
      }
    }
  }
}
