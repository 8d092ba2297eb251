import Foundation
import Synchronization

/// One trial's line in the file of results.
struct StudyResult: Codable, Sendable {
  let part: String
  let row: String
  let seed: UInt64
  let configuration: StudyConfiguration
  /// On the test week; nil where the training diverged.
  var test: RegionErrors?
  /// Of the networks of parts A and B: the mean loss of each tenth of the epochs.
  var trainingMAE: [Double]?
  /// The epoch in which a loss was not finite.
  var divergedAt: Int?
  /// Of parts C and D: what the accountant says of the noise that was added, and that noise, in sensitivities.
  var epsilon: Double?
  var noiseMultiplier: Double?
  /// Processor time of the trial.
  var seconds: Double
}

/// What a trial is made of; another configuration is another trial.
struct StudyConfiguration: Codable, Sendable, Hashable {
  var network: KerasTrial.Configuration?
  var linear: PrivateTrial.Configuration?
}

/// The file of results: a line is added when a trial ends, so that a run can be stopped at any time.
final class StudyResults: Sendable {
  private let path: String
  private let lines: Mutex<[StudyResult]>

  /// Reads what is there.
  ///
  /// - Throws: `StudyError` for a line that is none.
  init(path: String) throws {
    self.path = path
    var results: [StudyResult] = []
    if FileManager.default.fileExists(atPath: path) {
      let text = try String(contentsOfFile: path, encoding: .utf8)
      for (number, line) in text.split(separator: "\n").enumerated() {
        do {
          results.append(try JSONDecoder().decode(StudyResult.self, from: Data(line.utf8)))
        } catch {
          throw StudyError(
            "\(path), line \(number + 1) is no result of this study: remove it to go on (\(error))")
        }
      }
    }
    lines = Mutex(results)
  }

  var all: [StudyResult] { lines.withLock { $0 } }

  func of(_ row: StudyRow) -> [StudyResult] {
    all.filter {
      $0.part == row.part && $0.row == row.name && $0.configuration == row.configuration
    }.sorted { $0.seed < $1.seed }
  }

  func add(_ result: StudyResult) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let bytes = try encoder.encode(result) + [UInt8(ascii: "\n")]
    try lines.withLock { lines in
      if !FileManager.default.fileExists(atPath: path) {
        try FileManager.default.createDirectory(
          at: URL(fileURLWithPath: path).deletingLastPathComponent(),
          withIntermediateDirectories: true)
        try Data().write(to: URL(fileURLWithPath: path))
      }
      let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
      defer { try? file.close() }
      try file.seekToEnd()
      try file.write(contentsOf: bytes)
      lines.append(result)
    }
  }
}
