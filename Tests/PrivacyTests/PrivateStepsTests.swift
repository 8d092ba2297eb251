import Foundation
import Privacy
import TestSupport
import Testing

@Suite("Private steps")
struct PrivateStepsTests {
  private static let key = SIMD8<UInt32>(8, 7, 6, 5, 4, 3, 2, 1)

  private func steps(
    records: Int, rate: Double, noise: Double = 1, steps: Int = 10_000
  ) throws -> PrivateSteps {
    try PrivateSteps(
      records: records, samplingRate: rate, noiseMultiplier: noise, steps: steps,
      random: SecureRandom(fixedKey: Self.key))
  }

  @Test("every record is drawn with the rate, independently", arguments: [0.003, 0.25, 0.9])
  func rate(rate: Double) throws {
    let records = 211
    let rounds = 4000
    var steps = try steps(records: records, rate: rate)
    var drawn = [Double](repeating: 0, count: records)
    var sizes = 0.0
    var squares = 0.0
    var together = 0.0
    for _ in 0..<rounds {
      let batch = try steps.nextBatch()
      #expect(batch == batch.sorted() && Set(batch).count == batch.count)
      for record in batch { drawn[record] += 1 }
      sizes += Double(batch.count)
      squares += Double(batch.count * batch.count)
      if batch.contains(3), batch.contains(4) { together += 1 }
    }
    let variance = rate * (1 - rate)
    // Six standard deviations, over some hundred comparisons: a false alarm has probability below 1e-6.
    for count in drawn {
      #expect(abs(count - rate * Double(rounds)) < 6 * (variance * Double(rounds)).squareRoot() + 2)
    }
    // The size is binomial, not fixed: mean and variance.
    let mean = sizes / Double(rounds)
    let expected = Double(records) * variance
    #expect(abs(mean - rate * Double(records)) < 6 * (expected / Double(rounds)).squareRoot())
    #expect(
      abs(squares / Double(rounds) - mean * mean - expected)
        < 6 * expected * (3 / Double(rounds)).squareRoot() + 0.1)
    let pairs = rate * rate * Double(rounds)
    #expect(abs(together - pairs) < 6 * pairs.squareRoot() + 6)
  }

  @Test("a tiny rate is kept to 64 bits, and never exceeded")
  func tiny() throws {
    var never = try steps(records: 100_000, rate: 1e-30, steps: 3)
    for _ in 0..<3 { #expect(try never.nextBatch().isEmpty) }
    var rare = try steps(records: 1_000_000, rate: 1e-5, steps: 100)
    var count = 0
    for _ in 0..<100 { count += try rare.nextBatch().count }
    #expect(abs(count - 1000) < 6 * 32)
    var always = try steps(records: 5, rate: 1, steps: 1)
    #expect(try always.nextBatch() == [0, 1, 2, 3, 4])
  }

  @Test(
    "each batch that is drawn is one step accounted for, also an empty one; no more than planned")
  func counted() throws {
    var steps = try steps(records: 0, rate: 0.01, noise: 1.1, steps: 3)
    #expect(try steps.accountant.epsilon(atDelta: 1e-6) == 0)
    for taken in 1...3 {
      #expect(try steps.nextBatch().isEmpty)
      #expect(steps.taken == taken)
      let expected = try PrivacyLossAccountant(
        SubsampledGaussian(samplingRate: 0.01, noiseMultiplier: 1.1), steps: taken)
      #expect(steps.accountant == expected)
    }
    #expect(steps.accountant == steps.plannedAccountant)
    do {
      _ = try steps.nextBatch()
      Issue.record("a fourth step was given")
    } catch let error as PrivacyError {
      #expect(error.code == .stepsExhausted)
    }
    #expect(steps.taken == 3)
  }

  @Test("noise is made once for each batch, and only for sums of the same noise")
  func noised() throws {
    var steps = try steps(records: 10, rate: 0.5, noise: 2, steps: 2)
    var sum = try ClippedSum(parameters: 4, clippingNorm: 1, noiseMultiplier: 2)
    var other = try ClippedSum(parameters: 4, clippingNorm: 1, noiseMultiplier: 1)
    var result = [Double](repeating: 0, count: 4)
    func release(_ sum: inout ClippedSum) -> PrivacyError.Code? {
      do {
        try result.withUnsafeMutableBufferPointer { try steps.release(&sum, into: $0) }
        return nil
      } catch { return (error as? PrivacyError)?.code }
    }
    #expect(release(&sum) == .stepsExhausted)
    _ = try steps.nextBatch()
    #expect(release(&other) == .badNoiseMultiplier)
    #expect(release(&sum) == nil)
    #expect(release(&sum) == .stepsExhausted)
    #expect(steps.noised == 1)
  }

  @Test("the noisy sum is the sum plus noise of the stated size")
  func noisySum() throws {
    let parameters = 50_000
    var steps = try steps(records: 1, rate: 1, noise: 3, steps: 1)
    var sum = try ClippedSum(parameters: parameters, clippingNorm: 0.5, noiseMultiplier: 3)
    var gradient = [Float](repeating: 0, count: parameters)
    (gradient[0], gradient[1]) = (0.3, -0.4)
    let factor = try gradient.withUnsafeBufferPointer { try sum.add($0) }.factor
    expectClose(factor, 1, relative: 1e-6)
    _ = try steps.nextBatch()
    var result = [Double](repeating: 0, count: parameters)
    try result.withUnsafeMutableBufferPointer { try steps.release(&sum, into: $0) }
    #expect(sum.count == 0)
    (result[0], result[1]) = (result[0] - 0.3 * factor, result[1] + 0.4 * factor)
    // Standard deviation 3 × 0.5, mean 0, within five standard deviations of each.
    let mean = result.reduce(0, +) / Double(parameters)
    let variance = result.reduce(0) { $0 + $1 * $1 } / Double(parameters)
    #expect(abs(mean) < 5 * 1.5 / Double(parameters).squareRoot())
    #expect(abs(variance / 2.25 - 1) < 5 * (2 / Double(parameters)).squareRoot())
    #expect(steps.samplingDelta(parameters: parameters) < 1e-20)
  }

  @Test("a rounded contribution never exceeds the clipping norm, whatever it was before")
  func sensitivity() throws {
    var generator = SeededGenerator(seed: 3)
    for parameters in [1, 2, 7, 1000, 40_000] {
      for (norm, noise, bits) in [(1.0, 1.0, 32), (0.01, 0.3, 24), (50, 40, 28)] {
        for size in [1e-3, 1, 1e6] {
          var sum = try ClippedSum(
            parameters: parameters, clippingNorm: norm, noiseMultiplier: noise, bits: bits)
          let values = generator.normals(parameters).map { $0 * size * norm }
          let factor = try values.withUnsafeBufferPointer { try sum.add($0) }.factor
          let length = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
          expectClose(factor, min(1, sum.usableNorm / length), relative: 1e-12)
          let (grid, step) = (sum.gridValues, sum.step)
          // Exact in integers: the squared norm in grid units.
          let square = grid.reduce(into: UInt128(0)) {
            $0 += UInt128($1.magnitude) * UInt128($1.magnitude)
          }
          #expect(Double(square).squareRoot() * step <= norm)
          for (value, rounded) in zip(values, grid) {
            #expect(abs(value * factor - Double(rounded) * step) <= step * (0.5 + 1e-3))
          }
        }
      }
    }
  }

  @Test("the sum does not depend on order or on how it is split between threads")
  func order() throws {
    var generator = SeededGenerator(seed: 11)
    let contributions = (0..<20).map { _ in generator.normals(33).map(Float.init) }
    func sum(_ indices: [Int]) throws -> ClippedSum {
      var sum = try ClippedSum(parameters: 33, clippingNorm: 1, noiseMultiplier: 0.7)
      for i in indices { try contributions[i].withUnsafeBufferPointer { _ = try sum.add($0) } }
      return sum
    }
    let whole = try sum(Array(0..<20))
    var parts = try sum([19, 3, 4])
    parts.add(try sum((0..<19).filter { $0 != 3 && $0 != 4 }.reversed()))
    #expect(whole.gridValues == parts.gridValues)
    #expect(parts.count == 20)
    // Neighbours differ by one contribution, exactly.
    let without = try sum(Array(0..<19))
    let one = try sum([19])
    for i in 0..<33 {
      #expect(whole.gridValues[i] - without.gridValues[i] == one.gridValues[i])
    }
  }

  @Test("a contribution that is not finite is refused and leaves the sum alone")
  func notFinite() throws {
    var sum = try ClippedSum(parameters: 5, clippingNorm: 1, noiseMultiplier: 1)
    for bad in [Float.nan, .infinity, -.infinity] {
      var gradient = [Float](repeating: 1, count: 5)
      gradient[4] = bad
      #expect(throws: PrivacyError.self) {
        try gradient.withUnsafeBufferPointer { _ = try sum.add($0) }
      }
    }
    #expect(sum.count == 0)
    #expect(sum.gridValues == [0, 0, 0, 0, 0])
  }

  @Test("grids that do not suit are refused")
  func refused() {
    #expect(throws: PrivacyError.self) {
      try ClippedSum(parameters: 1, clippingNorm: 0, noiseMultiplier: 1)
    }
    #expect(throws: PrivacyError.self) {
      try ClippedSum(parameters: 1, clippingNorm: 1, noiseMultiplier: 0)
    }
    #expect(throws: PrivacyError.self) {
      try ClippedSum(parameters: 0, clippingNorm: 1, noiseMultiplier: 1)
    }
    // Too coarse: the rounding of ten million parameters is a tenth of the norm.
    #expect(throws: PrivacyError.self) {
      try ClippedSum(parameters: 10_000_000, clippingNorm: 1, noiseMultiplier: 1, bits: 14)
    }
    // Too fine for 64 bits.
    #expect(throws: PrivacyError.self) {
      try ClippedSum(parameters: 1, clippingNorm: 1, noiseMultiplier: 1e-6, bits: 40)
    }
  }
}
