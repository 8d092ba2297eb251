import ArgumentParser
import ForecastService
import Foundation
import Terminal

struct ValidateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate", abstract: "Check job files without a database.")
  @Argument(
    help: "Job files or directories of them.", completion: .file(extensions: ["yaml", "yml"]))
  var paths: [String]

  func run() async throws {
    let files = try JobFileParser.load(paths: paths)
    let console = Console.current
    for file in files {
      for warning in file.warnings { console.say("\(warning.text(file: file.file))", .warn) }
      console.say("\(file.file): job \(file.definition.job) is valid", .ok)
    }
  }
}

struct ApplyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply", abstract: "Register job files: all of them, or none when one is wrong.",
    discussion:
      "A file that says the same as the registered version is left alone; a changed one becomes a new version."
  )
  @Argument(
    help: "Job files or directories of them.", completion: .file(extensions: ["yaml", "yml"]))
  var paths: [String]
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let files = try JobFileParser.load(paths: paths)
    let console = Console.current
    for file in files {
      for warning in file.warnings { console.say("\(warning.text(file: file.file))", .warn) }
    }
    try await database.withSession { session in
      var table = Table([Column("job", priority: .essential), Column("change"), Column("version")])
      for (job, change) in try await JobRegistry(pool: session.pool).apply(files) {
        switch change {
        case .created: table.append([.text(job), .text("created", .ok), .integer(1)])
        case .updated(let version):
          table.append([.text(job), .text("updated", .ok), .integer(version)])
        case .unchanged(let version):
          table.append([.text(job), .text("unchanged", .dim), .integer(version)])
        }
      }
      console.show(table, as: output.output)
    }
  }
}
