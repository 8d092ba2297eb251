/// What a run found out about one series of its data. A bad series never stops the others.
package struct SeriesVerdict: Sendable, Equatable {
  /// The first thing that is wrong, in this order; the raw values are stored in SQL and stay.
  package enum Kind: String, Sendable, CaseIterable {
    /// Nothing is wrong.
    case ok
    /// Rows without a series key: they belong to no series.
    case nullKey = "null-key"
    /// Rows without a time, or at infinity, or beyond the calendar.
    case badTime = "bad-time"
    /// Different values, or different stamps, for one step.
    case duplicate
    /// No finite value at all.
    case empty
    /// More than half of the steps with a value are NaN or infinite.
    case nonFinite = "non-finite"
    /// So few observations over so long a time that filling the grid would exhaust the memory.
    case tooSparse = "too-sparse"
    /// Steps are missing and the job's policy for gaps is error.
    case gaps
    /// Fewer observations or steps than asked for.
    case tooShort = "too-short"
    /// All values are the same: nothing to learn from, easy to predict.
    case constant
    /// Stamps fall at different places within their step; they count for the step they fall in, and
    /// forecasts are stamped at the beginning of the step.
    case offGrid = "off-grid"
  }

  /// The series; text of the key column.
  package var key: String
  package var kind: Kind
  /// Whether a model should be fitted to it.
  package var trainable: Bool
  /// Whether it gets a forecast; exactly these series are in the panel.
  package var predictable: Bool
  /// One sentence where there is something to say. Holds no values of the data.
  package var detail: String?
  /// Rows that the query returned.
  package var rows: Int
  /// Finite values on different steps.
  package var observations: Int
  /// Steps between the first and the last observation that have none.
  package var gaps: Int
  /// Rows beyond the first for a step.
  package var duplicates: Int
  /// NaN and infinite values, treated as missing.
  package var nonFinite: Int
  /// NULL values, treated as missing.
  package var nulls: Int
  /// Position in the panel; nil when the series is not predictable.
  package var panelIndex: Int?
}
