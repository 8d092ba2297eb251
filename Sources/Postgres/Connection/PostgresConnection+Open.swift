import CLibPQ
import Dispatch
import Glibc

extension PostgresConnection {
  func open() async throws {
    let token = OperationToken()
    running = token
    defer { leave() }
    try await withTaskCancellationHandler {
      try Task.checkCancellation()
      try start()
      let timeout = configuration.connectTimeout
      executor.queue.asyncAfter(deadline: .now() + .milliseconds(Int(timeout / .milliseconds(1)))) {
        [weak self] in
        self?.assumeIsolated { connection in
          guard connection.machine.state == .connecting else { return }
          connection.drop("no answer from the server within \(timeout)", .connectionLost)
        }
      }
      try await poll(token)
    } onCancel: {
      token.cancel()
      executor.queue.async { self.assumeIsolated { $0.watcher?.wake() } }
    }
  }

  private func start() throws {
    var options = configuration.options
    options.append(("client_encoding", "UTF8"))
    if configuration["application_name"] == nil {
      options.append(("fallback_application_name", "forecast"))
    }
    // libpq expands a URL or a service only from keywords, and stops at the first NULL.
    let keywords = options.map { strdup($0.keyword) } + [nil]
    let values = options.map { strdup($0.value) } + [nil]
    defer { for text in keywords + values { free(text) } }
    let started = keywords.map { UnsafePointer($0) }.withUnsafeBufferPointer { keywords in
      values.map { UnsafePointer($0) }.withUnsafeBufferPointer { values in
        PQconnectStartParams(keywords.baseAddress, values.baseAddress, 0)
      }
    }
    guard let started else { throw PostgresError(.connectionFailed, "libpq has no memory") }
    owner = ConnectionOwner(started)
    // Verbose messages carry the SQLSTATE, which libpq does not give out otherwise before a session exists.
    PQsetErrorVerbosity(started, PQERRORS_VERBOSE)
    PQsetNoticeProcessor(
      started,
      { context, text in
        guard let context, let text else { return }
        Unmanaged<NoticeSink>.fromOpaque(context).takeUnretainedValue().log(String(cString: text))
      }, Unmanaged.passUnretained(notices).toOpaque())
    if PQstatus(started) == CONNECTION_BAD { throw connectFailure() }
  }

  private func poll(_ token: OperationToken) async throws {
    var status = PGRES_POLLING_WRITING
    while true {
      guard let pointer = raw else { throw PostgresError(.connectionFailed, lostMessage) }
      if token.isCancelled {
        drop("cancelled", .closeRequested)
        throw CancellationError()
      }
      switch status {
      case PGRES_POLLING_READING, PGRES_POLLING_WRITING:
        // Each step may use another socket: several addresses, TLS refused, and so on.
        guard let step = SocketWatcher(socket: PQsocket(pointer), queue: executor.queue) else {
          throw PostgresError(.connectionFailed, "this process has no file descriptor left")
        }
        watcher = step
        await wait(status == PGRES_POLLING_READING ? .read : .write)
        guard raw != nil else { continue }
        if !token.isCancelled { status = PQconnectPoll(pointer) }
      case PGRES_POLLING_OK:
        guard PQsetnonblocking(pointer, 1) == 0,
          let steady = SocketWatcher(socket: PQsocket(pointer), queue: executor.queue)
        else {
          throw PostgresError(.connectionFailed, "this process has no file descriptor left")
        }
        watcher = steady
        PQsetErrorVerbosity(pointer, PQERRORS_DEFAULT)
        _ = machine.handle(.connected)
        return
      default:
        throw connectFailure()
      }
    }
  }

  private func connectFailure() -> PostgresError {
    guard let pointer = raw else { return PostgresError(.connectionFailed, lostMessage) }
    let text = PQerrorMessage(pointer).map { String(cString: $0) } ?? ""
    let error = ConnectFailure.error(
      text, needsPassword: PQconnectionNeedsPassword(pointer) == 1,
      secrets: configuration.secrets)
    drop(error.message, .connectionLost)
    return error
  }
}
