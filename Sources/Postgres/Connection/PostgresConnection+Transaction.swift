import CLibPQ

/// How a transaction runs.
package struct TransactionMode: Sendable, Hashable {
  package enum Isolation: String, Sendable {
    case readCommitted = "READ COMMITTED"
    case repeatableRead = "REPEATABLE READ"
    case serializable = "SERIALIZABLE"
  }

  /// nil: the server's default.
  package var isolation: Isolation?
  package var readOnly: Bool

  package init(isolation: Isolation? = nil, readOnly: Bool = false) {
    self.isolation = isolation
    self.readOnly = readOnly
  }

  package static let readWrite = TransactionMode()
  package static let readOnly = TransactionMode(readOnly: true)
  /// One unchanging view of the database for several queries.
  package static let snapshot = TransactionMode(isolation: .repeatableRead, readOnly: true)
  package static let serializable = TransactionMode(isolation: .serializable)

  var begin: String {
    "BEGIN" + (isolation.map { " ISOLATION LEVEL \($0.rawValue)" } ?? "")
      + (readOnly ? " READ ONLY" : "")
  }
}

extension PostgresConnection {
  /// Runs `body` between BEGIN and COMMIT; an error rolls back and is thrown on. Inside another transaction it becomes
  /// a savepoint, and `mode` is not looked at.
  ///
  /// The connection is the body's alone: statements other tasks send on it would join the transaction.
  ///
  /// - Throws: `commitUnknown` when the answer to COMMIT is lost; `transactionAborted` when the body swallowed an error
  ///   after which the server can only roll back.
  nonisolated(nonsending) package func transaction<R>(
    _ mode: TransactionMode = .readWrite,
    _ body: nonisolated(nonsending) (PostgresConnection) async throws -> R
  ) async throws -> R {
    let depth = try await begin(mode)
    let result: R
    do {
      result = try await body(self)
    } catch {
      await rollback(depth)
      throw error
    }
    try await commit(depth)
    return result
  }

  func begin(_ mode: TransactionMode) async throws -> Int {
    try Task.checkCancellation()
    let depth = transactionDepth
    _ = try await query(
      depth == 0 ? mode.begin : "SAVEPOINT level_\(depth)", EncodedParameters([]), .control)
    transactionDepth = depth + 1
    return depth
  }

  func rollback(_ depth: Int) async {
    transactionDepth = depth
    guard !machine.isClosed else { return }
    do {
      let sql =
        depth == 0
        ? "ROLLBACK" : "ROLLBACK TO SAVEPOINT level_\(depth); RELEASE SAVEPOINT level_\(depth)"
      try await perform(.control) {
        try submit(PQsendQuery(try pointer(), sql))
        try await finishStatement(nil)
      }
    } catch {
      // A session whose transaction cannot be ended is of no use to anybody.
      drop("the transaction could not be rolled back", .connectionLost)
    }
  }

  func commit(_ depth: Int) async throws {
    transactionDepth = depth
    let wasFailed = raw.map { PQtransactionStatus($0) == PQTRANS_INERROR } ?? false
    if wasFailed {
      await rollback(depth)
      throw PostgresError(
        .transactionAborted,
        "the transaction was rolled back: a statement in it failed and the error was not thrown on")
    }
    if depth == 0 {
      let result = try await query("COMMIT", EncodedParameters([]), .commit)
      if result.commandTag == "ROLLBACK" {
        throw PostgresError(.transactionAborted, "the server answered COMMIT with ROLLBACK")
      }
    } else {
      _ = try await query("RELEASE SAVEPOINT level_\(depth)", EncodedParameters([]), .control)
    }
  }
}
