import Foundation
package import Postgres
import Synchronization
package import Testing

/// What every fresh database of a kind contains, prepared once per test process.
///
///     static let migrated = DatabaseTemplate("migrated") { address in … run the migrations … }
package final class DatabaseTemplate: Sendable {
  private let name: String
  private let prepare: @Sendable (ClusterAddress) async throws -> Void
  private let ready = Once<String>()

  /// - Parameter prepare: fills the empty database at the address, and closes its connections: a
  ///   database in use cannot be cloned.
  package init(
    _ name: String, prepare: @escaping @Sendable (ClusterAddress) async throws -> Void
  ) {
    self.name = name
    self.prepare = prepare
  }

  fileprivate func database(on server: TemporaryServer) async throws -> String {
    try await ready.value { [name, prepare] in
      let database = "template_\(name)_\(TemporaryDatabase.nextNumber())"
      try await server.execute("CREATE DATABASE \"\(database)\"")
      try await prepare(server.address.with(database: database))
      // A closed connection takes a moment to leave; nobody new may come in.
      try await server.execute("ALTER DATABASE \"\(database)\" ALLOW_CONNECTIONS false")
      try await server.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
          + "WHERE datname = '\(database)'")
      return database
    }
  }
}

/// A database of one test on the shared server: empty, or a clone of a template (some 30 ms).
package struct TemporaryDatabase: Sendable {
  package let server: TemporaryServer
  package let name: String

  /// The superuser in this database.
  package var address: ClusterAddress { server.address.with(database: name) }

  package var configuration: PostgresConfiguration { address.configuration }

  private static let counter = Atomic(0)

  fileprivate static func nextNumber() -> Int {
    counter.add(1, ordering: .relaxed).newValue
  }

  /// Creates one; drop it at the end, or leave that to the end of the process.
  package static func create(from template: DatabaseTemplate? = nil) async throws
    -> TemporaryDatabase
  {
    let server = try await TemporaryServer.shared()
    let name = "test_\(nextNumber())"
    if let template {
      let original = try await template.database(on: server)
      try await server.execute("CREATE DATABASE \"\(name)\" TEMPLATE \"\(original)\"")
    } else {
      try await server.execute("CREATE DATABASE \"\(name)\"")
    }
    return TemporaryDatabase(server: server, name: name)
  }

  /// Drops it with all connections to it.
  package func drop() async throws {
    try await server.execute("DROP DATABASE IF EXISTS \"\(name)\" WITH (FORCE)")
  }

  /// Creates one for a closure and drops it afterwards.
  package static func with<Result>(
    _ template: DatabaseTemplate? = nil,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (TemporaryDatabase) async throws -> Result
  ) async throws -> Result {
    let database = try await create(from: template)
    do {
      let result = try await body(database)
      try await database.drop()
      return result
    } catch {
      try? await database.drop()
      throw error
    }
  }

  /// Runs statements as superuser, independent of the client under test.
  @discardableResult
  package func execute(_ sql: String) async throws -> [[String?]] {
    try await server.execute(sql, database: name)
  }

  /// The database of the running test under the trait `.temporaryDatabase`.
  @TaskLocal package static var current: TemporaryDatabase?
}

/// Gives every test of a suite, or one test, a database of its own in `TemporaryDatabase.current`.
package struct TemporaryDatabaseTrait: TestTrait, SuiteTrait, TestScoping {
  let template: DatabaseTemplate?

  package var isRecursive: Bool { true }

  /// All tests of a process start at once; that many connections and fits on few cores would have some wait
  /// for longer than a client waits for a server.
  private static let gate = Gate(max(4, 3 * ProcessInfo.processInfo.activeProcessorCount))

  package func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    guard testCase != nil else { return try await function() }
    // A test inside another's scope has passed the gate.
    guard TemporaryDatabase.current == nil else { return try await run(function) }
    try await Self.gate.pass { try await run(function) }
  }

  private func run(_ function: @Sendable () async throws -> Void) async throws {
    try await TemporaryDatabase.with(template) { database in
      try await TemporaryDatabase.$current.withValue(database, operation: function)
    }
  }
}

extension Trait where Self == TemporaryDatabaseTrait {
  package static func temporaryDatabase(_ template: DatabaseTemplate? = nil) -> Self {
    TemporaryDatabaseTrait(template: template)
  }
}
