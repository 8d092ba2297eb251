/// A choice that an architecture leaves open beside `hidden`, `layers` and `dropout`.
///
/// Job files, `forecastctl models` and validation all read the declaration.
public struct ModelOption: Sendable {
  public enum Kind: Sendable {
    case integer(ClosedRange<Int>)
    case number(ClosedRange<Double>)
    case flag
    case choice([String])
    /// A list of words, such as the kinds of blocks.
    case choices([String])
    /// A file that the process that forecasts can read; there is no standard one.
    case file
  }

  /// As job files write it, such as `stateSize`.
  public let name: String
  public let kind: Kind
  /// What holds where nothing is said.
  public let standard: Value
  /// Half a sentence.
  public let help: String

  public enum Value: Sendable, Equatable {
    case integer(Int)
    case number(Double)
    case flag(Bool)
    case text(String)
    case texts([String])

    /// JSON does not tell 2 from 2.0, and nor does a number's range.
    public static func == (a: Value, b: Value) -> Bool {
      switch (a, b) {
      case (.integer(let a), .integer(let b)): a == b
      case (.number(let a), .number(let b)): a == b
      case (.integer(let a), .number(let b)): Double(a) == b
      case (.number(let a), .integer(let b)): a == Double(b)
      case (.flag(let a), .flag(let b)): a == b
      case (.text(let a), .text(let b)): a == b
      case (.texts(let a), .texts(let b)): a == b
      default: false
      }
    }
  }

  private init(_ name: String, _ kind: Kind, _ standard: Value, _ help: String) {
    self.name = name
    self.kind = kind
    self.standard = standard
    self.help = help
  }

  public static func integer(
    _ name: String, _ range: ClosedRange<Int>, standard: Int, _ help: String
  ) -> ModelOption {
    ModelOption(name, .integer(range), .integer(standard), help)
  }

  public static func number(
    _ name: String, _ range: ClosedRange<Double>, standard: Double, _ help: String
  ) -> ModelOption {
    ModelOption(name, .number(range), .number(standard), help)
  }

  public static func flag(_ name: String, standard: Bool, _ help: String) -> ModelOption {
    ModelOption(name, .flag, .flag(standard), help)
  }

  public static func choice(
    _ name: String, _ words: [String], standard: String, _ help: String
  ) -> ModelOption {
    ModelOption(name, .choice(words), .text(standard), help)
  }

  public static func choices(
    _ name: String, _ words: [String], standard: [String], _ help: String
  ) -> ModelOption {
    ModelOption(name, .choices(words), .texts(standard), help)
  }

  public static func file(_ name: String, _ help: String) -> ModelOption {
    ModelOption(name, .file, .text(""), help)
  }

  /// Whether a value must be given.
  public var isRequired: Bool { if case .file = kind { true } else { false } }

  /// A default or a value as a job file writes it.
  public static func describe(_ value: Value) -> String {
    switch value {
    case .integer(let number): "\(number)"
    case .number(let number): "\(number)"
    case .flag(let flag): "\(flag)"
    case .text(let word): word
    case .texts(let words): "[\(words.joined(separator: ", "))]"
    }
  }

  /// What a value must be, in words.
  public var expected: String {
    switch kind {
    case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
    case .number(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
    case .flag: "true or false"
    case .choice(let words): "one of \(words.joined(separator: ", "))"
    case .choices(let words): "a list of \(words.joined(separator: ", "))"
    case .file: "the path of a file"
    }
  }

  /// Whether a value is of the right type and in range.
  public func accepts(_ value: Value) -> Bool {
    switch (kind, value) {
    case (.integer(let range), .integer(let number)): range.contains(number)
    case (.number(let range), .number(let number)): range.contains(number)
    case (.number(let range), .integer(let number)): range.contains(Double(number))
    case (.flag, .flag): true
    case (.choice(let words), .text(let word)): words.contains(word)
    case (.choices(let words), .texts(let list)):
      !list.isEmpty && list.count <= 64 && list.allSatisfy(words.contains)
    case (.file, .text(let path)): path.utf8.count <= 4096 && !path.utf8.contains(0)
    default: false
    }
  }
}

// As the plain JSON value.
extension ModelOption.Value: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let flag = try? container.decode(Bool.self) {
      self = .flag(flag)
    } else if let number = try? container.decode(Int.self) {
      self = .integer(number)
    } else if let number = try? container.decode(Double.self) {
      self = .number(number)
    } else if let word = try? container.decode(String.self) {
      self = .text(word)
    } else {
      self = .texts(try container.decode([String].self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .integer(let number): try container.encode(number)
    case .number(let number): try container.encode(number)
    case .flag(let flag): try container.encode(flag)
    case .text(let word): try container.encode(word)
    case .texts(let words): try container.encode(words)
    }
  }
}
