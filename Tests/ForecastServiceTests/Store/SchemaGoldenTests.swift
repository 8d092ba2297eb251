import Foundation
import Postgres
import TestSupport
import Testing

private let programs = try? ClusterPrograms.locate(environment: ProcessInfo.processInfo.environment)

/// The whole schema as `pg_dump` sees it, so that a change of a migration shows in a review as what
/// it does. `make schema-golden` writes `Golden/schema.sql` anew.
@Suite(
  "The schema in full", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database),
  .enabled(
    if: programs.map { $0.major == 15 } ?? true,
    "other versions of pg_dump word the same schema otherwise"))
struct SchemaGoldenTests {
  private static let file = sourceRoot.appendingPathComponent(
    "Tests/ForecastServiceTests/Golden/schema.sql")

  /// What migrations decide: the dump from its first object on. Before that it names versions and sets up
  /// its session; the keys of `\restrict` and `\unrestrict` are random.
  private func stable(_ dump: String) throws -> String {
    let lines = dump.split(separator: "\n", omittingEmptySubsequences: false)
    let first = try #require(lines.firstIndex { $0.hasPrefix("-- Name: ") }, "\(dump)")
    let last = try #require(
      lines.lastIndex { $0.hasPrefix("-- PostgreSQL database dump complete") })
    return lines[(first - 1)..<(last - 1)].filter { !$0.hasPrefix("\\") }
      .joined(separator: "\n")
  }

  @Test("migrating an empty database makes exactly the schema of Golden/schema.sql")
  func golden() async throws {
    let database = try #require(TemporaryDatabase.current)
    let found = try #require(programs, "no PostgreSQL is installed")
    // One partition of the kind that the date of the first run decides.
    try await database.execute("SELECT forecast.ensure_partition(now())")
    let outcome = try ChildProcess.run(
      [
        found.directory + "/pg_dump", "--schema-only", "--no-owner",
        "--exclude-table=forecast.forecast_point_*", "--dbname=\(database.address.url)",
      ], environment: ["LC_ALL": "C", "PATH": "/usr/bin:/bin"])
    #expect(outcome.status == 0, "\(outcome.output)")
    let dump = try stable(outcome.output)
    if ProcessInfo.processInfo.environment["FORECAST_WRITE_GOLDEN"] == "1" {
      try FileManager.default.createDirectory(
        at: Self.file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(dump.utf8).write(to: Self.file)
    }
    let expected = try Golden.text("schema.sql")
    let difference = dump.split(separator: "\n").difference(from: expected.split(separator: "\n"))
    #expect(
      dump == expected,
      "run `make schema-golden` and review the change; lines that differ:\n\(Self.text(difference))"
    )
  }

  private static func text(_ difference: CollectionDifference<Substring>) -> String {
    difference.prefix(40).map { change in
      switch change {
      case .insert(_, let line, _): "+ \(line)"
      case .remove(_, let line, _): "- \(line)"
      }
    }.joined(separator: "\n")
  }
}
