package import Logging

/// Shares a limited number of sessions among tasks.
///
/// Sessions are opened when needed, checked before they are handed out, and thrown away when they broke. Waiters are
/// served in order.
package final class PostgresPool: Sendable {
  package let configuration: PostgresConfiguration
  package let limits: Limits
  let logger: Logger
  private let store: PoolStore

  package struct Limits: Sendable {
    package var maximumConnections: Int
    /// How long a task waits for a free connection before `poolTimeout`.
    package var acquireTimeout: Duration
    /// How long opening a session is tried again, with growing pauses, while the server cannot be reached. Zero: once.
    package var reconnectWindow: Duration
    /// A session idle for longer answers a query before it is handed out.
    package var idleBeforeCheck: Duration
    /// A session idle for longer is closed.
    package var maximumIdle: Duration

    package init(
      maximumConnections: Int = 4, acquireTimeout: Duration = .seconds(30),
      reconnectWindow: Duration = .seconds(10), idleBeforeCheck: Duration = .seconds(30),
      maximumIdle: Duration = .seconds(600)
    ) {
      precondition(maximumConnections > 0, "a pool without connections")
      self.maximumConnections = maximumConnections
      self.acquireTimeout = acquireTimeout
      self.reconnectWindow = reconnectWindow
      self.idleBeforeCheck = idleBeforeCheck
      self.maximumIdle = maximumIdle
    }
  }

  /// Opens nothing yet.
  package init(_ configuration: PostgresConfiguration, limits: Limits = Limits(), logger: Logger) {
    self.configuration = configuration
    self.limits = limits
    self.logger = logger
    store = PoolStore(limits: limits)
  }

  package convenience init(
    _ configuration: PostgresConfiguration, maximumConnections: Int = 4, logger: Logger,
    acquireTimeout: Duration = .seconds(30), reconnectWindow: Duration = .seconds(10)
  ) {
    self.init(
      configuration,
      limits: Limits(
        maximumConnections: maximumConnections, acquireTimeout: acquireTimeout,
        reconnectWindow: reconnectWindow),
      logger: logger)
  }

  /// Lends a session to `body`.
  ///
  /// A transaction that `body` left open is rolled back.
  /// - Throws: what `body` throws; `poolTimeout` when none is free in time; `poolClosed`; what opening a session throws.
  nonisolated(nonsending) package func withConnection<R>(
    _ body: nonisolated(nonsending) (PostgresConnection) async throws -> R
  ) async throws -> R {
    let connection = try await checkOut()
    let result: R
    do {
      result = try await body(connection)
    } catch {
      await checkIn(connection)
      throw error
    }
    await checkIn(connection)
    return result
  }

  /// Lends a session with a transaction open on it; see ``PostgresConnection/transaction(_:_:)``.
  nonisolated(nonsending) package func withTransaction<R>(
    _ mode: TransactionMode = .readWrite,
    _ body: nonisolated(nonsending) (PostgresConnection) async throws -> R
  ) async throws -> R {
    let connection = try await checkOut()
    let result: R
    do {
      result = try await connection.transaction(mode, body)
    } catch {
      await checkIn(connection)
      throw error
    }
    await checkIn(connection)
    return result
  }

  package func query(
    _ sql: String, _ parameters: [any PostgresEncodable] = []
  ) async throws -> PostgresResult {
    try await withConnection { try await $0.query(sql, parameters) }
  }

  @discardableResult
  package func execute(
    _ sql: String, _ parameters: [any PostgresEncodable] = []
  ) async throws -> Int {
    try await withConnection { try await $0.execute(sql, parameters) }
  }

  package func run<S: PostgresStatement>(_ statement: S) async throws -> [S.Row] {
    try await withConnection { try await $0.run(statement) }
  }

  /// Closes idle sessions now and lent ones when they come back; whoever waits gets `poolClosed`.
  package func close() async {
    for connection in await store.close() { await connection.close() }
  }

  /// Sessions open now, lent and idle.
  package var openConnections: Int { get async { await store.open } }

  // MARK: - In and out

  private func checkOut() async throws -> PostgresConnection {
    let deadline = ContinuousClock.now + limits.acquireTimeout
    while true {
      switch try await store.acquire(until: deadline) {
      case .connection(let connection, let idleFor):
        if idleFor < limits.maximumIdle,
          await connection.isUsable(ask: idleFor > limits.idleBeforeCheck)
        {
          return connection
        }
        await connection.close()
        await store.discard()
      case .permission:
        do {
          let connection = try await connect(until: deadline)
          guard await store.adopt() else {
            await connection.close()
            throw PostgresError(.poolClosed, "the pool of connections is closed")
          }
          return connection
        } catch {
          await store.discard()
          throw error
        }
      }
    }
  }

  private func checkIn(_ connection: PostgresConnection) async {
    // In a task of its own: giving back must work, and finish, in a cancelled task too.
    let isSound = await Task { await connection.recover() }.value
    if isSound, await store.giveBack(connection) { return }
    await connection.close()
    if !isSound { await store.discard() }
  }

  private func connect(until deadline: ContinuousClock.Instant) async throws -> PostgresConnection {
    let end = min(deadline, ContinuousClock.now + limits.reconnectWindow)
    var backOff = BackOff()
    while true {
      do {
        return try await PostgresConnection.connect(configuration, logger: logger)
      } catch let error as PostgresError where error.isTransient {
        let pause = backOff.next()
        guard ContinuousClock.now + pause < end else { throw error }
        logger.info(
          "the database cannot be reached, trying again",
          metadata: ["error": "\(error)", "pause": "\(pause)"])
        try await Task.sleep(for: pause)
      }
    }
  }
}

/// Pauses that double up to a limit, each shortened at random so that many clients do not return at once.
package struct BackOff: Sendable {
  private var limit: Duration
  private let maximum: Duration

  package init(first: Duration = .milliseconds(50), maximum: Duration = .seconds(5)) {
    limit = first
    self.maximum = maximum
  }

  package mutating func next() -> Duration {
    defer { limit = min(limit * 2, maximum) }
    return limit * Double.random(in: 0.5...1)
  }
}

extension PostgresConnection {
  /// Whether the session can be handed out: open, idle, and, when asked for, answering.
  func isUsable(ask: Bool) async -> Bool {
    guard !machine.isClosed, lookForEnd() else { return false }
    guard ask else { return true }
    let check = Task { (try? await self.execute("SELECT 1")) != nil }
    let alarm = Task {
      try await Task.sleep(for: .seconds(5))
      check.cancel()
    }
    defer { alarm.cancel() }
    return await check.value && !machine.isClosed
  }

  /// Brings a session back to where the next borrower expects it.
  func recover() async -> Bool {
    do {
      // Waits for a stream that was left early to be drained.
      try await perform(.control) {
        _ = machine.handle(.resultsEnded)
      }
    } catch {
      return false
    }
    if isInTransaction { await rollback(0) }
    transactionDepth = 0
    return !machine.isClosed
  }
}
