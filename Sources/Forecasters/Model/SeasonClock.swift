/// Where the steps of a grid of real time are on the wall clock.
///
/// Steps of an hour or less count real time, so a day of a clock change has more or fewer of them; people
/// and their habits follow the wall clock. Seasons of whole days are looked up here: the phase of a step is
/// that of its local time, and one season earlier is the same local time.
public struct SeasonClock: Sendable, Hashable {
  /// Steps of a day without a change; seasons that are multiples of it follow the clock.
  public let stepsPerDay: Int
  /// Ordinal at which segment `i` begins; the first begins at `Int.min`.
  package let starts: [Int]
  /// Steps that the clock is ahead of the grid in segment `i`.
  package let shifts: [Int]

  /// The grid and the clock are one.
  public static let steady = SeasonClock(stepsPerDay: 1, changes: [], before: 0)

  /// - Parameters:
  ///   - changes: first ordinal and shift, in steps, of every stretch after a change; ascending.
  ///   - before: the shift before the first change.
  public init(stepsPerDay: Int, changes: [(ordinal: Int, shift: Int)], before: Int) {
    precondition(stepsPerDay >= 1)
    precondition(zip(changes, changes.dropFirst()).allSatisfy { $0.ordinal < $1.ordinal })
    self.stepsPerDay = stepsPerDay
    starts = [Int.min] + changes.map(\.ordinal)
    shifts = [before] + changes.map(\.shift)
  }

  /// Whether seasons of this length keep their local time and there is a difference.
  @inline(__always)
  private func follows(_ season: Int) -> Bool { starts.count > 1 && season % stepsPerDay == 0 }

  private func shift(at ordinal: Int) -> Int {
    var low = 0
    var high = starts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= ordinal { low = middle } else { high = middle }
    }
    return shifts[low]
  }

  /// Position of a step within its season, from 0.
  @inline(__always)
  public func phase(of ordinal: Int, season: Int) -> Int {
    follows(season) ? (ordinal + shift(at: ordinal)) %% season : ordinal %% season
  }

  /// Steps back to the same local time `count` seasons earlier.
  ///
  /// A local time that the clock skipped stands for the one a change later, one that it showed twice is
  /// the one nearer in real time.
  @inline(__always)
  public func lag(at ordinal: Int, season: Int, count: Int = 1) -> Int {
    let plain = season * count
    guard follows(season) else { return plain }
    return plain + shift(at: ordinal - plain) - shift(at: ordinal)
  }
}

infix operator %% : MultiplicationPrecedence

/// Remainder with the sign of the divisor: a phase, also before the grid's anchor.
func %% (value: Int, divisor: Int) -> Int {
  let rest = value % divisor
  return rest < 0 ? rest + divisor : rest
}
