import Forecasters
import NumericsCore

/// The network and the memory of a training, which the next training of the same forecaster uses again.
final class TrainingMemory {
  let network: ForecastNetwork<Float>
  let threads: Int
  let workspaces: Workspaces
  /// Of the whole step, after ``BatchGradient``.
  let gradient: Buffer<Float>
  /// Results of one thread each.
  let losses: Buffer<Double>
  let rows: Buffer<Double>

  /// - Throws: `ForecasterError.badConfiguration`.
  init(_ forecaster: ForecasterConfiguration, threads: Int, recompute: Bool) throws {
    network = try ForecastNetwork<Float>(forecaster)
    self.threads = threads
    workspaces = Workspaces(
      (0..<threads).map { [network] _ in
        network.makeWorkspace(training: true, recompute: recompute)
      })
    gradient = Buffer(network.layout.count)
    losses = Buffer(threads)
    rows = Buffer(threads)
  }

  /// Runs `body` with each thread's number, its share of `range` and its workspace.
  func split(
    _ range: Range<Int>,
    _ body: @Sendable (Int, Range<Int>, ForecastNetwork<Float>.Workspace) -> Void
  ) {
    let (threads, workspaces) = (threads, workspaces)
    parallel(count: threads) { thread in
      let share = Shard(of: range.count, over: threads, number: thread).range
      body(
        thread, (range.lowerBound + share.lowerBound)..<(range.lowerBound + share.upperBound),
        workspaces[thread])
    }
  }
}

/// Workspaces, one per thread.
struct Workspaces: @unchecked Sendable {  // each thread uses the one of its number only
  private let all: [ForecastNetwork<Float>.Workspace]
  init(_ all: [ForecastNetwork<Float>.Workspace]) { self.all = all }
  subscript(thread: Int) -> ForecastNetwork<Float>.Workspace { all[thread] }
}

/// The rows of one of several threads: contiguous, sizes differing by one at most.
struct Shard {
  let range: Range<Int>

  init(of count: Int, over shards: Int, number: Int) {
    let start = count * number / shards
    range = start..<(count * (number + 1) / shards)
  }
}

extension ForecastNetwork<Float> {
  /// Fills `batch` with the windows at `rows`.
  func fill(
    _ batch: WindowFeatures.Batch<Float>, _ windows: [WindowIndex.Window], _ rows: Range<Int>,
    of panel: Panel
  ) {
    panel.values.withUnsafeBufferPointer { values in
      for (row, number) in rows.enumerated() {
        let window = windows[number]
        let start = panel.offsets[window.series]
        features.fill(
          batch, row: row,
          values: UnsafeBufferPointer(rebasing: values[start..<(start + window.limit)]),
          firstOrdinal: panel.firstOrdinals[window.series], clock: panel.clock, end: window.end)
      }
    }
  }
}
