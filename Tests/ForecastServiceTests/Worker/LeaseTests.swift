import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

@Suite("Leases and claims", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database))
struct LeaseTests {
  private func expireLeases(_ service: Service) async throws {
    try await service.database.execute(
      "UPDATE forecast.attempt SET lease_until = now() - interval '1 second' WHERE outcome = 'running'"
    )
  }

  @Test("a stale attempt writes nothing; the next one does the work")
  func stale() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(service.job())
    let request = RunRequest(pool: service.pool, settings: .init(), logger: quiet)
    let runID = try await request.enqueue(job: "demand", cutoff: "2024-02-29", now: Date())
    let first = try #require(try await service.claim())
    #expect(first.runID == runID && first.attempt == 1)
    #expect(try await service.claim() == nil, "one attempt at a time")
    try await expireLeases(service)
    #expect(try await service.pool.run(ReapLostAttempts()).map(\.state) == ["retryable"])
    let outcome = try #require(try await service.worker().workOnce())
    #expect(outcome.state == "succeeded")
    // The first worker wakes up: nothing it asks for is granted.
    #expect(try await service.pool.run(LockAttempt(token: first.token)).isEmpty)
    #expect(
      try await service.pool.run(
        Heartbeat(token: first.token, leaseSeconds: 60, stage: "fit", progress: 0.5)
      ).isEmpty)
    #expect(
      try await service.pool.run(
        EndAttempt(
          token: first.token, outcome: "failed", errorCode: "x", errorText: "x", retry: true,
          backoffSeconds: 0)
      ).isEmpty)
    #expect(try await request.find(runID).state == "succeeded")
    #expect(
      try await service.value(
        "SELECT string_agg(outcome, ',' ORDER BY number) FROM forecast.attempt")
        == "lost,succeeded")
    await service.pool.close()
  }

  @Test("many workers never share a task, and one job never runs twice at a time")
  func concurrent() async throws {
    let service = try Service()
    for number in 1...20 { try await service.apply(service.job("job-\(number)")) }
    for number in 1...20 {
      for _ in 1...2 {
        try await service.database.execute("SELECT forecast.run_now('job-\(number)')")
      }
    }
    let claimed = try await withThrowingTaskGroup(of: [Int64].self) { group in
      for worker in 1...8 {
        group.addTask {
          var mine: [Int64] = []
          var misses = 0
          while misses < 20 {
            do {
              if let claim = try await service.claim("w\(worker)") {
                mine.append(claim.runID)
                _ = try await service.pool.run(
                  EndAttempt(
                    token: claim.token, outcome: "failed", errorCode: "x", errorText: "x",
                    retry: false, backoffSeconds: 0))
              } else {
                misses += 1
              }
            } catch let error as PostgresError where error.sqlState == "23505" {
              misses += 1  // the index that forbids two running runs of a job did its work
            }
          }
          return mine
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    #expect(claimed.count == 40 && Set(claimed).count == 40)
    #expect(try await service.value("SELECT count(*) FROM forecast.attempt") == "40")
    await service.pool.close()
  }

  @Test("after the last attempt a lost run has failed; retry revives it")
  func exhausted() async throws {
    let service = try Service()
    try await service.apply(service.job())
    let runID = try #require(
      Int64(try await service.value("SELECT forecast.run_now('demand')") ?? ""))
    for attempt in 1...3 {
      #expect(try await service.claim()?.attempt == attempt)
      try await expireLeases(service)
      let states = try await service.pool.run(ReapLostAttempts()).map(\.state)
      #expect(states == [attempt < 3 ? "retryable" : "failed"])
    }
    #expect(try await service.claim() == nil)
    #expect(try await service.value("SELECT forecast.retry(\(runID))") == "queued")
    #expect(try await service.claim()?.attempt == 4)
    await service.pool.close()
  }

  @Test("cancelling a waiting run is immediate, a running one learns it by its heartbeat")
  func cancel() async throws {
    let service = try Service()
    try await service.apply(service.job())
    let waiting = try #require(try await service.value("SELECT forecast.run_now('demand')"))
    #expect(try await service.value("SELECT forecast.cancel(\(waiting))") == "cancelled")
    #expect(try await service.claim() == nil)
    let running = try #require(try await service.value("SELECT forecast.run_now('demand')"))
    let claim = try #require(try await service.claim())
    #expect(try await service.value("SELECT forecast.cancel(\(running))") == "cancel requested")
    let asked = try await service.pool.run(
      Heartbeat(token: claim.token, leaseSeconds: 60, stage: "fit", progress: 0.1))
    #expect(asked == [true])
    #expect(try await service.pool.run(LockAttempt(token: claim.token)).isEmpty)
    await service.pool.close()
  }

  @Test("aborting a worker puts its task back into the queue")
  func abort() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(service.job(steps: 1_000_000))
    _ = try await service.value("SELECT forecast.run_now('demand', '2024-02-29')")
    let worker = service.worker()
    let work = Task { try await worker.workOnce() }
    while try await service.value("SELECT stage FROM forecast.run") != "fit" {
      try await Task.sleep(for: .milliseconds(20))
    }
    worker.abort()
    let outcome = try #require(try await work.value)
    #expect(outcome.state == "queued")
    #expect(try await service.value("SELECT state FROM forecast.task") == "queued")
    #expect(try await service.value("SELECT outcome FROM forecast.attempt") == "released")
    await service.pool.close()
  }
}
