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
        try await follow(runID, request, session, threads: threads, output: output.output)
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
        try await follow(
          run, session.runRequest(threads: nil), session, threads: nil, output: output.output)
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
  _ runID: Int64, _ request: RunRequest, _ session: Session, threads: Int?, output: OutputFormat
) async throws {
  let console = Console.current
  let bar = console.progressBar()
  let stage = Mutex("")
  let worker = session.localWorker(threads: threads)
  let following = Task {
    try await request.wait(for: runID, worker: worker) { run in
      let label =
        "run \(runID) \(run.job): \(run.state == "running" ? run.stage ?? run.state : run.state)"
      let changed = stage.withLock { old in
        defer { old = label }
        return old != label
      }
      if changed { bar.stage(label, total: 1000) }
      bar.update(Int64((run.progress ?? 0) * 1000), total: 1000)
    }
  }
  let interrupt = Interrupt { following.cancel() }
  defer { interrupt.end() }
  let run: ListRuns.Row
  do {
    run = try await following.value
  } catch is CancellationError {
    bar.finish()
    let state = try await request.find(runID).state
    console.fail("interrupted; run \(runID) is \(state), see `forecastctl show \(runID)`")
    throw ExitCode(130)
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

/// Turns Ctrl-C and TERM into a call, so that a run that is worked on here goes back to the queue.
final class Interrupt: Sendable {
  private nonisolated(unsafe) let sources: [any DispatchSourceSignal]  // set once, cancelled once

  init(_ action: @escaping @Sendable () -> Void) {
    sources = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number)
      source.setEventHandler(handler: action)
      source.resume()
      return source
    }
  }

  func end() {
    for source in sources { source.cancel() }
    signal(SIGINT, SIG_DFL)
    signal(SIGTERM, SIG_DFL)
  }
}
