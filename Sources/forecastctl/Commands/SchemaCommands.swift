import ArgumentParser
import ForecastService
import Foundation
import Terminal

struct MigrateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrate", abstract: "Bring the forecast schema up to date.",
    discussion:
      "Each migration runs in its own transaction under a lock. Nothing happens when all are applied."
  )
  @OptionGroup var database: DatabaseOptions

  func run() async throws {
    let console = Console.current
    try await database.withSession(schema: .any) { session in
      let applied = try await session.migrate()
      if applied.isEmpty {
        console.say("the schema is up to date (migration \(SchemaCheck.required))", .ok)
      }
      for name in applied { console.say("applied \(name)", .ok) }
    }
  }
}

struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Check program, processor, database, schema, clocks and time zones.")
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let checks = await Doctor(databaseURL: database.databaseURL).examine()
    var table = Table([
      Column("check", priority: .essential), Column("state", priority: .essential),
      Column("found", priority: .essential), Column("advice"),
    ])
    for check in checks {
      let role: Role =
        switch check.state {
        case .ok: .ok
        case .warning: .warn
        case .failed: .bad
        }
      table.append([
        .text(check.name), .text(check.state.rawValue, role), .text(check.found),
        .text(check.advice),
      ])
    }
    Console.current.show(table, as: output.output)
    if checks.contains(where: { $0.state == .failed }) { throw ExitCode(1) }
  }
}
