import Forecasters
import NumericsCore

/// The loss of a step's windows and its gradient.
///
/// Windows are taken in micro-batches, each split over threads; gradients are added in the order of the
/// micro-batches and, within one, of the threads.
struct BatchGradient {
  let memory: TrainingMemory
  let panel: Panel
  /// Micro-batches of a step.
  let accumulate: Int
  let seed: UInt64

  /// - Parameters:
  ///   - step: 0 for the first; with `seed` it names the random numbers of dropout.
  ///   - windows: of all micro-batches, at least one for each thread in each.
  ///   - contexts: how many of them a window reads.
  /// - Returns: the mean loss; the gradient is in `memory.gradient`.
  func compute(
    _ step: Int, _ parameters: Buffer<Float>, _ windows: [WindowIndex.Window], contexts: Int
  ) -> Double {
    let (network, losses, threads) = (memory.network, memory.losses, memory.threads)
    let (panel, seed) = (panel, seed)
    let weight = 1 / Float(windows.count)
    let batch = windows.count / accumulate
    var loss = 0.0
    for part in 0..<accumulate {
      let first = (step * accumulate + part) * threads
      memory.split((part * batch)..<((part + 1) * batch)) { thread, rows, workspace in
        network.fill(
          workspace.prepare(rows.count, training: true, contexts: contexts), windows, rows,
          of: panel)
        losses[thread] = network.lossAndGradient(
          weightOfRow: weight, parameters: parameters, workspace, seed: seed, run: first + thread)
      }
      for thread in 0..<threads {
        loss += losses[thread]
        let share = memory.workspaces[thread].gradient
        if part == 0 && thread == 0 {
          memory.gradient.copy(from: share)
        } else {
          Float.add(share.count, share.base, to: memory.gradient.base)
        }
      }
    }
    return loss
  }

  /// Why the loss or its gradient at these parameters is not finite: what an operator can look at.
  func diagnosis(
    _ parameters: Buffer<Float>, _ windows: [WindowIndex.Window], contexts: Int
  ) -> String {
    let network = memory.network
    let workspace = memory.workspaces[0]
    var bad: [WindowIndex.Window] = []
    for row in windows.indices {
      network.fill(
        workspace.prepare(1, training: false, contexts: contexts), windows, row..<(row + 1),
        of: panel)
      let (sum, _) = network.loss(parameters: parameters, workspace)
      if !sum.isFinite { bad.append(windows[row]) }
    }
    let keys = Set(bad.map { panel.keys[$0.series] })
    if bad.count == windows.count {
      return "in every window of the batch: the weights have diverged, lower the learning rate"
    }
    guard let first = bad.first else {
      return "though it was in each window alone: lower the learning rate"
    }
    return
      "in series \(panel.keys[first.series])\(keys.count > 1 ? " and \(keys.count - 1) more" : ""): look for enormous values there"
  }
}
