import Foundation
package import Logging
package import Postgres
import Synchronization

/// Claims tasks and works on them, one at a time.
///
/// Every claim is an attempt with a lease. A heartbeat renews the lease and carries progress; when it
/// finds the attempt stale or the run cancelled, the work stops. Tasks run at least once; what they
/// publish is published once, because publishing needs the token of the running attempt.
package final class Worker: Sendable {
  package struct Settings: Sendable {
    /// How long an attempt lives without a heartbeat.
    package var lease = Duration.seconds(60)
    /// How often the lease is renewed and progress is reported.
    package var heartbeat = Duration.seconds(1)
    /// Waiting for work ends after this long even when nobody rings.
    package var poll = Duration.seconds(2)
    /// Threads of a fit.
    package var threads = ProcessInfo.processInfo.activeProcessorCount

    package init() {}
  }

  private let pool: PostgresPool
  private let identity: WorkerIdentity
  private let settings: Settings
  private let logger: Logger
  private let current = Mutex<AttemptMonitor?>(nil)
  private let aborted = Mutex(false)

  package init(pool: PostgresPool, name: String, settings: Settings, logger: Logger) {
    self.pool = pool
    self.settings = settings
    identity = WorkerIdentity(name: name)
    var logger = logger
    logger[metadataKey: "worker"] = "\(name)"
    self.logger = logger
  }

  /// How one claimed task ended.
  package struct Outcome: Sendable {
    package let runID: Int64
    package let job: String
    /// The state of the run afterwards; nil when the attempt was stale and somebody else has it.
    package let state: String?
    package let error: ServiceError?
  }

  /// Works until `draining` says so, waiting at the bell in between.
  package func run(bell: Doorbell, draining: @Sendable () -> Bool) async {
    while !draining(), !Task.isCancelled {
      do {
        if try await workOnce() == nil, !draining() {
          await bell.wait(upTo: settings.poll)
        }
      } catch is CancellationError {
        return
      } catch {
        logger.warning("cannot claim work, trying again: \(error)")
        await bell.wait(upTo: settings.poll)
      }
    }
  }

  /// Stops the current attempt at once and gives its task back to the queue.
  package func abort() {
    aborted.withLock { $0 = true }
    current.withLock { $0?.stop(.released) }
  }

  /// Claims one task and works on it to its end; nil when none can be claimed.
  package func workOnce(onlyRun: Int64? = nil) async throws -> Outcome? {
    let claim: ClaimTask.Row
    do {
      let rows = try await pool.run(
        ClaimTask(
          worker: identity.name, host: identity.host, pid: identity.pid, build: Build.version,
          leaseSeconds: settings.lease.seconds, onlyRun: onlyRun))
      guard let row = rows.first else { return nil }
      claim = row
    } catch let error as PostgresError where error.sqlState == "23505" {
      return nil  // another worker took a run of the same job at the same moment
    }
    return await work(on: claim)
  }

  private func work(on claim: ClaimTask.Row) async -> Outcome {
    let monitor = AttemptMonitor()
    current.withLock { $0 = monitor }
    defer { current.withLock { $0 = nil } }
    if aborted.withLock({ $0 }) { monitor.stop(.released) }
    var logger = logger
    logger[metadataKey: "job"] = "\(claim.jobName)"
    logger[metadataKey: "run"] = "\(claim.runID)"
    logger.info("attempt \(claim.attempt) of \(claim.maxAttempts) begins")

    let heartbeat = Task { await self.beat(claim, monitor) }
    let task = ForecastTask(
      pool: pool, claim: claim, monitor: monitor, threads: settings.threads,
      patience: settings.lease, logger: logger)
    let work = Task { try await task.run() }
    // A stop reaches CPU-bound work through the monitor, and awaited queries through cancellation.
    let watchdog = Task {
      while !Task.isCancelled {
        try await Task.sleep(for: .milliseconds(100))
        if monitor.stopReason != nil {
          work.cancel()
          return
        }
      }
    }
    let result = await withTaskCancellationHandler {
      await work.result
    } onCancel: {
      monitor.stop(.released)
    }
    watchdog.cancel()
    heartbeat.cancel()
    _ = await heartbeat.value

    switch result {
    case .success:
      logger.info("published")
      return Outcome(runID: claim.runID, job: claim.jobName, state: "succeeded", error: nil)
    case .failure(let error):
      return await end(claim, monitor, error, logger)
    }
  }

  private func beat(_ claim: ClaimTask.Row, _ monitor: AttemptMonitor) async {
    let clock = ContinuousClock()
    var leaseEnd = clock.now + settings.lease
    while !Task.isCancelled {
      try? await Task.sleep(for: settings.heartbeat)
      if Task.isCancelled { return }
      let (stage, progress) = monitor.position
      do {
        let asked = clock.now
        let rows = try await pool.run(
          Heartbeat(
            token: claim.token, leaseSeconds: settings.lease.seconds, stage: stage.rawValue,
            progress: progress))
        guard let cancelRequested = rows.first else {
          // While publishing, the transaction itself holds the attempt's row and settles the matter.
          if monitor.position.stage != .publish { monitor.stop(.stale) }
          return
        }
        leaseEnd = asked + settings.lease
        if cancelRequested { monitor.stop(.cancelled) }
      } catch {
        if clock.now > leaseEnd {
          monitor.stop(.stale)
          return
        }
      }
    }
  }

  private func end(
    _ claim: ClaimTask.Row, _ monitor: AttemptMonitor, _ error: any Error, _ logger: Logger
  ) async -> Outcome {
    let reason = monitor.stopReason ?? (error as? AttemptMonitor.Stop)
    let failure: ServiceError?
    let outcome: String
    switch reason {
    case .cancelled: (outcome, failure) = ("cancelled", nil)
    case .released: (outcome, failure) = ("released", nil)
    // Refused: either somebody else has the task, and ending the attempt finds nothing to end; or the
    // run was cancelled since the last heartbeat, and it ends as that.
    case .stale: (outcome, failure) = ("released", nil)
    case nil:
      if error is CancellationError || (error as? ServiceError)?.code == .staleAttempt {
        (outcome, failure) = ("released", nil)
      } else {
        let wrapped = ServiceError.wrapping(error, "job \(claim.jobName), run \(claim.runID)")
        failure = wrapped as? ServiceError ?? ServiceError(.internalFault, "\(wrapped)")
        outcome = "failed"
      }
    }
    let backoff = min(5 * Double(1 << min(claim.attempt - 1, 6)), 300)
    let statement = EndAttempt(
      token: claim.token, outcome: outcome, errorCode: failure?.code.rawValue,
      errorText: failure?.message, retry: failure?.isTransient ?? false,
      backoffSeconds: outcome == "failed" ? backoff : 0)
    let pool = pool
    // Who was told to stop does not wait long for a database that is away: the lease ends by itself.
    let patience = outcome == "released" ? min(settings.lease, .seconds(3)) : settings.lease
    // In a task of its own: a worker that is being cancelled still gives its task back.
    let ending = Task {
      try await retrying(upTo: patience) { try await pool.run(statement).first }
    }
    let alarm = Task {
      try await Task.sleep(for: patience)
      ending.cancel()
    }
    let ended = await ending.result
    alarm.cancel()
    if case .failure(let error) = ended {
      logger.warning("the attempt could not be ended; its lease will run out: \(error)")
    }
    guard let state = (try? ended.get()) ?? nil else {
      if case .success = ended {
        logger.warning("the lease was lost; the attempt stops and wrote nothing")
      }
      return Outcome(runID: claim.runID, job: claim.jobName, state: nil, error: failure)
    }
    let text = failure?.message ?? (state == "cancelled" ? state : outcome)
    let event = LogEvent(
      runID: claim.runID, level: failure == nil ? "warning" : "error",
      stage: monitor.position.stage.rawValue,
      message: state == "retryable" ? "\(text); will be tried again" : text)
    _ = await Task { try? await pool.run(event) }.value
    logger.log(level: failure == nil ? .notice : .error, "attempt \(outcome): \(text)")
    return Outcome(runID: claim.runID, job: claim.jobName, state: state, error: failure)
  }
}

extension Duration {
  /// The duration in seconds.
  package var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
