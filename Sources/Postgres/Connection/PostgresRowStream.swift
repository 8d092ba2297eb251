import CLibPQ
import Dispatch

/// The rows of one statement as they arrive, in single-row mode; a slow reader slows the server down.
///
/// It can be iterated once, and starts with the first row asked for. Leaving the loop early cancels the statement. Until
/// the end, other statements on the connection wait.
package struct PostgresRowStream: AsyncSequence, Sendable {
  package typealias Element = PostgresRow

  let connection: PostgresConnection
  let sql: String
  let parameters: EncodedParameters

  package func makeAsyncIterator() -> Iterator {
    Iterator(session: StreamSession(connection, .rows(sql, parameters)))
  }

  package struct Iterator: AsyncIteratorProtocol {
    let session: StreamSession
    var batch: ArraySlice<PostgresRow> = []

    package mutating func next() async throws -> PostgresRow? {
      if batch.isEmpty {
        try Task.checkCancellation()
        batch = try await session.nextRows()[...]
      }
      return batch.popFirst()
    }
  }
}

/// The rows of a binary COPY in batches; the server is read only as fast as batches are taken.
///
/// It can be iterated once. Leaving the loop early cancels the COPY. Until the end, other statements on the connection
/// wait.
package struct PostgresCopyStream: AsyncSequence, Sendable {
  package typealias Element = PostgresCopyBatch

  let connection: PostgresConnection
  let sql: String
  let batchRows: Int

  package func makeAsyncIterator() -> Iterator {
    Iterator(session: StreamSession(connection, .copy(sql)), batchRows: batchRows)
  }

  package struct Iterator: AsyncIteratorProtocol {
    let session: StreamSession
    let batchRows: Int

    package mutating func next() async throws -> PostgresCopyBatch? {
      try Task.checkCancellation()
      let batch = try await session.nextBatch(batchRows)
      return batch.count == 0 ? nil : batch
    }
  }
}

extension PostgresConnection {
  /// Streams the rows of a statement that returns too many to hold.
  package nonisolated func stream(
    _ sql: String, _ parameters: [any PostgresEncodable] = []
  ) -> PostgresRowStream {
    PostgresRowStream(connection: self, sql: sql, parameters: EncodedParameters(parameters))
  }

  /// Streams `COPY … TO STDOUT (FORMAT binary)` in batches, for consumers that have to wait between rows; others are
  /// better served by ``copyOut(_:row:)``.
  package nonisolated func copyBatches(
    _ sql: String, batchRows: Int = 4096
  ) -> PostgresCopyStream {
    precondition(batchRows > 0, "batches of no rows")
    return PostgresCopyStream(connection: self, sql: sql, batchRows: batchRows)
  }
}

/// Keeps a connection busy with one stream until its end, or until nobody iterates any more.
final class StreamSession: Sendable {
  enum Source: Sendable {
    case rows(String, EncodedParameters)
    case copy(String)

    var operation: ConnectionMachine.Operation {
      switch self {
      case .rows: .stream
      case .copy: .copyOut
      }
    }
  }

  private let connection: PostgresConnection
  private let source: Source
  private let token = OperationToken()

  init(_ connection: PostgresConnection, _ source: Source) {
    self.connection = connection
    self.source = source
  }

  deinit {
    let connection = connection
    let token = token
    Task { await connection.abandonStream(token) }
  }

  func nextRows() async throws -> [PostgresRow] {
    try await withTaskCancellationHandler {
      try await connection.nextRows(token, source, limit: 256)
    } onCancel: {
      connection.cancel(token, source.operation)
    }
  }

  func nextBatch(_ limit: Int) async throws -> PostgresCopyBatch {
    try await withTaskCancellationHandler {
      try await connection.nextBatch(token, source, limit: limit)
    } onCancel: {
      connection.cancel(token, source.operation)
    }
  }
}

extension PostgresConnection {
  fileprivate func nextRows(
    _ token: OperationToken, _ source: StreamSession.Source, limit: Int
  ) async throws -> [PostgresRow] {
    try await continueStream(token, source) {
      var rows: [PostgresRow] = []
      while rows.count < limit {
        // What is here already goes out without waiting for more.
        if !rows.isEmpty, let pointer = raw, PQisBusy(pointer) != 0 { return (rows, true) }
        guard let box = try await nextResult() else { return (rows, false) }
        switch box.result.kind {
        case .failed:
          let failure = PostgresError(box.result, statement: nil)
          try await finishStatement(nil)
          throw failure
        case .row: rows += PostgresResult(box.take(), statement: nil)
        default: break
        }
      }
      return (rows, true)
    } ?? []
  }

  fileprivate func nextBatch(
    _ token: OperationToken, _ source: StreamSession.Source, limit: Int
  ) async throws -> PostgresCopyBatch {
    try await continueStream(token, source) {
      var batch = PostgresCopyBatch()
      let mayGoOn = try await readCopy(limit: limit) { message in
        try copyParser.parse(message) { batch.append($0) }
      }
      if !mayGoOn { try await finishStatement(nil) }
      return (batch, mayGoOn)
    } ?? PostgresCopyBatch()
  }

  /// One more step of a stream: starts it, ends it, and lets others have the connection when it is over.
  private func continueStream<R>(
    _ token: OperationToken, _ source: StreamSession.Source,
    _ step: () async throws -> (R, mayGoOn: Bool)
  ) async throws -> R? {
    if token.isOver { return nil }
    if runningToken !== token {
      try await enter(token, source.operation)
      do {
        try await startStream(source)
      } catch {
        throw await endStream(token, error)
      }
    }
    do {
      let (result, mayGoOn) = try await step()
      if !mayGoOn {
        token.end()
        await settle()
        leave()
      }
      return result
    } catch {
      throw await endStream(token, error)
    }
  }

  private func startStream(_ source: StreamSession.Source) async throws {
    switch source {
    case .rows(let sql, let parameters):
      let pointer = try pointer()
      try submit(
        parameters.withPointers { types, values, lengths, formats in
          PQsendQueryParams(
            pointer, sql, parameters.count, types, values, lengths, formats, 1)
        })
      PQsetSingleRowMode(pointer)
    case .copy(let sql):
      copyParser = CopyParser()
      try await beginCopy(sql, expected: .copyOut)
    }
  }

  private func endStream(_ token: OperationToken, _ error: any Error) async -> any Error {
    token.end()
    if !machine.isIdle { apply(machine.handle(.abandoned)) }
    await settle()
    leave()
    if token.isCancelled, (error as? PostgresError)?.sqlState == "57014" {
      return CancellationError()
    }
    return error
  }

  fileprivate func abandonStream(_ token: OperationToken) async {
    guard runningToken === token, !token.isOver else { return }
    _ = await endStream(token, CancellationError())
  }
}
