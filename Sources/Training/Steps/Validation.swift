import Forecasters
import NumericsCore

/// Mean quantile loss over held-out windows.
struct Validation {
  let memory: TrainingMemory
  let panel: Panel

  /// - Returns: infinity where no window has a target.
  func loss(_ windows: [WindowIndex.Window], _ parameters: Buffer<Float>) -> Double {
    let (network, sums, counts) = (memory.network, memory.losses, memory.rows)
    let panel = panel
    sums.zero()
    counts.zero()
    memory.split(windows.indices) { thread, mine, workspace in
      for start in stride(from: mine.lowerBound, to: mine.upperBound, by: 256) {
        let part = start..<min(start + 256, mine.upperBound)
        network.fill(workspace.prepare(part.count, training: false), windows, part, of: panel)
        let (sum, count) = network.loss(parameters: parameters, workspace)
        sums[thread] += sum
        counts[thread] += Double(count)
      }
    }
    var sum = 0.0
    var count = 0.0
    for thread in 0..<memory.threads {
      sum += sums[thread]
      count += counts[thread]
    }
    return count > 0 ? sum / count : .infinity
  }
}
