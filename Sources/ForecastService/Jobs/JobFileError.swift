/// One thing that is wrong, or odd, in a job file.
package struct JobProblem: Sendable, Equatable {
  /// From 1.
  package let line: Int
  /// From 1, in characters.
  package let column: Int
  /// What was found, what was expected, what to do.
  package let message: String

  init(line: Int, column: Int, _ message: String) {
    self.line = line
    self.column = column
    self.message = message
  }

  /// `jobs/a.yaml:3:5: message`
  package func text(file: String) -> String { "\(file):\(line):\(column): \(message)" }
}

/// All that is wrong in a job file, found in one pass.
package struct JobFileError: Error, Sendable, Equatable, CustomStringConvertible {
  package let file: String
  /// In order of lines; never empty.
  package let problems: [JobProblem]

  /// The configuration's fault; the same file fails again.
  package var isTransient: Bool { false }

  /// One line a problem.
  package var description: String {
    problems.map { $0.text(file: file) }.joined(separator: "\n")
  }
}

/// The problems of several job files.
package struct JobFilesError: Error, Sendable, CustomStringConvertible {
  package let files: [JobFileError]
  package var isTransient: Bool { false }
  package var description: String { files.map(\.description).joined(separator: "\n") }
}

/// A job file that was read.
package struct JobFile: Sendable, Equatable {
  /// As given.
  package let file: String
  package let text: String
  package let definition: JobDefinition
  /// Odd but allowed.
  package let warnings: [JobProblem]
  /// Line of the job's name.
  let nameLine: Int
}
