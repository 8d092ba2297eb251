import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

/// The programs as a user runs them, killed and cut at awkward moments.
@Suite(
  "The programs", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database), .serialized)
struct ProgramTests {
  @Test("kill -9 in mid-run leaves nothing wrong: another daemon completes the run, once")
  func killed() async throws {
    let service = try Service()
    let programs = Programs(service.database.address)
    try await service.makeSource()
    try await service.apply(service.job(extra: "contextLength: 20", steps: 40_000))
    let first = try programs.start("forecastd", ["serve", "--lease", "2"])
    _ = try await service.value("SELECT forecast.run_now('demand', '2024-02-29')")
    try await waitUntil("SELECT stage = 'fit' FROM forecast.run", at: service.database.address)
    first.signal(SIGKILL)
    _ = try await first.end()
    #expect(try await service.value("SELECT count(*) FROM forecast.publication") == "0")
    #expect(try await service.value("SELECT state FROM forecast.run") == "running")
    // The lease that has to run out is the first one's; these keep theirs on a machine that is busy.
    let daemons = try (1...2).map { _ in
      try programs.start("forecastd", ["serve", "--lease", "30"])
    }
    try await waitUntil(
      "SELECT state = 'succeeded' FROM forecast.run", at: service.database.address)
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
      daemon.signal(SIGTERM)
      let ended = try await daemon.end()
      #expect(ended.status == 0, "\(ended.errors)")
    }
    await service.pool.close()
  }

  @Test("TERM lets the current run finish; the daemon then stops")
  func drains() async throws {
    let service = try Service()
    let programs = Programs(service.database.address)
    try await service.makeSource()
    try await service.apply(service.job(extra: "contextLength: 20", steps: 40_000))
    let daemon = try programs.start("forecastd", ["serve"])
    _ = try await service.value("SELECT forecast.run_now('demand', '2024-02-29')")
    try await waitUntil("SELECT state = 'running' FROM forecast.run", at: service.database.address)
    daemon.signal(SIGTERM)
    let ended = try await daemon.end()
    #expect(ended.status == 0, "\(ended.errors)")
    #expect(try await service.value("SELECT state FROM forecast.run") == "succeeded")
    await service.pool.close()
  }

  @Test("a second TERM stops at once and puts the work back into the queue")
  func aborts() async throws {
    let service = try Service()
    let programs = Programs(service.database.address)
    try await service.makeSource()
    try await service.apply(service.job(steps: 1_000_000))
    let daemon = try programs.start("forecastd", ["serve"])
    _ = try await service.value("SELECT forecast.run_now('demand', '2024-02-29')")
    try await waitUntil("SELECT stage = 'fit' FROM forecast.run", at: service.database.address)
    daemon.signal(SIGTERM)
    try await daemon.says("draining")  // two signals at once would count as one
    daemon.signal(SIGTERM)
    _ = try await daemon.end()
    #expect(try await service.value("SELECT state FROM forecast.run") == "queued")
    #expect(try await service.value("SELECT outcome FROM forecast.attempt") == "released")
    await service.pool.close()
  }

  @Test("once runs what waits and exits with its result")
  func once() async throws {
    let service = try Service()
    let programs = Programs(service.database.address)
    try await service.makeSource()
    try await service.apply(
      service.job(), service.job("broken", query: "SELECT 1 AS series WHERE :cutoff IS NOT NULL"))
    var ended = try await programs.call("forecastd", "once")
    #expect(ended.status == 0 && ended.errors.contains("nothing was due"))
    _ = try await service.value("SELECT forecast.run_now('demand', '2024-02-29')")
    ended = try await programs.call("forecastd", "once")
    #expect(ended.status == 0, "\(ended.errors)")
    #expect(try await service.value("SELECT state FROM forecast.run") == "succeeded")
    _ = try await service.value("SELECT forecast.run_now('broken')")
    ended = try await programs.call("forecastd", "once")
    #expect(ended.status == 65, "\(ended.errors)")
    await service.pool.close()
  }

  @Test("exit codes and messages of forecastctl")
  func exitCodes() async throws {
    let service = try Service()
    let programs = Programs(service.database.address)
    try await service.makeSource()
    try await service.apply(
      service.job(), service.job("broken", query: "SELECT nothing WHERE :cutoff IS NOT NULL"))
    var ended = try await programs.call("forecastctl", "status")
    #expect(ended.status == 3 && ended.errors.contains("no daemon"), "\(ended.errors)")
    ended = try await programs.call(
      "forecastctl", "run", "demand", "--cutoff", "2024-02-29", "--wait", "-o", "json")
    #expect(ended.status == 0, "\(ended.errors)")
    let rows = try JSONSerialization.jsonObject(with: Data(ended.output.utf8)) as? [[String: Any]]
    #expect(rows?.first?["state"] as? String == "succeeded")
    ended = try await programs.call("forecastctl", "run", "broken", "--wait")
    #expect(ended.status == 65 && ended.errors.contains("nothing"), "\(ended.errors)")
    ended = try await programs.call("forecastctl", "status")
    #expect(ended.status == 1)
    ended = try await programs.call("forecastctl", "run", "nope")
    #expect(ended.status == 64 && ended.errors.contains("demand"), "\(ended.errors)")
    ended = try await programs.call(
      "forecastctl", "run", "demand", "--cutoff", "yesterday")
    #expect(ended.status == 64 && ended.errors.contains("2024-05-31"), "\(ended.errors)")
    for arguments in [
      ["forecast", "demand"], ["runs"], ["show", "1"], ["logs", "1"], ["doctor"],
    ] {
      let ended = try await programs.start("forecastctl", arguments + ["-o", "json"]).end()
      #expect(ended.status == 0, "\(arguments): \(ended.errors)")
      _ = try JSONSerialization.jsonObject(with: Data(ended.output.utf8))
    }
    ended = try await programs.call("forecastctl", "forecast", "demand", "--plot")
    #expect(ended.status == 0 && ended.output.contains("constant"), "\(ended.errors)")
    await service.pool.close()
  }

  @Test("OpenBLAS gets the processor's kernels unless somebody chose others, which the doctor says")
  func kernels() async throws {
    let service = try Service()
    let programs = Programs(service.database.address)
    func processor(_ core: String) async throws -> [String: Any] {
      let ended = try await programs.call(
        "forecastctl", "doctor", "-o", "json", environment: ["OPENBLAS_CORETYPE": core])
      #expect(ended.status == 0, "\(ended.errors)")
      let checks =
        try JSONSerialization.jsonObject(with: Data(ended.output.utf8)) as? [[String: Any]]
      return try #require(checks?.first { $0["check"] as? String == "processor" })
    }
    #expect(try await processor("")["state"] as? String == "ok")
    let flags = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    if flags.contains("avx2") {
      let slow = try await processor("Prescott")
      #expect(slow["state"] as? String == "warning")
      #expect((slow["found"] as? String)?.contains("Prescott") == true)
    }
    await service.pool.close()
  }

  @Test("a database that is away, a wrong password, a missing schema: each said plainly")
  func unreachable() async throws {
    let service = try Service()
    let programs = Programs(service.database.address)
    let secret = "hunter2hunter2"
    var ended = try await programs.call(
      "forecastctl", "status",
      environment: ["FORECAST_DATABASE_URL": "postgresql://me:\(secret)@/x?host=/nonexistent"])
    #expect(ended.status == 69, "\(ended.errors)")
    #expect(!ended.errors.contains(secret) && ended.errors.contains("/nonexistent"))
    ended = try await programs.call(
      "forecastd", "once",
      environment: ["FORECAST_DATABASE_URL": "postgresql://me:\(secret)@/x?host=/nonexistent"])
    #expect(ended.status == 69 && !ended.errors.contains(secret), "\(ended.errors)")
    try await service.database.execute("DROP SCHEMA forecast CASCADE")
    ended = try await programs.call("forecastctl", "status")
    #expect(ended.status == 78 && ended.errors.contains("forecastctl migrate"), "\(ended.errors)")
    ended = try await programs.call("forecastctl", "migrate")
    #expect(ended.status == 0 && ended.errors.contains("0001_roles_and_jobs"), "\(ended.errors)")
    ended = try await programs.call("forecastctl", "migrate")
    #expect(ended.status == 0 && ended.errors.contains("up to date"), "\(ended.errors)")
    await service.pool.close()
  }

  @Test("privacy answers without a database: epsilon, the noise for it, and bad values")
  func privacy() async throws {
    let programs = Programs(try Service().database.address)
    func call(_ arguments: String...) async throws -> Programs.Ended {
      try await programs.start(
        "forecastctl", ["privacy"] + arguments,
        environment: ["FORECAST_DATABASE_URL": "postgresql:///x?host=/nonexistent"]
      ).end()
    }
    func row(_ ended: Programs.Ended) throws -> [String: Any] {
      #expect(ended.status == 0, "\(ended.errors)")
      let rows = try JSONSerialization.jsonObject(with: Data(ended.output.utf8)) as? [[String: Any]]
      return try #require(rows?.first)
    }
    func number(_ row: [String: Any], _ key: String) throws -> Double {
      try #require(row[key] as? Double, "\(row)")
    }
    let training = ["--sampling-rate", "0.01", "--steps", "1000", "--delta", "1e-5"]
    func epsilon(_ more: String...) async throws -> Double {
      let arguments = ["epsilon"] + training + ["--output", "json"] + more
      let ended = try await programs.start("forecastctl", ["privacy"] + arguments).end()
      return try number(row(ended), "epsilon")
    }
    let tight = try await epsilon("--noise-multiplier", "1")
    #expect(abs(tight - 1.8282) < 0.002)
    #expect(try await epsilon("--noise-multiplier", "1", "--accountant", "rdp") > tight)
    let found = try row(
      await call(
        "calibrate", "--epsilon", "2", "--sampling-rate", "0.01", "--steps", "1000", "--delta",
        "1e-5", "--output", "json"))
    #expect(try number(found, "epsilon") <= 2 && number(found, "epsilon") > 1.99)
    #expect(try number(found, "noise_multiplier") < 1)
    for (wrong, word) in [
      (["--sampling-rate", "1.5", "--noise-multiplier", "1"], "sampling rate"),
      (["--sampling-rate", "0.1", "--noise-multiplier", "0"], "noise multiplier"),
    ] {
      let ended = try await programs.start(
        "forecastctl", ["privacy", "epsilon", "--steps", "10", "--delta", "1e-5"] + wrong
      ).end()
      #expect(ended.status == 64 && ended.errors.contains(word), "\(ended.errors)")
    }
    let none = try await call(
      "calibrate", "--epsilon", "-1", "--sampling-rate", "0.1", "--steps", "10", "--delta", "1e-5")
    #expect(none.status == 64, "\(none.errors)")
    let delta = try await call(
      "calibrate", "--epsilon", "1", "--sampling-rate", "0.1", "--steps", "10", "--delta", "0")
    #expect(delta.status == 64 && delta.errors.contains("delta"), "\(delta.errors)")
  }
}
