package import Foundation

/// Typed rows under described columns, written in any `OutputFormat`.
///
/// ```swift
/// var table = Table([
///   Column("job", priority: .essential), Column("state"), Column("last_run_at", title: "last run"),
/// ])
/// table.append([.text("demand"), .text("failed", .bad), .date(lastRun)])
/// print(table.render(.table, environment: environment, now: now), terminator: "")
/// ```
package struct Table: Sendable, Equatable {
  package var columns: [Column]
  package private(set) var rows: [[Cell]] = []
  /// What a table without rows says; machine formats write an empty result instead.
  package var emptyMessage: String

  package init(_ columns: [Column], emptyMessage: String = "nothing to show") {
    self.columns = columns
    self.emptyMessage = emptyMessage
  }

  /// Adds a row, one cell per column.
  package mutating func append(_ row: [Cell]) {
    precondition(
      row.count == columns.count, "a row has \(row.count) cells, the table \(columns.count) columns"
    )
    rows.append(row)
  }

  /// The whole output, ending in a newline (an empty `jsonl` result is the empty string).
  ///
  /// - Parameters:
  ///   - now: the instant relative times are measured from.
  ///   - timeZone: the wall clock of shown dates; exported ones are always UTC.
  package func render(
    _ format: OutputFormat, environment: TerminalEnvironment, now: Date, timeZone: TimeZone = .gmt
  ) -> String {
    switch format {
    case .table: text(environment: environment, now: now, timeZone: timeZone)
    case .json: json()
    case .jsonl: jsonLines()
    case .csv: csv()
    }
  }
}
