package import Foundation
package import Logging
package import Postgres

/// Asks for a run and, if wanted, sees it through.
package struct RunRequest: Sendable {
  private let pool: PostgresPool
  private let logger: Logger
  private let settings: Worker.Settings

  package init(pool: PostgresPool, settings: Worker.Settings, logger: Logger) {
    self.pool = pool
    self.logger = logger
    self.settings = settings
  }

  /// Queues a run of the job's current version.
  ///
  /// - Parameter cutoff: as text, see `Cutoff.init(text:timeZone:integerSteps:now:)`; nil: now, or
  ///   everything for integer steps.
  package func enqueue(job name: String, cutoff text: String?, now: Date) async throws -> Int64 {
    let job = try await JobRegistry(pool: pool).find(name)
    let definition = try JobDefinition(canonicalJSON: job.definition)
    let cutoff = try Cutoff(
      text: text, timeZone: definition.zone,
      integerSteps: definition.source.frequency.isInteger, now: now)
    guard
      let runID = try await pool.run(
        EnqueueRun(jobID: job.jobID, trigger: "manual", cutoff: cutoff)
      ).first
    else { throw ServiceError(.internalFault, "the run of \(name) got no number") }
    return runID
  }

  /// Waits until the run has ended. When no daemon serves this database, works on it here.
  ///
  /// - Parameters:
  ///   - worker: does the work when nobody else would; nil only waits.
  ///   - progress: called a few times a second with the run as it stands.
  /// - Returns: the run as it ended.
  /// - Throws: `CancellationError` when the calling task is cancelled: a run that is worked on here is then
  ///   back in the queue. `ServiceError.databaseUnavailable` when the database went away and stayed away.
  package func wait(
    for runID: Int64, worker: Worker?, progress: @escaping @Sendable (ListRuns.Row) -> Void
  ) async throws -> ListRuns.Row {
    try await withThrowingTaskGroup(of: ListRuns.Row?.self) { group in
      defer { group.cancelAll() }
      if let worker {
        group.addTask {
          try await work(on: runID, with: worker)
          return nil
        }
      }
      group.addTask {
        while true {
          let run: ListRuns.Row
          do {
            // A restart of the server takes less, with the pool's own attempts to connect on top.
            run = try await retrying(upTo: min(settings.lease, .seconds(5))) {
              try await find(runID)
            }
          } catch let error as PostgresError where error.isTransient {
            throw ServiceError(
              .databaseUnavailable,
              "the database was lost while run \(runID) was waited for, and did not come back: \(error). Nothing of an unfinished run is published; when the database is back, forecastd takes it up again, see `forecastctl show \(runID)`"
            )
          }
          progress(run)
          if run.finishedAt != nil { return run }
          try await Task.sleep(for: .milliseconds(100))
        }
      }
      while let ended = try await group.next() {
        if let ended { return ended }
      }
      throw CancellationError()
    }
  }

  /// Works on the run, as long as no daemon does, until it has ended.
  private func work(on runID: Int64, with worker: Worker) async throws {
    while true {
      do {
        if try await pool.run(CountDaemons()).first == 0 {
          _ = try await pool.run(ReapLostAttempts())
          let state = try await worker.workOnce(onlyRun: runID)?.state
          if let state, ["succeeded", "failed", "cancelled"].contains(state) { return }
        }
      } catch let error as PostgresError where error.isTransient {
        logger.warning("cannot claim the run, trying again: \(error)")
      }
      try await Task.sleep(for: .milliseconds(500))
    }
  }

  /// - Throws: `ServiceError.unknownRun`.
  package func find(_ runID: Int64) async throws -> ListRuns.Row {
    guard let run = try await pool.run(ListRuns(job: nil, runID: runID, limit: 1)).first else {
      throw ServiceError(.unknownRun, "there is no run \(runID); see `forecastctl runs`")
    }
    return run
  }
}

extension Cutoff {
  /// Reads what a user wrote: a date, a date and time in the job's time zone (`2020-10-28 23:59`,
  /// seconds optional), an instant with an offset (`2020-10-28T23:59:00+01:00`, `…Z`), or a step.
  ///
  /// A date alone means its first instant. nil means `now`, or all steps.
  package init(text: String?, timeZone: TimeZone, integerSteps: Bool, now: Date) throws {
    guard let text else {
      self = integerSteps ? .index(.max) : .at(now)
      return
    }
    if integerSteps {
      guard let index = Int64(text) else {
        throw ServiceError(
          .badArgument,
          "cutoff \"\(text)\": the series of this job are counted in integer steps, expected a whole number"
        )
      }
      self = .index(index)
      return
    }
    guard let date = Self.instant(text, in: timeZone) else {
      throw ServiceError(
        .badArgument,
        "cutoff \"\(text)\": expected a date (2024-05-31), a time in \(timeZone.identifier) (\"2024-05-31 23:59\") or an instant (2024-05-31T23:59:00+02:00)"
      )
    }
    self = .at(date)
  }

  /// A date, a time in `timeZone`, or an instant with an offset; nil when it is none of them.
  package static func instant(_ text: String, in timeZone: TimeZone) -> Date? {
    let pattern =
      /(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?\s*(Z|[+-]\d{2}:?\d{2})?/
    guard let match = text.wholeMatch(of: pattern) else { return nil }
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = timeZone
    if let offset = match.7 {
      var seconds = 0
      if offset != "Z" {
        let digits = offset.filter(\.isNumber).compactMap(\.wholeNumberValue)
        seconds = (digits[0] * 10 + digits[1]) * 3600 + (digits[2] * 10 + digits[3]) * 60
        if offset.hasPrefix("-") { seconds = -seconds }
      }
      guard let zone = TimeZone(secondsFromGMT: seconds) else { return nil }
      calendar.timeZone = zone
    }
    var parts = DateComponents()
    parts.year = Int(match.1)
    parts.month = Int(match.2)
    parts.day = Int(match.3)
    parts.hour = match.4.flatMap { Int($0) } ?? 0
    parts.minute = match.5.flatMap { Int($0) } ?? 0
    parts.second = match.6.flatMap { Int($0) } ?? 0
    guard parts.isValidDate(in: calendar) else { return nil }
    return calendar.date(from: parts)
  }
}
