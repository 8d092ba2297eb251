import Logging
import Postgres
import TestSupport
import Testing

let testLogger: Logger = {
  var logger = Logger(label: "postgres-tests")
  logger.logLevel = .error
  return logger
}()

/// Lends a connection to the shared server and closes it afterwards.
@discardableResult
nonisolated(nonsending) func withServer<R>(
  _ body: nonisolated(nonsending) (PostgresConnection) async throws -> R
) async throws -> R {
  let connection = try await PostgresConnection.connect(
    try await TemporaryServer.shared().configuration, logger: testLogger)
  do {
    let result = try await body(connection)
    await connection.close()
    return result
  } catch {
    await connection.close()
    throw error
  }
}

/// The error that `body` throws.
nonisolated(nonsending) func failure<R>(
  _ body: nonisolated(nonsending) () async throws -> R
) async -> PostgresError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error as? PostgresError
  }
}

/// Expects the connection to answer.
nonisolated(nonsending) func expectUsable(
  _ connection: PostgresConnection, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
  let answer: Int = try await connection.query("SELECT $1", [17])[0].decode(0)
  #expect(answer == 17, sourceLocation: sourceLocation)
}
