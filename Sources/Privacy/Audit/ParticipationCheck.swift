/// Whether records take part as seldom, and as far apart, as is accounted for.
package struct ParticipationCheck: Sendable {
  package let assumed: Participation
  /// Most steps that a record took part in.
  package private(set) var times = 0
  /// Least distance of two participations of a record, in steps; nil while none has two.
  package private(set) var separation: Int?
  private var counts: [Int]
  private var last: [Int]
  private var steps = 0

  package init(records: Int, _ assumed: Participation) {
    self.assumed = assumed
    counts = Array(repeating: 0, count: records)
    last = counts
  }

  /// - Parameter batch: numbers of records, in any order; one that comes twice takes part twice, 0 steps apart.
  package mutating func add(_ batch: [Int]) {
    for record in batch {
      if counts[record] > 0 { separation = min(separation ?? .max, steps - last[record]) }
      counts[record] += 1
      last[record] = steps
      times = max(times, counts[record])
    }
    steps += 1
  }

  package var isRight: Bool {
    times <= assumed.times && (separation ?? .max) >= assumed.separation
  }
}
