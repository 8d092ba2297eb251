import ArgumentParser
import Foundation

struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Write docs/study-mobility.md.")
  @OptionGroup var files: Files
  @Option var output = "docs/study-mobility.md"

  func run() throws {
    let results = try StudyResults(path: files.results)
    for row in StudyRow.all {
      let all = results.of(row)
      print(row.part, row.name, all.compactMap { $0.test?.meanRMSE })
    }
  }
}
