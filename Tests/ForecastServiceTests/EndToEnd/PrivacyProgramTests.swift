import ForecastService
import Foundation
import Postgres
import TestSupport
import Testing

/// `forecastctl privacy` on a ledger.
@Suite(
  "The programs and the privacy ledger", .requiresDatabase, .temporaryDatabase(migrated),
  .tags(.database))
struct PrivacyProgramTests {
  private func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  private func rows(_ text: String) throws -> [[String: Any]] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
  }

  @Test("budgets are opened and listed, charges shown, refits planned")
  func commands() async throws {
    let service = try LedgerService()
    let programs = Programs(service.service.database.address)
    func call(_ arguments: String...) async throws -> Programs.Ended {
      try await programs.start("forecastctl", ["privacy"] + arguments).end()
    }
    var ended = try await call()
    #expect(ended.status == 0 && ended.output.contains("no privacy budget yet"), "\(ended.errors)")
    ended = try await call(
      "budget", "create", "people", "--unit", "series", "--epsilon", "1.3", "--delta", "1e-6",
      "--block", "2026", "--block-from", "2026-01-01", "--block-until", "2027-01-01", "--note",
      "board, 3 March", "-o", "json")
    #expect(ended.status == 0, "\(ended.errors)")
    let budget = try #require(try rows(ended.output).first)
    #expect(budget["epsilon_limit"] as? Double == 1.3 && budget["epsilon_left"] as? Double == 1.3)
    #expect(budget["block_until"] as? String == "2027-01-01T00:00:00Z")
    #expect(budget["note"] as? String == "board, 3 March")

    let claim = try await service.attempts(1)[0]
    _ = try await service.ledger.reserve(
      .training(scope: .blocks(["2026"])), token: claim.token)
    ended = try await call("people")
    #expect(ended.status == 0, "\(ended.errors)")
    for word in ["people", "job-1", "reserved", "2026"] {
      #expect(ended.output.contains(word), "\(ended.output)")
    }
    ended = try await call("show", "people", "-o", "json")
    let shown = try object(ended.output)
    let charge = try #require((shown["charges"] as? [[String: Any]])?.first)
    #expect(charge["run_id"] as? Int64 == claim.runID && charge["intact"] as? Bool == true)
    #expect(charge["noise_multiplier"] as? Double == 2 && charge["state"] as? String == "reserved")
    let listed = try #require((shown["budgets"] as? [[String: Any]])?.first)
    let spent = try #require(listed["epsilon_spent"] as? Double)
    #expect(spent > 0 && spent == charge["composed_epsilon"] as? Double)
    ended = try await call("budget", "list", "-o", "csv")
    #expect(
      ended.output.hasPrefix(
        "account,unit,unit_steps,block,epsilon_limit,epsilon_spent,epsilon_left"))
    ended = try await call("show", "-o", "jsonl")
    #expect(try object(ended.output)["job"] as? String == "job-1")

    ended = try await call(
      "plan", "people", "--every", "7 days", "--from", "2026-03-02", "--until", "2026-12-31",
      "--sampling-rate", "0.01", "--noise-multiplier", "2", "--steps", "200", "-o", "json")
    #expect(ended.status == 0, "\(ended.errors)")
    let plan = try #require(try rows(ended.output).first)
    #expect(plan["refits_wanted"] as? Int == 44)
    let fitting = try #require(plan["refits_fitting"] as? Int)
    #expect(fitting > 0 && fitting < 44)
    #expect(try #require(plan["lasting_noise_multiplier"] as? Double) > 2)
    #expect((plan["refused_at"] as? String)?.hasSuffix("Z") == true)
    await service.close()
  }

  @Test("an audit needs a job's file or its name; it reads nothing and charges nothing")
  func audit() async throws {
    let service = try LedgerService()
    let programs = Programs(service.service.database.address)
    let folder = try TemporaryDirectory()
    func file(_ job: String, _ privacy: String) throws -> String {
      let path = "\(folder.path)/\(job).yaml"
      try """
      job: \(job)
      source: {query: "SELECT series, ts, y FROM secret WHERE ts <= :cutoff", frequency: 1 day}
      horizon: 3
      contextLength: 10
      model: {kind: gru, hidden: 12}
      training: {steps: 40, batch: 20}
      \(privacy)
      """.write(toFile: path, atomically: true, encoding: .utf8)
      return path
    }
    let path = try file(
      "demand", "privacy: {budget: nobody, epsilon: 4, delta: 1e-5, units: 200}")
    func call(_ arguments: String...) async throws -> Programs.Ended {
      try await programs.start("forecastctl", ["privacy", "audit"] + arguments).end()
    }
    var ended = try await call(
      path, "--canaries", "200", "--steps", "20", "--confidence", "0.999", "-o", "json")
    #expect(ended.status == 0, "\(ended.errors)")
    let audit = try #require(try rows(ended.output).first)
    #expect(audit["job"] as? String == "demand" && audit["steps"] as? Int == 20)
    #expect(audit["verdict"] as? String == "consistent with the claim")
    #expect(audit["canaries"] as? Int == 200 && audit["delta"] as? Double == 1e-5)
    let claimed = try #require(audit["epsilon"] as? Double)
    let bound = try #require(audit["epsilon_lower_bound"] as? Double)
    #expect(claimed > 0.5 && claimed < 4 && bound < claimed)
    for check in ["sampling", "noise", "sensitivity", "post_processing"] {
      #expect(audit["\(check)_right"] as? Bool == true, "\(check)")
    }

    ended = try await call("demand")
    #expect(ended.status == 64 && ended.errors.contains("no job \"demand\""), "\(ended.errors)")
    ended = try await programs.start("forecastctl", ["apply", path]).end()
    #expect(ended.status == 0, "\(ended.errors)")
    ended = try await call("demand", "--canaries", "100", "--steps", "2", "--confidence", "0.999")
    #expect(ended.status == 0 && ended.output.contains("consistent"), "\(ended.errors)")
    #expect(ended.errors.contains("nothing was charged"))

    for (arguments, words) in [
      ([try file("open", "")], "no privacy section"),
      ([path, "--steps", "41"], "expected 1 to 40"),
      ([path, "--canaries", "1000000"], "canaries is 1000000"),
      ([path, "--confidence", "1"], "confidence is 1"), ([path, "--threads", "0"], "--threads"),
      ([folder.path], "name a single file"),
    ] {
      ended = try await programs.start("forecastctl", ["privacy", "audit"] + arguments).end()
      #expect(ended.status == 64 && ended.errors.contains(words), "\(ended.errors)")
    }
    #expect(
      try await service.service.database.execute(
        "SELECT count(*)::text FROM forecast.privacy_charge")
        == [["0"]])
    await service.close()
  }

  @Test("exit codes: 64 for what is not there or impossible, 77 for who may not")
  func exitCodes() async throws {
    let service = try LedgerService()
    let address = service.service.database.address
    let programs = Programs(address)
    func call(_ arguments: String..., as user: String? = nil) async throws -> Programs.Ended {
      let url = user.map { address.with(user: $0).url } ?? address.url
      return try await programs.start(
        "forecastctl", ["privacy"] + arguments, environment: ["FORECAST_DATABASE_URL": url]
      ).end()
    }
    var ended = try await call("show", "nobody")
    #expect(ended.status == 64 && ended.errors.contains("budget create"), "\(ended.errors)")
    let create = ["budget", "create", "people", "--unit", "series", "--delta", "1e-6"]
    for (arguments, words) in [
      (["--epsilon", "0"], "above 0"), (["--epsilon", "many"], "a number such as"),
      (["--epsilon", "1", "--block-from", "soon"], "--block-from"),
      (["--epsilon", "1", "--valid-until", "2001-01-01"], "ends before it begins"),
      (["--epsilon", "1", "--unit-steps", "5"], "series of 5 steps"),
    ] {
      ended = try await programs.start("forecastctl", ["privacy"] + create + arguments).end()
      #expect(ended.status == 64 && ended.errors.contains(words), "\(ended.errors)")
    }
    for (role, status) in [("forecast_reader", Int32(77)), ("forecast_operator", 0)] {
      let user = "\(role)_\(service.service.database.name)"
      try await service.service.database.execute("CREATE ROLE \(user) LOGIN IN ROLE \(role)")
      ended = try await call(
        "budget", "create", "people", "--unit", "series", "--delta", "1e-6", "--epsilon", "1",
        as: user)
      #expect(ended.status == status, "\(role): \(ended.errors)")
    }
    ended = try await call(
      "budget", "create", "people", "--unit", "series", "--delta", "1e-6", "--epsilon", "5")
    #expect(ended.status == 64 && ended.errors.contains("never changed"), "\(ended.errors)")
    ended = try await call(
      "plan", "people", "--every", "often", "--until", "2099-12-31", "--sampling-rate", "0.01",
      "--noise-multiplier", "2", "--steps", "200")
    #expect(ended.status == 64 && ended.errors.contains("--every"), "\(ended.errors)")
    ended = try await call(
      "plan", "people", "--every", "7 days", "--until", "2099-12-31", "--sampling-rate", "1.5",
      "--noise-multiplier", "2", "--steps", "200")
    #expect(ended.status == 64 && ended.errors.contains("sampling rate"), "\(ended.errors)")
    await service.close()
  }

  @Test(
    "the private jobs of the package, as their files say: account, run, charge, and what is shown of it"
  )
  func packaged() async throws {
    let service = try Service()
    let programs = Programs(service.database.address)
    func call(_ program: String, _ arguments: String...) async throws -> Programs.Ended {
      let ended = try await programs.start(program, arguments).end()
      #expect(ended.status == 0, "\(arguments): \(ended.errors)")
      return ended
    }
    try await service.database.execute(
      """
      CREATE SCHEMA demo;
      CREATE TABLE demo.m3_monthly AS SELECT 'n' || s AS series, date '1990-01-01' + d * interval '1 month' AS ts,
        1000 + 100 * sin(d * 0.5236 + s) + s * d AS value FROM generate_series(1, 12) s, generate_series(0, 89) d;
      CREATE TABLE demo.paris_mobility AS SELECT 'r' || s AS series, ts,
        1000 * s + 200 * sin(extract(epoch FROM ts) / 13751) AS value
        FROM generate_series(1, 3) s, generate_series(timestamptz '2020-08-24', '2020-10-28', interval '30 minutes') ts;
      """)
    _ = try await call(
      "forecastctl", "privacy", "budget", "create", "m3-monthly", "--unit", "series", "--epsilon",
      "8.1", "--delta", "1e-4")
    _ = try await call(
      "forecastctl", "privacy", "budget", "create", "paris-mobility", "--unit", "block",
      "--unit-steps", "96", "--every", "month", "--timezone", "Europe/Paris", "--epsilon", "12",
      "--delta", "1e-5")
    for name in ["m3-monthly-private", "paris-mobility-private"] {
      _ = try await call(
        "forecastctl", "apply", sourceRoot.appendingPathComponent("jobs/\(name).yaml").path)
    }
    try await service.database.execute(
      "SELECT forecast.run_now('m3-monthly-private', '1997-06-30'), forecast.run_now('paris-mobility-private', '2020-10-27 22:59')"
    )
    _ = try await call("forecastd", "once")
    #expect(
      try await service.database.execute(
        "SELECT job, block, state, steps::text, (epsilon BETWEEN 7 AND 8.01)::text FROM forecast.privacy_charges ORDER BY job, block"
      ) == [
        ["m3-monthly-private", "all", "committed", "300", "true"],
        ["paris-mobility-private", "2020-08", "committed", "200", "true"],
        ["paris-mobility-private", "2020-09", "committed", "200", "true"],
        ["paris-mobility-private", "2020-10", "committed", "200", "true"],
      ])
    #expect(
      try await service.database.execute(
        "SELECT job, count(DISTINCT series)::text FROM forecast.current GROUP BY job ORDER BY job")
        == [["m3-monthly-private", "12"], ["paris-mobility-private", "3"]])
    let shown = try await call("forecastctl", "privacy", "show").output
    for words in ["all of a series", "a block of 96 steps in a month", "3, 2020-08 to 2020-10"] {
      #expect(shown.contains(words), "\(shown)")
    }
    // The second training does not fit: it goes on with the first model and says so.
    try await service.database.execute(
      "SELECT forecast.run_now('m3-monthly-private', '1997-07-31')")
    _ = try await call("forecastd", "once")
    let status = try await programs.start("forecastctl", ["status", "m3-monthly-private"]).end()
    #expect(status.status == 3 && status.output.contains("privacy-budget"), "\(status.output)")
    #expect(status.errors.contains("predicting with the model of "), "\(status.errors)")
    await service.pool.close()
  }

  @Test("kill -9 in the training: what was begun stays spent, and the next attempt pays again")
  func killed() async throws {
    let service = try Service()
    let programs = Programs(service.database.address)
    try await service.makeSource()
    try await service.database.execute(
      "INSERT INTO forecast.privacy_budget (account, unit, epsilon_limit, delta_limit) VALUES ('demand', 'series', 50, 1e-3)"
    )
    try await service.apply(
      service.job(
        extra:
          "contextLength: 20\nprivacy: {budget: demand, epsilon: 1, delta: 1e-3, units: 50}",
        steps: 40_000))
    let first = try programs.start("forecastd", ["serve", "--lease", "2"])
    _ = try await service.value("SELECT forecast.run_now('demand', '2024-02-29')")
    try await waitUntil("SELECT stage = 'fit' FROM forecast.run", at: service.database.address)
    first.signal(SIGKILL)
    _ = try await first.end()
    #expect(try await service.value("SELECT state FROM forecast.privacy_charges") == "begun")
    #expect(try await service.value("SELECT count(*) FROM forecast.model_version") == "0")
    let spent = try #require(try await service.value("SELECT epsilon_spent FROM forecast.privacy"))
    // A lease that holds on a busy machine: an attempt that lost it would pay a third time.
    let second = try programs.start("forecastd", ["serve", "--lease", "30"])
    try await waitUntil(
      "SELECT state = 'succeeded' FROM forecast.run", at: service.database.address)
    #expect(
      try await service.value(
        "SELECT string_agg(state, ',' ORDER BY number) || (min(composed_epsilon) = \(spent))::text FROM forecast.privacy_charges"
      ) == "begun,committedtrue")
    second.signal(SIGTERM)
    _ = try await second.end()
    await service.pool.close()
  }
}
