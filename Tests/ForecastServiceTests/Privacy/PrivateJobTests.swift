import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

/// A job with `privacy:` from its file to its charge in SQL.
@Suite(
  "Private jobs", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database), .serialized)
struct PrivateJobTests {
  private func job(_ service: Service, privacy: String) throws -> JobFile {
    try service.job(extra: "contextLength: 20\nprivacy: {\(privacy)}")
  }
  private let series = "budget: demand, epsilon: 4, delta: 1e-3, units: 5, clippingNorm: 1"

  private func open(_ service: Service, epsilon: Double, unit: String = "series") async throws {
    try await service.database.execute(
      "INSERT INTO forecast.privacy_budget (account, unit, unit_steps, epsilon_limit, delta_limit) VALUES ('demand', '\(unit)', \(unit == "series" ? "NULL" : "24"), \(epsilon), 1e-3)"
    )
  }

  @Test(
    "the charge is booked before the fit, committed with the forecasts, and nothing of the loss is stored"
  )
  func charged() async throws {
    let service = try Service()
    try await service.makeSource()
    try await open(service, epsilon: 6)
    try await service.apply(job(service, privacy: series))
    let run = try await service.run()
    let events = try await service.database.execute("SELECT message FROM forecast.run_event")
    #expect(run.state == "succeeded", "\(events)")
    #expect(
      try await service.database.execute(
        "SELECT state, steps::text, steps_taken::text, intact::text FROM forecast.privacy_charges")
        == [["committed", "20", "20", "true"]])
    #expect(
      try await service.value(
        "SELECT (epsilon BETWEEN 3 AND 4.01 AND composed_epsilon < 4.1)::text FROM forecast.privacy_charges"
      ) == "true")
    #expect(
      try await service.value(
        "SELECT (validation_loss IS NULL AND NOT training ? 'trainingLoss' AND NOT training ? 'windows' AND training -> 'privacy' ->> 'account' = 'demand')::text FROM forecast.model_version"
      ) == "true")
    #expect(try await service.value("SELECT (count(*) > 0)::text FROM forecast.current") == "true")
    await service.pool.close()
  }

  @Test("an empty account goes on with the last private model, which costs nothing")
  func exhausted() async throws {
    let service = try Service()
    try await service.makeSource()
    try await open(service, epsilon: 5)
    try await service.apply(job(service, privacy: series))
    #expect(try await service.run(cutoff: "2024-02-20").state == "succeeded")
    let second = try await service.run()
    #expect(second.state == "succeeded", "\(second)")
    #expect(try await service.value("SELECT count(*)::text FROM forecast.privacy_charge") == "1")
    #expect(try await service.value("SELECT count(*)::text FROM forecast.model_version") == "1")
    #expect(
      try await service.value(
        "SELECT count(DISTINCT run_id)::text FROM forecast.publication") == "2")
    #expect(
      try await service.value(
        "SELECT concat_ws(' ', state, notice_code, notice_text LIKE 'privacy budget exhausted: predicting with the model of 2%', model_run_id < run_id, epsilon_left < 1.1, epsilon_limit::text) FROM forecast.status"
      ) == "succeeded privacy-budget t t t 5.000000000000")
    let message = try #require(
      try await service.value(
        "SELECT message FROM forecast.run_event WHERE message LIKE '%no private training%'"))
    #expect(
      message.contains("demand") && message.contains("predicting with the model of"), "\(message)")
    await service.pool.close()
  }

  @Test("without a model to go on with, an empty account fails the run; nothing is read or charged")
  func refused() async throws {
    let service = try Service()
    try await service.makeSource()
    try await open(service, epsilon: 1)
    try await service.apply(job(service, privacy: series))
    let run = try await service.run()
    #expect(run.state == "failed")
    let error = try #require(
      try await service.value("SELECT error_code || ': ' || error_text FROM forecast.run"))
    #expect(error.hasPrefix("privacy-budget: ") && error.contains("demand"), "\(error)")
    #expect(try await service.value("SELECT count(*)::text FROM forecast.privacy_charge") == "0")
    #expect(try await service.value("SELECT count(*)::text FROM forecast.data_snapshot") == "0")
    await service.pool.close()
  }

  @Test("a model that was not trained privately is not used in its place")
  func plainModel() async throws {
    let service = try Service()
    try await service.makeSource()
    try await open(service, epsilon: 1)
    try await service.apply(service.job(extra: "contextLength: 20"))
    #expect(try await service.run(cutoff: "2024-02-20").state == "succeeded")
    try await service.apply(job(service, privacy: series))
    #expect(try await service.run().state == "failed")
    await service.pool.close()
  }

  @Test(
    "another unit than the account protects, or no account at all, fails before anything is read")
  func wrongAccount() async throws {
    let service = try Service()
    try await service.makeSource()
    try await service.apply(job(service, privacy: series))
    #expect(try await service.run().state == "failed")
    #expect(
      try await service.value("SELECT error_text FROM forecast.run")?.contains("demand") == true)
    try await open(service, epsilon: 100, unit: "window")
    #expect(try await service.run().state == "failed")
    #expect(try await service.value("SELECT count(*)::text FROM forecast.data_snapshot") == "0")
    await service.pool.close()
  }

  @Test(
    "impossible sections are refused with their line",
    arguments: [
      ("budget: a, epsilon: 4, delta: 1e-3", "privacy.units is missing"),
      ("budget: a, epsilon: -4, delta: 1e-3, units: 5", "privacy.epsilon"),
      ("budget: a, epsilon: 4, delta: 0.5, units: 5", "delta"),
      ("budget: a, epsilon: 4, delta: 1e-3, units: 5, unit: block", "blockLength"),
      ("budget: a, epsilon: 4, delta: 1e-3, units: 5, unit: person", "privacy.unit"),
      ("budget: a, epsilon: 4, delta: 1e-3, units: 5, seed: 3", "seed"),
      ("budget: a, epsilon: 4, delta: 1e-3, units: 5, quantile: 0.3", "clipping: adaptive"),
      ("budget: a, epsilon: 4, delta: 1e-3, units: 5, block: month", "go together"),
      ("budget: a, epsilon: 4, delta: 1e-3, units: 5, history: 3", "go together"),
      ("budget: a, epsilon: 4, delta: 1e-3, units: 5, block: monday, history: 3", "privacy.block"),
      ("budget: a, epsilon: 4, delta: 1e-3, units: 5, block: month, history: 0", "history"),
    ])
  func messages(section: String, expected: String) throws {
    let service = try Service()
    do {
      _ = try job(service, privacy: section)
      Issue.record("accepted: \(section)")
    } catch {
      #expect("\(error)".contains(expected), "\(error)")
      #expect("\(error)".contains(".yaml:"), "\(error)")
    }
  }

  @Test("blocks of time need a calendar; with one they are read, stored and read again")
  func blocks() throws {
    let service = try Service()
    func parsed(_ frequency: String) throws -> JobDefinition {
      try service.job(
        extra: "contextLength: 20\nprivacy: {\(series), block: week, history: 8}",
        frequency: frequency
      ).definition
    }
    let definition = try parsed("1 day")
    #expect(definition.privacy?.scope == .init(period: .week, blocks: 8))
    #expect(try JobDefinition(canonicalJSON: definition.canonicalJSON()) == definition)
    let error = #expect(throws: JobFileError.self) { try parsed("integer") }
    #expect("\(error.map { "\($0)" } ?? "")".contains("integer steps"))
  }

  @Test("a model that is not trained by gradients cannot be trained privately")
  func kinds() throws {
    let service = try Service()
    for kind in ["seasonal-naive", "kalman", "arnet"] {
      do {
        _ = try JobFileParser.parse(
          """
          job: demand
          source: {query: "SELECT series, ts, y FROM source WHERE ts <= :cutoff", frequency: 1 day}
          horizon: 4
          model: {kind: \(kind)}
          privacy: {\(series)}
          """, file: "demand.yaml")
        Issue.record("accepted: \(kind)")
      } catch {
        #expect("\(error)".contains("not trained by gradients"), "\(error)")
      }
    }
    _ = service
  }
}
