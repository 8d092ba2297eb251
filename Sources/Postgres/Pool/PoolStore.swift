/// Who has a session, who waits for one: the bookkeeping of a pool.
actor PoolStore {
  enum Grant: Sendable {
    /// An open session, and how long it was idle.
    case connection(PostgresConnection, idleFor: Duration)
    /// Leave to open a new one.
    case permission
  }

  private struct Waiter {
    let id: Int
    let continuation: CheckedContinuation<Grant, any Error>
    let alarm: Task<Void, Never>
  }

  private let limits: PostgresPool.Limits
  private var idle: [(connection: PostgresConnection, since: ContinuousClock.Instant)] = []
  private var waiters: [Waiter] = []
  private var nextWaiter = 0
  private var isClosed = false
  /// Sessions open or being opened, lent or idle.
  private(set) var open = 0

  init(limits: PostgresPool.Limits) { self.limits = limits }

  func acquire(until deadline: ContinuousClock.Instant) async throws -> Grant {
    if isClosed { throw Self.closed }
    try Task.checkCancellation()
    // The newest first, so that a pool that is too large shrinks.
    if let last = idle.popLast() {
      return .connection(last.connection, idleFor: .now - last.since)
    }
    if open < limits.maximumConnections {
      open += 1
      return .permission
    }
    let id = nextWaiter
    nextWaiter += 1
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        // The handler hops here, so either it finds the waiter below or this sees the cancellation.
        if Task.isCancelled {
          continuation.resume(throwing: CancellationError())
          return
        }
        let timeout = limits.acquireTimeout
        let count = limits.maximumConnections
        let alarm = Task {
          do { try await Task.sleep(until: deadline, clock: .continuous) } catch { return }
          self.fail(
            id,
            PostgresError(
              .poolTimeout,
              "none of \(count) database connections became free within \(timeout)"))
        }
        waiters.append(Waiter(id: id, continuation: continuation, alarm: alarm))
      }
    } onCancel: {
      Task { await self.cancel(id) }
    }
  }

  /// Takes a session back.
  ///
  /// - Returns: false when the pool has no use for it any more.
  func giveBack(_ connection: PostgresConnection) -> Bool {
    guard !isClosed else {
      open -= 1
      return false
    }
    if let waiter = nextInLine() {
      waiter.resume(returning: .connection(connection, idleFor: .zero))
    } else {
      idle.append((connection, .now))
    }
    return true
  }

  /// Whether a session that was just opened is still wanted.
  func adopt() -> Bool { !isClosed }

  /// A session broke or could not be opened; its place goes to the next in line.
  func discard() {
    if let waiter = isClosed ? nil : nextInLine() {
      waiter.resume(returning: .permission)
    } else {
      open -= 1
    }
  }

  func close() -> [PostgresConnection] {
    isClosed = true
    while let waiter = nextInLine() { waiter.resume(throwing: Self.closed) }
    let connections = idle.map(\.connection)
    open -= connections.count
    idle = []
    return connections
  }

  private func nextInLine() -> CheckedContinuation<Grant, any Error>? {
    guard !waiters.isEmpty else { return nil }
    let waiter = waiters.removeFirst()
    waiter.alarm.cancel()
    return waiter.continuation
  }

  private func fail(_ id: Int, _ error: any Error) {
    guard let index = waiters.firstIndex(where: { $0.id == id }) else { return }
    let waiter = waiters.remove(at: index)
    waiter.alarm.cancel()
    waiter.continuation.resume(throwing: error)
  }

  private func cancel(_ id: Int) {
    if waiters.contains(where: { $0.id == id }) { fail(id, CancellationError()) }
  }

  private static var closed: PostgresError {
    PostgresError(.poolClosed, "the pool of connections is closed")
  }
}
