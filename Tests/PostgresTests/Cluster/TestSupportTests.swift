import Foundation
import Postgres
import TestSupport
import Testing

@Suite("Servers and databases of tests", .tags(.database), .requiresDatabase)
struct TemporaryServerTests {
  private static let template = DatabaseTemplate("support") { address in
    try ClusterProbe.execute("CREATE TABLE prepared AS SELECT 1 AS one", at: address)
  }

  @Test("every clone of a template is fresh, many at once", arguments: 1...8)
  func clones(number: Int) async throws {
    try await TemporaryDatabase.with(Self.template) { database in
      #expect(try await database.execute("SELECT count(*) FROM prepared") == [["1"]])
      try await database.execute("INSERT INTO prepared VALUES (\(number))")
      #expect(try await database.execute("SELECT count(*) FROM prepared") == [["2"]])
    }
  }

  @Test("the trait gives a test its database", .temporaryDatabase(template))
  func trait() async throws {
    let database = try #require(TemporaryDatabase.current)
    #expect(try await database.execute("SELECT one FROM prepared") == [["1"]])
  }

  @Test(
    "a server of one's own goes down and comes back",
    arguments: [
      TemporaryServer.Shutdown.fast, .immediate, .kill,
    ])
  func restarts(how: TemporaryServer.Shutdown) async throws {
    let server = try await TemporaryServer.launch()
    try await server.execute("CREATE TABLE kept (x int)")
    let before = try #require(server.pid)
    try await server.stop(how)
    #expect(server.pid == nil)
    await #expect(throws: ClusterProbe.Failure.self) { try await server.execute("SELECT 1") }
    try await server.start()
    #expect(server.pid != before)
    #expect(try await server.execute("SELECT count(*) FROM kept") == [["0"]])
    await server.remove()
    #expect(!FileManager.default.fileExists(atPath: server.directory.path))
  }

  @Test("authentication lines come first")
  func authentication() async throws {
    let server = try await TemporaryServer.launch(
      authentication: ["local all locked scram-sha-256"])
    try await server.execute("CREATE ROLE locked LOGIN PASSWORD 'secret'; CREATE ROLE free LOGIN")
    #expect(try ClusterProbe.execute("SELECT 1", at: server.address.with(user: "free")) == [["1"]])
    #expect(throws: ClusterProbe.Failure.self) {
      try ClusterProbe.execute("SELECT 1", at: server.address.with(user: "locked"))
    }
    try await server.setAuthentication(["local all free reject"])
    // The reload is asynchronous; the server says when it has been done.
    while try await server.execute(
      "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'reject'") != [["1"]]
    {}
    await server.remove()
  }

  @Test("kill -9 of the owner ends server and directory")
  func watchdog() async throws {
    // Closing the line is all that a killed process does, too.
    let server = try await TemporaryServer.launch()
    let pid = try #require(server.pid)
    await server.remove()
    #expect(!PostmasterFile.isServer(pid, dataDirectory: "/"))
    #expect(!FileManager.default.fileExists(atPath: server.directory.path))
  }
}

@Suite("Helpers of tests")
struct HelperTests {
  @Test("closeness: absolute and relative tolerance add up, NaN only equals NaN")
  func closeness() {
    expectClose(1.0, 1.0)
    expectClose(1.05, 1.0, absolute: 0.06)
    expectClose(103.0, 100, absolute: 1, relative: 0.02)
    expectClose(Double.infinity, .infinity)
    expectClose(Float.nan, .nan)
    expectClose([1.0, 2.0], [1.0, 2.1], relative: 0.05)
    expectClose([Double](), [])
  }

  @Test("closeness: what is far is reported")
  func farness() {
    withKnownIssue { expectClose(1.2, 1.0, absolute: 0.1) }
    withKnownIssue { expectClose(Double.nan, 1, absolute: 10) }
    withKnownIssue { expectClose(Double.infinity, -.infinity, absolute: 10) }
    withKnownIssue { expectClose(1, Double.infinity, relative: 1) }
    withKnownIssue { expectClose([1.0, 2.0], [1.0], absolute: 10) }
    withKnownIssue { expectClose([1.0, .nan], [1.0, 2.0], absolute: 10) }
  }

  @Test("the seeded generator gives SplitMix64's numbers")
  func generator() {
    var generator = SeededGenerator(seed: 1_234_567)
    let expected: [UInt64] = [
      6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
      4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
    ]
    #expect((0..<5).map { _ in generator.next() } == expected)
  }

  @Test("its normal numbers have mean 0 and variance 1")
  func normals() {
    var generator = SeededGenerator(seed: 7)
    let values = generator.normals(100_000)
    // Five standard errors; the seed is fixed, so this either always holds or never.
    let mean = values.reduce(0, +) / 100_000
    expectClose(mean, 0, absolute: 0.016)
    expectClose(values.reduce(0) { $0 + $1 * $1 } / 100_000, 1, absolute: 0.023)
  }

  @Test("a missing golden file is named")
  func golden() {
    #expect(throws: Golden.Missing.self) { try Golden.text("no-such-file.json") }
  }
}
