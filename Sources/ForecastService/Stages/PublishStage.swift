import Crypto
import Foundation
package import Postgres
import Training

/// Writes a run's forecasts in one transaction: model, publication, points, the pointer to what is
/// current, and the end of the attempt. Either all of it becomes visible, or nothing.
package struct PublishStage: Sendable {
  /// The forecasts of a run, series after series, each with `horizon` steps.
  package struct Forecasts: Sendable {
    /// Keys of the series, one per block of `horizon` rows.
    package var keys: [String] = []
    /// Target of every row: microseconds since 1970-01-01 UTC, or the integer step.
    package var targets: [Int64] = []
    package var means: [Double] = []
    /// `levels.count` values per row, never decreasing within a row.
    package var quantiles: [Double] = []

    package init() {}

    /// Makes room once: arrays of this size that grow would be copied, and take twice the memory.
    package mutating func reserve(series: Int, horizon: Int, levels: Int) {
      keys.reserveCapacity(series)
      targets.reserveCapacity(series * horizon)
      means.reserveCapacity(series * horizon)
      quantiles.reserveCapacity(series * horizon * levels)
    }
  }

  private let pool: PostgresPool
  private let claim: ClaimTask.Row
  private let monitor: AttemptMonitor
  private let patience: Duration
  private let isPrivate: Bool

  /// - Parameters:
  ///   - patience: transient failures of the database are retried for this long.
  ///   - isPrivate: stores and says nothing of all series together: neither how many there are nor a digest of
  ///     them.
  package init(
    pool: PostgresPool, claim: ClaimTask.Row, monitor: AttemptMonitor, patience: Duration,
    isPrivate: Bool = false
  ) {
    self.pool = pool
    self.claim = claim
    self.monitor = monitor
    self.patience = patience
    self.isPrivate = isPrivate
  }

  /// What made the forecasts.
  package enum Model: Sendable {
    /// To be stored with them.
    case fitted(FittedModel)
    /// The number of one that an earlier run stored.
    case stored(Int64)
  }

  /// - Parameters:
  ///   - integerSteps: whether targets are integer steps and not instants.
  ///   - notice: what an operator should know although it goes well.
  ///   - settle: what else becomes true with the forecasts, in their transaction.
  /// - Throws: `ServiceError` (`.staleAttempt` when the lease is gone), `PostgresError`.
  package func publish(
    _ forecasts: Forecasts, horizon: Int, levels: [Double], integerSteps: Bool, model: Model,
    notice: RunNotice? = nil,
    settle: @escaping @Sendable (PostgresConnection) async throws -> Void = { _ in }
  ) async throws {
    let seriesIDs = try await identify(forecasts.keys)
    // The server keeps microseconds; so do we, or the partition key and the pointer would differ.
    let issuedAt = Date(
      timeIntervalSince1970: (Date().timeIntervalSince1970 * 1e6).rounded() / 1e6)
    let digest = Self.digest(of: forecasts)
    try await retrying(upTo: patience) { [pool] in
      _ = try await pool.run(EnsurePartition(at: issuedAt))
      let gridID = try await gridID(of: levels)
      do {
        try await pool.withTransaction { connection in
          try await write(
            forecasts, horizon: horizon, levels: levels, integerSteps: integerSteps, model: model,
            notice: notice, gridID: gridID, seriesIDs: seriesIDs, issuedAt: issuedAt,
            digest: digest,
            on: connection,
            settle: settle)
        }
      } catch let error as PostgresError where error.code == .commitUnknown {
        // The answer to COMMIT was lost: the publication's key tells whether it happened.
        let token = try await retrying(upTo: patience) {
          try await pool.run(FindPublication(runID: claim.runID)).first
        }
        guard token == claim.token else {
          throw ServiceError(
            .databaseUnavailable,
            "job \(claim.jobName), run \(claim.runID): the connection was lost at the commit and nothing was published"
          )
        }
      }
    }
  }

  private func write(
    _ forecasts: Forecasts, horizon: Int, levels: [Double], integerSteps: Bool, model: Model,
    notice: RunNotice?, gridID: Int, seriesIDs: [Int64], issuedAt: Date, digest: [UInt8],
    on connection: PostgresConnection, settle: (PostgresConnection) async throws -> Void
  ) async throws {
    guard try await connection.run(LockAttempt(token: claim.token)).first == claim.runID else {
      throw ServiceError(
        .staleAttempt,
        "job \(claim.jobName), run \(claim.runID): the lease was lost or the run was cancelled; nothing was published"
      )
    }
    let stored: Int64? =
      switch model {
      case .stored(let number): number
      case .fitted(let fitted): try await connection.run(fitted.statement(for: claim)).first
      }
    guard let modelID = stored else {
      throw ServiceError(.internalFault, "run \(claim.runID): the model got no number")
    }
    // While the attempt is running: at the end it is not.
    try await settle(connection)
    let rows = forecasts.means.count
    _ = try await connection.run(
      InsertPublication(
        runID: claim.runID, jobID: claim.jobID, token: claim.token, modelID: modelID,
        gridID: gridID, issuedAt: issuedAt, origin: claim.cutoff,
        series: isPrivate ? nil : Int64(seriesIDs.count), points: isPrivate ? nil : Int64(rows),
        contentDigest: isPrivate ? nil : digest))
    let runID = claim.runID
    let (monitor, isPrivate) = (monitor, isPrivate)
    let count = levels.count
    let copied = try await connection.copyIn(CopyPoints.sql) { writer in
      let stamp = PostgresTimestamp(issuedAt)
      for (position, seriesID) in seriesIDs.enumerated() {
        for step in 1...horizon {
          let row = position * horizon + step - 1
          // Sending happens between series; within one the buffer only fills.
          if step == 1 {
            try await writer.beginRow(CopyPoints.fields)
          } else {
            try writer.row(CopyPoints.fields)
          }
          writer.write(runID)
          writer.write(seriesID)
          writer.write(stamp)
          if integerSteps {
            writer.writeNull()
            writer.write(forecasts.targets[row])
          } else {
            writer.write(
              PostgresTimestamp(
                microseconds: forecasts.targets[row] - PostgresTimestamp.unixOffset * 1_000_000))
            writer.writeNull()
          }
          writer.write(forecasts.means[row])
          writer.write(Int32(step))
          forecasts.quantiles.withUnsafeBufferPointer {
            writer.write(
              array: UnsafeBufferPointer(rebasing: $0[(row * count)..<((row + 1) * count)]))
          }
        }
        if position % 1024 == 0, !isPrivate {
          monitor.report(.publish, Double(position) / Double(seriesIDs.count))
        }
      }
    }
    guard copied == rows else {
      throw ServiceError(
        .internalFault, "run \(claim.runID): \(copied) of \(rows) points were written")
    }
    _ = try await connection.run(
      SwitchCurrent(jobID: claim.jobID, runID: claim.runID, seriesIDs: seriesIDs))
    _ = try await connection.run(
      SucceedAttempt(
        token: claim.token, seriesOK: isPrivate ? nil : Int64(seriesIDs.count), notice: notice))
    _ = try await connection.run(
      LogEvent(
        runID: claim.runID, level: "info", stage: "publish",
        message: isPrivate
          ? "published" : "published \(rows) points of \(seriesIDs.count) series"))
  }

  /// The number of the grid of these levels. Outside of the transaction, so that nobody waits for it.
  private func gridID(of levels: [Double]) async throws -> Int {
    for _ in 1...2 {
      // Nothing comes back when somebody else added the grid meanwhile; the next look sees it.
      if let id = try await pool.run(RegisterGrid(levels: levels)).first { return id }
    }
    throw ServiceError(.internalFault, "run \(claim.runID): the quantile grid got no number")
  }

  /// The dictionary's number of every key; new keys are added. Safe to repeat.
  private func identify(_ keys: [String]) async throws -> [Int64] {
    var known: [String: Int64] = [:]
    known.reserveCapacity(keys.count)
    let batch = 10_000
    for start in stride(from: 0, to: keys.count, by: batch) {
      let part = Array(keys[start..<min(start + batch, keys.count)])
      let rows = try await retrying(upTo: patience) { [pool, claim] in
        _ = try await pool.run(InsertSeries(jobID: claim.jobID, keys: part))
        return try await pool.run(FindSeries(jobID: claim.jobID, keys: part))
      }
      for row in rows { known[row.key] = row.seriesID }
      try monitor.check()
    }
    return try keys.map { key in
      guard let id = known[key] else {
        throw ServiceError(.internalFault, "series \(key) got no number")
      }
      return id
    }
  }

  /// SHA-256 over keys, targets, means and quantiles in the order written.
  static func digest(of forecasts: Forecasts) -> [UInt8] {
    var hash = SHA256()
    for key in forecasts.keys {
      hash.update(data: Array(key.utf8))
      hash.update(data: [0])
    }
    forecasts.targets.withUnsafeBytes { hash.update(bufferPointer: $0) }
    forecasts.means.withUnsafeBytes { hash.update(bufferPointer: $0) }
    forecasts.quantiles.withUnsafeBytes { hash.update(bufferPointer: $0) }
    return Array(hash.finalize())
  }
}

/// A fitted model, ready to be stored.
package struct FittedModel: Sendable {
  package let kind: String
  package let configuration: String
  package let training: String
  package let weights: [UInt8]
  package let parameterCount: Int
  package let seed: UInt64
  package let threads: Int
  package let steps: Int
  package let validationLoss: Double?
  /// nil for a private fit.
  package let seconds: Double?

  package init(
    kind: String, configuration: String, training: String, weights: [UInt8], parameterCount: Int,
    seed: UInt64, threads: Int, steps: Int, validationLoss: Double?, seconds: Double?
  ) {
    self.kind = kind
    self.configuration = configuration
    self.training = training
    self.weights = weights
    self.parameterCount = parameterCount
    self.seed = seed
    self.threads = threads
    self.steps = steps
    self.validationLoss = validationLoss
    self.seconds = seconds
  }

  func statement(for claim: ClaimTask.Row) -> InsertModel {
    InsertModel(
      jobID: claim.jobID, runID: claim.runID, kind: kind, configuration: configuration,
      training: training, weights: weights, weightsDigest: Array(SHA256.hash(data: weights)),
      parameterCount: Int64(parameterCount), seed: Int64(bitPattern: seed), threads: threads,
      build: Build.version, steps: steps, validationLoss: validationLoss, fitSeconds: seconds)
  }
}
