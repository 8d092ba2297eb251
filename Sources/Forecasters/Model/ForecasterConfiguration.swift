/// Everything that determines a forecaster's architecture: with the weights it makes a model.
public struct ForecasterConfiguration: Codable, Sendable, Equatable {
  /// Registered name of the backbone, such as `lstm`.
  public var kind: String
  /// Width `D` of the backbone's state.
  public var hidden: Int
  public var layers: Int
  /// Probability that an output of a layer below the last is dropped in training, 0 ..< 1.
  public var dropout: Double
  /// Further options of the architecture by name; those not named have their standard values.
  public var options: [String: ModelOption.Value]
  /// Steps of the past that are read.
  public var contextLength: Int
  /// Steps ahead that are forecast, all at once.
  public var horizon: Int
  /// Increasing levels in (0, 1).
  public var quantiles: [Double]
  /// Season lengths in steps; 1 means none.
  public var seasonality: [Int]

  public init(
    kind: String = "lstm", hidden: Int = 64, layers: Int = 1, dropout: Double = 0,
    options: [String: ModelOption.Value] = [:], contextLength: Int, horizon: Int,
    quantiles: [Double] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95], seasonality: [Int] = [1]
  ) {
    self.kind = kind
    self.hidden = hidden
    self.layers = layers
    self.dropout = dropout
    self.options = options
    self.contextLength = contextLength
    self.horizon = horizon
    self.quantiles = quantiles
    self.seasonality = seasonality
  }

  /// - Throws: `ForecasterError.badConfiguration` naming the value, the range and the remedy.
  public func validate() throws {
    func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if !holds { throw ForecasterError(.badConfiguration, text()) }
    }
    guard let entry = Registry.entry(kind) else {
      throw ForecasterError(
        .badConfiguration,
        "unknown model kind \"\(kind)\", expected one of \(Registry.kinds.joined(separator: ", "))")
    }
    for (name, value) in options.sorted(by: { $0.key < $1.key }) {
      guard let option = entry.options.first(where: { $0.name == name }) else {
        throw ForecasterError(
          .badConfiguration,
          "\(kind) has no option \(name), expected one of \(entry.options.map(\.name).joined(separator: ", "))"
        )
      }
      try require(option.accepts(value), "\(name) is not \(option.expected)")
    }
    try require((1...4096).contains(hidden), "hidden is \(hidden), expected 1 to 4096")
    try require((1...16).contains(layers), "layers is \(layers), expected 1 to 16")
    try require(dropout >= 0 && dropout < 1, "dropout is \(dropout), expected at least 0, below 1")
    try require(
      (2...1_000_000).contains(contextLength),
      "contextLength is \(contextLength), expected 2 to 1000000")
    try require((1...100_000).contains(horizon), "horizon is \(horizon), expected 1 to 100000")
    try require(!quantiles.isEmpty, "there are no quantiles")
    try require(quantiles.count <= 999, "there are \(quantiles.count) quantiles, expected 1 to 999")
    try require(
      zip(quantiles, quantiles.dropFirst()).allSatisfy(<)
        && quantiles.allSatisfy { $0 > 0 && $0 < 1 },
      "quantiles must increase and lie between 0 and 1, found \(quantiles)")
    try require(
      seasonality.allSatisfy { $0 >= 1 }, "seasonality must be at least 1, found \(seasonality)")
    try require(
      seasonality.count <= 16, "there are \(seasonality.count) seasons, expected at most 16")
    try entry.validate(self)
  }

  // MARK: Options

  /// An option's value, or its standard value.
  private func option(_ name: String) -> ModelOption.Value {
    if let value = options[name] { return value }
    guard let option = Registry.entry(kind)?.options.first(where: { $0.name == name }) else {
      preconditionFailure("\(kind) declares no option \(name)")
    }
    return option.standard
  }

  /// - Precondition: the architecture declares an integer of this name; so for the other types.
  public func integer(_ name: String) -> Int {
    guard case .integer(let value) = option(name) else { preconditionFailure(name) }
    return value
  }

  public func number(_ name: String) -> Double {
    switch option(name) {
    case .number(let value): return value
    case .integer(let value): return Double(value)
    default: preconditionFailure(name)
    }
  }

  public func flag(_ name: String) -> Bool {
    guard case .flag(let value) = option(name) else { preconditionFailure(name) }
    return value
  }

  public func text(_ name: String) -> String {
    guard case .text(let value) = option(name) else { preconditionFailure(name) }
    return value
  }

  public func texts(_ name: String) -> [String] {
    guard case .texts(let value) = option(name) else { preconditionFailure(name) }
    return value
  }

  /// - Throws: `ForecasterError.badConfiguration` where an integer option is odd.
  func requireEven(_ name: String, because reason: String) throws {
    let value = integer(name)
    guard value % 2 == 0 else {
      throw ForecasterError(
        .badConfiguration, "\(name) is \(value), expected an even number: \(reason)")
    }
  }

  /// - Throws: `ForecasterError.badConfiguration` where an integer option does not divide a number.
  func requireDivisor(_ name: String, of number: Int, _ what: String) throws {
    let value = integer(name)
    guard value == 0 || number % value == 0 else {
      throw ForecasterError(
        .badConfiguration, "\(name) is \(value), expected a divisor of \(what), \(number)")
    }
  }

  // MARK: Shapes

  /// Seasons that the context can hold at least once.
  public var usableSeasons: [Int] {
    seasonality.filter { $0 > 1 && $0 <= contextLength }
  }

  /// Inputs `F` of every step: see `WindowFeatures`.
  public var featureCount: Int {
    2 + usableSeasons.count + 2 * seasonality.filter { $0 > 1 }.count
  }

  /// Candidates `K` of the linear start: see `WindowFeatures`.
  public var skipCount: Int { 1 + usableSeasons.count * 2 }
}

extension ForecasterConfiguration {
  private enum CodingKeys: String, CodingKey {
    case kind, hidden, layers, dropout, options, contextLength, horizon, quantiles, seasonality
  }

  /// Models stored before there were options have none.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      kind: try container.decode(String.self, forKey: .kind),
      hidden: try container.decode(Int.self, forKey: .hidden),
      layers: try container.decode(Int.self, forKey: .layers),
      dropout: try container.decode(Double.self, forKey: .dropout),
      options: try container.decodeIfPresent(
        [String: ModelOption.Value].self, forKey: .options) ?? [:],
      contextLength: try container.decode(Int.self, forKey: .contextLength),
      horizon: try container.decode(Int.self, forKey: .horizon),
      quantiles: try container.decode([Double].self, forKey: .quantiles),
      seasonality: try container.decode([Int].self, forKey: .seasonality))
  }
}

/// What can be wrong with a forecaster, in one sentence.
public struct ForecasterError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable { case badConfiguration, badWeights, badSeries }

  public let code: Code
  public let message: String
  public var isTransient: Bool { false }
  public var description: String { message }

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }
}
