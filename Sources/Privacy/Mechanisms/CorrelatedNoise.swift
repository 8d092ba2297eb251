import Foundation

// Training without amplification by sampling: each record takes part at most a few times, a known number of steps
// apart, and the noise of the steps is correlated such that it cancels in their sums (DP-FTRL, Kairouz et al.
// 2021; matrix factorisation, Denisov et al. 2022). With A = B C, A the matrix of prefix sums, A x + B z is made
// from the release C x + z, one Gaussian mechanism whose sensitivity is that of C x.

/// How often, and how close together, one record may take part.
public struct Participation: Sendable, Equatable {
  public let steps: Int
  /// Most steps that one record takes part in.
  public let times: Int
  /// Least distance between two of them, in steps.
  public let separation: Int

  /// - Throws: `PrivacyError.badParticipation` unless all are at least 1.
  public init(steps: Int, times: Int, separation: Int) throws {
    guard steps >= 1, times >= 1, separation >= 1 else {
      throw PrivacyError(
        .badParticipation,
        "steps, participations and their separation are \(steps), \(times) and \(separation), expected at least 1 each"
      )
    }
    self.steps = steps
    self.separation = separation
    // More do not fit.
    self.times = min(times, (steps - 1) / separation + 1)
  }
}

/// Prefix sums by a binary tree: every node has noise of its own, a prefix sum adds at most one node per level
/// (Dwork et al. 2010; Chan et al. 2011).
public struct TreeAggregation: Sendable, Equatable {
  public let steps: Int

  /// - Throws: `PrivacyError.badSteps` below 1.
  public init(steps: Int) throws {
    guard steps >= 1 else {
      throw PrivacyError(.badSteps, "the number of steps is \(steps), expected at least 1")
    }
    self.steps = steps
  }

  /// From leaves to root, of the tree over the next power of two.
  public var levels: Int {
    steps == 1 ? 1 : (steps - 1).bitWidth - (steps - 1).leadingZeroBitCount + 1
  }

  /// Euclidean sensitivity of all nodes together, for contributions of norm at most 1.
  ///
  /// A record adds n to a node below which it takes part n times: on a level of nodes with w leaves, n is at most
  /// `ceil(w / separation)`, and squares are largest when as many nodes as possible have the most. Exact for one
  /// participation, an upper bound else.
  public func sensitivity(_ participation: Participation) -> Double {
    var square = 0.0
    for level in 0..<levels {
      let width = 1 << level
      let most = min(
        participation.times, (width + participation.separation - 1) / participation.separation)
      let full = participation.times / most
      let rest = participation.times % most
      square += Double(full * most * most + rest * rest)
    }
    return square.squareRoot().nextUp
  }

  /// Nodes that make up the prefix sum of `count` steps: its noise has that many times a node's variance.
  public func nodes(inPrefix count: Int) -> Int { count.nonzeroBitCount }
}

/// A lower triangular Toeplitz matrix C with few bands: the strategy matrix of a factorisation A = B C.
///
/// The noise of step t is `(C^-1 z)_t`, which needs the last `bands` noises only.
public struct BandedToeplitz: Sendable, Equatable {
  /// First column: positive at first, then not negative and not rising.
  public let coefficients: [Double]

  /// - Throws: `PrivacyError.badParticipation` for other coefficients.
  public init(coefficients: [Double]) throws {
    guard let first = coefficients.first, first > 0, first.isFinite,
      coefficients.allSatisfy({ $0 >= 0 }),
      zip(coefficients, coefficients.dropFirst()).allSatisfy({ $0 >= $1 })
    else {
      throw PrivacyError(
        .badParticipation,
        "coefficients are to start above 0, and to fall without becoming negative")
    }
    self.coefficients = coefficients
  }

  /// The first `bands` coefficients of the square root of the matrix of prefix sums,
  /// `(1 - x)^(-1/2)` (Fichtenberger et al. 2023; Kalinin & Lampert 2024).
  public static func squareRoot(bands: Int) throws -> BandedToeplitz {
    var coefficients: [Double] = []
    var value = 1.0
    for k in 0..<max(0, bands) {
      coefficients.append(value)
      value *= (Double(k) + 0.5) / Double(k + 1)
    }
    return try BandedToeplitz(coefficients: coefficients)
  }

  public var bands: Int { coefficients.count }

  /// Binary digits of coefficients after the point that sums on a grid of integers are multiplied with.
  package static let digits = 12

  /// The same with coefficients in multiples of `2^-digits`; they still fall.
  package var rounded: BandedToeplitz {
    get throws {
      try BandedToeplitz(
        coefficients: coefficients.map { ($0 * exp2(Double(Self.digits))).rounded() }
          .map { $0 * exp2(-Double(Self.digits)) })
    }
  }

  /// Euclidean sensitivity of C x, for contributions of norm at most 1: that of taking part as early and as often
  /// as possible (Kalinin & Lampert 2024, theorem 2). Where the separation is at least the number of bands
  /// this is sqrt(times) column norms (Choquette-Choo et al. 2023).
  public func sensitivity(_ participation: Participation) -> Double {
    var square = 0.0
    var row = 0
    // Rows that no participation reaches any more add nothing.
    let last = min(
      participation.steps, (participation.times - 1) * participation.separation + bands)
    while row < last {
      var sum = 0.0
      let newest = min(participation.times - 1, row / participation.separation)
      var index = newest
      while index >= 0, row - index * participation.separation < bands {
        sum += coefficients[row - index * participation.separation]
        index -= 1
      }
      square += sum * sum
      row += 1
    }
    return square.squareRoot() * (1 + 1e-12)
  }

  /// First column of `C^-1`: the weights of this and earlier steps' independent noises in a step's noise.
  public func inverse(count: Int) -> [Double] {
    var result: [Double] = []
    for t in 0..<count {
      var sum = t == 0 ? 1.0 : 0
      for j in 1..<max(1, min(bands, t + 1)) { sum -= coefficients[j] * result[t - j] }
      result.append(sum / coefficients[0])
    }
    return result
  }

  /// Variances of the noise in the prefix sums of 1 ... `count` steps, for independent noises of variance 1.
  public func prefixVariances(count: Int) -> [Double] {
    var sum = 0.0
    var variance = 0.0
    return inverse(count: count).map { weight in
      sum += weight  // an entry of B = A C^-1, which is Toeplitz too
      variance += sum * sum
      return variance
    }
  }
}

/// The product of a banded Toeplitz matrix and vectors that come one after the other: row t mixes the last `bands` of
/// them. With C of a factorisation, noise `C^-1 z` becomes z again, which is independent from step to step.
package struct ToeplitzRows: Sendable {
  private let coefficients: [Double]
  /// The last vectors, newest first.
  private var recent: [[Double]] = []

  package init(_ coefficients: [Double]) { self.coefficients = coefficients }

  /// Takes the vector of a step, as long as those before, and returns the step's row.
  package mutating func next(_ vector: [Double]) -> [Double] {
    recent.insert(vector, at: 0)
    if recent.count > coefficients.count { recent.removeLast() }
    var row = [Double](repeating: 0, count: vector.count)
    for (coefficient, earlier) in zip(coefficients, recent) {
      for k in row.indices { row[k] += coefficient * earlier[k] }
    }
    return row
  }
}

extension GaussianAccountant {
  /// One run of training with correlated noise of `noiseMultiplier` clipping norms.
  ///
  /// - Throws: `PrivacyError.badNoiseMultiplier`.
  public init(
    tree: TreeAggregation, participation: Participation, noiseMultiplier: Double
  ) throws {
    try self.init(
      sensitivity: tree.sensitivity(participation), noise: noiseMultiplier, releases: 1)
  }

  /// One run of training with correlated noise of `noiseMultiplier` clipping norms.
  ///
  /// - Throws: `PrivacyError.badNoiseMultiplier`.
  public init(
    strategy: BandedToeplitz, participation: Participation, noiseMultiplier: Double
  ) throws {
    try self.init(
      sensitivity: strategy.sensitivity(participation), noise: noiseMultiplier, releases: 1)
  }
}
