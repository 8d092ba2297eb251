/// Why a file was not loaded. Nothing of it is in the database then.
package struct LoadError: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Code: String, Sendable, CaseIterable {
    /// The file cannot be opened or read.
    case unreadable
    /// Broken or truncated compression.
    case compression
    /// Not CSV: quotes, line lengths, field counts, encoding.
    case malformed
    /// The header lacks a column, has one twice, or does not say which to take.
    case columns
    /// A field that is not what its column should hold.
    case value
    /// The options contradict each other or name something impossible.
    case options
    /// The table in the database does not fit.
    case table
    /// A series has the same time twice, in the file or in the table.
    case duplicate
  }

  package enum Fault: String, Sendable { case data, configuration }

  package var code: Code
  /// The name the user gave; `-` for standard input.
  package var file: String
  /// Line of the file, from 1, embedded line breaks counted; nil where no line is to blame.
  package var line: Int?
  /// Header name of the column concerned.
  package var column: String?
  package var message: String

  package init(
    _ code: Code, file: String, line: Int? = nil, column: String? = nil, _ message: String
  ) {
    self.code = code
    self.file = file
    self.line = line
    self.column = column
    self.message = message
  }

  package var fault: Fault {
    switch code {
    case .compression, .malformed, .columns, .value, .duplicate: .data
    case .unreadable, .options, .table: .configuration
    }
  }

  /// The same file and options fail again.
  package var isTransient: Bool { false }

  /// `sales.csv:70000: column 'y': '12,5' is not a number; …`
  package var description: String {
    let place = line.map { ":\($0)" } ?? ""
    let field = column.map { "column '\($0)': " } ?? ""
    return "\(file == "-" ? "standard input" : file)\(place): \(field)\(message)"
  }
}
