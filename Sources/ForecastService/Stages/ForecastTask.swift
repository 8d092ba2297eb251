import Forecasters
import Foundation
import Logging
import Postgres
import Privacy
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
    let stage = ReadStage(pool: pool, definition: definition, cutoff: claim.cutoff)
    let privacy = try await pay(definition, stage)
    let read = try await privacy.unlessTraining { try await self.read(stage, privacy) }
    let built = read.built

    let (forecaster, model) = try await forecaster(definition, read, privacy)
    let forecasts = try await predict(definition, built, forecaster)
    monitor.report(.predict, 1)
    try monitor.check()

    monitor.report(.publish, 0)
    try await PublishStage(
      pool: pool, claim: claim, monitor: monitor, patience: patience, isPrivate: privacy.isPrivate
    ).publish(
      forecasts, horizon: definition.horizon, levels: definition.quantiles,
      integerSteps: definition.source.frequency.isInteger, model: model, notice: privacy.notice
    ) { connection in
      try await privacy.commit(stepsTaken: definition.training.steps, on: connection)
    }
  }

  /// Reads, judges and records what was read.
  private func read(
    _ stage: ReadStage, _ privacy: PrivacyPayment
  ) async throws -> ReadStage.Result {
    monitor.report(.read, 0)
    let monitor = monitor
    let read: ReadStage.Result
    if let inputs = privateInputs(stage) {
      let (released, line) = try await explaining(claim.jobName, claim.runID) {
        try await inputs.read { _ in try monitor.check() }
      }
      await log(.info, .read, line)
      read = released
    } else {
      read = try await stage.read(blocks: privacy.blocks) { _ in try monitor.check() }
    }
    let counts = read.built.statistics
    await log(
      .info, .read,
      privacy.isPrivate
        ? "read the source"
        : "read \(counts.rows) rows of \(counts.series) series in \(format(read.seconds))")
    try monitor.check()
    try await retrying(upTo: patience) { try await store(read, isPrivate: privacy.isPrivate) }
    try verify(read.built, isPrivate: privacy.isPrivate)
    monitor.report(.read, 1)
    return read
  }

  /// The forecaster of this run, and what is to be stored of it.
  private func forecaster(
    _ definition: JobDefinition, _ read: ReadStage.Result, _ privacy: PrivacyPayment
  ) async throws -> (TrainedForecaster, PublishStage.Model) {
    let kind = definition.model.kind
    func announce(_ bytes: Int, _ how: String = "") async {
      await log(
        .info, .fit,
        "fitting \(kind)\(how) on \(threads) thread\(threads == 1 ? "" : "s"): \((Double(bytes) / 1e6).formatted(.number.precision(.fractionLength(0...1)))) MB planned"
      )
    }
    switch privacy {
    case .free:
      var planned = definition.trainer
      planned.threads = threads
      await announce(try Trainer(planned).plannedBytes(definition.forecaster))
      let result = try await fit(definition, read.training)
      await log(
        .info, .fit,
        "fitted \(kind) with \(result.forecaster.parameterCount) parameters on \(result.windows) windows: \(result.steps) steps in \(format(result.seconds)), best at step \(result.bestStep)"
          + (result.retries > 0 ? ", after a retry at a lower learning rate" : "")
          + (result.stoppedByTimeBudget ? ", stopped by the time budget" : ""))
      return (result.forecaster, .fitted(try fittedModel(definition, result)))
    case .unpaid(let model, let reason):
      await log(.warning, .fit, "no private training: \(reason); \(model.sentence)")
      return (model.forecaster, .stored(model.modelID))
    case .paid:
      guard let trainer = privateTrainer(definition) else {
        throw ServiceError(.internalFault, "a job without privacy was charged")
      }
      await announce(try trainer.plannedBytes(definition.forecaster), " privately")
      let result = try await fitPrivately(definition, trainer, read.training)
      await log(
        .info, .fit,
        "fitted \(kind) with \(result.forecaster.parameterCount) parameters privately: epsilon \(result.charge.epsilon.formatted(.number.precision(.significantDigits(4)))) at delta \(result.charge.delta), \(result.charge.steps) steps"
      )
      return (result.forecaster, .fitted(try fittedModel(definition, result)))
    }
  }

  // MARK: Privacy

  private func privateTrainer(_ definition: JobDefinition) -> PrivateTrainer? {
    guard let trainer = definition.privateTrainer else { return nil }
    var configuration = trainer.configuration
    configuration.threads = threads
    return PrivateTrainer(configuration, privacy: trainer.privacy)
  }

  /// nil for jobs whose inputs are read as they are.
  private func privateInputs(_ stage: ReadStage) -> PrivateInputs? {
    guard let privacy = stage.definition.privacy, let inputs = privacy.inputs else { return nil }
    return PrivateInputs(
      pool: pool, claim: claim, definition: stage.definition, privacy: privacy, inputs: inputs,
      stage: stage, patience: patience)
  }

  /// Before anything is read. Private inputs are paid for where they are read.
  private func pay(_ definition: JobDefinition, _ stage: ReadStage) async throws -> PrivacyPayment {
    guard let privacy = definition.privacy else { return .free }
    try await retrying(upTo: patience) { try await stage.prepare() }
    guard let trainer = privateTrainer(definition) else { return .free }
    let payment = try await PrivacyPayment.make(
      definition, privacy, trainer, claim, pool: pool, patience: patience)
    if let line = payment.line { await log(.info, .read, line) }
    return payment
  }

  // MARK: Read

  private func verify(_ built: BuiltPanel, isPrivate: Bool) throws {
    let job = claim.jobName
    if built.statistics.rows == 0 {
      throw ServiceError(
        .noRows,
        "job \(job): the query returned no rows for the cutoff \(claim.cutoff); try it in psql with this cutoff in place of :cutoff"
      )
    }
    if built.panel.count == 0 {
      if isPrivate {
        throw ServiceError(
          .noUsableSeries,
          "job \(job): no series can be forecast; see `forecastctl show \(claim.runID)`")
      }
      let example = built.verdicts.first
      throw ServiceError(
        .noUsableSeries,
        "job \(job): none of \(built.statistics.series) series can be forecast, such as \(example?.key ?? "-"): \(example?.kind.rawValue ?? "-")\(example?.detail.map { " (\($0))" } ?? ""); see `forecastctl show \(claim.runID)`"
      )
    }
  }

  /// Stores snapshot and verdicts, replacing those of an earlier attempt. Of private data as a whole nothing is
  /// stored; verdicts are functions of one series each.
  private func store(_ read: ReadStage.Result, isPrivate: Bool) async throws {
    let (claim, built) = (claim, read.built)
    let statistics = built.statistics
    let integerSteps = built.grid.frequency.isInteger
    func date(_ time: Int64?) -> Date? {
      integerSteps
        ? nil : time.flatMap { Date(timeIntervalSince1970: Double($0) / 1e6) }
    }
    func unlessPrivate<Value>(_ value: Value?) -> Value? { isPrivate ? nil : value }
    let snapshot = InsertSnapshot(
      runID: claim.runID, queryDigest: read.queryDigest, valueDigest: unlessPrivate(built.digest),
      rowsRead: unlessPrivate(Int64(statistics.rows)),
      series: unlessPrivate(Int64(statistics.series)),
      firstAt: unlessPrivate(date(statistics.first)), lastAt: unlessPrivate(date(statistics.last)),
      firstIndex: unlessPrivate(integerSteps ? statistics.first : nil),
      lastIndex: unlessPrivate(integerSteps ? statistics.last : nil), readAt: read.readAt,
      readSeconds: unlessPrivate(read.seconds))
    try await pool.withTransaction { connection in
      guard try await connection.run(LockAttempt(token: claim.token)).first == claim.runID else {
        throw AttemptMonitor.Stop.stale
      }
      _ = try await connection.run(ClearSnapshot(runID: claim.runID))
      _ = try await connection.run(snapshot)
      _ = try await connection.copyIn(CopyVerdicts.sql) { writer in
        for verdict in built.verdicts where !isPrivate || verdict.kind != .nullKey {
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
    return try await explaining(job, runID) {
      try await onOwnThread("fit") {
        try trainer.fit(forecaster, on: panel) { progress in
          monitor.report(.fit, progress.fraction)
          try monitor.check()
        }
      }
    }
  }

  private func fitPrivately(
    _ definition: JobDefinition, _ trainer: PrivateTrainer, _ panel: Panel
  ) async throws -> PrivateFit {
    let (monitor, job, runID) = (monitor, claim.jobName, claim.runID)
    let forecaster = definition.forecaster
    return try await explaining(job, runID) {
      try await onOwnThread("fit") {
        try trainer.fit(forecaster, on: panel) { progress in
          monitor.report(.fit, progress.fraction)
          try monitor.check()
        }
      }
    }
  }

  /// Errors of the library in the words of the service.
  private func explaining<Result>(
    _ job: String, _ runID: Int64, _ body: () async throws -> Result
  ) async throws -> Result {
    do {
      return try await body()
    } catch let error as TrainingError {
      throw ServiceError(
        error.code == .noWindows ? .noUsableSeries : .training, "job \(job), run \(runID): \(error)"
      )
    } catch let error as ForecasterError {
      throw ServiceError(.training, "job \(job), run \(runID): \(error)")
    } catch let error as PrivacyError {
      throw ServiceError(.training, "job \(job), run \(runID): \(error)")
    }
  }

  private func predict(
    _ definition: JobDefinition, _ built: BuiltPanel, _ forecaster: TrainedForecaster
  ) async throws -> PublishStage.Forecasts {
    let (monitor, threads, job) = (monitor, threads, claim.jobName)
    let horizon = definition.horizon
    let isPrivate = definition.privacy?.training != nil
    return try await onOwnThread("predict") {
      let panel = built.panel
      var forecasts = PublishStage.Forecasts()
      forecasts.reserve(
        series: panel.count, horizon: horizon, levels: definition.quantiles.count)
      try forecaster.predict(panel, threads: threads) { series in
        guard series.quantiles.allSatisfy(\.isFinite), series.means.allSatisfy(\.isFinite) else {
          // Of private data one series must not decide what others get: it alone goes without.
          if isPrivate { return }
          throw ServiceError(
            .prediction,
            "job \(job): the forecast of series \(panel.keys[series.series]) is not finite; nothing was published"
          )
        }
        forecasts.keys.append(panel.keys[series.series])
        for step in 1...horizon {
          forecasts.targets.append(built.target(series: series.series, step: step))
        }
        forecasts.means.append(contentsOf: series.means)
        forecasts.quantiles.append(contentsOf: series.quantiles)
        if series.series % 4096 == 0 {
          if !isPrivate { monitor.report(.predict, Double(series.series) / Double(panel.count)) }
          try monitor.check()
        }
      }
      guard !forecasts.keys.isEmpty else {
        throw ServiceError(.prediction, "job \(job): no forecast is finite; nothing was published")
      }
      return forecasts
    }
  }

  private func fittedModel(
    _ definition: JobDefinition, _ result: TrainingResult
  ) throws -> FittedModel {
    var outcome: [String: Any] = [:]
    outcome["stepsTaken"] = result.steps
    outcome["retries"] = result.retries
    outcome["windows"] = result.windows
    outcome["trainingLoss"] = result.trainingLoss
    outcome["stoppedByTimeBudget"] = result.stoppedByTimeBudget
    return try fittedModel(
      definition, result.forecaster, outcome, steps: result.bestStep,
      validationLoss: result.validationLoss, seconds: result.seconds)
  }

  /// Nothing of it comes from the data but the noised weights.
  private func fittedModel(
    _ definition: JobDefinition, _ result: PrivateFit
  ) throws -> FittedModel {
    let charge = result.charge
    var privacy: [String: Any] = [
      "mechanism": charge.mechanism.rawValue, "account": definition.privacy?.budget ?? "",
      "unit": charge.unit.rawValue,
      "epsilon": charge.epsilon, "delta": charge.delta, "samplingRate": charge.samplingRate,
      "noiseMultiplier": charge.noiseMultiplier, "accountant": charge.accountant.rawValue,
    ]
    privacy["cycle"] = charge.cycle
    privacy["bands"] = charge.bands
    return try fittedModel(
      definition, result.forecaster, ["stepsTaken": charge.steps, "privacy": privacy],
      steps: charge.steps, validationLoss: nil, seconds: nil)
  }

  private func fittedModel(
    _ definition: JobDefinition, _ forecaster: TrainedForecaster, _ outcome: [String: Any],
    steps: Int, validationLoss: Double?, seconds: Double?
  ) throws -> FittedModel {
    var training = definition.trainer
    training.threads = threads
    let settings = try JSONSerialization.jsonObject(with: JSONEncoder().encode(training))
    let all = (settings as? [String: Any] ?? [:]).merging(outcome) { $1 }
    return FittedModel(
      kind: definition.model.kind,
      configuration: try definition.forecaster.canonicalJSON(),
      training: String(
        decoding: try JSONSerialization.data(withJSONObject: all, options: .sortedKeys),
        as: UTF8.self),
      weights: try forecaster.encoded(), parameterCount: forecaster.parameterCount,
      seed: definition.training.seed, threads: threads, steps: steps,
      validationLoss: validationLoss, seconds: seconds)
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
