import ForecastService
import Foundation
import Logging
import Postgres
import TestSupport
import Testing

@Suite("Schema", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database))
struct SchemaTests {
  @Test("migrating again does nothing")
  func again() async throws {
    let service = try Service()
    let runner = try MigrationRunner(
      directory: sourceRoot.appendingPathComponent("migrations"),
      table: "forecast.schema_migration")
    #expect(try await runner.migrate(service.pool, build: "test").isEmpty)
    try await SchemaCheck(pool: service.pool).verify()
    await service.pool.close()
  }

  @Test("a schema newer than the program is refused")
  func newer() async throws {
    let service = try Service()
    try await service.database.execute(
      "INSERT INTO forecast.schema_migration (number, name, sha256, build) SELECT 9000, 'x', sha256, build FROM forecast.schema_migration LIMIT 1"
    )
    let error = await #expect(throws: ServiceError.self) {
      try await SchemaCheck(pool: service.pool).verify()
    }
    #expect(error?.code == .schemaNotReady && error?.message.contains("newer") == true)
    await service.pool.close()
  }

  @Test("every table and column explains itself")
  func comments() async throws {
    let service = try Service()
    let silent = try await service.database.execute(
      """
      SELECT c.relname || coalesce('.' || a.attname, '') FROM pg_class c
      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
      WHERE c.relnamespace = 'forecast'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
        AND c.relname <> 'schema_migration'
        AND (obj_description(c.oid, 'pg_class') IS NULL OR a.attname IS NOT NULL AND col_description(c.oid, a.attnum) IS NULL)
      """)
    #expect(silent.isEmpty, "no comment on \(silent)")
    await service.pool.close()
  }

  @Test(
    "every statement prepares on a fresh schema",
    arguments: [
      FindJob.sql, InsertJobVersion.sql, LockJobName.sql, ListJobNames.sql, LockDueJobs.sql,
      EnqueueRun.sql, InsertTick.sql, AdvanceSchedule.sql, CancelUnfinishedRuns.sql, ClaimTask.sql,
      Heartbeat.sql, EndAttempt.sql, ReapLostAttempts.sql, LogEvent.sql, QueueDepth.sql,
      LockAttempt.sql, ClearSnapshot.sql, InsertSnapshot.sql, InsertSeries.sql, FindSeries.sql,
      EnsurePartition.sql, RegisterGrid.sql, InsertModel.sql, FindPrivateModel.sql,
      InsertPublication.sql,
      SwitchCurrent.sql, SucceedAttempt.sql, FindPublication.sql, ListStatus.sql, ListRuns.sql,
      ListAttempts.sql, CountVerdicts.sql, ListEvents.sql, FindLineage.sql, ReadCurrent.sql,
      SteerRun.sql, CountDaemons.sql, DaemonPresence.sql, DescribeRun.sql, SetTimeZone.sql,
      BindCutoff.sql, DatabaseFacts.sql, MissingPrivileges.sql, JobZones.sql, ExpiredLeases.sql,
      LockPrivacyBudgets.sql, FindPrivacyBudgets.sql, InsertPrivacyBudget.sql,
      ListBudgetCharges.sql, InsertPrivacyCharge.sql, EnterPrivacyChargeState.sql, ListPrivacy.sql,
      ListPrivacyCharges.sql, DescribePrivacy.sql, ListPrivacyAccounts.sql, LockPrivacyBlocks.sql,
      FindPrivacyBlockRule.sql, InsertPrivacyBlockRule.sql, ListPrivacyBlocks.sql,
      OpenPrivateInput.sql, InsertPrivateRelease.sql, ReadPrivateValues.sql,
    ])
  func prepares(sql: String) async throws {
    let service = try Service()
    try await service.pool.withConnection { _ = try await $0.describe(sql) }
    await service.pool.close()
  }

  @Test("a reader sees the views and nothing else")
  func reader() async throws {
    let service = try Service()
    func refused(_ sql: String) async throws -> Bool {
      do {
        try await service.database.execute("SET ROLE forecast_reader; " + sql)
        return false
      } catch {
        return "\(error)".contains("permission denied")
      }
    }
    for view in [
      "current", "long", "status", "lineage", "privacy", "privacy_accounts", "privacy_charges",
    ] {
      try await service.database.execute("SET ROLE forecast_reader; SELECT * FROM forecast.\(view)")
    }
    try await service.database.execute(
      "SET ROLE forecast_reader; SELECT * FROM forecast.asof('j', 's', now())")
    for table in [
      "job", "run", "forecast_point", "model_version", "privacy_budget", "privacy_charge",
      "privacy_charge_state", "privacy_block_rule",
    ] {
      #expect(try await refused("SELECT * FROM forecast.\(table)"), "\(table)")
    }
    #expect(try await refused("SELECT forecast.run_now('j')"))
    let granted = try await service.value(
      """
      SELECT count(*) FROM pg_class c, aclexplode(c.relacl) a
      WHERE c.relnamespace = 'forecast'::regnamespace AND a.grantee = 0
      """)
    #expect(granted == "0", "something is granted to PUBLIC")
    await service.pool.close()
  }

  @Test("points are refused outside of a publishing transaction, and never change")
  func immutable() async throws {
    let service = try Service()
    try await service.database.execute("SELECT forecast.ensure_partition(now())")
    await #expect(throws: (any Error).self) {
      try await service.database.execute(
        "INSERT INTO forecast.forecast_point VALUES (1, 1, now(), now(), NULL, 1, 1, '{1}')")
    }
    try await service.makeSource()
    try await service.apply(service.job())
    _ = try await service.run()
    for sql in [
      "UPDATE forecast.forecast_point SET mean = 0", "UPDATE forecast.publication SET points = 99",
      "UPDATE forecast.job_version SET source_text = ''",
      "UPDATE forecast.run SET state = 'queued'",  // finished_at is set: a wrong state
      "UPDATE forecast.run SET state = 'failed'",  // without a reason
    ] {
      await #expect(throws: (any Error).self, "\(sql)") {
        try await service.database.execute(sql)
      }
    }
    await service.pool.close()
  }
}
