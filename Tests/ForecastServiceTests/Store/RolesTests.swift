import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

@Suite("Roles", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database))
struct RolesTests {
  private static let readable: Set = [
    "current", "long", "status", "lineage", "privacy", "privacy_accounts", "privacy_charges",
  ]

  /// A pool of a user who may log in and is a member of `role` alone.
  private func pool(
    of role: String, _ service: Service
  ) async throws -> (user: String, pool: PostgresPool) {
    let user = "\(role)_\(service.database.name)"
    try await service.database.execute("CREATE ROLE \(user) LOGIN IN ROLE \(role)")
    let address = service.database.address.with(user: user)
    return (user, PostgresPool(address.configuration, maximumConnections: 4, logger: quiet))
  }

  @Test("a reader may select from seven views, and that is all it may do to any relation")
  func reader() async throws {
    let service = try Service()
    _ = try await service.value("SELECT forecast.ensure_partition(now())")
    let allowed = try await service.database.execute(
      """
      SELECT c.relname, p.privilege FROM pg_class c,
        unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p (privilege)
      WHERE c.relnamespace = 'forecast'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
        AND has_table_privilege('forecast_reader', c.oid, p.privilege)
      """)
    #expect(
      Set(allowed.map { "\($0[0] ?? "") \($0[1] ?? "")" })
        == Set(Self.readable.map { $0 + " SELECT" }))
    let functions = try await service.database.execute(
      """
      SELECT proname FROM pg_proc WHERE pronamespace = 'forecast'::regnamespace
        AND has_function_privilege('forecast_reader', oid, 'EXECUTE') ORDER BY 1
      """)
    #expect(
      functions.compactMap { $0[0] } == [
        "asof", "privacy_blocks", "privacy_charge_digest", "quantile",
      ])
    await service.pool.close()
  }

  @Test("nothing is granted to PUBLIC: a stranger cannot even name the schema")
  func stranger() async throws {
    let service = try Service()
    let granted = try await service.database.execute(
      """
      SELECT p.oid::regprocedure::text FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
      WHERE p.pronamespace = 'forecast'::regnamespace AND a.grantee = 0
      UNION ALL
      SELECT c.oid::regclass::text FROM pg_class c, aclexplode(c.relacl) a
      WHERE c.relnamespace = 'forecast'::regnamespace AND a.grantee = 0
      UNION ALL
      SELECT 'schema' FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'forecast' AND a.grantee = 0
      """)
    #expect(granted.isEmpty, "\(granted)")
    await service.pool.close()
  }

  @Test("a worker may not take back what was issued")
  func issued() async throws {
    let service = try Service()
    for table in [
      "forecast_point", "publication", "model_version", "job_version", "run", "attempt",
      "privacy_budget", "privacy_block_rule", "privacy_charge", "privacy_charge_state",
      "private_input", "private_release", "private_value",
    ] {
      for privilege in ["DELETE", "TRUNCATE"] {
        let held = try await service.value(
          "SELECT has_table_privilege('forecast_worker', 'forecast.\(table)', '\(privilege)')")
        #expect(held == "f", "\(privilege) \(table)")
      }
    }
    await service.pool.close()
  }

  @Test("an operator checks the schema, queues, looks and cancels, and does not work")
  func operatorRole() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(service.job())
    _ = try await service.run()
    let (user, pool) = try await pool(of: "forecast_operator", service)
    let session = try await Session.open(
      databaseURL: service.database.address.with(user: user).url, applicationName: "test",
      schema: .ready, logger: quiet, report: { _ in })
    #expect(
      try await JobRegistry(pool: pool).apply([service.job("second")]).map(\.change) == [.created])
    let request = session.runRequest(threads: 1)
    let runID = try await request.enqueue(job: "demand", cutoff: "2024-02-29", now: Date())
    #expect(try await request.find(runID).state == "queued")
    #expect(try await session.overview(job: nil).jobs.count == 2)
    #expect(try await session.forecasts(job: "demand", series: nil, limit: nil).count == 16)
    #expect(try await session.details(of: runID).json.contains("queued"))
    #expect(try await session.steer(.cancel, runID) == "cancelled")
    await session.close()
    let refused = await #expect(throws: PostgresError.self) {
      _ = try await pool.run(ReapLostAttempts())
    }
    #expect(refused?.sqlState == "42501")
    await pool.close()
    await service.pool.close()
  }

  @Test("a worker that is no superuser passes every check, obeys the schedule and publishes")
  func worker() async throws {
    let service = try Service()
    try await service.makeSource()
    let (user, pool) = try await pool(of: "forecast_worker", service)
    try await service.database.execute("GRANT SELECT ON source TO \(user)")
    try await SchemaCheck(pool: pool).verify()
    _ = try await JobRegistry(pool: pool).apply([
      service.job(extra: "schedule: \"0 * * * *\"\noverlap: cancel-running")
    ])
    try await service.database.execute(
      "UPDATE forecast.job SET scheduled_from = date_trunc('hour', now()) - interval '1 hour'")
    let made = try await Scheduler(pool: pool, logger: quiet).decide()
    #expect(made.count == 1)
    var settings = Worker.Settings()
    settings.threads = 1
    let outcome = try await Worker(pool: pool, name: "w", settings: settings, logger: quiet)
      .workOnce()
    #expect(outcome?.state == "succeeded", "\(outcome?.error?.message ?? "")")
    #expect(try await service.value("SELECT count(*) FROM forecast.current") == "16")
    #expect(try await pool.run(MissingPrivileges()).isEmpty)
    await pool.close()
    await service.pool.close()
  }
}
