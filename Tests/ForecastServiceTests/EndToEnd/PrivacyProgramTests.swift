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
}
