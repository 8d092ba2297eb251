/// The distance between two steps of a series: a number of calendar units, or plain integer steps.
///
/// Written `30 minutes`, `1 hour`, `1 day`, `2 weeks`, `1 month`, `1 quarter`, `1 year`, `integer`.
/// Equal frequencies have one form: `60 minutes` is `1 hour`, `24 hours` is `1 day` (a local calendar
/// day of 23 to 25 hours).
package struct Frequency: Hashable, Sendable, CustomStringConvertible {
  package enum Unit: String, Sendable, CaseIterable {
    case minute, hour, day, week, month, quarter, year, integer
  }

  package let count: Int
  package let unit: Unit

  package static let integer = Frequency(1, .integer)

  package init(_ count: Int, _ unit: Unit) {
    precondition(count >= 1)
    switch unit {
    case .minute where count % 60 == 0: self = Frequency(count / 60, .hour)
    case .hour where count % 24 == 0: self = Frequency(count / 24, .day)
    case .integer: (self.count, self.unit) = (1, .integer)
    default: (self.count, self.unit) = (count, unit)
    }
  }

  /// - Returns: nil when the text is none; ``expected`` says what is.
  package init?(_ text: String) {
    let words = text.lowercased().split(separator: " ")
    if words == ["integer"] {
      self = .integer
      return
    }
    guard let (count, name) = CountedUnit.split(words) else { return nil }
    let singular = name.hasSuffix("s") ? String(name.dropLast()) : name
    let short = ["min": "minute", "h": "hour", "d": "day", "w": "week"][singular]
    guard (1...10_000).contains(count), let unit = Unit(rawValue: short ?? singular),
      unit != .integer
    else { return nil }
    self.init(count, unit)
  }

  package static let expected =
    "a number and minutes, hours, days, weeks, months, quarters or years (\"1 day\"), or integer"

  package var isInteger: Bool { unit == .integer }

  package var description: String {
    unit == .integer ? "integer" : "\(count) \(unit.rawValue)\(count == 1 ? "" : "s")"
  }

  /// Steps to the hour grid and below, in minutes; nil from days up.
  var minutes: Int? {
    switch unit {
    case .minute: count
    case .hour: count * 60
    default: nil
    }
  }
}

extension Frequency: Codable {
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Frequency(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "\"\(text)\" is no frequency; expected \(Self.expected)")
    }
    self = value
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

extension Frequency {
  /// Season lengths in steps that a job has when its file names none.
  ///
  /// | frequency | seasonality |
  /// | --- | --- |
  /// | below a day | steps of a day and of a week (30 minutes: 48, 336), where they are whole |
  /// | 1 day | 7 |
  /// | 1 week | 52 |
  /// | months, quarters | steps of a year, where whole (12, 4) |
  /// | 1 year, integer, all others | 1: no season |
  package var defaultSeasonality: [Int] {
    let seasons: [Int]
    switch unit {
    case .minute, .hour:
      let step = minutes ?? 1
      seasons = [1440, 10_080].filter { $0 % step == 0 }.map { $0 / step }
    case .day: seasons = 7 % count == 0 ? [7 / count] : []
    case .week: seasons = 52 % count == 0 ? [52 / count] : []
    case .month: seasons = 12 % count == 0 ? [12 / count] : []
    case .quarter: seasons = 4 % count == 0 ? [4 / count] : []
    case .year, .integer: seasons = []
    }
    let real = seasons.filter { $0 > 1 }
    return real.isEmpty ? [1] : real
  }

  /// Steps of past that a model reads when the job file does not say: twice the horizon or three of
  /// the shortest season, whichever is more; seasons count for at most 1024 steps.
  package static func defaultContextLength(horizon: Int, seasonality: [Int]) -> Int {
    max(2 * horizon, min(3 * (seasonality.min() ?? 1), 1024), 4)
  }
}

/// A length of real time, written `2 hours`, `90 seconds`, `1 day`.
package struct TimeSpan: Hashable, Sendable, CustomStringConvertible {
  package let seconds: Int

  package init(seconds: Int) { self.seconds = seconds }

  /// - Returns: nil when the text is none; ``expected`` says what is.
  package init?(_ text: String) {
    guard let (count, name) = CountedUnit.split(text.lowercased().split(separator: " ")) else {
      return nil
    }
    let scale: Int
    switch name {
    case "s", "second", "seconds": scale = 1
    case "min", "minute", "minutes": scale = 60
    case "h", "hour", "hours": scale = 3600
    case "d", "day", "days": scale = 86_400
    case "w", "week", "weeks": scale = 604_800
    default: return nil
    }
    let (seconds, overflow) = count.multipliedReportingOverflow(by: scale)
    guard count > 0, !overflow, seconds <= 1_000_000_000 else { return nil }
    self.seconds = seconds
  }

  package static let expected =
    "a number and seconds, minutes, hours, days or weeks (\"2 hours\")"

  package var duration: Duration { .seconds(seconds) }

  package var description: String {
    for (name, scale) in [("day", 86_400), ("hour", 3600), ("minute", 60)]
    where seconds % scale == 0 {
      return "\(seconds / scale) \(name)\(seconds == scale ? "" : "s")"
    }
    return "\(seconds) second\(seconds == 1 ? "" : "s")"
  }
}

extension TimeSpan: Codable {
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = TimeSpan(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "\"\(text)\" is no length of time; \(Self.expected)")
    }
    self = value
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// `3 days` and `3d` as a number and a word.
enum CountedUnit {
  static func split(_ words: [Substring]) -> (Int, String)? {
    switch words.count {
    case 2:
      guard words[0].utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
      return Int(words[0]).map { ($0, String(words[1])) }
    case 1:
      let digits = words[0].prefix { ("0"..."9").contains($0) }
      return Int(digits).map { ($0, String(words[0].dropFirst(digits.count))) }
    default: return nil
    }
  }
}
