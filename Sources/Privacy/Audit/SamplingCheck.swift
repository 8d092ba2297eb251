import Foundation

/// Whether batches look as if every record was in each of them independently with the rate that is accounted
/// for.
///
/// The guesses of canaries can hardly see it when they were not: batches of a fixed size, or a shuffled order in
/// which every record comes once, leak more than these numbers say, but slowly. Their counts show it at once. Four
/// counts, each exactly binomial where sampling is right: all participations; steps whose batch has nearly the
/// expected size; records that took part about as often as expected; and records that are in a batch and in the
/// next one.
package struct SamplingCheck: Sendable {
  /// Probability that all is right and one of the counts is called wrong.
  package static let falseAlarm = 1e-6

  package struct Count: Sendable {
    package let name: String
    package let observed: Int
    package let trials: Int
    package let probability: Double
    package var expected: Double { Double(trials) * probability }
    /// Probability of a count that far out.
    package let tail: Double
  }

  private let records: Int
  private let rate: Double
  private var sizes: [Int] = []
  private var participations: [Int]
  /// The batch of the last odd step, as marks.
  private var previous: [Bool]
  private var repeated = 0

  package init(records: Int, samplingRate: Double) {
    self.records = records
    rate = samplingRate
    participations = Array(repeating: 0, count: records)
    previous = Array(repeating: false, count: records)
  }

  /// - Parameter batch: numbers of records, in any order; one that comes twice takes part twice.
  package mutating func add(_ batch: [Int]) {
    sizes.append(batch.count)
    for record in batch { participations[record] += 1 }
    // Pairs of steps that have no step in common are independent of each other.
    if sizes.count % 2 == 1 {
      for record in previous.indices { previous[record] = false }
      for record in batch { previous[record] = true }
    } else {
      repeated += batch.count { previous[$0] }
    }
  }

  package var counts: [Count] {
    let steps = sizes.count
    guard steps > 0, records > 0 else { return [] }
    let ofBatch = BinomialTails(trials: records, probability: rate)
    let ofRecord = BinomialTails(trials: steps, probability: rate)
    func count(_ name: String, _ observed: Int, _ trials: Int, _ probability: Double) -> Count {
      Count(
        name: name, observed: observed, trials: trials, probability: probability,
        tail: BinomialTails(trials: trials, probability: probability).twoSided(observed))
    }
    let (sizesNear, nearSize) = Self.near(ofBatch)
    let (timesNear, nearTimes) = Self.near(ofRecord)
    return [
      count("participations", sizes.reduce(0, +), records * steps, rate),
      count(
        "batches near the expected size", sizes.count(where: sizesNear.contains), steps, nearSize),
      count(
        "records near the expected number of batches",
        participations.count(where: timesNear.contains),
        records, nearTimes),
      count("records in two batches running", repeated, records * (steps / 2), rate * rate),
    ]
  }

  /// The counts that are too far out.
  package var faults: [Count] {
    let counts = counts
    return counts.filter { !($0.tail >= Self.falseAlarm / Double(counts.count)) }
  }

  /// Numbers around the middle that together have about half of the probability, and how much exactly.
  private static func near(_ binomial: BinomialTails) -> (ClosedRange<Int>, Double) {
    let middle = Int(Double(binomial.trials) * binomial.probability)
    var (low, high) = (middle, middle)
    var sum = exp(binomial.logMass(middle))
    while sum < 0.5, low > 0 || high < binomial.trials {
      let (below, above) = (binomial.logMass(low - 1), binomial.logMass(high + 1))
      if above >= below { high += 1 } else { low -= 1 }
      sum += exp(max(below, above))
    }
    return (low...high, min(1, sum))
  }
}
