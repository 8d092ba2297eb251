import CLibPQ

extension PostgresConnection {
  /// Runs one statement with bound parameters and returns all its rows.
  package func query(
    _ sql: String, _ parameters: [any PostgresEncodable] = []
  ) async throws -> PostgresResult {
    try await query(sql, EncodedParameters(parameters), .query)
  }

  /// Runs one statement and returns how many rows it inserted, updated, deleted or returned.
  @discardableResult
  package func execute(
    _ sql: String, _ parameters: [any PostgresEncodable] = []
  ) async throws -> Int {
    try await query(sql, parameters).affectedRows
  }

  /// Runs several statements separated by semicolons, without parameters; unless they say otherwise, all or nothing.
  package func executeScript(_ sql: String) async throws {
    try await perform(.script) {
      try submit(PQsendQuery(try pointer(), sql))
      try await finishStatement(nil)
    }
  }

  /// Runs a prepared statement, preparing it first when this session does not know it yet.
  package func run<S: PostgresStatement>(_ statement: S) async throws -> [S.Row] {
    let parameters = EncodedParameters(statement.parameters)
    let result: PostgresResult
    do {
      result = try await runPrepared(S.name, S.sql, parameters)
    } catch let error as PostgresError
      where (error.sqlState == "26000" || error.sqlState == "0A000") && !isInTransaction
    {
      // Somebody deallocated it, or a table under it changed its columns.
      prepared[S.name] = nil
      try await perform(.control) {
        try submit(PQsendQuery(try pointer(), "DEALLOCATE ALL"))
        try await finishStatement(nil)
      }
      prepared = [:]
      result = try await runPrepared(S.name, S.sql, parameters)
    }
    return try result.map { try S.decode($0) }
  }

  /// Names and types of the columns a statement would return, without running it.
  package func describe(_ sql: String) async throws -> [PostgresColumn] {
    try await perform(.query) {
      try submit(PQsendPrepare(try pointer(), "", sql, 0, nil))
      try await finishStatement(nil)
      try await proceed(.query)
      try submit(PQsendDescribePrepared(try pointer(), ""))
      return try await finishStatement(nil).map { ResultStorage.columns(of: $0.result) } ?? []
    }
  }

  /// Whether a transaction is open, healthy or failed.
  package var isInTransaction: Bool {
    guard let pointer = raw else { return false }
    let status = PQtransactionStatus(pointer)
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR
  }

  func query(
    _ sql: String, _ parameters: EncodedParameters, _ operation: ConnectionMachine.Operation
  ) async throws -> PostgresResult {
    try await perform(operation) {
      let pointer = try pointer()
      try submit(
        parameters.withPointers { types, values, lengths, formats in
          PQsendQueryParams(
            pointer, sql, parameters.count, types, values, lengths, formats, 1)
        })
      guard let box = try await finishStatement(nil) else {
        throw PostgresError(.server, "the server sent no result")
      }
      return PostgresResult(box.take(), statement: nil)
    }
  }

  private func runPrepared(
    _ name: String, _ sql: String, _ parameters: EncodedParameters
  ) async throws -> PostgresResult {
    try await perform(.query, statement: name) {
      try await prepare(name, sql, parameters)
      let pointer = try pointer()
      try submit(
        parameters.withPointers { _, values, lengths, formats in
          PQsendQueryPrepared(pointer, name, parameters.count, values, lengths, formats, 1)
        })
      guard let box = try await finishStatement(name) else {
        throw PostgresError(.server, "the server sent no result", statement: name)
      }
      return PostgresResult(box.take(), statement: name)
    }
  }

  private func prepare(_ name: String, _ sql: String, _ parameters: EncodedParameters) async throws
  {
    if let known = prepared[name] {
      precondition(known == sql, "two statements are named \(name)")
      return
    }
    try submit(PQsendPrepare(try pointer(), name, sql, parameters.count, parameters.types))
    try await finishStatement(name)
    prepared[name] = sql
    try await proceed(.query)
  }

  func pointer() throws -> OpaquePointer {
    guard let raw else { throw lost() }
    return raw
  }

  /// Checks that libpq took a request.
  func submit(_ accepted: Int32) throws {
    guard accepted != 1 else { return }
    let pointer = try pointer()
    let text = message(pointer)
    if PQstatus(pointer) == CONNECTION_BAD {
      drop(text, .connectionLost)
      throw lost()
    }
    _ = machine.handle(.resultsEnded)
    throw PostgresError(.misuse, text)
  }

  /// Reads a statement's results to their end.
  ///
  /// - Returns: the last result, which is the only one in the extended protocol.
  /// - Throws: the first error among them.
  @discardableResult
  func finishStatement(_ statement: String?) async throws -> ResultBox? {
    var last: ResultBox?
    var failure: PostgresError?
    while true {
      do {
        guard let box = try await nextResult() else { break }
        switch box.result.kind {
        case .failed:
          if failure == nil { failure = PostgresError(box.result, statement: statement) }
        default: last = box
        }
      } catch {
        // What the server said before it hung up explains more than the hanging up.
        throw failure.map { asLost($0) } ?? error
      }
    }
    if let failure { throw failure }
    if copyWasRefused {
      copyWasRefused = false
      throw PostgresError(
        .misuse, "COPY goes through copyIn and copyOut, not through a query", statement: statement)
    }
    return last
  }

  /// An error with which the server ended the session.
  private func asLost(_ error: PostgresError) -> PostgresError {
    var error = error
    error.code = .connectionLost
    return error
  }
}
