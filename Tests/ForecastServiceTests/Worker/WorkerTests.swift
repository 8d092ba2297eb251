import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

@Suite("Workers at work", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database))
struct WorkerTests {
  /// A service with the source table and a job of so many steps, and one run of it waiting.
  private func prepared(steps: Int) async throws -> Service {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(service.job(steps: steps))
    _ = try await service.value("SELECT forecast.run_now('demand', '2024-02-29')")
    return service
  }

  private func wait(_ service: Service, until sql: String) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while try await service.value("SELECT (\(sql))::text") != "true" {
      try #require(ContinuousClock.now < deadline, "never became true: \(sql)")
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  @Test("a worker whose task was taken over in mid-fit stops, and only the other one publishes")
  func takenOver() async throws {
    let service = try await prepared(steps: 1_000_000)
    let first = Task { [worker = service.worker("first")] in try await worker.workOnce() }
    try await wait(service, until: "SELECT stage = 'fit' FROM forecast.run")
    try await service.database.execute(
      """
      UPDATE forecast.attempt SET lease_until = now() - interval '1 second', outcome = 'lost', finished_at = now();
      UPDATE forecast.task SET state = 'retryable';
      UPDATE forecast.run SET state = 'retryable', error_code = 'worker-lost', error_text = 'test'
      """)
    let second = try #require(try await service.claim("second"))
    #expect(second.attempt == 2)
    let outcome = try #require(try await first.value)
    #expect(outcome.state == nil, "the first worker believed it had ended something")
    #expect(
      try await service.value(
        "SELECT string_agg(outcome, ',' ORDER BY number) FROM forecast.attempt")
        == "lost,running")
    #expect(try await service.value("SELECT state FROM forecast.run") == "running")
    #expect(try await service.value("SELECT count(*) FROM forecast.publication") == "0")
    await service.pool.close()
  }

  @Test("heartbeats renew the lease and carry progress, so a long fit is never lost")
  func heartbeats() async throws {
    let service = try await prepared(steps: 1_000_000)
    // The lease is far shorter than the fit.
    let worker = service.worker(lease: .milliseconds(500))
    let work = Task { try await worker.workOnce() }
    try await wait(service, until: "SELECT stage = 'fit' FROM forecast.run")
    try await wait(
      service,
      until: "SELECT clock_timestamp() - started_at > interval '1.5 seconds' FROM forecast.attempt")
    #expect(try await service.pool.run(ReapLostAttempts()).isEmpty)
    #expect(
      try await service.value(
        "SELECT (heartbeat_at > started_at + interval '1 second')::text FROM forecast.attempt")
        == "true")
    #expect(try await service.value("SELECT (progress > 0)::text FROM forecast.run") == "true")
    worker.abort()
    #expect(try await work.value?.state == "queued")
    await service.pool.close()
  }

  @Test("cancelling in mid-fit ends run, task and attempt as cancelled; retry runs it after all")
  func cancelled() async throws {
    let service = try await prepared(steps: 1_000_000)
    let work = Task { [worker = service.worker()] in try await worker.workOnce() }
    try await wait(service, until: "SELECT stage = 'fit' FROM forecast.run")
    let runID = try #require(try await service.value("SELECT run_id FROM forecast.run"))
    #expect(try await service.value("SELECT forecast.cancel(\(runID))") == "cancel requested")
    #expect(try await work.value?.state == "cancelled")
    #expect(
      try await service.database.execute(
        "SELECT r.state, t.state, a.outcome FROM forecast.run r JOIN forecast.task t USING (run_id) JOIN forecast.attempt a USING (task_id)"
      ) == [["cancelled", "cancelled", "cancelled"]])
    #expect(try await service.value("SELECT forecast.cancel(\(runID))") == "already cancelled")
    #expect(try await service.value("SELECT forecast.retry(\(runID))") == "queued")
    #expect(try await service.claim()?.attempt == 2)
    await service.pool.close()
  }

  @Test(
    "a run cancelled just before its attempt ends is cancelled, however the attempt ended",
    arguments: [("released", false), ("failed", true), ("failed", false)])
  func cancelledAtTheEnd(outcome: String, retry: Bool) async throws {
    let service = try await prepared(steps: 20)
    let claim = try #require(try await service.claim())
    _ = try await service.value("SELECT forecast.cancel(\(claim.runID))")
    let states = try await service.pool.run(
      EndAttempt(
        token: claim.token, outcome: outcome, errorCode: "query", errorText: "no", retry: retry,
        backoffSeconds: 0))
    #expect(states == ["cancelled"])
    #expect(try await service.claim() == nil)
    await service.pool.close()
  }

  @Test("a run cancelled while its data are read does not keep its lease")
  func cancelledWhileReading() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(
      service.job(
        query:
          "SELECT series, ts, value AS y FROM source, (SELECT pg_sleep(1)) s WHERE ts <= :cutoff"))
    _ = try await service.value("SELECT forecast.run_now('demand', '2024-02-29')")
    var settings = Worker.Settings()
    settings.threads = 1
    settings.heartbeat = .seconds(30)  // learns it from the refused lock, not from a heartbeat
    let worker = Worker(pool: service.pool, name: "slow", settings: settings, logger: quiet)
    let work = Task { try await worker.workOnce() }
    try await wait(service, until: "SELECT count(*) = 1 FROM forecast.run WHERE state = 'running'")
    _ = try await service.value("SELECT forecast.cancel(run_id) FROM forecast.run")
    let began = ContinuousClock.now
    #expect(try await work.value?.state == "cancelled")
    #expect(ContinuousClock.now - began < .seconds(20))
    #expect(
      try await service.value("SELECT count(*) FROM forecast.attempt WHERE outcome = 'running'")
        == "0")
    await service.pool.close()
  }

  @Test("a cancelled task of ours gives its work back to the queue")
  func taskCancelled() async throws {
    let service = try await prepared(steps: 1_000_000)
    let request = RunRequest(pool: service.pool, settings: .init(), logger: quiet)
    let runID = try #require(
      Int64(try await service.value("SELECT run_id FROM forecast.run") ?? ""))
    let following = Task {
      try await request.wait(for: runID, worker: service.worker()) { _ in }
    }
    try await wait(service, until: "SELECT stage = 'fit' FROM forecast.run")
    following.cancel()
    await #expect(throws: CancellationError.self) { try await following.value }
    #expect(try await service.value("SELECT state FROM forecast.run") == "queued")
    #expect(try await service.value("SELECT outcome FROM forecast.attempt") == "released")
    await service.pool.close()
  }

  @Test("eight workers run fifty tasks of ten jobs, each once and no job twice at a time")
  func fifty() async throws {
    let service = try Service()
    try await service.makeSource()
    for number in 1...10 { try await service.apply(service.job("job-\(number)", steps: 2)) }
    _ = try await service.database.execute(
      "SELECT forecast.run_now('job-' || n, '2024-02-29') FROM generate_series(1, 10) n, generate_series(1, 5)"
    )
    let pool = PostgresPool(service.database.configuration, maximumConnections: 20, logger: quiet)
    var settings = Worker.Settings()
    settings.threads = 1
    let workers = (1...8).map { [settings] in
      Worker(pool: pool, name: "w\($0)", settings: settings, logger: quiet)
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in workers {
        group.addTask {
          let deadline = ContinuousClock.now + .seconds(120)
          while ContinuousClock.now < deadline {
            if try await worker.workOnce() != nil { continue }
            if try await pool.run(QueueDepth()).first?.waiting == 0 { return }
            try await Task.sleep(for: .milliseconds(10))
          }
        }
      }
      try await group.waitForAll()
    }
    await pool.close()
    let states = try await service.database.execute(
      "SELECT state, error_code, error_text, count(*) FROM forecast.run GROUP BY 1, 2, 3")
    #expect(
      try await service.value(
        "SELECT count(*) || ' ' || count(*) FILTER (WHERE state = 'succeeded') FROM forecast.run")
        == "50 50", "\(states)")
    #expect(
      try await service.value(
        "SELECT count(*) || ' ' || count(DISTINCT task_id) || ' ' || max(number) FROM forecast.attempt"
      )
        == "50 50 1")
    #expect(try await service.value("SELECT count(*) FROM forecast.publication") == "50")
    #expect(
      try await service.value(
        """
        SELECT count(*) FROM forecast.run a JOIN forecast.run b ON a.job_id = b.job_id AND a.run_id < b.run_id
          AND tstzrange(a.started_at, a.finished_at) && tstzrange(b.started_at, b.finished_at)
        """) == "0", "two runs of a job overlapped")
    await service.pool.close()
  }

  @Test("publishing tells who listens")
  func notifies() async throws {
    let service = try await prepared(steps: 2)
    let connection = try await PostgresConnection.connect(
      service.database.configuration, logger: quiet)
    let notifications = try await connection.notifications(on: ["forecast_published"])
    _ = try await service.worker().workOnce()
    var iterator = notifications.makeAsyncIterator()
    let notification = try #require(try await iterator.next())
    let payload = try JSONSerialization.jsonObject(with: Data(notification.payload.utf8))
    let object = try #require(payload as? [String: Any])
    #expect(object["job"] as? String == "demand")
    #expect(object["run"] as? Int == 1)
    await connection.close()
    await service.pool.close()
  }

  @Test("what an earlier instant showed stays readable, and lineage leaves nothing open")
  func history() async throws {
    let service = try await prepared(steps: 2)
    _ = try await service.worker().workOnce()
    let first = try #require(try await service.value("SELECT now()"))
    let second = try await service.run(cutoff: "2024-02-29")
    #expect(second.state == "succeeded")
    #expect(
      try await service.value(
        "SELECT string_agg(DISTINCT run_id::text, ',') FROM forecast.asof('demand', 's1', '\(first)')"
      )
        == "1")
    #expect(
      try await service.value(
        "SELECT string_agg(DISTINCT run_id::text, ',') FROM forecast.asof('demand', 's1', now())")
        == "\(second.runID)")
    let open = try await service.database.execute(
      """
      SELECT DISTINCT key FROM forecast.lineage l, jsonb_each(to_jsonb(l)) WHERE value = 'null' ORDER BY 1
      """)
    #expect(open == [["origin_index"]], "a calendar series has no origin_index, all else is known")
    await service.pool.close()
  }

  @Test("infinities and NULLs are missing values, counted and survived")
  func nonFinite() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.database.execute(
      """
      INSERT INTO source SELECT 'holes', date '2024-01-01' + d,
        CASE d % 10 WHEN 3 THEN 'Infinity'::float8 WHEN 5 THEN '-Infinity' WHEN 7 THEN NULL ELSE d END
        FROM generate_series(0, 59) d;
      INSERT INTO source SELECT 'infinite', date '2024-01-01' + d, CASE WHEN d < 5 THEN d ELSE 'Infinity'::float8 END
        FROM generate_series(0, 59) d;
      INSERT INTO source SELECT 'nulls', date '2024-01-01' + d, NULL FROM generate_series(0, 59) d
      """)
    try await service.apply(service.job(steps: 2))
    #expect(try await service.run().state == "succeeded")
    #expect(
      try await service.database.execute(
        "SELECT series, verdict, forecasted, non_finite, nulls FROM forecast.series_verdict WHERE series IN ('holes', 'infinite', 'nulls') ORDER BY 1"
      ) == [
        ["holes", "ok", "t", "12", "6"], ["infinite", "non-finite", "f", "55", "0"],
        ["nulls", "empty", "f", "0", "60"],
      ])
    #expect(
      try await service.value("SELECT count(*) FROM forecast.current WHERE series = 'holes'") == "4"
    )
    await service.pool.close()
  }
}
