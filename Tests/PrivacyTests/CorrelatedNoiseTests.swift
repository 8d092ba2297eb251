import Foundation
import Privacy
import TestSupport
import Testing

@Suite("Correlated noise")
struct CorrelatedNoiseTests {
  /// Every set of at most `times` steps that are `separation` or more apart.
  private func patterns(_ participation: Participation) -> [[Int]] {
    var all: [[Int]] = [[]]
    var last = all
    for _ in 0..<participation.times {
      last = last.flatMap { pattern -> [[Int]] in
        let first = pattern.last.map { $0 + participation.separation } ?? 0
        return first < participation.steps
          ? (first..<participation.steps).map { pattern + [$0] } : []
      }
      all += last
    }
    return all
  }

  @Test("sensitivity of a tree is that of the worst pattern, or a little above")
  func tree() throws {
    for steps in [1, 2, 3, 5, 8, 11, 16] {
      let tree = try TreeAggregation(steps: steps)
      for times in 1...4 {
        for separation in [1, 2, 3, 5] {
          let participation = try Participation(
            steps: steps, times: times, separation: separation)
          var worst = 0.0
          for pattern in patterns(participation) {
            var square = 0.0
            for level in 0..<tree.levels {
              var nodes: [Int: Double] = [:]
              for step in pattern { nodes[step >> level, default: 0] += 1 }
              square += nodes.values.reduce(0) { $0 + $1 * $1 }
            }
            worst = max(worst, square.squareRoot())
          }
          let found = tree.sensitivity(participation)
          #expect(found >= worst, "\(participation)")
          #expect(found <= worst * 1.5, "\(participation)")
          if participation.times == 1 { expectClose(found, worst, relative: 1e-12) }
        }
      }
    }
  }

  @Test("a tree's levels and the nodes of its prefixes")
  func levels() throws {
    #expect(
      try [1, 2, 3, 4, 5, 8, 9, 1024].map { try TreeAggregation(steps: $0).levels } == [
        1, 2, 3, 3, 4, 4, 5, 11,
      ])
    let tree = try TreeAggregation(steps: 8)
    #expect((1...8).map(tree.nodes(inPrefix:)) == [1, 1, 2, 1, 2, 2, 3, 1])
  }

  @Test("sensitivity of a banded matrix is that of the worst pattern", arguments: [1, 2, 4, 7])
  func banded(bands: Int) throws {
    let strategy = try BandedToeplitz.squareRoot(bands: bands)
    for steps in [1, 4, 9, 12] {
      for times in 1...3 {
        for separation in [1, 2, 4, 7] {
          let participation = try Participation(
            steps: steps, times: times, separation: separation)
          var worst = 0.0
          for pattern in patterns(participation) {
            var square = 0.0
            for row in 0..<steps {
              let sum = pattern.reduce(0.0) {
                row >= $1 && row - $1 < bands ? $0 + strategy.coefficients[row - $1] : $0
              }
              square += sum * sum
            }
            worst = max(worst, square.squareRoot())
          }
          expectClose(
            strategy.sensitivity(participation), worst, relative: 1e-11, "\(participation)")
        }
      }
    }
  }

  @Test("participations at least the bands apart are orthogonal: sqrt(times) columns")
  func orthogonal() throws {
    let strategy = try BandedToeplitz.squareRoot(bands: 5)
    let column = strategy.coefficients.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let participation = try Participation(steps: 100, times: 6, separation: 5)
    expectClose(strategy.sensitivity(participation), column * 6.0.squareRoot(), relative: 1e-11)
  }

  @Test("the inverse is one, and the square root of prefix sums is its own partner")
  func inverse() throws {
    let steps = 30
    for bands in [1, 3, 30] {
      let strategy = try BandedToeplitz.squareRoot(bands: bands)
      let inverse = strategy.inverse(count: steps)
      for t in 0..<steps {
        let product = (0...t).reduce(0.0) {
          t - $1 < bands ? $0 + strategy.coefficients[t - $1] * inverse[$1] : $0
        }
        expectClose(product, t == 0 ? 1 : 0, absolute: 1e-13)
      }
    }
    // C C = A without truncation, so B = C: its rows have the coefficients' partial sums of squares.
    let whole = try BandedToeplitz.squareRoot(bands: steps)
    var sum = 0.0
    for (coefficient, variance) in zip(whole.coefficients, whole.prefixVariances(count: steps)) {
      sum += coefficient * coefficient
      expectClose(variance, sum, relative: 1e-12)
    }
  }

  @Test("one band is independent noise; more bands make later sums less noisy at equal privacy")
  func gain() throws {
    let steps = 1000
    let participation = try Participation(steps: steps, times: 1, separation: steps)
    func error(_ bands: Int) throws -> Double {
      let strategy = try BandedToeplitz.squareRoot(bands: bands)
      return strategy.prefixVariances(count: steps).last!.squareRoot()
        * strategy.sensitivity(participation)
    }
    expectClose(try error(1), Double(steps).squareRoot(), relative: 1e-9)
    let errors = try [1, 2, 8, 64, 1000].map(error)
    #expect(zip(errors, errors.dropFirst()).allSatisfy { $0 > $1 })
    #expect(errors.last! < 4)
  }

  @Test("privacy is that of one Gaussian mechanism with the sensitivity")
  func privacy() throws {
    let participation = try Participation(steps: 64, times: 2, separation: 32)
    let tree = try TreeAggregation(steps: 64)
    let account = try GaussianAccountant(
      tree: tree, participation: participation, noiseMultiplier: 10)
    expectClose(account.mu, tree.sensitivity(participation) / 10, relative: 1e-12)
    let strategy = try BandedToeplitz.squareRoot(bands: 32)
    let banded = try GaussianAccountant(
      strategy: strategy, participation: participation, noiseMultiplier: 10)
    expectClose(banded.mu, strategy.sensitivity(participation) / 10, relative: 1e-12)
    #expect(try banded.epsilon(atDelta: 1e-6) < account.epsilon(atDelta: 1e-6))
  }

  @Test("participations and coefficients that make no sense are refused")
  func refused() {
    for (steps, times, separation) in [(0, 1, 1), (1, 0, 1), (1, 1, 0)] {
      #expect(throws: PrivacyError.self) {
        try Participation(steps: steps, times: times, separation: separation)
      }
    }
    for coefficients in [[], [0], [1, 2], [1, -0.5], [.nan], [.infinity]] as [[Double]] {
      #expect(throws: PrivacyError.self) { try BandedToeplitz(coefficients: coefficients) }
    }
    #expect(throws: PrivacyError.self) { try BandedToeplitz.squareRoot(bands: 0) }
    #expect(throws: PrivacyError.self) { try TreeAggregation(steps: 0) }
  }
}
