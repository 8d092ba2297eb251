import Foundation

/// Who a worker is, as attempts record it.
package struct WorkerIdentity: Sendable {
  package let name: String
  package let host: String
  package let pid: Int32

  package init(name: String) {
    self.name = name
    host = ProcessInfo.processInfo.hostName
    pid = ProcessInfo.processInfo.processIdentifier
  }
}

/// Runs blocking or CPU-bound work on a thread of its own, so that heartbeats, which live on the
/// cooperative threads, are never starved by a fit.
package func onOwnThread<R: Sendable>(
  _ name: String, _ body: @escaping @Sendable () throws -> R
) async throws -> R {
  try await withCheckedThrowingContinuation { continuation in
    let thread = Thread { continuation.resume(with: Result(catching: body)) }
    thread.name = name
    thread.stackSize = 8 << 20
    thread.qualityOfService = .userInitiated
    thread.start()
  }
}
