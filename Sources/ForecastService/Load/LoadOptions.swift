package import Foundation

/// How a CSV file becomes rows of (series, time, values), and what happens to the table.
package struct LoadOptions: Sendable {
  /// What happens to rows that are already in the table.
  package enum Mode: String, Sendable, CaseIterable {
    /// Add; a (series, time) that is already there is an error.
    case append
    /// Empty the table first; running the same load twice gives the same table.
    case replace
    /// Add, and overwrite the values of a (series, time) that is already there.
    case update
    /// The table must not exist yet.
    case create
  }

  /// `table` or `schema.table`; double quotes keep capitals and dots: `"My.Table"`.
  package var table: String
  package var mode: Mode = .append
  /// Columns that name the series, joined with `/`. In a wide file they stand before the name
  /// of the value column.
  package var series: [String] = []
  /// The one series of a file that does not name any.
  package var seriesName: String?
  /// The time column; several (a date and a time of day) are joined with a blank.
  package var time: [String] = []
  /// The value columns. Long form: one is stored as `value`, several under their own
  /// names in small letters.
  /// Wide form: the columns to melt; empty takes every other column.
  package var values: [String] = []
  /// Every value column is a series of its own.
  package var wide = false
  /// Wall clock of stamps without a zone.
  package var timeZone: TimeZone = .gmt
  /// Nil: decided by the first rows, or by the table where it exists.
  package var timeType: LoadTimeType?
  /// Nil: found out from the header (comma, semicolon, tab or bar).
  package var delimiter: Character?
  /// `12,5` is a number. Only where the delimiter is not the comma.
  package var decimalComma = false
  /// Texts that mean "no value" besides the empty field, NA, N/A, NaN, null and none.
  package var missing: Set<String> = []

  /// Names in the target table.
  package var seriesColumn = "series"
  package var timeColumn = "ts"
  package var valueColumn = "value"

  package init(table: String) { self.table = table }
}

/// How far a load is.
package struct LoadProgress: Sendable, Equatable {
  /// Bytes of the file, compressed as they may be.
  package var bytesRead: Int64
  /// Nil for pipes.
  package var totalBytes: Int64?
  package var rows: Int64
}

/// What was loaded.
package struct LoadSummary: Sendable, Equatable {
  package var table: String
  package var rows: Int64
  /// Values that were stored as NULL.
  package var missing: Int64
  package var timeType: LoadTimeType
  package var createdTable: Bool
  package var bytesRead: Int64
}
