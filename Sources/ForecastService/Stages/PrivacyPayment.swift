import Forecasters
import Foundation
import Postgres
import Privacy
import Training

/// What an attempt at a private job may do with the data.
enum PrivacyPayment: Sendable {
  /// It may train: these charges are begun.
  case paid([PrivacyLedger.Receipt])
  /// The account does not allow it: an earlier model of the job forecasts, which costs nothing.
  case unpaid(StoredModel, reason: String)

  /// A model that an earlier run of the job trained privately, from the same account.
  struct StoredModel: Sendable {
    let modelID: Int64
    let runID: Int64
    let forecaster: TrainedForecaster
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
      account: privacy.budget, unit: unit,
      mechanism: try .training(
        samplingRate: charge.samplingRate, noiseMultiplier: charge.noiseMultiplier,
        steps: charge.steps, addedDelta: charge.addedDelta),
      delta: charge.delta)
    do {
      let receipts = try await ledger.reserve(request, token: claim.token)
      try await ledger.begin(receipts, token: claim.token)
      return .paid(receipts)
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
          modelID: row.modelID, runID: row.runID,
          forecaster: try TrainedForecaster(decoding: row.weights)),
        reason: error.message)
    }
  }
}
