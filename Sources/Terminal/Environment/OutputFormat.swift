/// How a command writes its result to standard output (`--output`).
package enum OutputFormat: String, Sendable, CaseIterable {
  /// Aligned columns for people, fitted to the terminal.
  case table
  /// One JSON array of objects with stable keys.
  case json
  /// One JSON object per line.
  case jsonl
  /// Comma-separated values with a header, quoted as RFC 4180 says.
  case csv
}
