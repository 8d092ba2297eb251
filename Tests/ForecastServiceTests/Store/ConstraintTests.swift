import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

@Suite("Constraints", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database))
struct ConstraintTests {
  @Test("the list of statements that are prepared in SchemaTests is complete")
  func listed() throws {
    let store = sourceRoot.appendingPathComponent("Sources/ForecastService/Store")
    let tests = try String(
      contentsOf: sourceRoot.appendingPathComponent(
        "Tests/ForecastServiceTests/Store/SchemaTests.swift"), encoding: .utf8)
    var found = 0
    for file in try FileManager.default.contentsOfDirectory(
      at: store, includingPropertiesForKeys: nil)
    {
      let text = try String(contentsOf: file, encoding: .utf8)
      for match in text.matches(of: /struct (\w+): PostgresStatement/) {
        found += 1
        #expect(tests.contains("\(match.1).sql"), "\(match.1) is not prepared by any test")
      }
    }
    #expect(found >= 53)
  }

  @Test(
    "wrong states are refused",
    arguments: [
      ("run_started_when_running", "UPDATE forecast.run SET state = 'running'"),
      ("run_finished_when_ended", "UPDATE forecast.run SET state = 'cancelled'"),
      ("run_finished_when_ended", "UPDATE forecast.run SET finished_at = now()"),
      (
        "run_failed_says_why",
        "UPDATE forecast.run SET state = 'failed', finished_at = now()"
      ),
      ("run_state_check", "UPDATE forecast.run SET state = 'lost'"),
      ("run_one_cutoff", "UPDATE forecast.run SET cutoff_index = 3"),
      ("run_one_cutoff", "UPDATE forecast.run SET cutoff_at = NULL"),
      ("run_progress_check", "UPDATE forecast.run SET progress = 1.5"),
      (
        "run_counts_add_up",
        "UPDATE forecast.run SET series_total = 5, series_ok = 3, series_failed = 1"
      ),
      ("run_job_id_job_version_fkey", "UPDATE forecast.run SET job_version = 9"),
      ("job_current_version_fkey", "UPDATE forecast.job SET current_version = 9"),
      ("job_name_check", "UPDATE forecast.job SET name = 'No Spaces'"),
      (
        "task_run_id_kind_key",
        "INSERT INTO forecast.task (run_id, kind) SELECT run_id, 'forecast' FROM forecast.run"
      ),
      (
        "attempt_finished_when_ended",
        "INSERT INTO forecast.attempt (task_id, number, worker, host, pid, build, lease_until, outcome) SELECT task_id, 1, 'w', 'h', 1, 'b', now(), 'lost' FROM forecast.task"
      ),
      (
        "attempt_one_running_per_task",
        "INSERT INTO forecast.attempt (task_id, number, worker, host, pid, build, lease_until) SELECT task_id, n, 'w', 'h', 1, 'b', now() FROM forecast.task, generate_series(1, 2) n"
      ),
      (
        "run_one_running_per_job",
        "SELECT forecast.run_now('demand'); UPDATE forecast.run SET state = 'running', started_at = now()"
      ),
      (
        "schedule_tick_check",
        "INSERT INTO forecast.schedule_tick (job_id, due_at, outcome, run_id) SELECT job_id, now(), 'skipped-paused', run_id FROM forecast.run"
      ),
      (
        "quantile_grid_levels_check",
        "INSERT INTO forecast.quantile_grid (levels) VALUES ('{0.5,1}')"
      ),
    ])
  func refused(constraint: String, sql: String) async throws {
    let service = try Service()
    try await service.apply(service.job())
    _ = try await service.value("SELECT forecast.run_now('demand')")
    let failure = await #expect(throws: ClusterProbe.Failure.self) {
      try await service.database.execute(sql)
    }
    #expect(failure?.sqlState.hasPrefix("23") == true, "\(failure?.message ?? "")")
    #expect(failure?.message.contains("\"\(constraint)\"") == true, "\(failure?.message ?? "")")
    await service.pool.close()
  }

  @Test(
    "a quantile between two levels is interpolated, beyond them there is none",
    arguments: [
      (0.5, "20"), (0.1, "10"), (0.3, "15"), (0.7, "25"), (0.9, "30"), (0.05, nil), (0.95, nil),
    ] as [(Double, String?)])
  func quantile(level: Double, expected: String?) async throws {
    let service = try Service()
    let found = try await service.value(
      "SELECT round(forecast.quantile('{0.1,0.5,0.9}', '{10,20,30}', \(level))::numeric, 9)::float8"
    )
    #expect(found == expected)
    await #expect(throws: ClusterProbe.Failure.self) {
      try await service.value("SELECT forecast.quantile('{0.1}', '{1}', 1)")
    }
    await service.pool.close()
  }
}
