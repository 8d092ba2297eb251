import CLibPQ

/// Statements that travel together.
package struct PostgresPipeline {
  struct Entry {
    var name: String?
    var sql: String
    var parameters: EncodedParameters
  }

  /// Where the rows of one statement will be found.
  package struct Slot<Row>: Sendable {
    let index: Int
    let decode: @Sendable (PostgresRow) throws -> Row
  }

  var entries: [Entry] = []

  package init() {}

  /// Adds a prepared statement.
  @discardableResult
  package mutating func add<S: PostgresStatement>(_ statement: S) -> Slot<S.Row> {
    entries.append(
      Entry(name: S.name, sql: S.sql, parameters: EncodedParameters(statement.parameters)))
    return Slot(index: entries.count - 1) { try S.decode($0) }
  }

  /// Adds a statement with its parameters.
  @discardableResult
  package mutating func add(
    _ sql: String, _ parameters: [any PostgresEncodable] = []
  ) -> Slot<PostgresRow> {
    entries.append(Entry(name: nil, sql: sql, parameters: EncodedParameters(parameters)))
    return Slot(index: entries.count - 1) { $0 }
  }
}

/// What the statements of a pipeline returned, in their order.
package struct PostgresPipelineResults: Sendable, RandomAccessCollection {
  let results: [PostgresResult]

  package var startIndex: Int { 0 }
  package var endIndex: Int { results.count }
  package subscript(position: Int) -> PostgresResult { results[position] }

  package func rows<Row>(of slot: PostgresPipeline.Slot<Row>) throws -> [Row] {
    try results[slot.index].map(slot.decode)
  }
}

extension PostgresConnection {
  /// Runs several statements in one round trip, as one transaction: all of them or none.
  ///
  /// Inside ``transaction(_:_:)`` they join it.
  ///
  /// - Throws: the first error, whose ``PostgresError/pipelineIndex`` and `statement` say where it happened.
  @discardableResult
  package func pipeline(
    _ build: @Sendable (inout PostgresPipeline) -> Void
  ) async throws -> PostgresPipelineResults {
    var pipeline = PostgresPipeline()
    build(&pipeline)
    return try await run(pipeline)
  }

  /// As ``pipeline(_:)``, for a pipeline built before, whose slots the caller keeps.
  @discardableResult
  package func run(_ pipeline: PostgresPipeline) async throws -> PostgresPipelineResults {
    guard !pipeline.entries.isEmpty else { return PostgresPipelineResults(results: []) }
    return try await perform(.pipeline) {
      let pointer = try pointer()
      guard PQenterPipelineMode(pointer) == 1 else {
        throw PostgresError(.misuse, message(pointer))
      }
      // For each request in order: the entry it belongs to, and whether it only prepares.
      let requests = try send(pipeline.entries, pointer)
      let outcome = await receive(requests, pipeline.entries)
      if let pointer = raw { PQexitPipelineMode(pointer) }
      return PostgresPipelineResults(results: try outcome.get())
    }
  }

  private func send(
    _ entries: [PostgresPipeline.Entry], _ pointer: OpaquePointer
  ) throws -> [(entry: Int, prepares: Bool)] {
    var requests: [(entry: Int, prepares: Bool)] = []
    var fresh: Set<String> = []
    func check(_ accepted: Int32) throws {
      guard accepted == 1 else {
        // What libpq holds for sending cannot be taken back.
        drop(message(pointer), .connectionLost)
        throw lost()
      }
    }
    for (index, entry) in entries.enumerated() {
      if let name = entry.name {
        if prepared[name] == nil, fresh.insert(name).inserted {
          try check(
            PQsendPrepare(
              pointer, name, entry.sql, entry.parameters.count, entry.parameters.types))
          requests.append((index, true))
        }
        precondition(
          prepared[name].map { $0 == entry.sql } ?? true, "two statements are named \(name)")
      }
      try check(
        entry.parameters.withPointers { types, values, lengths, formats in
          if let name = entry.name {
            PQsendQueryPrepared(
              pointer, name, entry.parameters.count, values, lengths, formats, 1)
          } else {
            PQsendQueryParams(
              pointer, entry.sql, entry.parameters.count, types, values, lengths, formats, 1)
          }
        })
      requests.append((index, false))
    }
    try check(PQpipelineSync(pointer))
    return requests
  }

  private func receive(
    _ requests: [(entry: Int, prepares: Bool)], _ entries: [PostgresPipeline.Entry]
  ) async -> Result<[PostgresResult], any Error> {
    var results: [PostgresResult] = []
    var failure: (any Error)?
    do {
      for request in requests {
        let entry = entries[request.entry]
        while let box = try await nextResult() {
          switch box.result.kind {
          case .failed:
            var error = PostgresError(box.result, statement: entry.name)
            error.pipelineIndex = request.entry
            failure = failure ?? error
          case .aborted: break
          default:
            if request.prepares {
              if let name = entry.name { prepared[name] = entry.sql }
            } else {
              results.append(PostgresResult(box.take(), statement: entry.name))
            }
          }
        }
      }
      // The synchronisation point.
      _ = try await nextResult()
    } catch {
      failure = failure ?? error
    }
    if let failure { return .failure(failure) }
    return .success(results)
  }
}
