import ArgumentParser
import Foundation
import NumericsCore
import Synchronization

/// The study of Arcolezi et al. 2022 (Neural Computing and Applications, doi 10.1007/s00521-022-07393-0) on counts of
/// mobile phones in Paris, with this package's kernels and its accounting; docs/study-mobility.md is its report.
@main
struct MobilityStudy: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mobility-study", abstract: "Run the mobility study, or write its report.",
    subcommands: [Run.self, Tune.self, Report.self])
}

struct Files: ParsableArguments {
  @Option(help: "Results, a JSON object a line.")
  var results = "Benchmarks/results/study-mobility.jsonl"
  @Option(help: "The counts.") var data = "jobs/demo/data/mobility-paris.csv.gz"
}

/// Runs what the file of results does not have yet; to be stopped and continued at will.
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Run the trials that are missing.")

  @OptionGroup var files: Files
  @Option(help: "Parts to run, such as AB.") var parts = "ABCD"
  @Option(help: "Rows to run, with commas between; all where there are none.") var rows = ""
  @Option(help: "Seeds 1 to this.") var seeds = 10
  @Option(help: "Trials that run at once, each on one thread.") var threads = 2

  func run() throws {
    let data = try MobilityData(path: files.data)
    let results = try StudyResults(path: files.results)
    let names = Set(rows.split(separator: ",").map(String.init))
    var trials: [(row: StudyRow, seed: UInt64)] = []
    for row in StudyRow.all where parts.contains(row.part) {
      guard names.isEmpty || names.contains(row.name) else { continue }
      let done = Set(results.of(row).map(\.seed))
      trials += (1...UInt64(seeds)).filter { !done.contains($0) }.map { (row, $0) }
    }
    note("\(trials.count) trials to run")
    let queue = Mutex(trials[...])
    let failure = Mutex<(any Error)?>(nil)
    parallel(count: max(1, threads)) { _ in
      while let (row, seed) = queue.withLock({ $0.popFirst() }) {
        do {
          let began = processorSeconds()
          var result = try row.run(data, seed: seed)
          result.seconds = processorSeconds() - began
          try results.add(result)
          let outcome =
            result.test.map { String(format: "RMSE %.1f MAE %.1f", $0.meanRMSE, $0.meanMAE) }
            ?? "diverged in epoch \(result.divergedAt ?? 0)"
          note("\(row.part) \(row.name) seed \(seed): \(outcome) (\(Int(result.seconds)) s)")
        } catch {
          failure.withLock { $0 = error }
          queue.withLock { $0.removeAll() }
        }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
  }
}

/// Of this thread.
private func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

private func note(_ line: String) {
  FileHandle.standardError.write(Data("\(line)\n".utf8))
}
