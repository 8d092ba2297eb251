import CKernels
import Dispatch

/// Runs `body(0) ... body(count - 1)`, each on a thread with denormals flushed to zero, and returns when
/// all are done. Results are deterministic when each call writes only what is its own.
public func parallel(count: Int, _ body: @Sendable (Int) -> Void) {
  if count == 1 {
    ck_flush_to_zero()
    body(0)
    return
  }
  DispatchQueue.concurrentPerform(iterations: count) { worker in
    ck_flush_to_zero()
    body(worker)
  }
}
