import ArgumentParser
import ForecastService
import Foundation
import Terminal

@main
struct ForecastCtl: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "forecastctl",
    abstract: "Forecasts beside your data: shows and steers everything.",
    discussion: """
      The database is the one named by --database-url, FORECAST_DATABASE_URL or libpq's own settings \
      (PGHOST, PGSERVICE, …); with none of these a private PostgreSQL is started under the data \
      directory.

      Exit codes: 0 done, 64 usage, 65 bad data, 69 database unavailable, 70 internal, 75 try again, \
      77 permission, 78 configuration. `status`: 0 healthy, 1 something failed, 3 no daemon runs.
      """,
    version: Build.version,
    groupedSubcommands: [
      CommandGroup(
        name: "Database",
        subcommands: [DatabaseCommand.self, MigrateCommand.self, DoctorCommand.self]),
      CommandGroup(
        name: "Data and jobs",
        subcommands: [
          LoadCommand.self, ModelsCommand.self, ValidateCommand.self, ApplyCommand.self,
        ]),
      CommandGroup(
        name: "Runs",
        subcommands: [
          RunCommand.self, StatusCommand.self, RunsCommand.self, ShowCommand.self, LogsCommand.self,
          CancelCommand.self, RetryCommand.self,
        ]),
      CommandGroup(name: "Results", subcommands: [ForecastCommand.self]),
      CommandGroup(name: "Privacy", subcommands: [PrivacyCommand.self]),
    ])

  static func main() async {
    do {
      let command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        var command = command
        try command.run()
      }
    } catch {
      if let failure = ExitStatus(describing: error) {
        Console.current.fail(failure.message)
        exit(withError: ExitCode(failure.code))
      }
      exit(withError: error)
    }
  }
}
