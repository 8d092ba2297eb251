/// Records that are known to the auditor, each in the data or not by a fair coin, and how much each looks as if
/// it were.
package struct Canaries: Sendable {
  /// Heads.
  package let isIncluded: [Bool]
  /// Larger where a canary seems to be in the data.
  package private(set) var scores: [Double]

  package var count: Int { isIncluded.count }

  /// Tosses a coin of the operating system for each.
  package init(count: Int) { self.init(count: count, random: SecureRandom()) }

  /// For tests, which must repeat.
  package init(count: Int, random: SecureRandom) {
    var word: UInt64 = 0
    isIncluded = (0..<count).map { number in
      if number & 63 == 0 { word = random.next() }
      return word >> UInt64(number & 63) & 1 == 1
    }
    scores = Array(repeating: 0, count: count)
  }

  package mutating func add(_ score: Double, to canary: Int) { scores[canary] += score }

  /// How many of all are guessed to be in the data, those with the largest scores, and how many not, those
  /// with the smallest; nothing is said of the others.
  package struct Guesses: Sendable, Hashable {
    package let inside: Int
    package let outside: Int
    package var count: Int { inside + outside }
  }

  /// The numbers of guesses that are tried. They depend on the number of canaries alone: whoever looks for the
  /// best has to pay for each (``OneRunAudit``).
  package var plans: [Guesses] {
    let shares = [(1, 0), (8, 0), (2, 2), (8, 8), (24, 24)]
    let plans = shares.map { inside, outside in
      Guesses(inside: count * inside / 64, outside: count * outside / 64)
    }
    return plans.filter { $0.count > 0 }
  }

  /// How many guesses are right. Equal scores are taken in the order of the canaries.
  package func correct(_ plan: Guesses) -> Int {
    // What is no number is as good as a proof.
    func rank(_ canary: Int) -> Double { scores[canary].isNaN ? .infinity : scores[canary] }
    let order = scores.indices.sorted {
      let (first, second) = (rank($0), rank($1))
      return first == second ? $0 < $1 : first > second
    }
    return order.prefix(plan.inside).count { isIncluded[$0] }
      + order.suffix(plan.outside).count { !isIncluded[$0] }
  }
}
