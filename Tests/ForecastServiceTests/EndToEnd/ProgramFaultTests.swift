import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

/// The programs on a server that is taken away, two daemons at once, and Ctrl-C.
@Suite(
  "The programs under faults", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database),
  .serialized)
struct ProgramFaultTests {
  private func prepared(steps: Int) async throws -> (Service, Programs) {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(service.job(extra: "contextLength: 20", steps: steps))
    return (service, Programs(service.database.address))
  }

  /// A server of the test's own with the schema, a source of three series and the job demand.
  private func prepare(_ server: TemporaryServer, steps: Int) async throws {
    let pool = PostgresPool(server.configuration, maximumConnections: 2, logger: quiet)
    _ = try await MigrationRunner(
      directory: sourceRoot.appendingPathComponent("migrations"), table: "forecast.schema_migration"
    ).migrate(pool, build: "test")
    try await server.execute(
      "CREATE TABLE source AS SELECT 's' || s AS series, date '2024-01-01' + d AS ts, 10.0 * (d % 7) + d AS value FROM generate_series(1, 3) s, generate_series(0, 59) d"
    )
    let text = """
      job: demand
      source:
        query: SELECT series, ts, value AS y FROM source WHERE ts <= :cutoff
        frequency: 1 day
      horizon: 4
      contextLength: 20
      model: {kind: lstm, hidden: 4}
      training: {steps: \(steps), batch: 8}
      """
    _ = try await JobRegistry(pool: pool).apply([JobFileParser.parse(text, file: "demand.yaml")])
    await pool.close()
  }

  @Test("Ctrl-C during run --wait puts the run back into the queue", arguments: [SIGINT, SIGTERM])
  func interrupted(signal: Int32) async throws {
    let (service, programs) = try await prepared(steps: 1_000_000)
    let started = try programs.start(
      "forecastctl", ["run", "demand", "--cutoff", "2024-02-29", "--wait", "--threads", "1"])
    try await waitUntil("SELECT stage = 'fit' FROM forecast.run", at: service.database.address)
    started.signal(signal)
    let ended = try await started.end(within: .seconds(20))
    #expect(ended.status == 130 && !ended.wasKilled, "\(ended.errors)")
    #expect(ended.errors.contains("run 1 is queued"), "\(ended.errors)")
    #expect(
      try await service.database.execute(
        "SELECT r.state, a.outcome FROM forecast.run r, forecast.attempt a")
        == [["queued", "released"]])
    await service.pool.close()
  }

  @Test("Ctrl-C leaves a run alone that a daemon works on")
  func interruptedBesideDaemon() async throws {
    let (service, programs) = try await prepared(steps: 1_000_000)
    let daemon = try programs.start("forecastd", ["serve"])
    try await waitUntil(
      "SELECT count(*) > 0 FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE locktype = 'advisory' AND mode = 'ShareLock' AND d.datname = current_database()",
      at: service.database.address)
    let started = try programs.start(
      "forecastctl", ["run", "demand", "--cutoff", "2024-02-29", "--wait"])
    try await waitUntil("SELECT stage = 'fit' FROM forecast.run", at: service.database.address)
    started.signal(SIGINT)
    let ended = try await started.end(within: .seconds(20))
    #expect(ended.status == 130, "\(ended.errors)")
    #expect(
      try await service.database.execute(
        "SELECT r.state, a.worker FROM forecast.run r, forecast.attempt a")
        == [["running", "worker-1"]])
    // With a daemon, status is healthy.
    let status = try await programs.call("forecastctl", "status", "-o", "json")
    #expect(status.status == 0, "\(status.errors)")
    let rows = try JSONSerialization.jsonObject(with: Data(status.output.utf8)) as? [[String: Any]]
    #expect(rows?.first?["state"] as? String == "running")
    daemon.signal(SIGKILL)
    _ = try await daemon.end()
    await service.pool.close()
  }

  @Test("the threads of run --wait are those asked for")
  func threads() async throws {
    let (service, programs) = try await prepared(steps: 2)
    for threads in ["1", "2"] {
      let ended = try await programs.call(
        "forecastctl", "run", "demand", "--cutoff", "2024-02-29", "--wait", "--threads", threads)
      #expect(ended.status == 0, "\(ended.errors)")
    }
    #expect(
      try await service.value(
        "SELECT string_agg(threads::text, ',' ORDER BY run_id) FROM forecast.lineage")
        == "1,2")
    await service.pool.close()
  }

  @Test("two daemons with two workers each never share a task")
  func twoDaemons() async throws {
    let service = try Service()
    try await service.makeSource()
    for number in 1...6 { try await service.apply(service.job("job-\(number)", steps: 50)) }
    let programs = Programs(service.database.address)
    let daemons = try (1...2).map { _ in
      try programs.start("forecastd", ["serve", "--workers", "2", "--threads", "1"])
    }
    _ = try await service.database.execute(
      "SELECT forecast.run_now('job-' || n, '2024-02-29') FROM generate_series(1, 6) n, generate_series(1, 4)"
    )
    try await waitUntil(
      "SELECT bool_and(state = 'succeeded') FROM forecast.run", at: service.database.address)
    #expect(
      try await service.value(
        "SELECT count(*) || ' ' || count(DISTINCT task_id) || ' ' || max(number) FROM forecast.attempt"
      )
        == "24 24 1")
    #expect(try await service.value("SELECT count(*) FROM forecast.publication") == "24")
    for daemon in daemons {
      daemon.signal(SIGTERM)
      let ended = try await daemon.end()
      #expect(ended.status == 0, "\(ended.errors)")
    }
    await service.pool.close()
  }

  @Test(
    "a server restarted in mid-run: the run completes in the end, once",
    arguments: [TemporaryServer.Shutdown.fast, .immediate])
  func restarted(how: TemporaryServer.Shutdown) async throws {
    let server = try await TemporaryServer.launch()
    let address = server.address
    try await prepare(server, steps: 40_000)
    let daemon = try Programs(address).start("forecastd", ["serve", "--lease", "5"])
    try await server.execute("SELECT forecast.run_now('demand', '2024-02-29')")
    try await waitUntil("SELECT stage = 'fit' FROM forecast.run", at: address)
    try await server.restart(how)
    try await waitUntil("SELECT state = 'succeeded' FROM forecast.run", at: address)
    #expect(try await server.execute("SELECT count(*) FROM forecast.publication") == [["1"]])
    #expect(try await server.execute("SELECT count(*) FROM forecast.current") == [["12"]])
    #expect(
      try await server.execute(
        "SELECT count(*) FROM forecast.attempt WHERE outcome IN ('running', 'succeeded')") == [
          ["1"]
        ])
    daemon.signal(SIGTERM)
    let ended = try await daemon.end()
    #expect(ended.status == 0, "\(ended.errors)")
    await server.remove()
  }

  @Test("a database lost for good ends run --wait with 69; the run is completed later, once")
  func lost() async throws {
    let server = try await TemporaryServer.launch()
    try await prepare(server, steps: 40_000)
    let programs = Programs(server.address)
    let waiting = try programs.start(
      "forecastctl", ["run", "demand", "--cutoff", "2024-02-29", "--wait"])
    try await waitUntil("SELECT stage = 'fit' FROM forecast.run", at: server.address)
    try await server.stop(.immediate)
    let ended = try await waiting.end(within: .seconds(30))
    #expect(ended.status == 69 && !ended.wasKilled, "\(ended.status): \(ended.errors)")
    #expect(ended.errors.contains("the database was lost while run 1 was waited for"))
    #expect(ended.errors.contains("forecastctl show 1"))
    try await server.start()
    for table in ["publication", "forecast_point", "model_version", "current_run", "current"] {
      #expect(try await server.execute("SELECT count(*) FROM forecast.\(table)") == [["0"]])
    }
    #expect(try await server.execute("SELECT state FROM forecast.run") == [["running"]])
    // As if the lease had run out.
    try await server.execute("UPDATE forecast.attempt SET lease_until = now() - interval '1 s'")
    let once = try await programs.call("forecastd", "once")
    #expect(once.status == 0, "\(once.errors)")
    #expect(
      try await server.execute(
        "SELECT r.state, string_agg(a.outcome, ',' ORDER BY a.number) FROM forecast.run r, forecast.attempt a GROUP BY 1"
      ) == [["succeeded", "lost,succeeded"]])
    #expect(try await server.execute("SELECT count(*) FROM forecast.publication") == [["1"]])
    #expect(try await server.execute("SELECT count(*) FROM forecast.current") == [["12"]])
    await server.remove()
  }

  @Test(
    "a full disk fails the run by name and publishes nothing; retry succeeds when there is room",
    .requiresMount)
  func diskFull() async throws {
    let server = try await TemporaryServer.launch(diskMegabytes: 128)
    let disk = try #require(server.disk)
    try await prepare(server, steps: 40_000)
    let programs = Programs(server.address)
    let daemon = try programs.start("forecastd", ["serve", "--lease", "3"])
    try await server.execute(
      "SELECT forecast.run_now('demand', '2024-02-29'); UPDATE forecast.task SET max_attempts = 1")
    try await waitUntil("SELECT stage = 'fit' FROM forecast.run", at: server.address)
    try disk.fill()
    try await waitUntil("SELECT state = 'failed' FROM forecast.run", at: server.address)
    let text = try await server.execute("SELECT error_text FROM forecast.run").first?[0]
    #expect(text?.contains("SQLSTATE 53100") == true, "\(text ?? "-")")
    for table in ["publication", "forecast_point", "model_version", "current_run", "current"] {
      #expect(try await server.execute("SELECT count(*) FROM forecast.\(table)") == [["0"]])
    }
    try disk.free()
    let retried = try await programs.call("forecastctl", "retry", "1", "--wait")
    #expect(retried.status == 0, "\(retried.errors)")
    #expect(try await server.execute("SELECT count(*) FROM forecast.current") == [["12"]])
    daemon.signal(SIGTERM)
    let ended = try await daemon.end()
    #expect(ended.status == 0, "\(ended.errors)")
    await server.remove()
  }

  @Test("once that is told to stop says what it left and exits with 75")
  func onceInterrupted() async throws {
    let (service, programs) = try await prepared(steps: 1_000_000)
    _ = try await service.value(
      "SELECT forecast.run_now('demand', '2024-02-29') FROM generate_series(1, 2)")
    let once = try programs.start("forecastd", ["once"])
    try await waitUntil(
      "SELECT stage = 'fit' FROM forecast.run WHERE run_id = 1", at: service.database.address)
    once.signal(SIGTERM)
    // Two signals at once would count as one.
    try await once.says("draining")
    once.signal(SIGTERM)
    let ended = try await once.end(within: .seconds(20))
    #expect(ended.status == 75 && !ended.wasKilled, "\(ended.status): \(ended.errors)")
    #expect(ended.errors.contains("interrupted with 2 runs in the queue; put back: run 1"))
    #expect(
      try await service.value("SELECT string_agg(state, ',') FROM forecast.run")
        == "queued,queued")
    await service.pool.close()
  }

  @Test("once that may finish its run leaves the others waiting, and says so")
  func onceDrained() async throws {
    let (service, programs) = try await prepared(steps: 40_000)
    let once = try programs.start("forecastd", ["once"])
    #expect(try await once.end().status == 0, "nothing was due")
    _ = try await service.value(
      "SELECT forecast.run_now('demand', '2024-02-29') FROM generate_series(1, 2)")
    let second = try programs.start("forecastd", ["once"])
    try await waitUntil(
      "SELECT state = 'running' FROM forecast.run WHERE run_id = 1", at: service.database.address)
    second.signal(SIGTERM)
    let ended = try await second.end()
    #expect(ended.status == 75, "\(ended.status): \(ended.errors)")
    #expect(ended.errors.contains("interrupted with 1 run in the queue; the next"))
    #expect(
      try await service.value("SELECT string_agg(state, ',' ORDER BY run_id) FROM forecast.run")
        == "succeeded,queued")
    await service.pool.close()
  }

  @Test("a private cluster that cannot be started for its settings is a matter of configuration")
  func clusterConfiguration() async throws {
    let folder = try TemporaryDirectory()
    let file = folder.path + "/file"
    try Data().write(to: URL(fileURLWithPath: file))
    var environment = ["FORECAST_DATABASE_URL": "", "FORECAST_DATA_DIR": file]
    let programs = Programs(try #require(TemporaryDatabase.current).address)
    var ended = try await programs.call("forecastctl", "status", environment: environment)
    #expect(ended.status == 78 && ended.errors.contains(file), "\(ended.status): \(ended.errors)")
    environment["FORECAST_DATA_DIR"] = folder.path + "/data"
    environment["FORECAST_PG_BIN"] = folder.path
    ended = try await programs.call("forecastctl", "status", environment: environment)
    #expect(ended.status == 78 && ended.errors.contains("FORECAST_PG_BIN"), "\(ended.errors)")
  }

  @Test("a wrong password is named as such, and never printed")
  func wrongPassword() async throws {
    let server = try await TemporaryServer.launch(authentication: ["local all locked scram-sha-256"]
    )
    try await server.execute("CREATE ROLE locked LOGIN PASSWORD 'right-horse'")
    let secret = "wrong-horse-battery"
    let url =
      "postgresql://locked:\(secret)@/postgres?host=\(server.directory.path)&port=\(server.address.port)"
    for (program, arguments) in [("forecastctl", ["status"]), ("forecastd", ["serve"])] {
      let ended = try await Programs(server.address).start(
        program, arguments, environment: ["FORECAST_DATABASE_URL": url]
      ).end(within: .seconds(30))
      #expect(ended.status == 78, "\(program) \(ended.status): \(ended.errors)")
      #expect(ended.errors.contains("password") && ended.errors.contains("locked"))
      #expect(!(ended.errors + ended.output).contains(secret))
    }
    await server.remove()
  }

  @Test("a schema newer than the program stops both programs with what to do")
  func newer() async throws {
    let (service, programs) = try await prepared(steps: 2)
    try await service.database.execute(
      "INSERT INTO forecast.schema_migration (number, name, sha256, build) SELECT 9000, 'x', sha256, build FROM forecast.schema_migration LIMIT 1"
    )
    for (program, argument) in [
      ("forecastctl", "status"), ("forecastctl", "migrate"), ("forecastd", "once"),
      ("forecastd", "serve"),
    ] {
      let ended = try await programs.call(program, argument)
      #expect(ended.status == 78, "\(program) \(argument): \(ended.errors)")
      #expect(ended.errors.contains("9000") || ended.errors.contains("does not know"))
    }
    await service.pool.close()
  }

  @Test(
    "bad job files are refused with file and line, and the good ones beside them are not applied",
    arguments: [
      ("job: [", ":"), ("job: bad\nnonsense: 1", "nonsense"),
      ("job: demand\nhorizont: 4", "horizon"),
    ])
  func badFiles(text: String, words: String) async throws {
    let (service, programs) = try await prepared(steps: 2)
    let folder = try TemporaryDirectory()
    let good = try service.job("good").text
    try Data(good.utf8).write(to: URL(fileURLWithPath: folder.path + "/good.yaml"))
    try Data(text.utf8).write(to: URL(fileURLWithPath: folder.path + "/wrong.yaml"))
    for verb in ["validate", "apply"] {
      let ended = try await programs.call("forecastctl", verb, folder.path)
      #expect(ended.status == 78, "\(verb): \(ended.errors)")
      #expect(ended.errors.contains(/wrong\.yaml:\d+:\d+:\s/), "\(ended.errors)")
      #expect(ended.errors.contains(words), "\(ended.errors)")
    }
    #expect(try await service.value("SELECT string_agg(name, ',') FROM forecast.job") == "demand")
    await service.pool.close()
  }

  @Test("NO_COLOR, or no terminal, leaves no escape sequences")
  func plain() async throws {
    let (service, programs) = try await prepared(steps: 2)
    for environment in [["NO_COLOR": "1"], ["TERM": "dumb"], [:]] {
      let ended = try await programs.call("forecastctl", "status", environment: environment)
      #expect(ended.status == 3, "\(ended.errors)")
      #expect(!(ended.output + ended.errors).contains("\u{1B}"))
    }
    await service.pool.close()
  }
}
