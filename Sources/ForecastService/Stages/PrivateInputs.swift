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
    let first = stream.paidThrough.map { $0 + 1 } ?? last - Int64(inputs.history) + 1
    var line = "no time slot is new since the last release: nothing is charged and nothing read"
    if first <= last {
      line = try await release(
        first...last, after: stream.releasedThrough ?? first - 1, stream.inputID, mechanism,
        progress)
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
    _ slots: ClosedRange<Int64>, after closed: Int64, _ inputID: Int64,
    _ mechanism: InputPerturbation, _ progress: @escaping @Sendable (Int) throws -> Void
  ) async throws -> String {
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
    let noisy = try await PrivacyPayment.paid(
      .init(ledger: ledger, token: claim.token, receipts: receipts, blocks: nil)
    ).unlessTraining {
      try await stage.cells(closed + 1...max(closed + 1, slots.upperBound), progress)
    }.perturbed(mechanism)
    try await retrying(upTo: patience) {
      try await pool.withTransaction { connection in
        // Locks the attempt, and with it nobody else works on this run.
        try await ledger.commit(
          receipts, token: claim.token, stepsTaken: slots.count, on: connection)
        _ = try await connection.run(
          InsertPrivateRelease(
            inputID: inputID, runID: claim.runID, firstSlot: slots.lowerBound,
            paidThrough: slots.upperBound,
            releasedThrough: noisy.slots.max() ?? min(closed, slots.upperBound)))
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

/// Values of some time slots, one for each series and slot.
struct PrivateCells: Sendable {
  private(set) var keys: [String] = []
  private(set) var slots: [Int64] = []
  private(set) var stamps: [Int64] = []
  private(set) var values: [Double] = []
  private var places: [Cell: Int] = [:]
  private var series: Set<String> = []
  private(set) var rows = 0

  private let grid: CalendarGrid
  private let range: ClosedRange<Int64>
  private let mostSeries: Int

  private struct Cell: Hashable {
    let key: String
    let slot: Int64
  }

  init(_ range: ClosedRange<Int64>, grid: CalendarGrid, mostSeries: Int) {
    self.range = range
    self.grid = grid
    self.mostSeries = min(mostSeries, InputPerturbation.mostCells)
  }

  /// Takes a row of one of the slots; rows without a key, a time or a finite value are no cells.
  ///
  /// - Throws: `ServiceError`: `.query` for a second row of a cell, `.tooManySeries`. Which cells exist is public.
  mutating func append(key: UnsafeRawBufferPointer?, time: Int64?, value: Double?) throws {
    rows += 1
    guard let key, !key.isEmpty, let time, abs(time) < PanelBuilder.timeLimit, let value,
      value.isFinite
    else { return }
    let slot = Int64(grid.ordinal(of: time))
    guard range.contains(slot) else { return }
    let name = String(decoding: key, as: UTF8.self)
    guard places.updateValue(values.count, forKey: Cell(key: name, slot: slot)) == nil else {
      throw ServiceError(
        .query,
        "series \(name) has more than one row for the time slot at \(grid.text(time)): with mechanism: inputs the query must return one row for each series and step of the frequency"
      )
    }
    series.insert(name)
    guard series.count <= mostSeries else {
      throw ServiceError(
        .tooManySeries,
        "the query returns more than \(mostSeries) series: raise limits.maxSeries, up to \(InputPerturbation.mostCells) for mechanism: inputs, or select fewer"
      )
    }
    keys.append(name)
    slots.append(slot)
    stamps.append(time)
    values.append(value)
  }

  /// The same with noise on every value.
  func perturbed(_ mechanism: InputPerturbation) throws -> PrivateCells {
    var result = self
    try mechanism.perturb(&result.values)
    return result
  }
}
