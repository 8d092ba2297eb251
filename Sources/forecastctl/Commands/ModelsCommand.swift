import ArgumentParser
import ForecastService
import Forecasters
import Terminal

/// `forecastctl models`: what a job file can name.
struct ModelsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "List the architectures; with a name, its options.",
    discussion: """
      T: steps of the context, D: hidden, N: size of a state. Time: arithmetic of reading one series; \
      state: numbers that a stream carries from step to step. Papers: docs/references.md.
      """)
  @Argument(help: "An architecture.") var kind: String?
  @OptionGroup var output: OutputOptions

  func run() async throws {
    guard let kind else { return Console.current.show(all, as: output.output) }
    guard let entry = Registry.entry(kind) else {
      let hint = NearestName.find(kind, among: Registry.kinds).map { "; did you mean \($0)?" } ?? ""
      throw ValidationError(
        "no model \"\(kind)\", expected one of \(Registry.kinds.joined(separator: ", "))\(hint)")
    }
    Console.current.say("\(entry.kind): \(entry.help)")
    Console.current.say(
      "time \(entry.time); state \(entry.memory); paper \(entry.reference), see docs/references.md")
    Console.current.show(options(of: entry), as: output.output)
  }

  private var all: Table {
    var table = Table([
      Column("kind", priority: .essential), Column("family"),
      Column("help", priority: .essential, comfortableWidth: 62), Column("time"), Column("state"),
      Column("options", priority: .low), Column("paper", priority: .low),
    ])
    for family in Registry.families {
      for entry in family.entries {
        table.append([
          .text(entry.kind), .text(family.name), .text(entry.help), .text(entry.time),
          .text(entry.memory),
          .text(entry.options.isEmpty ? nil : entry.options.map(\.name).joined(separator: ", ")),
          .text(entry.reference),
        ])
      }
    }
    return table
  }

  private func options(of entry: any Architecture.Type) -> Table {
    var table = Table([
      Column("option", priority: .essential), Column("default", priority: .essential),
      Column("expected"), Column("help"),
    ])
    // What reads no size has none to set.
    let common: [ModelOption] =
      !(entry is any NetworkArchitecture.Type)
      ? []
      : [
        .integer("hidden", 1...4096, standard: 64, "width of a layer"),
        .integer("layers", 1...16, standard: 1, "layers or blocks"),
        .number("dropout", 0...1, standard: 0, "share of units dropped between layers in training"),
      ]
    for option in common + entry.options {
      table.append([
        .text(option.name), .text(ModelOption.describe(option.standard)), .text(option.expected),
        .text(option.help),
      ])
    }
    return table
  }
}
