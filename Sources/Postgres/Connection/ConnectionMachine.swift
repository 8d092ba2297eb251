/// The rules of one connection, without a socket: events go in, actions come out.
///
/// It decides what may be sent when, which results are delivered and which are thrown away, when a cancel request is
/// sent (once, and never so late that it would hit the next statement), and what a lost connection means.
package struct ConnectionMachine: Sendable, Equatable {
  package enum Operation: Sendable, Equatable {
    case query, script, copyOut, copyIn, stream
    /// BEGIN, ROLLBACK and the like: small, and not to be cancelled half-way.
    case control
    case commit
    case pipeline

    package var isCancellable: Bool { self != .control && self != .commit }
  }

  package enum State: Sendable, Equatable {
    case connecting, idle
    /// A request is on its way or its results are coming.
    case running(Operation)
    /// The server takes rows.
    case copyingIn
    /// The server sends rows.
    case copyingOut(Operation)
    /// Nobody wants what is still coming; it is read and thrown away so that the session can go on.
    case draining(Operation)
    /// All results are in, but a cancel request is still in the air.
    case awaitingCancel
    case closed
  }

  package enum ResultKind: Sendable, Equatable {
    case rows, row, done, copyIn, copyOut
    case failed(isFatal: Bool)
    case aborted, synchronised
  }

  package enum Event: Sendable, Equatable {
    case connected
    case began(Operation)
    case result(ResultKind)
    /// All results of one statement are in.
    case resultsEnded
    /// The data of a COPY is through, in either direction; its result follows.
    case copyEnded
    case cancelRequested
    case cancelSent
    /// Some time after a cancel request the operation still goes on: the request may have reached the server before
    /// the statement did.
    case cancelUnanswered
    /// The consumer gave up.
    case abandoned
    case connectionLost
    case closeRequested
  }

  package enum Action: Sendable, Equatable {
    case none
    /// Give the result to whoever runs the operation.
    case deliver
    case discard
    /// Ask the server, on another connection, to stop.
    case sendCancel
    /// The server waits for rows nobody has: end the COPY with an error.
    case refuseCopy
    /// The operation is over and the connection free.
    case finish
    /// The connection is of no use any more.
    case drop
  }

  package private(set) var state: State = .connecting
  /// A cancel request was sent and its outcome is not known yet.
  package private(set) var isCancelInFlight = false
  package private(set) var wasCancelled = false
  /// The operation that was running when the connection was lost.
  package private(set) var lostDuring: Operation?

  package init() {}

  package var isIdle: Bool { state == .idle }
  package var isClosed: Bool { state == .closed }

  package var operation: Operation? {
    switch state {
    case .running(let operation), .copyingOut(let operation), .draining(let operation): operation
    case .copyingIn: .copyIn
    case .connecting, .idle, .awaitingCancel, .closed: nil
    }
  }

  /// What an operation that ends with the connection has to report.
  package var codeWhenLost: PostgresError.Code {
    lostDuring == .commit ? .commitUnknown : .connectionLost
  }

  package mutating func handle(_ event: Event) -> Action {
    switch event {
    case .connected:
      precondition(state == .connecting, "connected twice")
      state = .idle
      return .finish
    case .began(let operation):
      precondition(state == .idle, "an operation began while another was running")
      state = .running(operation)
      wasCancelled = false
      return .none
    case .result(let kind): return received(kind)
    case .resultsEnded: return ended()
    case .copyEnded:
      if case .copyingOut(let operation) = state { state = .running(operation) }
      if state == .copyingIn { state = .running(.copyIn) }
      return .none
    case .cancelRequested: return cancel()
    case .cancelSent:
      isCancelInFlight = false
      guard state == .awaitingCancel else { return .none }
      state = .idle
      return .finish
    case .cancelUnanswered:
      guard operation != nil, wasCancelled, !isCancelInFlight else { return .none }
      isCancelInFlight = true
      return .sendCancel
    case .abandoned:
      switch state {
      case .running(let operation), .copyingOut(let operation):
        state = .draining(operation)
        return cancel()
      case .copyingIn:
        state = .draining(.copyIn)
        return .refuseCopy
      case .connecting, .idle, .draining, .awaitingCancel, .closed: return .none
      }
    case .connectionLost, .closeRequested:
      guard state != .closed else { return .none }
      lostDuring = operation
      state = .closed
      return .drop
    }
  }

  private mutating func cancel() -> Action {
    guard let operation, operation.isCancellable, !wasCancelled else { return .none }
    wasCancelled = true
    isCancelInFlight = true
    return .sendCancel
  }

  private mutating func received(_ kind: ResultKind) -> Action {
    guard let operation else { return .discard }
    let isDraining = state == .draining(operation)
    switch kind {
    case .failed(isFatal: true) where operation == .commit:
      // The server died over the COMMIT; whether it is done is anybody's guess.
      lostDuring = .commit
      return .deliver
    case .copyIn:
      if operation == .copyIn, !isDraining {
        state = .copyingIn
        return .deliver
      }
      state = .draining(operation)
      return .refuseCopy
    case .copyOut:
      if operation == .copyOut, !isDraining {
        state = .copyingOut(operation)
        return .deliver
      }
      state = .draining(operation)
      return cancel()
    case .synchronised:
      return finished()
    case .rows, .row, .done, .failed, .aborted:
      return isDraining ? .discard : .deliver
    }
  }

  private mutating func ended() -> Action {
    // One statement of a pipeline; the synchronisation point ends the whole.
    if operation == .pipeline { return .none }
    return operation == nil ? .none : finished()
  }

  private mutating func finished() -> Action {
    if isCancelInFlight {
      state = .awaitingCancel
      return .none
    }
    state = .idle
    return .finish
  }
}
