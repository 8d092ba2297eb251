import Foundation
import Postgres
import Testing

@Suite("Connection settings")
struct ConfigurationTests {
  @Test("a URL and key=value pairs say the same")
  func forms() throws {
    for text in [
      "postgresql://ada@db.example:5433/sales?sslmode=require",
      "host=db.example port=5433 user=ada dbname=sales sslmode=require",
    ] {
      let configuration = try PostgresConfiguration(url: text, environment: [:])
      #expect(configuration.host == "db.example")
      #expect(configuration.port == "5433")
      #expect(configuration.user == "ada")
      #expect(configuration.database == "sales")
      #expect(configuration.url == "postgresql://ada@db.example:5433/sales?sslmode=require")
    }
  }

  @Test("a socket directory comes back as a URL that reads the same")
  func socket() throws {
    let one = PostgresConfiguration(
      socketDirectory: "/var/lib/a b", port: 6000, user: "o'hara", database: "d&d")
    let two = try PostgresConfiguration(url: one.url, environment: [:])
    #expect(two.host == "/var/lib/a b")
    #expect(two.user == "o'hara")
    #expect(two.database == "d&d")
    #expect(two.port == "6000")
    #expect(one.with(database: "other").database == "other")
  }

  @Test("PG* variables fill what the URL leaves open, and no more")
  func environment() throws {
    let environment = [
      "PGHOST": "elsewhere", "PGUSER": "eve", "PGDATABASE": "db", "PGPASSWORD": "hunter22",
    ]
    let open = try PostgresConfiguration(url: nil, environment: environment)
    #expect(open.host == "elsewhere")
    #expect(open.user == "eve")
    #expect(!open.description.contains("hunter22"))
    let given = try PostgresConfiguration(url: "postgresql://ada@here/x", environment: environment)
    #expect(given.host == "here")
    #expect(given.user == "ada")
  }

  static let secrets = [
    "postgresql://ada:hunter22@db.example/sales",
    "host=db.example user=ada password=hunter22",
    "host=db.example user=ada password='hunter22' sslpassword=hunter22",
    "postgresql://db.example/sales?user=ada&password=hunter22",
  ]

  @Test("a password is in no description", arguments: secrets)
  func redacted(text: String) throws {
    let configuration = try PostgresConfiguration(url: text, environment: [:])
    for shown in [configuration.description, configuration.redacted, configuration.url] {
      #expect(!shown.contains("hunter22"))
      #expect(shown.contains("db.example"))
    }
  }

  static let broken = [
    "postgresql://ada:hunter22@db.example:port/sales?nonsense=hunter22",
    "postgresql://ada:hunter22%zz@db.example/sales",
    "host=db.example hunter22", "hunter22",
    "postgresql://ada:hunter22@[::1/sales", "password='hunter22", "hunter22=1",
    "postgresql://ada:hunter22@db.example:99999/x", "host=a port=hunter22",
    "postgresql://ada@db.example/sales?hunter22",
  ]

  @Test("a broken setting is refused without repeating it", arguments: broken)
  func refused(text: String) {
    let error = #expect(throws: PostgresError.self) {
      try PostgresConfiguration(url: text, environment: [:])
    }
    #expect(error?.code == .configuration)
    #expect(error?.description.contains("hunter22") == false)
    #expect(error?.message.contains("hunter22") == false)
  }
}
