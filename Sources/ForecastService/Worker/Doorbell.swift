import Synchronization

/// Wakes whoever waits for work. A ring is a hint: waiting also ends by itself, so that a lost
/// notification costs a poll interval and nothing else.
package actor Doorbell {
  private var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
  private var nextKey = 0

  package init() {}

  package func ring() {
    for continuation in waiting.values { continuation.resume() }
    waiting.removeAll()
  }

  /// Returns when the bell rings, after `limit`, or when the task is cancelled.
  package func wait(upTo limit: Duration) async {
    let key = nextKey
    nextKey += 1
    let alarm = Task { [weak self] in
      try? await Task.sleep(for: limit)
      await self?.release(key)
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        if Task.isCancelled {
          continuation.resume()
        } else {
          waiting[key] = continuation
        }
      }
    } onCancel: {
      Task { await self.release(key) }
    }
    alarm.cancel()
  }

  private func release(_ key: Int) {
    waiting.removeValue(forKey: key)?.resume()
  }
}
