import CKernels
import Dispatch

/// Runs `body(0) ... body(count - 1)`, each on a thread with denormals flushed to zero, and returns when
/// all are done. Results are deterministic when each call writes only what is its own.
public func parallel(count: Int, _ body: @Sendable (Int) -> Void) {
  @Sendable func run(_ worker: Int) {
    // The thread may be the caller's: it gets its own mode back.
    let mode = ck_flush_to_zero()
    defer { ck_restore_mode(mode) }
    body(worker)
  }
  if count == 1 { return run(0) }
  DispatchQueue.concurrentPerform(iterations: count, execute: run)
}
