import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

@Suite("What becomes of due instants")
struct TickPlanTests {
  /// Outcomes of instants so many minutes ago.
  private func plan(
    _ minutesAgo: [Double], catchUp: String, paused: Bool = false, blocked: Bool = false
  ) -> [String] {
    let now = Date(timeIntervalSince1970: 1_700_000_000)
    return TickPlan(
      due: minutesAgo.map { now - $0 * 60 }, now: now, catchUp: catchUp, paused: paused,
      blocked: blocked
    ).outcomes.map(\.rawValue)
  }

  @Test(
    "policies",
    arguments: [
      ("none", [0.5], ["ran"]),
      ("none", [5], ["skipped-missed"]),
      ("none", [10, 5, 0.5], ["skipped-missed", "skipped-missed", "ran"]),
      ("latest", [5], ["late"]),
      ("latest", [10, 5], ["skipped-missed", "late"]),
      ("latest", [10, 0.5], ["skipped-missed", "ran"]),
      ("all", [10, 5], ["caught-up", "late"]),
      ("all", [10, 0.5], ["caught-up", "ran"]),
      ("latest", [], []),
    ] as [(String, [Double], [String])])
  func policies(catchUp: String, minutesAgo: [Double], expected: [String]) {
    #expect(plan(minutesAgo, catchUp: catchUp) == expected)
  }

  @Test("a paused job skips everything, a blocked one what it would have run")
  func pausedOrBlocked() {
    #expect(plan([10, 0], catchUp: "all", paused: true) == ["skipped-paused", "skipped-paused"])
    #expect(
      plan([10, 5], catchUp: "latest", blocked: true) == ["skipped-missed", "skipped-overlap"])
    #expect(
      plan([10, 0], catchUp: "all", paused: true, blocked: true)
        == ["skipped-paused", "skipped-paused"])
  }

  @Test("catching up has a limit")
  func limit() {
    let outcomes = plan((0..<150).reversed().map { Double($0) + 2 }, catchUp: "all")
    #expect(outcomes.prefix(50).allSatisfy { $0 == "skipped-missed" })
    #expect(outcomes.dropFirst(50).dropLast().allSatisfy { $0 == "caught-up" })
    #expect(outcomes.last == "late")
  }

  @Test(
    "of the instants before others that are due, none is the latest", arguments: ["latest", "all"])
  func followed(catchUp: String) {
    let now = Date(timeIntervalSince1970: 1_700_000_000)
    let plan = TickPlan(
      due: [now - 9000, now - 8000], followedBy: Scheduler.catchUpLimit, now: now,
      catchUp: catchUp, paused: false, blocked: false)
    #expect(plan.outcomes == [.skippedMissed, .skippedMissed])
  }
}

@Suite("Overlap and clocks", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database))
struct OverlapTests {
  private func service(_ extra: String, settledBefore: String = "1 hour") async throws -> Service {
    let service = try Service()
    try await service.apply(service.job(extra: extra))
    try await service.database.execute(
      "UPDATE forecast.job SET scheduled_from = date_trunc('hour', now()) - interval '\(settledBefore)'"
    )
    return service
  }

  @Test("under queue, runs line up behind an unfinished one")
  func queue() async throws {
    let service = try await service("schedule: \"0 * * * *\"\noverlap: queue")
    _ = try await service.value("SELECT forecast.run_now('demand')")
    #expect(try await service.claim() != nil)
    #expect(try await Scheduler(pool: service.pool, logger: quiet).decide().count == 1)
    #expect(try await service.claim() == nil, "the first run still runs")
    #expect(
      try await service.value("SELECT string_agg(state, ',' ORDER BY run_id) FROM forecast.run")
        == "running,queued")
    await service.pool.close()
  }

  @Test("under cancel-running, what waits is cancelled at once and what runs is asked to stop")
  func cancelRunning() async throws {
    let service = try await service("schedule: \"0 * * * *\"\noverlap: cancel-running")
    _ = try await service.value("SELECT forecast.run_now('demand')")
    _ = try await service.value("SELECT forecast.run_now('demand')")
    #expect(try await service.claim()?.runID == 1)
    #expect(try await Scheduler(pool: service.pool, logger: quiet).decide().count == 1)
    #expect(
      try await service.value(
        "SELECT string_agg(state || (cancel_requested_at IS NOT NULL)::text, ',' ORDER BY run_id) FROM forecast.run"
      ) == "runningtrue,cancelledtrue,queuedfalse")
    await service.pool.close()
  }

  @Test("a local time that the clock skipped runs after the gap, and its tick says so")
  func daylightSaving() async throws {
    let service = try await service(
      "schedule: \"30 2 * * *\"\ntimezone: Europe/Paris\ncatchUp: none")
    try await service.database.execute(
      "UPDATE forecast.job SET scheduled_from = '2026-03-27T12:00:00Z'")
    // Only the days around the change of the clock matter; the rest is settled, too.
    _ = try await Scheduler(pool: service.pool, logger: quiet).decide()
    let ticks = try await service.database.execute(
      """
      SELECT (due_at AT TIME ZONE 'UTC')::text, dst_shifted FROM forecast.schedule_tick
      WHERE due_at < '2026-03-31' ORDER BY due_at
      """)
    #expect(
      ticks == [
        ["2026-03-28 01:30:00", "f"], ["2026-03-29 01:00:00", "t"], ["2026-03-30 00:30:00", "f"],
      ])
    await service.pool.close()
  }

  @Test("a changed schedule starts afresh, an unchanged one keeps its place")
  func changed() async throws {
    let service = try await service("schedule: \"0 * * * *\"", settledBefore: "3 hours")
    let before = try await service.value("SELECT scheduled_from FROM forecast.job")
    try await service.apply(service.job(extra: "schedule: \"0 * * * *\"", steps: 21))
    #expect(try await service.value("SELECT scheduled_from FROM forecast.job") == before)
    try await service.apply(service.job(extra: "schedule: \"5 * * * *\"", steps: 21))
    #expect(
      try await service.value(
        "SELECT scheduled_from > now() - interval '1 minute' FROM forecast.job")
        == "t")
    try await service.apply(service.job(steps: 21))
    #expect(
      try await service.value(
        "SELECT num_nulls(scheduled_from, next_due_at, schedule) FROM forecast.job")
        == "3")
    #expect(try await Scheduler(pool: service.pool, logger: quiet).decide().isEmpty)
    await service.pool.close()
  }
}
