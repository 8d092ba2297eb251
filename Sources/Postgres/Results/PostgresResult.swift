import CLibPQ

/// One column of a result or of a statement's description.
package struct PostgresColumn: Sendable, Hashable {
  package let name: String
  package let type: PostgresType

  package init(name: String, type: PostgresType) {
    self.name = name
    self.type = type
  }
}

/// A PGresult with its columns, shared by its rows.
final class ResultStorage: @unchecked Sendable {  // a PGresult is never changed once it has arrived
  let result: ResultOwner
  let columns: [PostgresColumn]
  let statement: String?

  init(_ result: consuming ResultOwner, statement: String?) {
    columns = Self.columns(of: result)
    self.result = result
    self.statement = statement
  }

  static func columns(of result: borrowing ResultOwner) -> [PostgresColumn] {
    (0..<PQnfields(result.pointer)).map { index in
      PostgresColumn(
        name: PQfname(result.pointer, index).map { String(cString: $0) } ?? "",
        type: PostgresType(rawValue: PQftype(result.pointer, index)))
    }
  }
}

/// The rows a statement returned, still in the server's binary form; each value is decoded when asked for.
package struct PostgresResult: Sendable, RandomAccessCollection {
  let storage: ResultStorage

  init(_ result: consuming ResultOwner, statement: String?) {
    storage = ResultStorage(result, statement: statement)
  }

  package var columns: [PostgresColumn] { storage.columns }
  /// As the server says, for instance `INSERT 0 3`.
  package var commandTag: String { storage.result.commandTag }
  /// Rows inserted, updated, deleted, copied or returned.
  package var affectedRows: Int { storage.result.affectedRows }

  package var startIndex: Int { 0 }
  package var endIndex: Int { Int(PQntuples(storage.result.pointer)) }
  package subscript(position: Int) -> PostgresRow {
    precondition(indices.contains(position), "row \(position) of \(count)")
    return PostgresRow(storage: storage, row: Int32(position))
  }
}

/// One row, sharing its result's memory.
package struct PostgresRow: Sendable {
  let storage: ResultStorage
  let row: Int32

  package var columns: [PostgresColumn] { storage.columns }

  /// Decodes one column by its position from 0.
  ///
  /// - Throws: ``PostgresError`` with code `decoding`, naming statement and column, never the value.
  package func decode<T: PostgresDecodable>(_ column: Int, as type: T.Type = T.self) throws -> T {
    guard storage.columns.indices.contains(column) else {
      throw PostgresError(
        .decoding, "there is no column \(column + 1) among \(storage.columns.count)",
        statement: storage.statement)
    }
    let pointer = storage.result.pointer
    do {
      if PQgetisnull(pointer, row, Int32(column)) == 1 { return try T.decodeNull() }
      let bytes = UnsafeRawBufferPointer(
        start: PQgetvalue(pointer, row, Int32(column)),
        count: Int(PQgetlength(pointer, row, Int32(column))))
      return try T(
        postgres: PostgresValue(type: storage.columns[column].type, bytes: bytes))
    } catch let failure as DecodingFailure {
      let found = storage.columns[column]
      throw PostgresError(
        .decoding,
        "column \(found.name): " + failure.message(expected: "\(T.self)", found: found.type),
        statement: storage.statement, column: found.name)
    }
  }

  /// Decodes one column by its name.
  package func decode<T: PostgresDecodable>(_ column: String, as type: T.Type = T.self) throws -> T
  {
    guard let index = storage.columns.firstIndex(where: { $0.name == column }) else {
      throw PostgresError(
        .decoding, "there is no column \(column)", statement: storage.statement, column: column)
    }
    return try decode(index, as: type)
  }
}

/// A statement as a type: prepared once on each connection and kept there under its name.
///
/// ```swift
/// struct CountRows: PostgresStatement {
///   static let name = "count_rows"
///   static let sql = "SELECT count(*) AS n FROM t WHERE k = $1"
///   var key: Int
///   var parameters: [any PostgresEncodable] { [key] }
///   static func decode(_ row: PostgresRow) throws -> Int { try row.decode("n") }
/// }
/// ```
package protocol PostgresStatement: Sendable {
  associatedtype Row: Sendable
  /// Unique within the program.
  static var name: String { get }
  static var sql: String { get }
  /// Always the same types in the same order; a missing value is an optional's nil.
  var parameters: [any PostgresEncodable] { get }
  static func decode(_ row: PostgresRow) throws -> Row
}

extension PostgresStatement where Row == Void {
  package static func decode(_: PostgresRow) throws {}
}
