import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

/// A migrated database with running attempts that may charge.
struct LedgerService {
  let service: Service
  let pool: PostgresPool
  let ledger: PrivacyLedger

  init(connections: Int = 8, witness: PrivacyWitness? = nil) throws {
    service = try Service()
    pool = PostgresPool(
      service.database.configuration, maximumConnections: connections, logger: quiet)
    ledger = PrivacyLedger(pool: pool, witness: witness)
  }

  func close() async {
    await pool.close()
    await service.pool.close()
  }

  /// So many jobs, each with a run and its running attempt.
  func attempts(_ count: Int) async throws -> [ClaimTask.Row] {
    _ = try await JobRegistry(pool: service.pool).apply(
      (1...count).map { try service.job("job-\($0)") })
    try await service.database.execute("SELECT forecast.run_now(name) FROM forecast.job")
    var claims: [ClaimTask.Row] = []
    for _ in 1...count { claims.append(try #require(try await service.claim())) }
    return claims
  }

  /// Ends the attempt as lost and starts the next one at the same run.
  func successor(of claim: ClaimTask.Row) async throws -> ClaimTask.Row {
    try await service.database.execute(
      "UPDATE forecast.attempt SET lease_until = now() - interval '1 second' WHERE token = '\(claim.token)'"
    )
    _ = try await service.pool.run(ReapLostAttempts())
    let next = try #require(try await service.claim())
    #expect(next.runID == claim.runID && next.token != claim.token)
    return next
  }

  func spent(_ account: String) async throws -> EpsilonAmount {
    try #require(try await ledger.statement(account: account).budgets.first).spent
  }
}

extension PrivacyLedger.Request {
  /// A release of 0.3 to the account `people`.
  static func release(
    _ epsilon: Double = 0.3, account: String = "people", purpose: String = "fit"
  ) throws -> Self {
    Self(
      account: account, unit: .series, mechanism: try .release(epsilon: epsilon, delta: 0),
      purpose: purpose)
  }

  /// Private training: epsilon about 0.31 at delta 1e-6.
  static func training(
    account: String = "people", rate: Double = 0.01, noise: Double = 2, steps: Int = 200,
    scope: PrivacyScope = .everything
  ) throws -> Self {
    Self(
      account: account, unit: .series, scope: scope,
      mechanism: try .training(samplingRate: rate, noiseMultiplier: noise, steps: steps))
  }
}
