package import Foundation
package import Logging
package import Postgres

/// Turns due instants into ticks and runs.
///
/// Any number of schedulers may share a database: jobs are decided under a row lock, and the key of
/// `schedule_tick` refuses to decide an instant twice. Time is the database's.
package struct Scheduler: Sendable {
  /// A due instant decided later than this was missed: the catch-up policy applies.
  package static let grace: TimeInterval = 60
  /// `catchUp: all` makes at most this many runs at once; older instants are skipped-missed.
  package static let catchUpLimit = 100
  /// One transaction decides at most this many instants of a job; others follow at once.
  package static let batch = 10_000

  private let pool: PostgresPool
  private let logger: Logger

  package init(pool: PostgresPool, logger: Logger) {
    self.pool = pool
    self.logger = logger
  }

  /// Decides everything that is due now; returns the runs made.
  @discardableResult
  package func decide() async throws -> [Int64] {
    let logger = logger
    var made: [Int64] = []
    var isSettled = false
    while !isSettled {
      let pass = try await pool.withTransaction { connection in
        var pass = (made: [Int64](), isSettled: true)
        for job in try await connection.run(LockDueJobs()) {
          do {
            let decided = try await Self.decide(job, on: connection, logger: logger)
            pass.made += decided.made
            if !decided.isSettled { pass.isSettled = false }
          } catch let error as CronError {
            logger.error("job \(job.name): schedule \"\(job.schedule)\": \(error)")
          }
        }
        return pass
      }
      made += pass.made
      isSettled = pass.isSettled
    }
    return made
  }

  /// Returns the runs made and whether nothing due is left.
  private static func decide(
    _ job: LockDueJobs.Row, on connection: PostgresConnection, logger: Logger
  ) async throws -> (made: [Int64], isSettled: Bool) {
    let cron = try CronExpression(job.schedule)
    guard let zone = TimeZone(identifier: job.timezone) else {
      logger.error("job \(job.name): unknown time zone \(job.timezone)")
      return ([], true)
    }
    // The instants that may run stay together, in the last batch: only one plan looks at what is
    // unfinished.
    let ahead = cron.dueInstants(
      after: job.scheduledFrom, through: job.now, in: zone, limit: batch + catchUpLimit)
    let due = ahead.count > batch ? ahead.dropLast(catchUpLimit) : ahead[...]
    let plan = TickPlan(
      due: due.map(\.date), followedBy: ahead.count - due.count, now: job.now,
      catchUp: job.catchUp, paused: job.paused,
      blocked: job.unfinished && job.overlap == "skip")
    if job.overlap == "cancel-running", plan.outcomes.contains(where: \.runs), job.unfinished {
      _ = try await connection.run(CancelUnfinishedRuns(jobID: job.jobID))
    }
    var made: [Int64] = []
    for (instant, outcome) in zip(due, plan.outcomes) {
      var runID: Int64?
      if outcome.runs {
        runID = try await connection.run(
          EnqueueRun(
            jobID: job.jobID, trigger: "schedule",
            cutoff: job.integerSteps ? .index(.max) : .at(instant.date))
        ).first
        made.append(contentsOf: runID.map { [$0] } ?? [])
      }
      _ = try await connection.run(
        InsertTick(
          jobID: job.jobID, dueAt: instant.date, outcome: outcome.rawValue,
          dstShifted: instant.dstShifted, runID: runID))
      logger.info("job \(job.name): due \(instant.date.formatted(.iso8601)): \(outcome.rawValue)")
    }
    let settled = max(due.last?.date ?? job.scheduledFrom, job.scheduledFrom)
    // What follows the batch is due already.
    let isSettled = ahead.count == due.count
    _ = try await connection.run(
      AdvanceSchedule(
        jobID: job.jobID, scheduledFrom: settled,
        nextDueAt: isSettled
          ? cron.next(after: max(settled, job.now), in: zone) : ahead[due.count].date))
    return (made, isSettled)
  }
}

/// What becomes of a list of due instants under the policies of a job. Pure.
package struct TickPlan: Sendable {
  package enum Outcome: String, Sendable {
    case ran, late
    case caughtUp = "caught-up"
    case skippedOverlap = "skipped-overlap"
    case skippedMissed = "skipped-missed"
    case skippedPaused = "skipped-paused"

    package var runs: Bool { self == .ran || self == .late || self == .caughtUp }
  }

  package let outcomes: [Outcome]

  /// - Parameters:
  ///   - due: increasing due instants, none after `now`.
  ///   - followedBy: how many more are due, of which another plan decides; counted as far as
  ///     `Scheduler.catchUpLimit`.
  ///   - catchUp: `none`, `latest` or `all`: what to do with instants more than the grace late.
  ///   - blocked: an unfinished run forbids another one.
  package init(
    due: [Date], followedBy: Int = 0, now: Date, catchUp: String, paused: Bool, blocked: Bool
  ) {
    outcomes = due.indices.map { index in
      if paused { return .skippedPaused }
      let remaining = due.count - index + followedBy
      let missed = now.timeIntervalSince(due[index]) > Scheduler.grace
      let wanted: Outcome =
        if !missed {
          .ran
        } else if catchUp == "none" {
          .skippedMissed
        } else if remaining == 1 {
          .late
        } else if catchUp == "all", remaining <= Scheduler.catchUpLimit {
          .caughtUp
        } else {
          .skippedMissed
        }
      return wanted.runs && blocked ? .skippedOverlap : wanted
    }
  }
}
