import Forecasters
import Foundation
import NumericsCore
import Testing

@Suite("Forecaster configurations")
struct ForecasterConfigurationTests {
  static let good = ForecasterConfiguration(contextLength: 24, horizon: 12, seasonality: [12])

  struct Bad: Sendable {
    let message: String
    let change: @Sendable (inout ForecasterConfiguration) -> Void
    init(_ message: String, _ change: @escaping @Sendable (inout ForecasterConfiguration) -> Void) {
      self.message = message
      self.change = change
    }
  }

  static let bad: [Bad] = [
    Bad("unknown model kind \"lsmt\", expected one of lstm") { $0.kind = "lsmt" },
    Bad("hidden is 0, expected 1 to 4096") { $0.hidden = 0 },
    Bad("hidden is 4097, expected 1 to 4096") { $0.hidden = 4097 },
    Bad("layers is 0, expected 1 to 16") { $0.layers = 0 },
    Bad("layers is 17, expected 1 to 16") { $0.layers = 17 },
    Bad("dropout is 1.0, expected at least 0, below 1") { $0.dropout = 1 },
    Bad("dropout is -0.1, expected at least 0, below 1") { $0.dropout = -0.1 },
    Bad("dropout is nan, expected at least 0, below 1") { $0.dropout = .nan },
    Bad("contextLength is 1, expected 2 to 1000000") { $0.contextLength = 1 },
    Bad("contextLength is \(Int.max), expected 2 to 1000000") { $0.contextLength = .max },
    Bad("horizon is 0, expected 1 to 100000") { $0.horizon = 0 },
    Bad("horizon is \(Int.max), expected 1 to 100000") { $0.horizon = .max },
    Bad("there are no quantiles") { $0.quantiles = [] },
    Bad("there are 1000 quantiles, expected 1 to 999") {
      $0.quantiles = (1...1000).map { Double($0) / 1001 }
    },
    Bad("quantiles must increase and lie between 0 and 1, found [0.5, 0.5]") {
      $0.quantiles = [0.5, 0.5]
    },
    Bad("quantiles must increase and lie between 0 and 1, found [0.9, 0.1]") {
      $0.quantiles = [0.9, 0.1]
    },
    Bad("quantiles must increase and lie between 0 and 1, found [0.0, 0.5]") {
      $0.quantiles = [0, 0.5]
    },
    Bad("quantiles must increase and lie between 0 and 1, found [nan]") { $0.quantiles = [.nan] },
    Bad("seasonality must be at least 1, found [12, 0]") { $0.seasonality = [12, 0] },
    Bad("there are 17 seasons, expected at most 16") { $0.seasonality = Array(1...17) },
  ]

  @Test("a bad value is refused by name, with its range", arguments: bad.indices)
  func refused(index: Int) {
    var configuration = Self.good
    Self.bad[index].change(&configuration)
    do {
      try configuration.validate()
      Issue.record("not refused: \(Self.bad[index].message)")
    } catch let error as ForecasterError {
      #expect(error.code == .badConfiguration)
      #expect(error.message.hasPrefix(Self.bad[index].message))
      #expect(!error.isTransient)
    } catch { Issue.record(error) }
  }

  @Test("a network is not made from a bad configuration")
  func network() {
    var configuration = Self.good
    configuration.hidden = 0
    #expect(throws: ForecasterError.self) { try ForecastNetwork<Float>(configuration) }
  }

  @Test("good values pass and come back from JSON as they were")
  func codable() throws {
    for configuration in ForecastNetworkTests.shapes + [Self.good] {
      try configuration.validate()
      let json = try JSONEncoder().encode(configuration)
      #expect(try JSONDecoder().decode(ForecasterConfiguration.self, from: json) == configuration)
    }
  }

  @Test("every registered kind has help, a reference and what forecasts", arguments: Registry.kinds)
  func registry(kind: String) throws {
    let entry = try #require(Registry.entry(kind))
    #expect(entry.kind == kind)
    #expect(entry.help.hasSuffix(".") && entry.help.count > 20)
    #expect(!entry.reference.isEmpty)
    #expect(entry.reference.allSatisfy { $0.isLowercase || $0.isNumber })
    var configuration = Self.good
    configuration.kind = kind
    if Registry.isNetwork(kind) {
      #expect(try ForecastNetwork<Float>(configuration).layout.count > 0)
    } else {
      #expect(throws: ForecasterError.self) { try ForecastNetwork<Float>(configuration) }
      let series = try #require(entry as? any SeriesArchitecture.Type)
      guard !entry.options.contains(where: \.isRequired) else { return }
      #expect(try series.makeForecaster(configuration).batch > 0)
    }
    #expect(Registry.kinds.filter { $0 == kind }.count == 1)
  }

  @Test("an unknown kind has no entry")
  func unknown() { #expect(Registry.entry("crystal ball") == nil) }
}
