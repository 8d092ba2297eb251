package import Training

/// What became of the rows of a run.
package struct BuiltPanel: Sendable {
  package struct Statistics: Sendable, Equatable {
    /// All rows, also those that belong nowhere.
    package var rows = 0
    /// Different series.
    package var series = 0
    /// Earliest and latest time (microseconds since 1970 UTC, or integer step); nil without rows.
    package var first: Int64?
    package var last: Int64?
  }

  /// The series that can be predicted, in byte order of their keys.
  package let panel: Panel
  /// For each series of the panel, whether to train on it.
  package let trainable: [Bool]
  /// For each series of the panel, where its stamps are within their steps.
  package let conventions: [StampConvention]
  /// All series in byte order of their keys, rows without a key last.
  package let verdicts: [SeriesVerdict]
  package let statistics: Statistics
  /// SHA-256 over what was read, independent of the order of rows, see ``PanelBuilder``.
  package let digest: [UInt8]
  package let grid: CalendarGrid

  /// The target time of a forecast of one series: `step` 1 is the step after its last observation.
  ///
  /// Microseconds since 1970 UTC, or the integer step.
  package func target(series index: Int, step: Int) -> Int64 {
    grid.stamp(
      of: panel.firstOrdinals[index] + panel.range(of: index).count - 1 + step, conventions[index])
  }

  /// The series that a model is fitted to.
  package var trainingPanel: Panel {
    if !trainable.contains(false) { return panel }
    var chosen = Panel(keys: [], offsets: [0], values: [], firstOrdinals: [], clock: panel.clock)
    for index in 0..<panel.count where trainable[index] {
      chosen.keys.append(panel.keys[index])
      chosen.values.append(contentsOf: panel.values[panel.range(of: index)])
      chosen.offsets.append(chosen.values.count)
      chosen.firstOrdinals.append(panel.firstOrdinals[index])
    }
    return chosen
  }
}
