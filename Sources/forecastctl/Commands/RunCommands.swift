import ArgumentParser
import ForecastService
import Foundation
import Synchronization
import Terminal

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a job now.",
    discussion: """
      A running forecastd picks the run up. With --wait and no daemon, the work is done here. The exit \
      code is that of the run.
      """)
  @Argument(help: "Name of the job.") var job: String
  @Flag(help: "Wait until the run has ended and show its progress.") var wait = false
  @Option(
    help: ArgumentHelp(
      "Use observations up to this point only, which is also the origin of the forecast.",
      discussion: "A date, a time in the job's time zone, an instant with offset, or a step.",
      valueName: "time"))
  var cutoff: String?
  @Option(help: "Threads of the fit when the work is done here. Default: all cores.")
  var threads: Int?
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await database.withSession { session in
      let request = session.runRequest(threads: threads)
      let runID = try await request.enqueue(job: job, cutoff: cutoff, now: Date())
      if wait {
        try await follow(runID, request, session, output: output.output)
      } else {
        var table = Table([Column("run"), Column("job"), Column("state")])
        table.append([.integer(runID), .text(job), .text("queued")])
        Console.current.show(table, as: output.output)
      }
    }
  }
}

struct RetryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retry",
    abstract: "Queue a failed or cancelled run again, same version and cutoff.")
  @Argument(help: "Number of the run.") var run: Int64
  @Flag(help: "Wait until the run has ended and show its progress.") var wait = false
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await database.withSession { session in
      let outcome = try await session.steer(.retry, run)
      Console.current.say("run \(run): \(outcome)", .ok)
      if wait {
        try await follow(run, session.runRequest(threads: nil), session, output: output.output)
      }
    }
  }
}

struct CancelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cancel", abstract: "Cancel a waiting or running run.")
  @Argument(help: "Number of the run.") var run: Int64
  @OptionGroup var database: DatabaseOptions

  func run() async throws {
    try await database.withSession { session in
      let outcome = try await session.steer(.cancel, run)
      Console.current.say("run \(run): \(outcome)", .ok)
    }
  }
}

/// Shows a run's progress to its end, doing the work here when no daemon does, and prints its row.
private func follow(
  _ runID: Int64, _ request: RunRequest, _ session: Session, output: OutputFormat
) async throws {
  let console = Console.current
  let bar = console.progressBar()
  let stage = Mutex("")
  let worker = session.localWorker()
  let interrupt = Interrupt { worker.abort() }
  defer { interrupt.end() }
  let run = try await request.wait(for: runID, worker: worker) { run in
    let label =
      "run \(runID) \(run.job): \(run.state == "running" ? run.stage ?? run.state : run.state)"
    let changed = stage.withLock { old in
      defer { old = label }
      return old != label
    }
    if changed { bar.stage(label, total: 1000) }
    bar.update(Int64((run.progress ?? 0) * 1000), total: 1000)
  }
  bar.finish()
  console.show(RunTable.of([run]), as: output)
  switch run.state {
  case "succeeded": return
  case "cancelled": throw ExitCode(75)
  default:
    console.fail("\(run.job), run \(runID): \(run.errorText ?? run.state)")
    throw ExitCode(run.errorCode.map(RunTable.exitCode(ofErrorCode:)) ?? 70)
  }
}

/// Turns Ctrl-C into a call, so that a run that is worked on here goes back to the queue.
final class Interrupt: Sendable {
  private nonisolated(unsafe) let source: any DispatchSourceSignal  // set once, cancelled once

  init(_ action: @escaping @Sendable () -> Void) {
    signal(SIGINT, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGINT)
    source.setEventHandler(handler: action)
    source.resume()
    self.source = source
  }

  func end() {
    source.cancel()
    signal(SIGINT, SIG_DFL)
  }
}
