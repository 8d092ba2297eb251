import Foundation
package import NumericsCore
package import Privacy

/// Looks, during training, whether what the optimiser gets has the noise that is accounted for.
///
/// Private training that is not private looks like training that works (see docs/privacy.md): so the numbers
/// themselves are looked at, at the last place before the optimiser. Two groups of coordinates: those that no
/// contribution reaches, and some of the gradient's own, whose sums were known before. Each step is judged
/// (`NoisePower`), and all steps so far together.
package struct NoiseCheck {
  private let heldBack: Range<Int>
  /// Coordinates of the gradient that are looked at, others in each step.
  private var looked: [Int] = []
  private var sums: [Double] = []
  private let parameters: Int
  private var steps = 0
  private var all = [NoisePower(), NoisePower()]
  /// Whether the noises of steps are correlated.
  private let isCorrelated: Bool
  /// Makes the noises of steps independent: of the coordinates held back, then of those looked at.
  private var rows: ToeplitzRows

  /// - Parameter strategy: of correlated noise; nil where the noises of steps are independent.
  package init(parameters: Int, heldBack: Range<Int>, strategy: BandedToeplitz? = nil) {
    self.parameters = parameters
    self.heldBack = heldBack
    let coefficients = strategy?.coefficients ?? [1]
    isCorrelated = coefficients.count > 1
    rows = ToeplitzRows(coefficients)
  }

  package mutating func before(_ sum: ClippedSum) {
    let count = min(parameters, heldBack.count)
    // Correlated noise is only known together with that of the steps before.
    let shift = isCorrelated ? 0 : steps * 7
    looked = (0..<count).map { ($0 * parameters / count + shift) % parameters }
    sums = looked.map { sum.value($0) }
  }

  /// - Parameters:
  ///   - mean: what the optimiser gets, `scale` times the sum.
  ///   - deviation: of the independent noise on the sum.
  /// - Throws: `TrainingError.notPrivate`.
  package mutating func after(_ mean: Buffer<Float>, scale: Double, deviation: Double) throws {
    steps += 1
    let factor = 1 / (scale * deviation)
    let noise =
      heldBack.map { Double(mean[$0]) * factor }
      + zip(looked, sums).map { Double(mean[$0]) * factor - $1 / deviation }
    var own = [NoisePower(), NoisePower()]
    for (k, independent) in rows.next(noise).enumerated() {
      own[k < heldBack.count ? 0 : 1].add(independent)
    }
    for (number, name) in ["held-back coordinates", "the gradient"].enumerated() {
      all[number].add(own[number])
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
