import ArgumentParser
import ForecastService
import Foundation
import Logging
import Postgres
import Training

/// One measurement per process, so that the peak memory is that measurement's own. Benchmarks/run calls
/// it in turn with the peers. Prints one JSON object: rows, seconds, rss_mb.
@main
struct ForecastBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "forecast-bench",
    subcommands: [
      Read.self, Ingest.self, Write.self, Publish.self, Status.self, Layers.self,
      ParallelTime.self, Kinds.self, Backtest.self, Tasks.self, PrivateSteps.self,
    ])
}

struct Target: ParsableArguments {
  @Option(help: "Database to measure on.") var url: String

  var logger: Logger {
    var logger = Logger(label: "bench") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .error
    return logger
  }

  func pool() throws -> PostgresPool {
    PostgresPool(
      try PostgresConfiguration(url: url, environment: [:]), maximumConnections: 4, logger: logger)
  }
}

private func report(_ rows: Int, since began: ContinuousClock.Instant) {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  let seconds = (ContinuousClock.now - began).seconds
  print(
    String(
      format: "{\"rows\": %d, \"seconds\": %.3f, \"rss_mb\": %.1f}", rows, seconds,
      Double(usage.ru_maxrss) / 1024))
}

/// COPY out, the last column decoded and summed: what the C peer does.
struct Read: AsyncParsableCommand {
  @OptionGroup var target: Target
  @Option var sql: String

  func run() async throws {
    let pool = try target.pool()
    let began = ContinuousClock.now
    let sql = sql
    let (rows, sum) = try await pool.withConnection { connection in
      try await connection.copyOut(sql, into: (0, 0.0)) { state, row in
        state.0 += 1
        if !row.isNull(row.fieldCount - 1) { state.1 += try row.float8(row.fieldCount - 1) }
      }
    }
    guard sum.isFinite else { throw ExitCode(1) }
    report(rows, since: began)
    await pool.close()
  }
}

/// The service's own reading: the user's query, through COPY, into a panel with verdicts and digest.
struct Ingest: AsyncParsableCommand {
  @OptionGroup var target: Target
  @Option var table: String

  func run() async throws {
    let pool = try target.pool()
    let definition = try JobFileParser.parse(
      """
      job: bench
      source:
        query: SELECT series, ts, y FROM \(table) WHERE ts <= :cutoff
        frequency: 1 hour
      horizon: 24
      """, file: "bench"
    ).definition
    let began = ContinuousClock.now
    let result = try await ReadStage(pool: pool, definition: definition, cutoff: .at(Date())).read()
    report(result.built.statistics.rows, since: began)
    await pool.close()
  }
}

/// COPY in of (integer, timestamptz, double precision): what the C peer does.
struct Write: AsyncParsableCommand {
  @OptionGroup var target: Target
  @Option var table: String
  @Option var rows: Int

  func run() async throws {
    let pool = try target.pool()
    let began = ContinuousClock.now
    let (table, rows) = (table, rows)
    let copied = try await pool.withConnection { connection in
      var row = 0
      return try await connection.copyIn("COPY \(table) FROM STDIN (FORMAT binary)") { writer in
        while row < rows {
          try await writer.beginRow(3)
          writer.write(Int32(row / 1000))
          writer.write(PostgresTimestamp(microseconds: Int64(row % 1000) * 3_600_000_000))
          writer.write(Double(row))
          row += 1
        }
      }
    }
    report(copied, since: began)
    await pool.close()
  }
}

/// The service's own publishing: dictionary, model, publication, points with key, checks and triggers, the
/// pointer to what is current, all in one transaction.
struct Publish: AsyncParsableCommand {
  @OptionGroup var target: Target
  @Option var series: Int
  @Option var horizon = 100

  func run() async throws {
    let pool = try target.pool()
    let levels = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
    let file = try JobFileParser.parse(
      """
      job: bench-publish
      source: {query: "SELECT 1 WHERE :cutoff IS NOT NULL", frequency: 1 hour}
      horizon: \(horizon)
      """, file: "bench")
    _ = try await JobRegistry(pool: pool).apply([file])
    let request = RunRequest(pool: pool, settings: .init(), logger: target.logger)
    let runID = try await request.enqueue(job: "bench-publish", cutoff: nil, now: Date())
    guard
      let claim = try await pool.run(
        ClaimTask(
          worker: "bench", host: "bench", pid: 1, build: Build.version, leaseSeconds: 3600,
          onlyRun: runID)
      ).first
    else { throw ExitCode(1) }
    var forecasts = PublishStage.Forecasts()
    forecasts.reserve(series: series, horizon: horizon, levels: levels.count)
    for number in 0..<series {
      forecasts.keys.append("series-\(number)")
      for step in 1...horizon {
        forecasts.targets.append(1_700_000_000_000_000 + Int64(step) * 3_600_000_000)
        forecasts.means.append(Double(number + step))
        for level in 0..<levels.count { forecasts.quantiles.append(Double(number + step + level)) }
      }
    }
    let stage = PublishStage(
      pool: pool, claim: claim, monitor: AttemptMonitor(), patience: .seconds(60))
    let model = FittedModel(
      kind: "lstm", configuration: "{}", training: "{}", weights: [0], parameterCount: 1, seed: 1,
      threads: 1, steps: 1, validationLoss: nil, seconds: 0)
    let began = ContinuousClock.now
    try await stage.publish(
      forecasts, horizon: horizon, levels: levels, integerSteps: false, model: .fitted(model))
    report(series * horizon, since: began)
    await pool.close()
  }
}

/// What `forecastctl status` reads; the median and the worst of 50 readings.
struct Status: AsyncParsableCommand {
  @OptionGroup var target: Target

  func run() async throws {
    let pool = try target.pool()
    var seconds: [Double] = []
    var jobs = 0
    for _ in 0..<50 {
      let began = ContinuousClock.now
      jobs = try await pool.run(ListStatus(job: nil)).count
      _ = try await pool.run(CountDaemons())
      seconds.append((ContinuousClock.now - began).seconds)
    }
    seconds.sort()
    print(
      String(
        format: "{\"rows\": %d, \"median_ms\": %.2f, \"worst_ms\": %.2f}", jobs,
        seconds[25] * 1e3, seconds[49] * 1e3))
    await pool.close()
  }
}
