import Privacy
import TestSupport
import Testing

@Suite("Witness of noise")
struct NoiseWitnessTests {
  /// Standard normal numbers of some steps, which `change` makes others of by those of all steps.
  private static func witness(
    seed: UInt64 = 1, steps: Int = 40, count: Int = 500, reach: Int = 8,
    _ change: ([[Double]], _ step: Int) -> [Double] = { $0[$1] }
  ) -> NoiseWitness {
    var random = SeededGenerator(seed: seed)
    let noise = (0..<steps).map { _ in (0..<count).map { _ in random.normal() } }
    var witness = NoiseWitness(reach: reach)
    for step in 0..<steps { witness.add(change(noise, step)) }
    return witness
  }

  @Test("independent normal numbers pass")
  func right() {
    for seed in 1...30 {
      let witness = Self.witness(seed: UInt64(seed), steps: seed, count: seed * seed)
      #expect(!witness.isOff && witness.all.count == seed * seed * seed)
    }
  }

  @Test("another size is seen, of all numbers or of those of one step")
  func size() throws {
    #expect(Self.witness { noise, step in noise[step].map { 0.9 * $0 } }.all.fault != nil)
    let one = Self.witness { noise, step in step == 17 ? noise[step].map { $0 / 4 } : noise[step] }
    #expect(one.isOff && one.all.fault == nil && one.step?.number == 18)
    expectClose(try #require(one.step).deviation, 0.25, absolute: 0.03)
    let none = Self.witness { noise, step in noise[step].map { _ in .nan } }
    #expect(none.isOff && none.all.fault != nil)
  }

  @Test("what is correlated is seen, and how far apart", arguments: [1, 2, 5, 8])
  func apart(distance: Int) throws {
    for weight in [0.3, -0.3] {
      let witness = Self.witness { noise, step in
        guard step >= distance else { return noise[step] }
        let size = (1 - weight * weight).squareRoot()
        return zip(noise[step], noise[step - distance]).map { size * $0 + weight * $1 }
      }
      let found = try #require(witness.dependence)
      #expect(found.apart == distance && witness.all.fault == nil)
      expectClose(found.correlation, weight * (1 - weight * weight).squareRoot(), absolute: 0.03)
    }
  }

  @Test("numbers that come again once are seen, neighbours that are the same too")
  func again() throws {
    let once = Self.witness { noise, step in step == 20 ? noise[15] : noise[step] }
    #expect(once.dependence?.apart == 5 && once.all.fault == nil)
    expectClose(try #require(once.dependence).correlation, 1, absolute: 1e-9)
    let same = Self.witness { noise, step in noise[step].indices.map { noise[step][$0 & ~1] } }
    #expect(same.dependence?.apart == 0)
    // Farther apart than is looked at.
    #expect(!Self.witness { noise, step in step == 20 ? noise[11] : noise[step] }.isOff)
  }
}

@Suite("Check of participation")
struct ParticipationCheckTests {
  @Test(
    "more or closer participations than assumed are wrong, fewer are not",
    arguments: [
      ([[0, 1], [], [0], [2], [0]], 3, 2, true),
      ([[0, 1], [2], [], [0, 1], [2]], 2, 3, true),
      ([[0], [], [0], [], [0]], 3, 2, true),
      ([[0], [1], [], [1], [0]], 2, 2, true),
      ([[0], [1], [1], [], []], 2, 1, false),
      ([[0, 0], [], [], [], []], 2, 0, false),
    ])
  func patterns(batches: [[Int]], times: Int, separation: Int, isRight: Bool) throws {
    let assumed = try Participation(steps: 5, times: 3, separation: 2)
    var check = ParticipationCheck(records: 3, assumed)
    for batch in batches { check.add(batch) }
    #expect(check.times == times && check.separation == separation && check.isRight == isRight)
    // A pattern of which it is the most is right, and the least above it is not.
    guard separation > 0 else { return }
    for (more, farther) in [(0, 0), (-1, 0), (0, 1)] where times + more > 0 {
      let assumed = try Participation(
        steps: 100, times: times + more, separation: separation + farther)
      var check = ParticipationCheck(records: 3, assumed)
      for batch in batches { check.add(batch) }
      #expect(check.isRight == (more == 0 && farther == 0))
    }
  }
}

@Suite("Rows of a Toeplitz matrix")
struct ToeplitzRowsTests {
  @Test("rows are those of the product, and undo its inverse", arguments: [1, 3, 8])
  func product(bands: Int) throws {
    let strategy = try BandedToeplitz.squareRoot(bands: bands)
    let (steps, inverse) = (12, strategy.inverse(count: 12))
    var random = SeededGenerator(seed: 4)
    let vectors = (0..<steps).map { _ in [random.normal(), random.normal(), random.normal()] }
    var (rows, undone) = (ToeplitzRows(strategy.coefficients), ToeplitzRows(strategy.coefficients))
    for step in 0..<steps {
      func product(_ first: [Double]) -> [Double] {
        (0..<3).map { k in
          (0...step).reduce(0) {
            $1 < first.count ? $0 + first[$1] * vectors[step - $1][k] : $0
          }
        }
      }
      expectClose(rows.next(vectors[step]), product(strategy.coefficients), absolute: 1e-13)
      expectClose(undone.next(product(inverse)), vectors[step], absolute: 1e-12)
    }
  }
}
