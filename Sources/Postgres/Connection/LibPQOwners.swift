// Owners of libpq's objects: what they hold is freed once, when they go.

import CLibPQ

/// A PGresult.
struct ResultOwner: ~Copyable {
  let pointer: OpaquePointer

  init(_ pointer: OpaquePointer) { self.pointer = pointer }
  deinit { PQclear(pointer) }

  var status: ExecStatusType { PQresultStatus(pointer) }

  func field(_ code: Int32) -> String? {
    PQresultErrorField(pointer, code).map { String(cString: $0) }
  }

  var commandTag: String { PQcmdStatus(pointer).map { String(cString: $0) } ?? "" }
  var affectedRows: Int { PQcmdTuples(pointer).flatMap { Int(String(cString: $0)) } ?? 0 }

  var kind: ConnectionMachine.ResultKind {
    switch status {
    case PGRES_TUPLES_OK: .rows
    case PGRES_SINGLE_TUPLE: .row
    case PGRES_COPY_IN: .copyIn
    case PGRES_COPY_OUT, PGRES_COPY_BOTH: .copyOut
    case PGRES_PIPELINE_SYNC: .synchronised
    case PGRES_PIPELINE_ABORTED: .aborted
    case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE, PGRES_NONFATAL_ERROR:
      .failed(
        isFatal: field(PostgresField.severity).map { $0 == "FATAL" || $0 == "PANIC" } ?? true)
    default: .done
    }
  }
}

/// A PGconn. The queue of its connection is the only place that uses it.
struct ConnectionOwner: ~Copyable {
  let pointer: OpaquePointer

  init(_ pointer: OpaquePointer) { self.pointer = pointer }
  deinit { PQfinish(pointer) }
}

/// A PGcancel, which may be used on any thread.
struct CancelOwner: ~Copyable, @unchecked Sendable {  // libpq promises that PQcancel is thread-safe
  let pointer: OpaquePointer

  init?(_ connection: OpaquePointer) {
    guard let pointer = PQgetCancel(connection) else { return nil }
    self.pointer = pointer
  }
  deinit { PQfreeCancel(pointer) }

  /// Blocks until the server has passed the request on.
  func send() {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      _ = PQcancel(pointer, buffer.baseAddress, 256)
    }
  }
}

/// The error fields that are macros with character values in libpq's header.
enum PostgresField {
  static func code(_ letter: Unicode.Scalar) -> Int32 { Int32(letter.value) }
  static let severity = code("V")
  static let sqlState = code("C")
  static let message = code("M")
  static let detail = code("D")
  static let hint = code("H")
  static let position = code("P")
  static let schema = code("s")
  static let table = code("t")
  static let column = code("c")
  static let constraint = code("n")
}

extension PostgresError {
  init(_ result: borrowing ResultOwner, statement: String?) {
    self.init(
      .server, result.field(PostgresField.message) ?? "the server's answer made no sense",
      sqlState: result.field(PostgresField.sqlState), statement: statement)
    detail = result.field(PostgresField.detail)
    hint = result.field(PostgresField.hint)
    schema = result.field(PostgresField.schema)
    table = result.field(PostgresField.table)
    column = result.field(PostgresField.column)
    constraint = result.field(PostgresField.constraint)
    position = result.field(PostgresField.position).flatMap { Int($0) }
  }
}
