import Forecasters
import Foundation
import Logging
import Postgres
import Training

/// The work of one attempt: read, fit, predict, publish.
struct ForecastTask: Sendable {
  let pool: PostgresPool
  let claim: ClaimTask.Row
  let monitor: AttemptMonitor
  let threads: Int
  /// Passing failures of the database are waited out for this long.
  let patience: Duration
  let logger: Logger

  func run() async throws {
    let definition = try JobDefinition(canonicalJSON: claim.definition)
    monitor.report(.read, 0)
    let monitor = monitor
    let read = try await ReadStage(pool: pool, definition: definition, cutoff: claim.cutoff).read {
      _ in try monitor.check()
    }
    let built = read.built
    let counts = built.statistics
    await log(
      .info, .read,
      "read \(counts.rows) rows of \(counts.series) series in \(format(read.seconds))")
    try monitor.check()
    try await retrying(upTo: patience) { try await store(read) }
    try verify(built)
    monitor.report(.read, 1)

    var planned = definition.trainer
    planned.threads = threads
    let bytes = try Trainer(planned).plannedBytes(definition.forecaster)
    await log(
      .info, .fit,
      "fitting \(definition.model.kind) on \(threads) thread\(threads == 1 ? "" : "s"): \((Double(bytes) / 1e6).formatted(.number.precision(.fractionLength(0...1)))) MB planned"
    )
    let result = try await fit(definition, built.trainingPanel)
    await log(
      .info, .fit,
      "fitted \(definition.model.kind) with \(result.forecaster.parameterCount) parameters on \(result.windows) windows: \(result.steps) steps in \(format(result.seconds)), best at step \(result.bestStep)"
        + (result.retries > 0 ? ", after a retry at a lower learning rate" : "")
        + (result.stoppedByTimeBudget ? ", stopped by the time budget" : ""))

    let forecasts = try await predict(definition, built, result.forecaster)
    monitor.report(.predict, 1)
    try monitor.check()

    let model = try fittedModel(definition, result)
    monitor.report(.publish, 0)
    try await PublishStage(pool: pool, claim: claim, monitor: monitor, patience: patience).publish(
      forecasts, horizon: definition.horizon, levels: definition.quantiles,
      integerSteps: definition.source.frequency.isInteger, model: model)
  }

  // MARK: Read

  private func verify(_ built: BuiltPanel) throws {
    let job = claim.jobName
    if built.statistics.rows == 0 {
      throw ServiceError(
        .noRows,
        "job \(job): the query returned no rows for the cutoff \(claim.cutoff); try it in psql with this cutoff in place of :cutoff"
      )
    }
    if built.panel.count == 0 {
      let example = built.verdicts.first
      throw ServiceError(
        .noUsableSeries,
        "job \(job): none of \(built.statistics.series) series can be forecast, such as \(example?.key ?? "-"): \(example?.kind.rawValue ?? "-")\(example?.detail.map { " (\($0))" } ?? ""); see `forecastctl show \(claim.runID)`"
      )
    }
  }

  /// Stores snapshot and verdicts, replacing those of an earlier attempt.
  private func store(_ read: ReadStage.Result) async throws {
    let (claim, built) = (claim, read.built)
    let statistics = built.statistics
    let integerSteps = built.grid.frequency.isInteger
    func date(_ time: Int64?) -> Date? {
      integerSteps
        ? nil : time.flatMap { Date(timeIntervalSince1970: Double($0) / 1e6) }
    }
    let snapshot = InsertSnapshot(
      runID: claim.runID, queryDigest: read.queryDigest, valueDigest: built.digest,
      rowsRead: Int64(statistics.rows), series: Int64(statistics.series),
      firstAt: date(statistics.first), lastAt: date(statistics.last),
      firstIndex: integerSteps ? statistics.first : nil,
      lastIndex: integerSteps ? statistics.last : nil, readAt: read.readAt,
      readSeconds: read.seconds)
    try await pool.withTransaction { connection in
      guard try await connection.run(LockAttempt(token: claim.token)).first == claim.runID else {
        throw AttemptMonitor.Stop.stale
      }
      _ = try await connection.run(ClearSnapshot(runID: claim.runID))
      _ = try await connection.run(snapshot)
      _ = try await connection.copyIn(CopyVerdicts.sql) { writer in
        for verdict in built.verdicts {
          try await writer.beginRow(CopyVerdicts.fields)
          writer.write(claim.runID)
          writer.write(verdict.key)
          writer.write(verdict.kind.rawValue)
          writer.write(verdict.predictable)
          if let detail = verdict.detail { writer.write(detail) } else { writer.writeNull() }
          for count in [
            verdict.observations, verdict.gaps, verdict.duplicates, verdict.nonFinite,
            verdict.nulls,
          ] {
            writer.write(Int64(count))
          }
        }
      }
    }
  }

  // MARK: Fit and predict

  private func fit(_ definition: JobDefinition, _ panel: Panel) async throws -> TrainingResult {
    var training = definition.trainer
    training.threads = threads
    let (monitor, job, runID) = (monitor, claim.jobName, claim.runID)
    let trainer = Trainer(training)
    let forecaster = definition.forecaster
    do {
      return try await onOwnThread("fit") {
        try trainer.fit(forecaster, on: panel) { progress in
          monitor.report(.fit, progress.fraction)
          try monitor.check()
        }
      }
    } catch let error as TrainingError {
      throw ServiceError(
        error.code == .noWindows ? .noUsableSeries : .training, "job \(job), run \(runID): \(error)"
      )
    } catch let error as ForecasterError {
      throw ServiceError(.training, "job \(job), run \(runID): \(error)")
    }
  }

  private func predict(
    _ definition: JobDefinition, _ built: BuiltPanel, _ forecaster: TrainedForecaster
  ) async throws -> PublishStage.Forecasts {
    let (monitor, threads, job) = (monitor, threads, claim.jobName)
    let horizon = definition.horizon
    return try await onOwnThread("predict") {
      let panel = built.panel
      var forecasts = PublishStage.Forecasts()
      forecasts.reserve(
        series: panel.count, horizon: horizon, levels: definition.quantiles.count)
      forecasts.keys = panel.keys
      try forecaster.predict(panel, threads: threads) { series in
        guard series.quantiles.allSatisfy(\.isFinite), series.means.allSatisfy(\.isFinite) else {
          throw ServiceError(
            .prediction,
            "job \(job): the forecast of series \(panel.keys[series.series]) is not finite; nothing was published"
          )
        }
        for step in 1...horizon {
          forecasts.targets.append(built.target(series: series.series, step: step))
        }
        forecasts.means.append(contentsOf: series.means)
        forecasts.quantiles.append(contentsOf: series.quantiles)
        if series.series % 4096 == 0 {
          monitor.report(.predict, Double(series.series) / Double(panel.count))
          try monitor.check()
        }
      }
      return forecasts
    }
  }

  private func fittedModel(
    _ definition: JobDefinition, _ result: TrainingResult
  ) throws -> FittedModel {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    var training = definition.trainer
    training.threads = threads
    var outcome =
      try JSONSerialization.jsonObject(with: encoder.encode(training)) as? [String: Any] ?? [:]
    outcome["stepsTaken"] = result.steps
    outcome["retries"] = result.retries
    outcome["windows"] = result.windows
    outcome["trainingLoss"] = result.trainingLoss
    outcome["stoppedByTimeBudget"] = result.stoppedByTimeBudget
    return FittedModel(
      kind: definition.model.kind,
      configuration: String(decoding: try encoder.encode(definition.forecaster), as: UTF8.self),
      training: String(
        decoding: try JSONSerialization.data(withJSONObject: outcome, options: .sortedKeys),
        as: UTF8.self),
      weights: try result.forecaster.encoded(), parameterCount: result.forecaster.parameterCount,
      seed: definition.training.seed, threads: threads, steps: result.bestStep,
      validationLoss: result.validationLoss, seconds: result.seconds)
  }

  // MARK: Log

  private func log(_ level: Logger.Level, _ stage: AttemptMonitor.Stage, _ message: String) async {
    logger.log(level: level, "\(message)")
    let event = LogEvent(
      runID: claim.runID, level: "info", stage: stage.rawValue, message: message)
    do {
      _ = try await pool.run(event)
    } catch {
      logger.warning("this line could not be stored in the run's log: \(error)")
    }
  }

  private func format(_ seconds: Double) -> String {
    seconds < 10 ? String(format: "%.2f s", seconds) : String(format: "%.0f s", seconds)
  }
}
