public import Forecasters

/// A set of series on one regular grid, in columns: what a forecaster is trained on and predicts from.
///
/// Series are ragged: series `i` occupies `values[offsets[i]..<offsets[i + 1]]`, oldest first, one
/// value per grid step, NaN where the step has no observation. Memory is 8 bytes a step plus the keys.
public struct Panel: Sendable {
  /// One key per series, unique, in the order of the other columns.
  public var keys: [String]

  /// `count + 1` positions into `values`; the first is 0, the last `values.count`.
  public var offsets: [Int]

  /// All values of all series, series after series. NaN marks a missing observation.
  public var values: [Double]

  /// Grid ordinal of the first value of each series: the number of frequency steps since the grid's
  /// anchor. Two values with the same ordinal belong to the same calendar step.
  public var firstOrdinals: [Int]

  /// Where the grid's steps are on the wall clock: the phase within a season.
  public var clock: SeasonClock

  public init(
    keys: [String], offsets: [Int], values: [Double], firstOrdinals: [Int],
    clock: SeasonClock = .steady
  ) {
    precondition(offsets.count == keys.count + 1 && firstOrdinals.count == keys.count)
    precondition(offsets.first == 0 && offsets.last == values.count)
    self.keys = keys
    self.offsets = offsets
    self.values = values
    self.firstOrdinals = firstOrdinals
    self.clock = clock
  }

  /// The number of series.
  public var count: Int { keys.count }

  /// The positions in `values` that belong to series `index`.
  public func range(of index: Int) -> Range<Int> { offsets[index]..<offsets[index + 1] }
}
