import Crypto
import Foundation
import Logging
import Postgres
import Privacy
import Training

/// Reads a job's data through noise (`privacy: {mechanism: inputs}`): whatever comes after sees released values only.
///
/// A value is released once. A run pays for the time slots since the last release up to its cutoff, reads them, draws
/// their noise, and stores the noisy values in the transaction that commits the charge. Slots that were released
/// before are read from there, at no cost, and never again from the source. A slot is closed when a value of it or
/// of a later one was released: rows that come late stay missing, corrections are not seen.
struct PrivateInputs: Sendable {
  let pool: PostgresPool
  let claim: ClaimTask.Row
  let definition: JobDefinition
  let privacy: JobDefinition.Privacy
  let inputs: JobDefinition.InputPrivacy
  let stage: ReadStage
  let patience: Duration
  var stages = PrivateInputStages()

  /// - Returns: the panel of released values, and a line for the run's log.
  /// - Throws: `ServiceError`: `.privacyBudget` where new slots cannot be paid for; nothing was read then.
  func read(
    progress: @escaping @Sendable (Int) throws -> Void
  ) async throws -> (read: ReadStage.Result, line: String) {
    let readAt = Date()
    let mechanism = try inputs.mechanism()
    let last = try lastSlot()
    let stream = try await pool.withTransaction { connection in
      guard try await connection.run(LockAttempt(token: claim.token)).first != nil else {
        throw AttemptMonitor.Stop.stale
      }
      return try await connection.run(
        OpenPrivateInput(
          jobID: claim.jobID, account: privacy.budget, sourceDigest: try stage.sourceDigest(),
          sensitivity: mechanism.sensitivity, deviation: mechanism.deviation)
      ).first
    }
    guard let stream else {
      throw ServiceError(
        .databaseUnavailable,
        "job \(definition.job): another run opened the same private input at this moment",
        isTransient: true)
    }
    let slots = PrivateSlots(
      history: inputs.history, paidThrough: stream.paidThrough,
      releasedThrough: stream.releasedThrough)
    var line = "no time slot is new since the last release: nothing is charged and nothing read"
    if let release = stages.plan(slots, last) {
      line = try await self.release(release, stream.inputID, mechanism, progress)
    }
    return (try await released(stream.inputID, through: last, readAt: readAt), line)
  }

  /// The slot of the cutoff: public, as the schedule is.
  private func lastSlot() throws -> Int64 {
    switch claim.cutoff {
    case .at(let date):
      return Int64(
        definition.grid.ordinal(of: Int64((date.timeIntervalSince1970 * 1e6).rounded(.down))))
    case .index(.max):
      throw ServiceError(
        .badArgument,
        "job \(definition.job): private inputs of integer steps need a cutoff, from which the number of new slots is known before anything is read: run it with --cutoff"
      )
    case .index(let index): return index
    }
  }

  private func release(
    _ release: PrivateSlots.Release, _ inputID: Int64, _ mechanism: InputPerturbation,
    _ progress: @escaping @Sendable (Int) throws -> Void
  ) async throws -> String {
    let slots = release.charged
    let ledger = PrivacyLedger(
      pool: pool, witness: PrivacyWitness(environment: ProcessInfo.processInfo.environment),
      patience: patience)
    let receipts = try await ledger.reserve(
      PrivacyLedger.Request(
        account: privacy.budget, unit: .person,
        mechanism: try .inputs(
          noiseMultiplier: mechanism.noiseMultiplier, slots: slots.count,
          addedDelta: InputPerturbation.samplingDelta(slots: slots.count)),
        delta: inputs.delta, purpose: "inputs"),
      token: claim.token)
    try await ledger.begin(receipts, token: claim.token)
    let cells = try await PrivacyPayment.paid(
      .init(ledger: ledger, token: claim.token, receipts: receipts, blocks: nil)
    ).unlessTraining { try await stage.cells(release.read, progress) }
    let noisy = try stages.perturb(cells, mechanism, SecureRandom())
    try await retrying(upTo: patience) {
      try await pool.withTransaction { connection in
        // Locks the attempt, and with it nobody else works on this run.
        try await ledger.commit(
          receipts, token: claim.token, stepsTaken: slots.count, on: connection)
        _ = try await connection.run(
          InsertPrivateRelease(
            inputID: inputID, runID: claim.runID, firstSlot: slots.lowerBound,
            paidThrough: slots.upperBound, releasedThrough: release.through(noisy.slots)))
        _ = try await connection.copyIn(CopyPrivateValues.sql) { writer in
          for cell in noisy.slots.indices {
            try await writer.beginRow(CopyPrivateValues.fields)
            writer.write(inputID)
            writer.write(noisy.keys[cell])
            writer.write(noisy.slots[cell])
            writer.write(noisy.stamps[cell])
            writer.write(noisy.values[cell])
          }
        }
      }
    }
    let worst = receipts[0]
    return
      "charged privacy account \(worst.account) for \(slots.count) time slots as charge \(worst.number): epsilon \(PrivacyText.epsilon(worst.spent)) spent in all, \(PrivacyText.epsilonDown(worst.left)) left"
  }

  /// The panel of what was released: from here on everything is post-processing.
  private func released(
    _ inputID: Int64, through last: Int64, readAt: Date
  ) async throws -> ReadStage.Result {
    let clock = ContinuousClock()
    let began = clock.now
    var builder = PanelBuilder(grid: definition.grid, options: definition.panelOptions)
    do {
      for row in try await pool.run(ReadPrivateValues(inputID: inputID, through: last)) {
        var value = row.value
        if inputs.rounded { value.round() }
        if inputs.nonNegative { value = max(0, value) }
        try builder.append(key: row.series, time: row.stamp, value: value)
      }
    } catch let error as PanelError {
      throw ServiceError(.tooManySeries, "job \(definition.job): \(error)")
    }
    let built = builder.finish()
    return ReadStage.Result(
      built: built, training: built.trainingPanel, queryDigest: try stage.queryDigest(),
      readAt: readAt, seconds: (clock.now - began).seconds)
  }
}
