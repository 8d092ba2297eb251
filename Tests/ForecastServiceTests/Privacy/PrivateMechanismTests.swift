import ForecastService
import Foundation
import Postgres
import Privacy
import TestSupport
import Testing

/// Correlated noise and noise on inputs, from the job file to the charge in SQL.
@Suite(
  "Private mechanisms in jobs", .requiresDatabase, .temporaryDatabase(migrated), .tags(.database),
  .serialized)
struct PrivateMechanismTests {
  private let source = "SELECT series, ts, value AS y FROM source WHERE ts <= :cutoff"
  /// The mechanism's own series: others of the source have several rows a day.
  private let three =
    "SELECT series, ts, value AS y FROM source WHERE ts <= :cutoff AND series ~ '^s[0-9]'"

  private func job(_ service: Service, _ privacy: String, query: String? = nil) throws -> JobFile {
    try service.job(query: query ?? source, extra: "contextLength: 20\nprivacy: {\(privacy)}")
  }

  private func open(_ service: Service, epsilon: Double, unit: String) async throws {
    try await service.database.execute(
      "INSERT INTO forecast.privacy_budget (account, unit, epsilon_limit, delta_limit) VALUES ('demand', '\(unit)', \(epsilon), 1e-3)"
    )
  }

  private func succeed(_ service: Service, cutoff: String = "2024-02-29") async throws {
    let run = try await service.run(cutoff: cutoff)
    let events = try await service.database.execute("SELECT message FROM forecast.run_event")
    #expect(run.state == "succeeded", "\(run) \(events)")
  }

  // MARK: Correlated noise

  @Test("a training with correlated noise is charged by its turns and bands")
  func correlated() async throws {
    let service = try Service()
    try await service.makeSource()
    // Exactly what the job asks for: the charge is not a digit above.
    try await open(service, epsilon: 4, unit: "series")
    try await service.apply(
      job(
        service,
        "mechanism: correlated, budget: demand, epsilon: 4, delta: 1e-3, units: 5, bands: 4"
      ))
    try await succeed(service)
    #expect(
      try await service.database.execute(
        "SELECT mechanism, state, steps::text, cycle::text, bands::text, sampling_rate::text, intact::text FROM forecast.privacy_charges"
      ) == [["correlated-gaussian", "committed", "20", "1", "4", nil, "true"]])
    let noise = try #require(
      Double(try await service.value("SELECT noise_multiplier FROM forecast.privacy_charges") ?? "")
    )
    // A batch of 64 has all 5 units: each takes part in all 20 steps. By hand, from the definition.
    var coefficients = [1.0, 0.5, 0.375, 0.3125]
    coefficients = coefficients.map { ($0 * 4096).rounded() / 4096 }
    let rows = (0..<20).map { row in (0...min(row, 3)).reduce(0) { $0 + coefficients[$1] } }
    let sensitivity = rows.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let mu = sensitivity / noise
    func phi(_ x: Double) -> Double { erfc(-x / 2.0.squareRoot()) / 2 }
    expectClose(phi(mu / 2 - 4 / mu) - exp(4) * phi(-mu / 2 - 4 / mu), 1e-3, relative: 1e-6)
    // The next run has nothing left, and goes on with the model.
    try await succeed(service)
    #expect(try await service.value("SELECT count(*)::text FROM forecast.model_version") == "1")
    await service.pool.close()
  }

  @Test("charges of all mechanisms compose, and a training with correlated noise is one of them")
  func composed() throws {
    let run = try CorrelatedGaussian(steps: 20, cycle: 4, bands: 4, noiseMultiplier: 8)
    var all = PrivacyComposition()
    try all.add(.correlatedGaussian(run, addedDelta: 0))
    try all.add(.inputs(noiseMultiplier: 100, slots: 50))
    try all.add(.inputs(noiseMultiplier: 100, slots: 30))
    var mu = try run.accountant
    mu.compose(try GaussianAccountant(noiseMultiplier: 100, steps: 80))
    expectClose(
      try #require(try all.epsilon(atDelta: 1e-6)).value, try mu.epsilon(atDelta: 1e-6),
      relative: 1e-9)
    try all.add(.training(samplingRate: 0.1, noiseMultiplier: 2, steps: 10))
    #expect(try #require(try all.epsilon(atDelta: 1e-6)).value > mu.epsilon(atDelta: 1e-6))
  }

  // MARK: Noise on inputs

  private let inputs =
    "mechanism: inputs, budget: demand, epsilon: 4, delta: 1e-3, sensitivity: 1, slots: 100, history: 50"

  @Test(
    "values are released once: a refit sees what was released, new slots alone are paid for and read"
  )
  func releasedOnce() async throws {
    let service = try Service()
    try await service.makeSource()
    try await open(service, epsilon: 4, unit: "person")
    try await service.apply(job(service, inputs, query: three))
    try await succeed(service, cutoff: "2024-02-20")
    // 50 days of three series, up to the cutoff.
    #expect(
      try await service.database.execute(
        "SELECT count(*)::text, count(DISTINCT slot)::text, (max(stamp) = 1e6 * extract(epoch FROM timestamptz '2024-02-20 00:00Z'))::text FROM forecast.private_value"
      ) == [["150", "50", "true"]])
    #expect(
      try await service.database.execute(
        "SELECT mechanism, state, steps::text, intact::text FROM forecast.privacy_charges")
        == [["input-gaussian", "committed", "50", "true"]])
    let before = try await service.database.execute(
      "SELECT series, slot::text, value::text FROM forecast.private_value ORDER BY 1, 2")
    // History is corrected, and a row comes late: neither is seen. Two days are new.
    try await service.database.execute(
      "UPDATE source SET value = 1e9 WHERE ts <= '2024-02-20'; INSERT INTO source VALUES ('s9', '2024-02-01', 7)"
    )
    try await succeed(service, cutoff: "2024-02-22")
    #expect(
      try await service.database.execute(
        "SELECT v.series, v.slot::text, v.value::text FROM forecast.private_value v JOIN forecast.private_release r ON r.release_id = 1 WHERE v.slot <= r.paid_through ORDER BY 1, 2"
      ) == before)
    #expect(
      try await service.database.execute(
        "SELECT steps::text, state FROM forecast.privacy_charges ORDER BY number")
        == [["50", "committed"], ["2", "committed"]])
    // The same cutoff again costs nothing.
    try await succeed(service, cutoff: "2024-02-22")
    #expect(try await service.value("SELECT count(*)::text FROM forecast.privacy_charge") == "2")
    #expect(try await service.value("SELECT count(*)::text FROM forecast.private_value") == "156")
    // A hundred slots together cost what the job says.
    let spent = try #require(
      Double(try await service.value("SELECT epsilon_spent FROM forecast.privacy") ?? ""))
    let noise = try #require(
      Double(try await service.value("SELECT deviation FROM forecast.private_input") ?? ""))
    let mechanism = try InputPerturbation(sensitivity: 1, slots: 52, deviation: noise)
    expectClose(spent, try mechanism.epsilon(atDelta: 1e-3), relative: 1e-6)
    expectClose(
      try InputPerturbation(sensitivity: 1, slots: 100, deviation: noise).epsilon(atDelta: 1e-3), 4,
      relative: 1e-6)
    await service.pool.close()
  }

  @Test("what is released is the value with noise of the stated size; nothing else is stored")
  func noise() async throws {
    let service = try Service()
    try await service.makeSource()
    try await open(service, epsilon: 4, unit: "person")
    try await service.apply(job(service, inputs + ", rounded: true", query: three))
    try await succeed(service)
    // Chi-squared with 150 degrees of freedom: 75 to 250 in all but one case in 1e7.
    let squares = try await service.value(
      "SELECT (sum(((v.value - s.value) / i.deviation) ^ 2) BETWEEN 75 AND 250)::text FROM forecast.private_value v JOIN forecast.private_input i USING (input_id) JOIN source s ON s.series = v.series AND extract(epoch FROM s.ts::timestamp) * 1e6 = v.stamp"
    )
    #expect(squares == "true")
    #expect(
      try await service.value(
        "SELECT (count(*) FILTER (WHERE v.value = s.value))::text FROM forecast.private_value v JOIN source s ON s.series = v.series AND extract(epoch FROM s.ts::timestamp) * 1e6 = v.stamp"
      ) == "0")
    #expect(try await service.value("SELECT count(*)::text FROM forecast.current") != "0")
    for table in ["private_value", "private_release", "private_input"] {
      for change in ["DELETE FROM forecast.\(table)", "TRUNCATE forecast.\(table) CASCADE"] {
        await #expect(throws: (any Error).self) { try await service.database.execute(change) }
      }
    }
    await service.pool.close()
  }

  @Test("an account that cannot pay for the new slots fails the run; none of them is read")
  func exhausted() async throws {
    let service = try Service()
    try await service.makeSource()
    try await open(service, epsilon: 2.9, unit: "person")
    try await service.apply(job(service, inputs, query: three))
    try await succeed(service, cutoff: "2024-02-20")
    // Epsilon of 50 slots is 2.60, of 79 slots 3.45.
    try await service.database.execute(
      "INSERT INTO source SELECT 's1', date '2024-03-01' + d, 1 FROM generate_series(0, 30) d")
    #expect(try await service.run(cutoff: "2024-03-20").state == "failed")
    let error = try #require(
      try await service.value(
        "SELECT error_code || ': ' || error_text FROM forecast.run WHERE state = 'failed'"))
    #expect(error.hasPrefix("privacy-budget: "), "\(error)")
    #expect(try await service.value("SELECT count(*)::text FROM forecast.private_value") == "150")
    #expect(try await service.value("SELECT count(*)::text FROM forecast.privacy_charge") == "1")
    await service.pool.close()
  }

  @Test("a slot that was paid for and had no row yet is released by the next run that pays")
  func late() async throws {
    let service = try Service()
    try await service.makeSource()
    try await open(service, epsilon: 10, unit: "person")
    // The day of the cutoff is never complete: the query leaves it out.
    let query = three.replacingOccurrences(of: "<=", with: "<")
    try await service.apply(job(service, inputs, query: query))
    try await succeed(service, cutoff: "2024-02-20")
    try await succeed(service, cutoff: "2024-02-21")
    #expect(
      try await service.database.execute(
        "SELECT (paid_through - first_slot + 1)::text, (paid_through - released_through)::text FROM forecast.private_release ORDER BY release_id"
      ) == [["50", "1"], ["1", "1"]])
    // 49 days, then the 20th.
    #expect(try await service.value("SELECT count(*)::text FROM forecast.private_value") == "150")
    await service.pool.close()
  }

  @Test("two rows for one series and slot, or another unit, fail the run with words that help")
  func refusedRuns() async throws {
    let service = try Service()
    try await service.makeSource()
    try await open(service, epsilon: 10, unit: "person")
    try await service.apply(job(service, inputs))
    #expect(try await service.run().state == "failed")
    let error = try await service.value("SELECT error_text FROM forecast.run")
    #expect(error?.contains("more than one row") == true, "\(error ?? "-")")
    // The charge was begun and left: the next attempt at the run may use it.
    #expect(try await service.value("SELECT state FROM forecast.privacy_charges") == "unused")
    #expect(try await service.value("SELECT count(*)::text FROM forecast.private_value") == "0")
    await service.pool.close()
  }

  @Test(
    "impossible sections are refused with their line",
    arguments: [
      ("mechanism: noise, budget: a, epsilon: 1, delta: 1e-5, units: 9", "privacy.mechanism"),
      ("mechanism: inputs, budget: a, epsilon: 1, delta: 1e-5, slots: 9", "sensitivity is missing"),
      ("mechanism: inputs, budget: a, epsilon: 1, delta: 1e-5, sensitivity: 1", "slots is missing"),
      (
        "mechanism: inputs, budget: a, epsilon: 1, delta: 1e-5, sensitivity: 0, slots: 9",
        "privacy.sensitivity"
      ),
      (
        "mechanism: inputs, budget: a, epsilon: 1, delta: 1e-5, sensitivity: 1, slots: 9, unit: series",
        "protects a person"
      ),
      (
        "mechanism: inputs, budget: a, epsilon: 1, delta: 1e-5, sensitivity: 1, slots: 9, units: 7",
        "only with gradients and correlated"
      ),
      (
        "mechanism: inputs, budget: a, epsilon: 1, delta: 1e-5, sensitivity: 1, slots: 9, history: 10",
        "at most slots"
      ),
      (
        "mechanism: correlated, budget: a, epsilon: 1, delta: 1e-5, units: 9, samplingRate: 0.1",
        "only with gradients"
      ),
      (
        "mechanism: correlated, budget: a, epsilon: 1, delta: 1e-5, units: 9, clipping: adaptive",
        "flat or automatic"
      ),
      ("budget: a, epsilon: 1, delta: 1e-5, units: 9, bands: 4", "only with correlated"),
      ("budget: a, epsilon: 1, delta: 1e-5, units: 9, sensitivity: 1", "only with inputs"),
      ("budget: a, epsilon: 1, delta: 1e-5, units: 9, unit: person", "person is the unit of"),
    ])
  func messages(section: String, expected: String) throws {
    let service = try Service()
    do {
      _ = try job(service, section)
      Issue.record("accepted: \(section)")
    } catch {
      #expect("\(error)".contains(expected), "\(error)")
      #expect("\(error)".contains(".yaml:"), "\(error)")
    }
  }
}
