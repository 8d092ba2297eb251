import ArgumentParser
import ForecastService
import Foundation
import Terminal

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Jobs with their last and next run, state, progress and series.",
    discussion: "Exit code: 0 healthy, 1 something failed, 3 no daemon runs.")
  @Argument(help: "Only this job.") var job: String?
  @Flag(help: "Repaint every second until interrupted.") var watch = false
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await database.withSession { session in
      let console = Console.current
      repeat {
        let overview = try await session.overview(job: job)
        let table = StatusTable.of(overview, as: output.output)
        if watch, console.environment.outputIsTerminal { console.out("\u{1B}[H\u{1B}[2J") }
        console.show(table, as: output.output)
        if output.output == .table {
          console.say(
            overview.daemons == 0
              ? "no daemon runs on this database: schedules wait (start `forecastd serve`)"
              : "\(overview.daemons) daemon\(overview.daemons == 1 ? "" : "s") running",
            overview.daemons == 0 ? .warn : .dim)
          for row in overview.jobs where row.errorText != nil && row.state != "succeeded" {
            console.say("\(row.job), run \(row.runID ?? 0): \(row.errorText ?? "")", .bad)
          }
          for row in overview.jobs where row.state == "succeeded" {
            guard let text = row.noticeText else { continue }
            console.say("\(row.job), run \(row.runID ?? 0): \(text)", .warn)
          }
        }
        if watch {
          try await Task.sleep(for: .seconds(1))
        } else {
          if overview.jobs.contains(where: { $0.state == "failed" }) { throw ExitCode(1) }
          if overview.daemons == 0 { throw ExitCode(3) }
        }
      } while watch
    }
  }
}

struct RunsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runs", abstract: "Runs, newest first.")
  @Argument(help: "Only runs of this job.") var job: String?
  @Option(help: "At most so many.") var limit = 20
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await database.withSession { session in
      let rows = try await session.runs(job: job, limit: limit)
      Console.current.show(RunTable.of(rows), as: output.output)
    }
  }
}

struct ShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "One run: attempts, verdicts on its series, lineage.")
  @Argument(help: "Number of the run.") var run: Int64
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await database.withSession { session in
      let console = Console.current
      let details = try await session.details(of: run)
      if output.output != .table {
        console.out(details.json + "\n")
        return
      }
      console.show(RunTable.of([details.run]), as: .table)
      if let text = details.run.errorText { console.say(text, .bad) }
      console.out("\nattempts\n")
      console.show(DetailTables.attempts(details.attempts), as: .table)
      if !details.verdicts.isEmpty {
        console.out("\nseries\n")
        console.show(DetailTables.verdicts(details.verdicts), as: .table)
      }
      if !details.lineage.isEmpty {
        console.out("\nlineage\n")
        console.show(DetailTables.lineage(details.lineage), as: .table)
      }
    }
  }
}

struct LogsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logs", abstract: "What happened during a run.")
  @Argument(help: "Number of the run.") var run: Int64
  @Flag(name: .shortAndLong, help: "Go on until the run has ended.") var follow = false
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await database.withSession { session in
      let console = Console.current
      let request = session.runRequest(threads: nil)
      var last: Int64 = 0
      while true {
        let state = try await request.find(run)
        let events = try await session.events(of: run, after: last)
        if !events.isEmpty || last == 0 {
          console.show(DetailTables.events(events), as: output.output)
        }
        last = events.last?.number ?? max(last, 1)
        if !follow || state.finishedAt != nil { return }
        try await Task.sleep(for: .milliseconds(500))
      }
    }
  }
}

struct ForecastCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "forecast", abstract: "Read the forecasts in force of a job.")
  @Argument(help: "Name of the job.") var job: String
  @Option(help: "Only this series.") var series: String?
  @Flag(help: "Draw history and forecast of one series; the first one unless --series says which.")
  var plot = false
  @Option(help: "At most so many rows.") var limit: Int64?
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await database.withSession { session in
      let console = Console.current
      if plot {
        let picture = try await session.picture(job: job, series: series)
        console.out(ForecastPlot.draw(picture, environment: console.environment))
        return
      }
      let rows = try await session.forecasts(job: job, series: series, limit: limit)
      console.show(ForecastTable.of(rows), as: output.output)
    }
  }
}
