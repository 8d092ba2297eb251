import Foundation
package import NumericsCore
package import Privacy

/// Looks, during training, whether what the optimiser gets has the noise that is accounted for.
///
/// Private training that is not private looks like training that works (see docs/privacy.md): so the numbers
/// themselves are looked at, at the last place before the optimiser. Two groups of coordinates: those that no
/// contribution reaches, and some of the gradient's own, whose sums were known before. The sum of squares of n
/// standard normal numbers leaves `n - 2 sqrt(n x) ... n + 2 sqrt(n x) + 2 x` with probability at most `2 exp(-x)`
/// (Laurent & Massart 2000, lemma 1). Each step is judged, and all steps so far together.
package struct NoiseCheck {
  /// `x`: a false alarm in 1e16 steps.
  package static let strictness = 40.0

  private struct Group {
    var squares = 0.0
    var count = 0

    mutating func add(_ deviate: Double) {
      squares += deviate * deviate
      count += 1
    }

    /// Standard deviation of the noise, in units of what it should be; nil where it is that.
    var fault: Double? {
      let (n, x) = (Double(count), NoiseCheck.strictness)
      let room = 2 * (n * x).squareRoot()
      guard squares >= n - room, squares <= n + room + 2 * x else {
        return (squares / n).squareRoot()
      }
      return nil
    }
  }

  private let heldBack: Range<Int>
  /// Coordinates of the gradient that are looked at, others in each step.
  private var looked: [Int] = []
  private var sums: [Double] = []
  private let parameters: Int
  private var steps = 0
  private var all = [Group(), Group()]

  package init(parameters: Int, heldBack: Range<Int>) {
    self.parameters = parameters
    self.heldBack = heldBack
  }

  package mutating func before(_ sum: ClippedSum) {
    let count = min(parameters, heldBack.count)
    looked = (0..<count).map { ($0 * parameters / count + steps * 7) % parameters }
    sums = looked.map { sum.value($0) }
  }

  /// - Parameters:
  ///   - mean: what the optimiser gets, `scale` times the sum.
  ///   - deviation: of the noise on the sum.
  /// - Throws: `TrainingError.notPrivate`.
  package mutating func after(_ mean: Buffer<Float>, scale: Double, deviation: Double) throws {
    steps += 1
    let factor = 1 / (scale * deviation)
    var own = [Group(), Group()]
    for k in heldBack { own[0].add(Double(mean[k]) * factor) }
    for (k, sum) in zip(looked, sums) { own[1].add(Double(mean[k]) * factor - sum / deviation) }
    for (number, name) in ["held-back coordinates", "the gradient"].enumerated() {
      all[number].squares += own[number].squares
      all[number].count += own[number].count
      // Few coordinates of a small model say little in one step.
      if let fault = own[number].fault ?? all[number].fault {
        throw TrainingError(
          .notPrivate,
          "the noise on \(name) is \(fault) times what is accounted for at step \(steps): training was ended, report this"
        )
      }
    }
  }
}

/// What contributions of a step were multiplied with: a histogram, for the check only. It is private.
struct ClipFactors {
  /// Tenths, from 0; the last are those that were not clipped.
  private(set) var counts = [Int](repeating: 0, count: 11)
  private(set) var notFinite = 0
  /// Largest norm after clipping.
  private(set) var largest = 0.0

  mutating func count(_ clipped: ClippedSum.Clipped?) {
    guard let clipped else {
      notFinite += 1
      return
    }
    let bin = Int(clipped.factor * 10)
    counts[min(10, max(0, bin))] += 1
    largest = max(largest, clipped.norm * clipped.factor)
  }

  mutating func add(_ other: ClipFactors) {
    for k in counts.indices { counts[k] += other.counts[k] }
    notFinite += other.notFinite
    largest = max(largest, other.largest)
  }

  /// - Throws: `TrainingError.notPrivate`.
  func verify(contributions: Int, summed: Int, norm: Double) throws {
    let counted = counts.reduce(0, +)
    guard counted == summed, counted + notFinite == contributions, largest <= norm * (1 + 1e-9)
    else {
      throw TrainingError(
        .notPrivate,
        "\(counted) of \(contributions) contributions were clipped and \(summed) were added, with norms up to \(largest) where \(norm) is allowed: training was ended, report this"
      )
    }
  }
}
