// Exit tests that capture values came with Swift 6.3.
#if compiler(>=6.3)
  import ForecastService
  import Foundation
  import Postgres
  import TestSupport
  import Testing

  /// A process that charges and is killed (`kill -9`) at one point of the way.
  @Suite(
    "A killed process and the privacy ledger", .requiresDatabase, .temporaryDatabase(migrated),
    .tags(.database))
  struct PrivacyCrashTests {
    /// What the process does before it kills itself; runs in a process of its own.
    enum Point: String, CaseIterable, Codable, Sendable {
      case beforeReserving, insideReserving, reserved, begun, left, insideCommitting

      func reach(_ pool: PostgresPool, _ token: UUID) async throws {
        let ledger = PrivacyLedger(pool: pool)
        if self == .beforeReserving { return }
        if self == .insideReserving {
          try await pool.withTransaction { connection in
            // The transaction of a reservation, as far as its last statement.
            _ = try await connection.run(LockAttempt(token: token))
            _ = try await connection.query(
              """
              INSERT INTO forecast.privacy_charge (budget_id, number, run_id, attempt_token, purpose, mechanism,
                release_epsilon, added_delta, delta, epsilon, composed_epsilon)
              SELECT b.budget_id, 2, t.run_id, $1, 'fit', 'release', 0.3, 0, 1e-6, 0.3, 0.425
              FROM forecast.privacy_budget b, forecast.attempt a JOIN forecast.task t ON t.task_id = a.task_id
              WHERE a.token = $1
              """, [token])
            kill(getpid(), SIGKILL)
          }
        }
        let receipts = try await ledger.reserve(.release(), token: token)
        if self == .reserved { return }
        try await ledger.begin(receipts, token: token)
        if self == .begun { return }
        if self == .left { return try await ledger.leave(receipts, token: token) }
        try await pool.withTransaction { connection in
          try await ledger.commit(receipts, token: token, stepsTaken: nil, on: connection)
          kill(getpid(), SIGKILL)
        }
      }
    }

    @Test(
      "what was spent never falls, and data that may have been read are paid for",
      arguments: Point.allCases)
    func killed(at point: Point) async throws {
      let service = try LedgerService()
      try await service.ledger.open(
        account: "people", unit: .series, epsilon: #require(EpsilonAmount("1")), delta: 1e-6)
      let claims = try await service.attempts(2)
      _ = try await service.ledger.reserve(.release(0.125), token: claims[0].token)
      let url = service.service.database.address.url
      let token = claims[1].token.uuidString
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [url = url as String, token = token as String, point = point as Point] in
        let pool = PostgresPool(
          try PostgresConfiguration(url: url, environment: [:]), maximumConnections: 1,
          logger: quiet)
        try await point.reach(pool, #require(UUID(uuidString: token)))
        kill(getpid(), SIGKILL)
      }
      // The server may take a moment to notice that the process is gone.
      try await waitUntil(
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        at: service.service.database.address)
      let isBooked = ![.beforeReserving, .insideReserving].contains(point)
      #expect(try await service.spent("people").description == (isBooked ? "0.425" : "0.125"))
      let states = try await service.ledger.statement(account: "people").charges.map(\.state)
      #expect(
        states
          == ["reserved"]
          + (isBooked ? [[.reserved: "reserved", .left: "unused"][point] ?? "begun"] : []))
      // The next attempt at the run.
      let next = try await service.successor(of: claims[1])
      let receipt = try await service.ledger.reserve(.release(), token: next.token)
      #expect(receipt[0].isTakenOver == [.reserved, .left].contains(point))
      let lost = [.begun, .insideCommitting].contains(point)
      #expect(try await service.spent("people").description == (lost ? "0.725" : "0.425"))
      await service.close()
    }
  }
#endif
