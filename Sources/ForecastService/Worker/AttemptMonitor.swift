import Synchronization

/// What a running attempt and its heartbeat tell each other: progress one way, "stop" the other.
package final class AttemptMonitor: Sendable {
  /// Why an attempt must stop before it is done.
  package enum Stop: Error, Sendable, Equatable {
    /// Somebody called `forecast.cancel()`.
    case cancelled
    /// The lease is gone: another worker may have the task.
    case stale
    /// The worker shuts down at once; the task goes back to the queue.
    case released
  }

  package enum Stage: String, Sendable { case read, fit, predict, publish }

  private struct State {
    var stage = Stage.read
    var progress = 0.0
    var stop: Stop?
  }

  private let state = Mutex(State())

  package init() {}

  /// Reports progress: `fraction` of `stage` is done. Overall progress never falls.
  package func report(_ stage: Stage, _ fraction: Double) {
    let (start, length): (Double, Double) =
      switch stage {
      case .read: (0, 0.1)
      case .fit: (0.1, 0.75)
      case .predict: (0.85, 0.05)
      case .publish: (0.9, 0.1)
      }
    state.withLock {
      $0.stage = stage
      $0.progress = max($0.progress, start + length * min(max(fraction, 0), 1))
    }
  }

  package var position: (stage: Stage, progress: Double) {
    state.withLock { ($0.stage, $0.progress) }
  }

  /// Asks the attempt to stop; the first reason stays.
  package func stop(_ reason: Stop) { state.withLock { $0.stop = $0.stop ?? reason } }

  package var stopReason: Stop? { state.withLock { $0.stop } }

  /// - Throws: `Stop` when the attempt must not go on.
  package func check() throws {
    if let reason = stopReason { throw reason }
  }
}
