import CLibPQ
import Dispatch
package import Logging
import Synchronization

/// One session with a server.
///
/// An actor on its own serial queue; libpq never blocks it. Statements from several tasks run one after the other, in
/// the order they were asked for. Cancelling the task that waits for a statement cancels it on the server; the
/// connection can be used again afterwards, or is closed if the server does not answer.
package actor PostgresConnection {
  package nonisolated let configuration: PostgresConfiguration
  nonisolated let logger: Logger
  nonisolated let executor: QueueExecutor

  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  var machine = ConnectionMachine()
  var owner: ConnectionOwner?
  var raw: OpaquePointer? { owner?.pointer }
  var watcher: SocketWatcher?
  /// Names prepared on this session, with their texts.
  var prepared: [String: String] = [:]
  var transactionDepth = 0
  /// When the running operation was first asked to stop.
  private var cancelStart: ContinuousClock.Instant?
  /// Of the COPY that is being streamed, if any.
  var copyParser = CopyParser()
  /// A statement that was not meant to be one turned out to be a COPY.
  var copyWasRefused = false
  private(set) var lostMessage = "the connection is closed"
  var listeners: [Int: NotificationListener] = [:]
  var nextListener = 0
  let notices: NoticeSink

  // One operation at a time, in order of arrival.
  var running: OperationToken?
  private var queue: [(token: OperationToken, continuation: CheckedContinuation<Void, Never>)] = []

  init(configuration: PostgresConfiguration, logger: Logger) {
    self.configuration = configuration
    self.logger = logger
    executor = QueueExecutor(label: "postgres.connection")
    notices = NoticeSink(logger: logger)
  }

  /// Opens a session.
  ///
  /// - Throws: ``PostgresError`` with code `connectionFailed`, `authenticationFailed` or `configuration`;
  ///   `CancellationError` when the task is cancelled meanwhile.
  package static func connect(
    _ configuration: PostgresConfiguration, logger: Logger
  ) async throws -> PostgresConnection {
    let connection = PostgresConnection(configuration: configuration, logger: logger)
    try await connection.open()
    return connection
  }

  /// Whether the session has ended, by ``close()`` or by the other side.
  package var isClosed: Bool { machine.isClosed }

  /// Process number of this session on the server, as in `pg_stat_activity`.
  package var backendProcessID: Int32 { raw.map { PQbackendPID($0) } ?? 0 }

  /// As PostgreSQL numbers its releases, for instance 150004.
  package var serverVersion: Int { raw.map { Int(PQserverVersion($0)) } ?? 0 }

  /// Ends the session. Statements still running fail with `connectionLost`. Calling it again does nothing.
  package func close() { drop("the connection was closed", .closeRequested) }

  // MARK: - Operations

  /// Runs `body` when it is this operation's turn, and returns when the session is free for the next.
  func perform<R>(
    _ operation: ConnectionMachine.Operation, statement: String? = nil, _ body: () async throws -> R
  ) async throws -> R {
    let token = OperationToken()
    return try await withTaskCancellationHandler {
      try await enter(token, operation)
      do {
        let result = try await body()
        await settle()
        leave()
        return result
      } catch {
        if !machine.isIdle { apply(machine.handle(.abandoned)) }
        await settle()
        let wasLost = machine.isClosed
        leave()
        throw verdict(error, token, operation, wasLost: wasLost)
      }
    } onCancel: {
      cancel(token, operation)
    }
  }

  /// What the caller is told: a cancelled task gets `CancellationError`, whatever the server said about it.
  private func verdict(
    _ error: any Error, _ token: OperationToken, _ operation: ConnectionMachine.Operation,
    wasLost: Bool
  ) -> any Error {
    guard let failure = error as? PostgresError else { return error }
    if operation == .commit, machine.codeWhenLost == .commitUnknown {
      return PostgresError(
        .commitUnknown,
        "the answer to COMMIT was lost, so the transaction may or may not be done: "
          + "look its key up before writing again",
        sqlState: failure.sqlState)
    }
    if token.isCancelled, operation.isCancellable,
      failure.sqlState == "57014" || failure.code == .connectionLost
    {
      return CancellationError()
    }
    return failure
  }

  func enter(_ token: OperationToken, _ operation: ConnectionMachine.Operation) async throws {
    if running != nil {
      await withCheckedContinuation { continuation in
        if token.isCancelled, operation.isCancellable {
          continuation.resume()
        } else {
          queue.append((token, continuation))
        }
      }
    }
    // Whoever leaves hands the turn to the next; a waiter that was cancelled never gets it.
    guard running == nil || running === token else { throw CancellationError() }
    running = token
    do {
      if token.isCancelled, operation.isCancellable { throw CancellationError() }
      guard !machine.isClosed, raw != nil else { throw lost() }
      watcher?.clearWake()
      copyWasRefused = false
      cancelStart = nil
      _ = machine.handle(.began(operation))
    } catch {
      leave()
      throw error
    }
  }

  func leave() {
    running = nil
    if !queue.isEmpty {
      let next = queue.removeFirst()
      running = next.token
      next.continuation.resume()
    } else {
      watchIdle()
    }
  }

  /// Called when the task is cancelled, on any thread.
  nonisolated func cancel(_ token: OperationToken, _ operation: ConnectionMachine.Operation) {
    token.cancel()
    guard operation.isCancellable else { return }
    executor.queue.async {
      self.assumeIsolated { connection in
        if connection.running === token {
          if connection.machine.operation != nil {
            connection.apply(connection.machine.handle(.cancelRequested))
          }
        } else if let index = connection.queue.firstIndex(where: { $0.token === token }) {
          connection.queue.remove(at: index).continuation.resume()
        }
      }
    }
  }

  /// Goes on to the next request of the same operation.
  func proceed(_ operation: ConnectionMachine.Operation) async throws {
    await settle()
    guard !machine.isClosed else { throw lost() }
    if isCancelled { throw CancellationError() }
    _ = machine.handle(.began(operation))
  }

  var isCancelled: Bool { running?.isCancelled ?? false }
  var runningToken: OperationToken? { running }

  /// Reads and throws away whatever still comes, until the session is free or closed.
  func settle() async {
    while !machine.isIdle, !machine.isClosed {
      if machine.state == .awaitingCancel {
        await wait([])
      } else {
        do { _ = try await nextResult() } catch {}
      }
    }
  }

  func apply(_ action: ConnectionMachine.Action) {
    switch action {
    case .sendCancel: sendCancel()
    case .refuseCopy:
      if let pointer = raw { PQputCopyEnd(pointer, "the client stopped this COPY") }
    case .none, .deliver, .discard, .finish, .drop: break
    }
  }

  /// Longest that a server may take over a cancel request before its session is given up.
  private static let cancelPatience = Duration.seconds(10)

  private func sendCancel() {
    guard let pointer = raw, let cancel = CancelOwner(pointer) else { return }
    let token = running
    let request = CancelRequest(cancel)
    let start = cancelStart ?? .now
    cancelStart = start
    DispatchQueue.global().async {
      request.send()
      self.executor.queue.async {
        self.assumeIsolated { connection in
          _ = connection.machine.handle(.cancelSent)
          connection.watcher?.wake()
        }
      }
    }
    if let token { awaitCancel(of: token, since: start) }
  }

  /// Sends the cancel request again while the operation goes on, and gives the session up in the end.
  private func awaitCancel(of token: OperationToken, since start: ContinuousClock.Instant) {
    executor.queue.asyncAfter(deadline: .now() + 0.25) { [weak self] in
      self?.assumeIsolated { connection in
        guard connection.running === token, connection.machine.wasCancelled else { return }
        if .now - start > Self.cancelPatience {
          connection.drop("the server did not answer a cancel request", .connectionLost)
        } else if connection.machine.handle(.cancelUnanswered) == .sendCancel {
          connection.sendCancel()
        } else {
          connection.awaitCancel(of: token, since: start)
        }
      }
    }
  }

  // MARK: - Results

  /// The next result of the running operation, or nil when a statement's results are over.
  ///
  /// - Throws: `connectionLost` when the session ends first.
  func nextResult() async throws -> ResultBox? {
    while true {
      guard let pointer = raw else { throw lost() }
      let flushed = PQflush(pointer)
      if flushed < 0, PQstatus(pointer) == CONNECTION_BAD, PQisBusy(pointer) != 0 {
        drop(message(pointer), .connectionLost)
        throw lost()
      }
      if PQisBusy(pointer) == 0 {
        guard let result = PQgetResult(pointer) else {
          if PQstatus(pointer) == CONNECTION_BAD {
            drop(message(pointer), .connectionLost)
            throw lost()
          }
          apply(machine.handle(.resultsEnded))
          return nil
        }
        let box = ResultBox(ResultOwner(result))
        let kind = box.result.kind
        if case .failed = kind, PQstatus(pointer) == CONNECTION_BAD,
          box.result.field(PostgresField.sqlState) == nil
        {
          drop(message(pointer), .connectionLost)
          throw lost()
        }
        let action = machine.handle(.result(kind))
        apply(action)
        if kind == .synchronised { return nil }
        if action == .deliver { return box }
        if kind == .copyOut || kind == .copyIn { copyWasRefused = true }
        if kind == .copyOut { await discardCopy(pointer) }
        continue
      }
      await wait(flushed > 0 ? [.read, .write] : .read)
      try consume()
    }
  }

  /// Takes in what the socket holds.
  func consume() throws {
    guard let pointer = raw else { throw lost() }
    if PQconsumeInput(pointer) == 0 {
      // An error the server sent before it hung up is still to be read.
      if PQisBusy(pointer) != 0 {
        drop(message(pointer), .connectionLost)
        throw lost()
      }
    }
    deliverNotifications()
  }

  private func discardCopy(_ pointer: OpaquePointer) async {
    var buffer: UnsafeMutablePointer<CChar>?
    while raw != nil {
      let length = PQgetCopyData(pointer, &buffer, 1)
      if length > 0 {
        PQfreemem(buffer)
      } else if length == 0 {
        if PQstatus(pointer) == CONNECTION_BAD {
          drop(message(pointer), .connectionLost)
          return
        }
        await wait(.read)
        do { try consume() } catch { return }
      } else {
        return
      }
    }
  }

  func wait(_ interest: SocketWatcher.Interest) async {
    guard let watcher else { return }
    await withUnsafeContinuation(isolation: self) { watcher.park($0, interest) }
  }

  // MARK: - The end of a session

  func lost() -> PostgresError { PostgresError(.connectionLost, lostMessage) }

  func message(_ pointer: OpaquePointer) -> String {
    let text = PQerrorMessage(pointer).map { String(cString: $0) } ?? ""
    return Redaction.removing(
      configuration.secrets, from: text.split(separator: "\n").first.map(String.init) ?? text)
  }

  func drop(_ reason: String, _ event: ConnectionMachine.Event) {
    guard machine.handle(event) == .drop else { return }
    lostMessage = reason.isEmpty ? "the server closed the connection" : reason
    watcher?.cancel()
    watcher = nil
    owner = nil
    prepared = [:]
    let ended = listeners
    listeners = [:]
    let failure: PostgresError? = event == .closeRequested ? nil : lost()
    for listener in ended.values { listener.finish(failure) }
    if event != .closeRequested {
      logger.debug("connection lost", metadata: ["reason": "\(lostMessage)"])
    }
  }

  /// Between operations the socket is watched for notifications and for its end.
  func watchIdle() {
    guard machine.isIdle, running == nil, let watcher else { return }
    watcher.watchIdle { [weak self] in
      self?.assumeIsolated { connection in
        guard connection.running == nil, connection.machine.isIdle,
          let pointer = connection.raw
        else { return }
        if PQconsumeInput(pointer) == 0 || PQstatus(pointer) == CONNECTION_BAD {
          connection.drop(connection.message(pointer), .connectionLost)
          return
        }
        // Lets libpq read messages that come unasked, such as the reason for a shutdown.
        _ = PQisBusy(pointer)
        connection.deliverNotifications()
        connection.watchIdle()
      }
    }
  }

  /// Looks whether the other side hung up while the session was idle.
  func lookForEnd() -> Bool {
    guard let pointer = raw else { return false }
    if PQconsumeInput(pointer) == 0 || PQstatus(pointer) == CONNECTION_BAD {
      drop(message(pointer), .connectionLost)
      return false
    }
    return true
  }
}

/// Marks one operation, and whether its task was cancelled.
final class OperationToken: Sendable {
  private let flag = Atomic<Bool>(false)
  var isCancelled: Bool { flag.load(ordering: .relaxed) }
  func cancel() { flag.store(true, ordering: .relaxed) }

  // For operations that last over several calls.
  private let over = Atomic<Bool>(false)
  var isOver: Bool { over.load(ordering: .relaxed) }
  func end() { over.store(true, ordering: .relaxed) }
}

/// A cancel request that travels to another queue.
private final class CancelRequest: Sendable {
  private let owner: CancelOwner
  init(_ owner: consuming CancelOwner) { self.owner = owner }
  func send() { owner.send() }
}

/// A result that an actor's method can hand on.
final class ResultBox {
  private var owner: ResultOwner?
  var result: ResultOwner {
    _read { yield owner! }
  }
  init(_ owner: consuming ResultOwner) { self.owner = consume owner }
  func take() -> ResultOwner {
    guard let taken = owner.take() else { preconditionFailure("a result was taken twice") }
    return taken
  }
}

/// Sends the server's notices to the log.
final class NoticeSink: Sendable {
  let logger: Logger
  init(logger: Logger) { self.logger = logger }
  func log(_ text: String) {
    logger.debug("server notice", metadata: ["notice": "\(text.prefix(500))"])
  }
}
