import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

@Suite(
  "From a job to published forecasts", .requiresDatabase, .temporaryDatabase(migrated),
  .tags(.database))
struct PipelineTests {
  @Test("a run publishes every usable series once and says what is wrong with the others")
  func publishes() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(service.job())
    let run = try await service.run()
    #expect(run.state == "succeeded" && run.error == nil, "\(run.errorText ?? "")")
    #expect(run.seriesTotal == 7 && run.seriesOK == 4 && run.seriesFailed == 3)
    let verdicts = try await service.database.execute(
      "SELECT series || ' ' || verdict || ' ' || forecasted FROM forecast.series_verdict")
    #expect(
      Set(verdicts.compactMap { $0[0] }) == [
        "s1 ok true", "s2 ok true", "s3 ok true", "constant constant true", "nan empty false",
        "short too-short false", "twice duplicate false", "(null) null-key false",
      ])
    #expect(try await service.value("SELECT count(*) FROM forecast.current") == "16")
    #expect(
      try await service.value(
        "SELECT count(*) FROM (SELECT FROM forecast.current GROUP BY job, series, target_at HAVING count(*) > 1) d"
      )
        == "0")
    #expect(
      try await service.value(
        "SELECT min(target_at)::text || ' ' || max(target_at)::text FROM forecast.current WHERE series = 's1'"
      )
        == "2024-03-01 00:00:00+00 2024-03-04 00:00:00+00")
    #expect(
      try await service.value(
        "SELECT bool_and(p05 <= p50 AND p50 <= p95 AND mean BETWEEN p05 AND p95) FROM forecast.current"
      )
        == "t")
    #expect(
      try await service.value(
        "SELECT count(*) FROM forecast.lineage WHERE rows_read = 255 AND seed = 1 AND threads = 1 AND value_digest <> ''"
      )
        == "1")
    #expect(try await service.value("SELECT count(*) FROM forecast.long") == "112")
    #expect(
      try await service.value("SELECT count(*) FROM forecast.asof('demand', 's1', now())") == "4")
    #expect(
      try await service.value(
        "SELECT count(*) FROM forecast.asof('demand', 's1', now() - interval '1 hour')") == "0")
    await service.pool.close()
  }

  @Test("equal data, job and seed give equal bytes")
  func deterministic() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(service.job())
    _ = try await service.run()
    _ = try await service.run()
    for digest in ["weights_digest", "content_digest", "value_digest"] {
      #expect(
        try await service.value("SELECT count(DISTINCT \(digest)) FROM forecast.lineage") == "1",
        "\(digest)")
    }
    #expect(try await service.value("SELECT count(*) FROM forecast.current") == "16")
    await service.pool.close()
  }

  @Test("an older cutoff does not replace a newer forecast")
  func backfill() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(service.job())
    let newer = try await service.run(cutoff: "2024-02-29")
    let older = try await service.run(cutoff: "2024-02-20")
    #expect(older.state == "succeeded")
    #expect(
      try await service.value("SELECT string_agg(DISTINCT run_id::text, ',') FROM forecast.current")
        == "\(newer.runID)")
    #expect(
      try await service.value(
        "SELECT max(target_at)::date::text FROM forecast.forecast_point WHERE run_id = \(older.runID)"
      )
        == "2024-02-24", "observations after the cutoff were used")
    await service.pool.close()
  }

  @Test("series counted in steps need no calendar")
  func integerSteps() async throws {
    let service = try Service()
    try await service.database.execute(
      "CREATE TABLE steps AS SELECT 'cell' AS series, n AS ts, 100.0 - n AS value FROM generate_series(1, 60) n"
    )
    try await service.apply(
      service.job(
        "cells", query: "SELECT series, ts, value AS y FROM steps WHERE ts <= :cutoff",
        frequency: "integer"))
    let run = try await service.run("cells", cutoff: "50")
    #expect(run.state == "succeeded", "\(run.errorText ?? "")")
    #expect(
      try await service.value(
        "SELECT string_agg(target_index::text, ',' ORDER BY step) FROM forecast.current")
        == "51,52,53,54")
    await service.pool.close()
  }

  @Test(
    "what is wrong with a query is said in the run",
    arguments: [
      ("SELECT nonsense FROM nowhere", "query", "nowhere"),
      ("SELECT series, ts, value AS y FROM source WHERE false", "no-rows", "no rows"),
      ("SELECT series, ts, value FROM source", "query-columns", "\"y\""),
      ("SELECT series, ts, value::text AS y FROM source", "query-columns", "text"),
      ("SELECT series, ts, 1 / (value - value) AS y FROM source", "query", "division by zero"),
      ("SELECT series, ts::text AS ts, value AS y FROM source", "query-columns", "ts"),
      ("SELECT series, ts, 'NaN'::float8 AS y FROM source", "no-usable-series", "empty"),
    ])
  func badQueries(query: String, code: String, words: String) async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(service.job(query: query))
    let run = try await service.run()
    #expect(
      run.state == "failed" && run.errorCode == code,
      "\(run.errorCode ?? "") \(run.errorText ?? "")")
    #expect(run.errorText?.contains(words) == true, "\(run.errorText ?? "")")
    #expect(run.attempts == 1, "a mistake in the data is not tried again")
    #expect(try await service.value("SELECT count(*) FROM forecast.publication") == "0")
    await service.pool.close()
  }

  @Test("a loss that is not finite fails the run, with job, run, step and series")
  func notFinite() async throws {
    let service = try Service()
    try await service.makeSource()
    // More than single precision holds, seen from the level before.
    try await service.database.execute(
      "UPDATE source SET value = 1e300 * extract(day FROM ts) WHERE series = 's2' AND ts > '2024-02-04'"
    )
    try await service.apply(service.job())
    let run = try await service.run()
    #expect(run.state == "failed" && run.errorCode == "training", "\(run.errorCode ?? "")")
    let text = try #require(run.errorText)
    #expect(
      text.contains(/job demand, run \d+: .*not finite at step \d+, in series s2/), "\(text)")
    #expect(try await service.value("SELECT count(*) FROM forecast.publication") == "0")
    await service.pool.close()
  }

  @Test("a member of forecast_worker that is no superuser can do it all")
  func ordinaryWorker() async throws {
    let service = try Service()
    try await service.makeSource()
    let role = "ordinary_\(service.database.name)"
    try await service.database.execute(
      "CREATE ROLE \(role) LOGIN IN ROLE forecast_worker; GRANT SELECT ON source TO \(role)")
    let address = service.database.address.with(user: role)
    let pool = PostgresPool(address.configuration, maximumConnections: 4, logger: quiet)
    _ = try await JobRegistry(pool: pool).apply([service.job()])
    var settings = Worker.Settings()
    settings.threads = 1
    let request = RunRequest(pool: pool, settings: settings, logger: quiet)
    let runID = try await request.enqueue(job: "demand", cutoff: "2024-02-29", now: Date())
    _ = try await Worker(pool: pool, name: "w", settings: settings, logger: quiet).workOnce()
    let run = try await request.find(runID)
    #expect(run.state == "succeeded", "\(run.errorText ?? "")")
    _ = try await Scheduler(pool: pool, logger: quiet).decide()
    _ = try await pool.run(ReapLostAttempts())
    await pool.close()
    await service.pool.close()
  }

  @Test("a comment is no new version, a change is")
  func versions() async throws {
    let service = try Service()
    let registry = JobRegistry(pool: service.pool)
    #expect(try await registry.apply([service.job()]).map(\.change) == [.created])
    #expect(
      try await registry.apply([service.job(extra: "# a comment")]).map(\.change)
        == [.unchanged(version: 1)])
    #expect(
      try await registry.apply([service.job(steps: 21)]).map(\.change) == [.updated(version: 2)])
    await service.pool.close()
  }
}

extension ListRuns.Row {
  fileprivate var error: String? { errorText }
}
