import CLibPQ
import Glibc

extension PostgresConnection {
  /// Runs `COPY … TO STDOUT (FORMAT binary)` and hands each row to `row`, on the connection's own queue.
  ///
  /// Nothing is allocated or suspended per row; memory stays flat, because a slow consumer slows the server down. An
  /// error thrown by `row` ends the COPY on the server and is thrown on; the connection can be used afterwards.
  ///
  /// - Returns: how many rows there were.
  @discardableResult
  package func copyOut(
    _ sql: String, row: @Sendable (borrowing PostgresCopyRow) throws -> Void
  ) async throws -> Int {
    try await copyOut(sql, into: 0) { count, copied in
      try row(copied)
      count += 1
    }
  }

  /// As ``copyOut(_:row:)``, with a value the rows are collected into.
  package func copyOut<State: Sendable>(
    _ sql: String, into initial: State,
    row: @Sendable (inout State, borrowing PostgresCopyRow) throws -> Void
  ) async throws -> State {
    try await perform(.copyOut) {
      try await beginCopy(sql, expected: .copyOut)
      var state = initial
      var parser = CopyParser()
      try await readCopy(limit: .max) { message in
        try parser.parse(message) { try row(&state, $0) }
      }
      try await finishStatement(nil)
      return state
    }
  }

  /// Runs `COPY … FROM STDIN (FORMAT binary)` with the rows that `body` writes.
  ///
  /// An error thrown by `body` ends the COPY with nothing loaded and is thrown on; the connection can be used
  /// afterwards.
  ///
  /// - Returns: how many rows the server took.
  @discardableResult
  nonisolated(nonsending) package func copyIn(
    _ sql: String,
    _ body: nonisolated(nonsending) (inout PostgresCopyWriter) async throws -> Void
  ) async throws -> Int {
    let token = OperationToken()
    return try await withTaskCancellationHandler {
      try await startCopyIn(sql, token)
      do {
        var writer = PostgresCopyWriter(connection: self)
        try await body(&writer)
        try writer.finish()
        try await writer.flush()
      } catch {
        throw await abortCopyIn(error, token)
      }
      return try await endCopyIn(token)
    } onCancel: {
      cancel(token, .copyIn)
    }
  }

  /// As ``copyIn(_:_:)``, with a synchronous producer that runs on the connection's queue: `next` writes one row and
  /// returns true, or returns false when there are no more. The fastest way in.
  @discardableResult
  package func copyIn(
    _ sql: String, next: @Sendable (inout PostgresCopyWriter) throws -> Bool
  ) async throws -> Int {
    try await perform(.copyIn) {
      try await beginCopy(sql, expected: .copyIn)
      do {
        var writer = PostgresCopyWriter(connection: nil)
        while try next(&writer) {
          if writer.used >= PostgresCopyWriter.flushSize {
            try await putCopy(writer.pending)
            writer.sent()
          }
        }
        try writer.finish()
        try await putCopy(writer.pending)
        return try await endCopy()
      } catch is CopyRefused {
        throw await reasonOfRefusal()
      }
    }
  }

  // MARK: - Out

  func beginCopy(_ sql: String, expected: ConnectionMachine.ResultKind) async throws {
    try submit(PQsendQuery(try pointer(), sql))
    while true {
      guard let box = try await nextResult() else {
        throw PostgresError(
          .misuse,
          expected == .copyIn
            ? "expected COPY … FROM STDIN (FORMAT binary)"
            : "expected COPY … TO STDOUT (FORMAT binary)")
      }
      let kind = box.result.kind
      if case .failed = kind {
        let failure = PostgresError(box.result, statement: nil)
        try await finishStatement(nil)
        throw failure
      }
      if kind == expected {
        guard PQbinaryTuples(box.result.pointer) == 1 else {
          throw PostgresError(.misuse, "COPY must say (FORMAT binary)")
        }
        return
      }
    }
  }

  /// Reads up to `limit` rows.
  ///
  /// - Returns: whether more may come.
  @discardableResult
  func readCopy(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws -> Bool
  ) async throws -> Bool {
    var rows = 0
    var messages = 0
    while rows < limit {
      let connection = try pointer()
      var buffer: UnsafeMutablePointer<CChar>?
      var length = PQgetCopyData(connection, &buffer, 1)
      if length == 0 {
        try consume()
        length = PQgetCopyData(connection, &buffer, 1)
      }
      if length > 0 {
        defer { PQfreemem(buffer) }
        if try body(UnsafeRawBufferPointer(start: buffer, count: Int(length))) { rows += 1 }
        messages += 1
        // A fast server may never let this loop wait, and only a wait lets a cancellation in.
        if messages & 1023 == 0, isCancelled { throw CancellationError() }
      } else if length == 0 {
        // The server may have hung up in the middle of a row.
        if PQstatus(connection) == CONNECTION_BAD {
          drop(message(connection), .connectionLost)
          throw lost()
        }
        await wait(.read)
        try consume()
      } else if length == -1 {
        _ = machine.handle(.copyEnded)
        return false
      } else {
        let text = message(connection)
        _ = machine.handle(.copyEnded)
        if PQstatus(connection) == CONNECTION_BAD { drop(text, .connectionLost) }
        throw machine.isClosed ? lost() : PostgresError(.copyFailed, text)
      }
    }
    return true
  }

  // MARK: - In

  func startCopyIn(_ sql: String, _ token: OperationToken) async throws {
    try await enter(token, .copyIn)
    do {
      try await beginCopy(sql, expected: .copyIn)
    } catch {
      throw await abortCopyIn(error, token)
    }
  }

  /// Sends a writer's buffer.
  func sendCopy(_ bytes: CopyBytes) async throws {
    try await putCopy(bytes)
  }

  private func putCopy(_ bytes: CopyBytes) async throws {
    var sent = 0
    while sent < bytes.count {
      if isCancelled { throw CancellationError() }
      if serverHasFailed() { throw CopyRefused() }
      let connection = try pointer()
      // libpq counts in Int32.
      let part = min(bytes.count - sent, 1 << 24)
      let start = (bytes.base + sent).assumingMemoryBound(to: CChar.self)
      switch PQputCopyData(connection, start, Int32(part)) {
      case 1: sent += part
      case 0: try await waitToSend()
      default:
        if PQstatus(connection) == CONNECTION_BAD { throw CopyRefused() }
        throw PostgresError(.copyFailed, message(connection))
      }
      // Nothing piles up in libpq's own buffer.
      while true {
        let left = PQflush(try pointer())
        if left == 0 { break }
        if left < 0 { throw CopyRefused() }
        try await waitToSend()
      }
    }
  }

  private func waitToSend() async throws {
    await wait([.read, .write])
    if isCancelled { throw CancellationError() }
    if serverHasFailed() { throw CopyRefused() }
    try consume()
  }

  /// Looks, without TLS, whether the next message from the server is an error: libpq tells only at the end of the
  /// data, which may be gigabytes later.
  private func serverHasFailed() -> Bool {
    guard let pointer = raw, PQsslInUse(pointer) == 0 else { return false }
    var byte: UInt8 = 0
    let count = recv(PQsocket(pointer), &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
    return count == 0 || (count == 1 && byte == UInt8(ascii: "E"))
  }

  func endCopyIn(_ token: OperationToken) async throws -> Int {
    do {
      let count = try await endCopy()
      await settle()
      leave()
      return count
    } catch {
      throw await abortCopyIn(error, token)
    }
  }

  private func endCopy() async throws -> Int {
    while true {
      let connection = try pointer()
      let ended = PQputCopyEnd(connection, nil)
      if ended == 1 { break }
      if ended < 0 {
        drop(message(connection), .connectionLost)
        throw lost()
      }
      try await waitToSend()
    }
    _ = machine.handle(.copyEnded)
    return try await finishStatement(nil)?.result.affectedRows ?? 0
  }

  /// Ends a COPY that failed on this side or on the server's, and says what to throw.
  func abortCopyIn(_ error: any Error, _ token: OperationToken) async -> any Error {
    defer { leave() }
    var error = error
    if error is CopyRefused {
      error = await reasonOfRefusal()
    } else if !machine.isIdle {
      apply(machine.handle(.abandoned))
    }
    await settle()
    if token.isCancelled { return CancellationError() }
    return error
  }

  /// The server's own reason for ending a COPY is what the caller needs.
  private func reasonOfRefusal() async -> any Error {
    guard machine.state == .copyingIn, let pointer = raw else { return lost() }
    PQputCopyEnd(pointer, "stopped after an error")
    _ = machine.handle(.copyEnded)
    do {
      try await finishStatement(nil)
      return PostgresError(.copyFailed, "the server stopped taking rows")
    } catch {
      return error
    }
  }
}

/// The server will not take more rows; why is in its answer.
struct CopyRefused: Error {}
