import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

@Suite("Scheduler", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database))
struct SchedulerTests {
  /// A job due every hour whose schedule was last settled some hours ago.
  private func service(_ extra: String, hoursAgo: Int) async throws -> Service {
    let service = try Service()
    try await service.apply(service.job(extra: "schedule: \"0 * * * *\"\n" + extra))
    try await service.database.execute(
      "UPDATE forecast.job SET scheduled_from = date_trunc('hour', now()) - interval '\(hoursAgo) hours'"
    )
    return service
  }

  private func outcomes(_ service: Service) async throws -> [String: Int] {
    let rows = try await service.database.execute(
      "SELECT outcome, count(*) FROM forecast.schedule_tick GROUP BY 1")
    return Dictionary(uniqueKeysWithValues: rows.map { ($0[0] ?? "", Int($0[1] ?? "") ?? 0) })
  }

  @Test(
    "missed instants follow the catch-up policy, each with a row of its own",
    arguments: [("none", 0), ("latest", 1), ("all", 5)])
  func catchUp(policy: String, runs: Int) async throws {
    let service = try await service("catchUp: \(policy)", hoursAgo: 5)
    let made = try await Scheduler(pool: service.pool, logger: quiet).decide()
    // In the first minute of an hour the last instant is on time whatever the policy.
    let onTime = try await outcomes(service)["ran"] ?? 0
    #expect(made.count == max(runs, onTime))
    #expect(try await outcomes(service).values.reduce(0, +) == 5)
    #expect(
      try await service.value("SELECT next_due_at > now() FROM forecast.job") == "t")
    #expect(try await Scheduler(pool: service.pool, logger: quiet).decide().isEmpty)
    await service.pool.close()
  }

  @Test("two schedulers decide an instant once")
  func concurrent() async throws {
    let service = try await service("catchUp: all", hoursAgo: 10)
    let made = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 1...4 {
        group.addTask { try await Scheduler(pool: service.pool, logger: quiet).decide().count }
      }
      return try await group.reduce(0, +)
    }
    #expect(made == 10)
    #expect(try await service.value("SELECT count(*) FROM forecast.run") == "10")
    await service.pool.close()
  }

  @Test("an unfinished run blocks under skip, a paused job records its skips")
  func overlap() async throws {
    let service = try await service("overlap: skip", hoursAgo: 1)
    try await service.database.execute("SELECT forecast.run_now('demand')")
    #expect(try await Scheduler(pool: service.pool, logger: quiet).decide().isEmpty)
    #expect(try await outcomes(service) == ["skipped-overlap": 1])
    try await service.database.execute(
      "SELECT forecast.pause('demand'); UPDATE forecast.job SET scheduled_from = scheduled_from - interval '2 hours', next_due_at = NULL; DELETE FROM forecast.schedule_tick"
    )
    #expect(try await Scheduler(pool: service.pool, logger: quiet).decide().isEmpty)
    #expect(try await outcomes(service) == ["skipped-paused": 2])
    await service.pool.close()
  }

  @Test("the cutoff of a scheduled run is its due instant")
  func cutoff() async throws {
    let service = try await service("", hoursAgo: 1)
    _ = try await Scheduler(pool: service.pool, logger: quiet).decide()
    #expect(
      try await service.value(
        "SELECT r.cutoff_at = t.due_at FROM forecast.run r JOIN forecast.schedule_tick t USING (run_id)"
      )
        == "t")
    await service.pool.close()
  }

  @Test(
    "more missed instants than one transaction decides are one backlog: one late run, or the last hundred",
    arguments: [("latest", 10_050, 1), ("all", 10_050, 100), ("latest", 20_500, 1)])
  func longBacklog(policy: String, minutes: Int, runs: Int) async throws {
    let service = try Service()
    try await service.apply(service.job(extra: "schedule: \"* * * * *\"\ncatchUp: \(policy)"))
    // The last instant is on time, or one minute late.
    try await service.database.execute(
      """
      UPDATE forecast.job SET scheduled_from = date_trunc('minute', now()) - interval '\(minutes) minutes',
        next_due_at = NULL
      """)
    let made = try await Scheduler(pool: service.pool, logger: quiet).decide()
    #expect(made.count == runs)
    let ticks = try await outcomes(service)
    #expect(ticks.values.reduce(0, +) >= minutes)
    #expect(ticks["late", default: 0] + ticks["ran", default: 0] == 1)
    #expect(ticks["skipped-overlap"] == nil)
    #expect(try await service.value("SELECT next_due_at > now() FROM forecast.job") == "t")
    await service.pool.close()
  }
}
