import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

/// The programs as a user runs them, killed and cut at awkward moments.
@Suite(
  "The programs", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database), .serialized)
struct ProgramTests {
  struct Ended {
    let status: Int32
    let output: String
    let errors: String
  }

  static let programs = sourceRoot.appendingPathComponent(".build/release")

  private func environment(_ database: TemporaryDatabase, _ more: [String: String]) -> [String:
    String]
  {
    var environment = ProcessInfo.processInfo.environment
    environment["FORECAST_DATABASE_URL"] = database.configuration.url
    environment["FORECAST_MIGRATIONS"] = sourceRoot.appendingPathComponent("migrations").path
    return environment.merging(more) { _, new in new }
  }

  private func start(
    _ program: String, _ arguments: [String], _ database: TemporaryDatabase,
    more: [String: String] = [:]
  ) throws -> (Process, URL, URL) {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "forecast-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let process = Process()
    process.executableURL = Self.programs.appendingPathComponent(program)
    process.arguments = arguments
    process.environment = environment(database, more)
    let (out, err) = (folder.appendingPathComponent("out"), folder.appendingPathComponent("err"))
    for file in [out, err] { try Data().write(to: file) }
    process.standardOutput = try FileHandle(forWritingTo: out)
    process.standardError = try FileHandle(forWritingTo: err)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    return (process, out, err)
  }

  private func finish(_ started: (Process, URL, URL)) async throws -> Ended {
    let (process, out, err) = started
    let deadline = ContinuousClock.now + .seconds(60)
    while process.isRunning, ContinuousClock.now < deadline {
      try await Task.sleep(for: .milliseconds(20))
    }
    if process.isRunning {
      kill(process.processIdentifier, SIGKILL)
      Issue.record("\(process.arguments ?? []) did not end within a minute")
    }
    process.waitUntilExit()
    let ended = Ended(
      status: process.terminationStatus, output: try String(contentsOf: out, encoding: .utf8),
      errors: try String(contentsOf: err, encoding: .utf8))
    try? FileManager.default.removeItem(at: out.deletingLastPathComponent())
    return ended
  }

  private func call(
    _ program: String, _ arguments: String..., database: TemporaryDatabase,
    more: [String: String] = [:]
  ) async throws -> Ended {
    try await finish(start(program, arguments, database, more: more))
  }

  private func wait(
    _ service: Service, until sql: String, _ limit: Duration = .seconds(60)
  ) async throws {
    let deadline = ContinuousClock.now + limit
    while try await service.value("SELECT (\(sql))::text") != "true" {
      guard ContinuousClock.now < deadline else {
        Issue.record("never became true: \(sql)")
        return
      }
      try await Task.sleep(for: .milliseconds(25))
    }
  }

  @Test("kill -9 in mid-run leaves nothing wrong: another daemon completes the run, once")
  func killed() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(service.job(extra: "contextLength: 20", steps: 3000))
    let first = try start("forecastd", ["serve", "--lease", "2"], service.database)
    _ = try await service.value("SELECT forecast.run_now('demand', '2024-02-29')")
    try await wait(service, until: "SELECT stage = 'fit' FROM forecast.run")
    kill(first.0.processIdentifier, SIGKILL)
    _ = try await finish(first)
    #expect(try await service.value("SELECT count(*) FROM forecast.publication") == "0")
    #expect(try await service.value("SELECT state FROM forecast.run") == "running")
    let daemons = try (1...2).map { _ in
      try start("forecastd", ["serve", "--lease", "2"], service.database)
    }
    try await wait(service, until: "SELECT state = 'succeeded' FROM forecast.run")
    #expect(
      try await service.value(
        "SELECT string_agg(outcome, ',' ORDER BY number) FROM forecast.attempt")
        == "lost,succeeded")
    #expect(try await service.value("SELECT count(*) FROM forecast.publication") == "1")
    #expect(
      try await service.value(
        "SELECT count(*) FROM (SELECT FROM forecast.current GROUP BY job, series, target_at, origin_at HAVING count(*) > 1) d"
      ) == "0")
    #expect(try await service.value("SELECT count(*) FROM forecast.current") == "16")
    // TERM with nothing to do ends a daemon at once, without an error.
    for daemon in daemons {
      kill(daemon.0.processIdentifier, SIGTERM)
      let ended = try await finish(daemon)
      #expect(ended.status == 0, "\(ended.errors)")
    }
    await service.pool.close()
  }

  @Test("TERM lets the current run finish; the daemon then stops")
  func drains() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(service.job(extra: "contextLength: 20", steps: 8000))
    let daemon = try start("forecastd", ["serve"], service.database)
    _ = try await service.value("SELECT forecast.run_now('demand', '2024-02-29')")
    try await wait(service, until: "SELECT state = 'running' FROM forecast.run")
    kill(daemon.0.processIdentifier, SIGTERM)
    let ended = try await finish(daemon)
    #expect(ended.status == 0, "\(ended.errors)")
    #expect(try await service.value("SELECT state FROM forecast.run") == "succeeded")
    await service.pool.close()
  }

  @Test("a second TERM stops at once and puts the work back into the queue")
  func aborts() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(service.job(steps: 1_000_000))
    let daemon = try start("forecastd", ["serve"], service.database)
    _ = try await service.value("SELECT forecast.run_now('demand', '2024-02-29')")
    try await wait(service, until: "SELECT stage = 'fit' FROM forecast.run")
    kill(daemon.0.processIdentifier, SIGTERM)
    try await Task.sleep(for: .milliseconds(300))  // two signals at once would count as one
    kill(daemon.0.processIdentifier, SIGTERM)
    _ = try await finish(daemon)
    #expect(try await service.value("SELECT state FROM forecast.run") == "queued")
    #expect(try await service.value("SELECT outcome FROM forecast.attempt") == "released")
    await service.pool.close()
  }

  @Test("once runs what waits and exits with its result")
  func once() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(
      service.job(), service.job("broken", query: "SELECT 1 AS series WHERE :cutoff IS NOT NULL"))
    var ended = try await call("forecastd", "once", database: service.database)
    #expect(ended.status == 0 && ended.errors.contains("nothing was due"))
    _ = try await service.value("SELECT forecast.run_now('demand', '2024-02-29')")
    ended = try await call("forecastd", "once", database: service.database)
    #expect(ended.status == 0, "\(ended.errors)")
    #expect(try await service.value("SELECT state FROM forecast.run") == "succeeded")
    _ = try await service.value("SELECT forecast.run_now('broken')")
    ended = try await call("forecastd", "once", database: service.database)
    #expect(ended.status == 65, "\(ended.errors)")
    await service.pool.close()
  }

  @Test("exit codes and messages of forecastctl")
  func exitCodes() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(
      service.job(), service.job("broken", query: "SELECT nothing WHERE :cutoff IS NOT NULL"))
    let database = service.database
    var ended = try await call("forecastctl", "status", database: database)
    #expect(ended.status == 3 && ended.errors.contains("no daemon"), "\(ended.errors)")
    ended = try await call(
      "forecastctl", "run", "demand", "--cutoff", "2024-02-29", "--wait", "-o", "json",
      database: database)
    #expect(ended.status == 0, "\(ended.errors)")
    let rows = try JSONSerialization.jsonObject(with: Data(ended.output.utf8)) as? [[String: Any]]
    #expect(rows?.first?["state"] as? String == "succeeded")
    ended = try await call("forecastctl", "run", "broken", "--wait", database: database)
    #expect(ended.status == 65 && ended.errors.contains("nothing"), "\(ended.errors)")
    ended = try await call("forecastctl", "status", database: database)
    #expect(ended.status == 1)
    ended = try await call("forecastctl", "run", "nope", database: database)
    #expect(ended.status == 64 && ended.errors.contains("demand"), "\(ended.errors)")
    ended = try await call(
      "forecastctl", "run", "demand", "--cutoff", "yesterday", database: database)
    #expect(ended.status == 64 && ended.errors.contains("2024-05-31"), "\(ended.errors)")
    for arguments in [
      ["forecast", "demand"], ["runs"], ["show", "1"], ["logs", "1"], ["doctor"],
    ] {
      let ended = try await finish(
        start("forecastctl", arguments + ["-o", "json"], database))
      #expect(ended.status == 0, "\(arguments): \(ended.errors)")
      _ = try JSONSerialization.jsonObject(with: Data(ended.output.utf8))
    }
    ended = try await call("forecastctl", "forecast", "demand", "--plot", database: database)
    #expect(ended.status == 0 && ended.output.contains("constant"), "\(ended.errors)")
    await service.pool.close()
  }

  @Test("a database that is away, a wrong password, a missing schema: each said plainly")
  func unreachable() async throws {
    let service = try Service()
    let secret = "hunter2hunter2"
    var ended = try await call(
      "forecastctl", "status", database: service.database,
      more: ["FORECAST_DATABASE_URL": "postgresql://me:\(secret)@/x?host=/nonexistent"])
    #expect(ended.status == 69, "\(ended.errors)")
    #expect(!ended.errors.contains(secret) && ended.errors.contains("/nonexistent"))
    ended = try await call(
      "forecastd", "once", database: service.database,
      more: ["FORECAST_DATABASE_URL": "postgresql://me:\(secret)@/x?host=/nonexistent"])
    #expect(ended.status == 69 && !ended.errors.contains(secret), "\(ended.errors)")
    try await service.database.execute("DROP SCHEMA forecast CASCADE")
    ended = try await call("forecastctl", "status", database: service.database)
    #expect(ended.status == 78 && ended.errors.contains("forecastctl migrate"), "\(ended.errors)")
    ended = try await call("forecastctl", "migrate", database: service.database)
    #expect(ended.status == 0 && ended.errors.contains("0001_roles_and_jobs"), "\(ended.errors)")
    ended = try await call("forecastctl", "migrate", database: service.database)
    #expect(ended.status == 0 && ended.errors.contains("up to date"), "\(ended.errors)")
    await service.pool.close()
  }
}
