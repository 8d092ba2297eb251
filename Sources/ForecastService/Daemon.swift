package import Logging
package import Postgres
import Synchronization

/// Scheduler, workers and reaper over one database: what `forecastd` runs.
package final class Daemon: Sendable {
  package struct Settings: Sendable {
    package var workers = 1
    package var worker = Worker.Settings()
    /// How often due instants and expired leases are looked for.
    package var interval = Duration.seconds(1)

    package init() {}
  }

  private let pool: PostgresPool
  private let configuration: PostgresConfiguration
  private let settings: Settings
  private let logger: Logger
  private let bell = Doorbell()
  private let workers: [Worker]
  private let draining = Mutex(false)

  package init(
    configuration: PostgresConfiguration, settings: Settings, logger: Logger
  ) {
    self.configuration = configuration
    self.settings = settings
    self.logger = logger
    // A worker holds one connection while it reads or publishes and one for its heartbeat.
    let pool = PostgresPool(
      configuration, maximumConnections: settings.workers * 2 + 2, logger: logger)
    self.pool = pool
    workers = (1...max(settings.workers, 1)).map {
      Worker(pool: pool, name: "worker-\($0)", settings: settings.worker, logger: logger)
    }
  }

  package var isDraining: Bool { draining.withLock { $0 } }

  /// Lets current attempts finish and takes no new ones; `serve` then returns.
  package func drain() async {
    draining.withLock { $0 = true }
    logger.notice("draining: current runs finish, no new ones start")
    await bell.ring()
  }

  /// Stops current attempts at once; their tasks go back to the queue.
  package func abort() async {
    draining.withLock { $0 = true }
    logger.notice("stopping at once: current runs go back to the queue")
    for worker in workers { worker.abort() }
    await bell.ring()
  }

  /// Serves until drained.
  ///
  /// - Throws: `ServiceError` when the database cannot be reached at the start or its schema is not
  ///   the one this program needs. Later failures of the database are waited out.
  package func serve() async throws {
    try await SchemaCheck(pool: pool).verify()
    let helpers = [Task { await schedule() }, Task { await listen() }]
    await withTaskCancellationHandler {
      await withTaskGroup(of: Void.self) { group in
        for worker in workers {
          group.addTask { [self] in await serve(worker) }
        }
      }
    } onCancel: {
      draining.withLock { $0 = true }
    }
    for helper in helpers { helper.cancel() }
    for helper in helpers { await helper.value }
    await pool.close()
    logger.notice("stopped")
  }

  private func serve(_ worker: Worker) async {
    await worker.run(bell: bell, draining: { self.isDraining })
  }

  /// What one pass over the queue did, and what an interruption made it leave.
  package struct Pass: Sendable {
    package let outcomes: [Worker.Outcome]
    /// Runs that were put back into the queue before they were done.
    package let putBack: [Int64]
    /// Runs that still wait, those put back included. Counted when the pass was interrupted.
    package let waiting: Int64

    /// What the pass ends with: the error of its first failed run, or that work was left.
    package var error: ServiceError? {
      if let failed = outcomes.first(where: { $0.state == "failed" }) {
        return failed.error ?? ServiceError(.internalFault, "run \(failed.runID) failed")
      }
      if waiting == 0 { return nil }
      let back =
        putBack.isEmpty
        ? "" : "; put back: run \(putBack.map(String.init).joined(separator: ", "))"
      return ServiceError(
        .interrupted,
        "interrupted with \(waiting) \(waiting == 1 ? "run" : "runs") in the queue\(back); the next forecastd takes what waits"
      )
    }
  }

  /// Runs what is due and what waits, until nothing does or it is told to stop.
  package func once() async throws -> Pass {
    try await SchemaCheck(pool: pool).verify()
    _ = try await pool.run(ReapLostAttempts())
    _ = try await Scheduler(pool: pool, logger: logger).decide()
    let outcomes = try await withThrowingTaskGroup(of: [Worker.Outcome].self) { group in
      for worker in workers {
        group.addTask { [self] in try await exhaust(worker) }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    let waiting = isDraining ? try await pool.run(QueueDepth()).first?.waiting ?? 0 : 0
    await pool.close()
    return Pass(
      outcomes: outcomes, putBack: outcomes.filter { $0.state == "queued" }.map(\.runID),
      waiting: waiting)
  }

  /// Lets one worker work until nothing waits any more.
  private func exhaust(_ worker: Worker) async throws -> [Worker.Outcome] {
    var outcomes: [Worker.Outcome] = []
    while !isDraining {
      if let outcome = try await worker.workOnce() {
        outcomes.append(outcome)
        continue
      }
      guard let depth = try await pool.run(QueueDepth()).first, depth.waiting > 0 else { break }
      await bell.wait(upTo: .milliseconds(500))
      _ = try await pool.run(ReapLostAttempts())
    }
    return outcomes
  }

  private func schedule() async {
    let scheduler = Scheduler(pool: pool, logger: logger)
    while !Task.isCancelled {
      do {
        if !isDraining {
          let made = try await scheduler.decide()
          if !made.isEmpty { await bell.ring() }
        }
        let lost = try await pool.run(ReapLostAttempts())
        for row in lost { logger.warning("run \(row.runID): \(row.text); now \(row.state)") }
        if lost.contains(where: { $0.state == "retryable" }) { await bell.ring() }
      } catch is CancellationError {
        return
      } catch {
        logger.warning("the scheduler cannot reach the database, trying again: \(error)")
      }
      try? await Task.sleep(for: settings.interval)
    }
  }

  /// Keeps a connection that hears of new work and whose lock tells everybody that a daemon lives.
  private func listen() async {
    var pause = Duration.milliseconds(200)
    while !Task.isCancelled {
      do {
        let connection = try await PostgresConnection.connect(configuration, logger: logger)
        _ = try await connection.run(DaemonPresence())
        pause = .milliseconds(200)
        await bell.ring()  // whatever was announced while nobody listened
        for try await _ in try await connection.notifications(on: ["forecast_work"]) {
          await bell.ring()
        }
        await connection.close()
      } catch is CancellationError {
        return
      } catch {
        logger.debug("the listening connection was lost: \(error)")
      }
      try? await Task.sleep(for: pause)
      pause = min(pause * 2, .seconds(5))
    }
  }
}
