import Foundation
import NumericsCore
import Postgres

/// Looks at everything that commonly goes wrong and says what to do about it.
package struct Doctor: Sendable {
  package struct Check: Sendable {
    package enum State: String, Sendable { case ok, warning, failed }
    package let name: String
    package let state: State
    package let found: String
    package let advice: String?
  }

  private let databaseURL: String?
  private let environment: [String: String]

  package init(
    databaseURL: String?, environment: [String: String] = ProcessInfo.processInfo.environment
  ) {
    self.databaseURL = databaseURL
    self.environment = environment
  }

  /// Never throws: what fails becomes a check.
  package func examine() async -> [Check] {
    var checks = [
      Check(name: "program", state: .ok, found: "forecast \(Build.version)", advice: nil),
      processor,
      migrationsOnDisk,
    ]
    do {
      let session = try await Session.open(
        databaseURL: databaseURL, applicationName: "forecastctl doctor", schema: .any,
        logger: Session.logger(label: "doctor", verbose: false), environment: environment,
        report: { _ in })
      checks += await database(session)
      await session.close()
    } catch {
      checks.append(
        Check(
          name: "database", state: .failed, found: "\(error)",
          advice: "see `forecastctl db status`, --database-url and FORECAST_DATABASE_URL"))
    }
    return checks
  }

  private var processor: Check {
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let better = BLAS.missedCoreName
    return Check(
      name: "processor", state: better == nil ? .ok : .warning,
      found: "\(cores) cores, \(Build.arithmetic)",
      advice: better.map {
        "OpenBLAS runs below this processor's speed: set OPENBLAS_CORETYPE=\($0), or unset it"
      })
  }

  private var migrationsOnDisk: Check {
    do {
      let url = try Installation.migrations(environment: environment)
      return Check(name: "migrations", state: .ok, found: url.path, advice: nil)
    } catch {
      return Check(
        name: "migrations", state: .failed, found: "\(error)",
        advice: "set FORECAST_MIGRATIONS or install the program with `make install`")
    }
  }

  private func database(_ session: Session) async -> [Check] {
    var checks: [Check] = []
    func check(
      _ name: String, advice: String, _ body: () async throws -> (Check.State, String)
    ) async {
      do {
        let (state, found) = try await body()
        checks.append(
          Check(name: name, state: state, found: found, advice: state == .ok ? nil : advice))
      } catch {
        checks.append(Check(name: name, state: .failed, found: "\(error)", advice: advice))
      }
    }
    let facts: DatabaseFacts.Row?
    let asked = Date()
    do {
      facts = try await session.pool.run(DatabaseFacts()).first
    } catch {
      return [
        Check(
          name: "database", state: .failed, found: "\(error)",
          advice: "check that the server runs and that this user may connect")
      ]
    }
    guard let facts else { return [] }
    let answered = Date()
    checks.append(
      Check(
        name: "database", state: facts.versionNumber >= 150_000 ? .ok : .failed,
        found: "PostgreSQL \(facts.version) as \(facts.user), \(session.configuration)",
        advice: facts.versionNumber >= 150_000 ? nil : "PostgreSQL 15 or newer is needed"))
    await check("schema", advice: "run `forecastctl migrate`") {
      try await SchemaCheck(pool: session.pool).verify()
      return (.ok, "migration \(SchemaCheck.required)")
    }
    // The server's instant lies between our two readings of the clock unless the clocks differ.
    let skew =
      facts.now < asked
      ? asked.timeIntervalSince(facts.now) : max(0, facts.now.timeIntervalSince(answered))
    checks.append(
      Check(
        name: "clock", state: skew < 1 ? .ok : .warning,
        found: skew < 0.001
          ? "agrees with the server's"
          : String(format: "differs from the server's by %.3f s", skew),
        advice: skew < 1 ? nil : "synchronise the clocks (NTP)"))
    guard (try? await SchemaCheck(pool: session.pool).verify()) != nil else { return checks }
    await check("roles", advice: "GRANT forecast_worker TO the user of the daemon") {
      let missing = try await session.pool.run(MissingPrivileges())
      return missing.isEmpty
        ? (.ok, "\(facts.user) may work, steer and read")
        : (.warning, "\(facts.user) is not a member of \(missing.joined(separator: ", "))")
    }
    await check("time zones", advice: "use IANA names that both the server and this machine know") {
      let zones = try await session.pool.run(JobZones())
      let unknown = zones.filter { !$0.known || TimeZone(identifier: $0.name) == nil }
      return unknown.isEmpty
        ? (.ok, zones.isEmpty ? "no job yet" : zones.map(\.name).joined(separator: ", "))
        : (.failed, "unknown: \(unknown.map(\.name).joined(separator: ", "))")
    }
    await check("daemon", advice: "start `forecastd serve`, or `forecastd once` from cron") {
      let count = try await session.pool.run(CountDaemons()).first ?? 0
      return count > 0 ? (.ok, "\(count) running") : (.warning, "none runs: schedules wait")
    }
    await check("leases", advice: "they are taken back as soon as a daemon runs") {
      let expired = try await session.pool.run(ExpiredLeases()).first ?? 0
      return expired == 0 ? (.ok, "none expired") : (.warning, "\(expired) expired")
    }
    return checks
  }
}
