import Forecasters
import Foundation
import Postgres
import Privacy
import Training

/// What an attempt may do with the data.
enum PrivacyPayment: Sendable {
  /// Whatever it likes: the job is not private.
  case free
  /// It may train: these charges are begun.
  case paid(Purchase)
  /// The account does not allow it: an earlier model of the job forecasts, which costs nothing.
  case unpaid(StoredModel, reason: String)

  /// Charges that are begun, and who holds them.
  struct Purchase: Sendable {
    let ledger: PrivacyLedger
    let token: UUID
    let receipts: [PrivacyLedger.Receipt]
    /// Where the data are that may be trained on; nil: wherever.
    let blocks: [BlockedRows.Block]?
  }

  /// A model that an earlier run of the job trained privately, from the same account.
  struct StoredModel: Sendable {
    let modelID: Int64
    let runID: Int64
    let fittedAt: Date
    let forecaster: TrainedForecaster

    var sentence: String {
      "predicting with the model of \(fittedAt.formatted(.iso8601.year().month().day())) (run \(runID)), which costs nothing"
    }
  }

  /// Reserves what the training costs and records that it begins; nothing private was read before, and nothing
  /// may be until this returns.
  ///
  /// - Throws: `ServiceError`: `.privacyBudget` where the account is empty and there is no model to go on with.
  static func make(
    _ definition: JobDefinition, _ privacy: JobDefinition.Privacy, _ trainer: PrivateTrainer,
    _ claim: ClaimTask.Row, pool: PostgresPool, patience: Duration
  ) async throws -> PrivacyPayment {
    let ledger = PrivacyLedger(
      pool: pool, witness: PrivacyWitness(environment: ProcessInfo.processInfo.environment),
      patience: patience)
    let charge = try trainer.charge(definition.forecaster)
    let unit: ProtectedUnit =
      switch charge.unit {
      case .series: .series
      case .block: try ProtectedUnit(name: "block", steps: charge.blockLength)
      case .window: .window(steps: definition.contextLength + definition.horizon)
      }
    let request = PrivacyLedger.Request(
      account: privacy.budget, unit: unit, scope: try scope(privacy, claim),
      mechanism: try .training(charge), delta: charge.delta)
    do {
      let receipts = try await ledger.reserve(request, token: claim.token)
      try await ledger.begin(receipts, token: claim.token)
      return .paid(
        Purchase(
          ledger: ledger, token: claim.token, receipts: receipts,
          blocks: privacy.scope.map { _ in receipts.compactMap(BlockedRows.Block.init) }))
    } catch let error as ServiceError where error.code == .privacyBudget {
      let configuration = try definition.forecaster.canonicalJSON()
      guard
        let row = try await pool.run(
          FindPrivateModel(
            jobID: claim.jobID, account: privacy.budget, configuration: configuration)
        ).first
      else { throw error }
      return .unpaid(
        StoredModel(
          modelID: row.modelID, runID: row.runID, fittedAt: row.createdAt,
          forecaster: try TrainedForecaster(decoding: row.weights)),
        reason: error.message)
    }
  }

  private static func scope(
    _ privacy: JobDefinition.Privacy, _ claim: ClaimTask.Row
  ) throws -> PrivacyScope {
    guard let history = privacy.scope else { return .everything }
    guard let cutoff = claim.cutoff.date else {
      throw ServiceError(
        .internalFault, "job \(claim.jobName): blocks of time without a calendar")
    }
    return .history(history, cutoff: cutoff)
  }

  var isPrivate: Bool { if case .free = self { false } else { true } }

  /// Where the data are that may be trained on; nil: wherever.
  var blocks: [BlockedRows.Block]? {
    if case .paid(let purchase) = self { purchase.blocks } else { nil }
  }

  /// What was paid, for the run's log: the numbers are those of the ledger.
  var line: String? {
    guard case .paid(let purchase) = self,
      let worst = purchase.receipts.min(by: { $0.left < $1.left })
    else { return nil }
    let receipts = purchase.receipts
    let place =
      receipts.count == 1
      ? " as charge \(worst.number)"
      : " in \(receipts.count) blocks of time, the worst of which is \(worst.block)"
    return
      "reserved at privacy account \(worst.account)\(place): epsilon \(PrivacyText.epsilon(worst.spent)) spent in all, \(PrivacyText.epsilonDown(worst.left)) left"
  }

  /// What a run that goes well has to say all the same.
  var notice: RunNotice? {
    guard case .unpaid(let model, let reason) = self else { return nil }
    return RunNotice(
      code: .privacyBudget, text: "privacy budget exhausted: \(model.sentence). \(reason)")
  }

  /// Runs what comes before the training. Where it fails, the charges are left, so that the next attempt at the run
  /// may use them; a process that dies cannot say so, and has spent them.
  func unlessTraining<Result: Sendable>(
    _ body: @Sendable () async throws -> Result
  ) async throws -> Result {
    do {
      return try await body()
    } catch {
      if case .paid(let purchase) = self {
        // In a task of its own: a worker that is being cancelled still leaves its charges.
        let leaving = Task {
          try await purchase.ledger.leave(purchase.receipts, token: purchase.token)
        }
        _ = await leaving.result
      }
      throw error
    }
  }

  /// Part of the publishing transaction.
  func commit(stepsTaken: Int, on connection: PostgresConnection) async throws {
    guard case .paid(let purchase) = self else { return }
    try await purchase.ledger.commit(
      purchase.receipts, token: purchase.token, stepsTaken: stepsTaken, on: connection)
  }
}

extension PrivacyMechanism {
  fileprivate static func training(_ charge: PrivacyCharge) throws -> PrivacyMechanism {
    if let correlated = try charge.correlated() {
      return .correlatedGaussian(correlated, addedDelta: charge.addedDelta)
    }
    return try .training(
      samplingRate: charge.samplingRate, noiseMultiplier: charge.noiseMultiplier,
      steps: charge.steps, addedDelta: charge.addedDelta)
  }
}
