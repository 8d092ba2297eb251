/// A five-field cron expression: minute, hour, day of month, month, day of week.
///
/// Fields take `*`, numbers, names (`JAN`, `mon`; any case), ranges `1-5`, lists `1,15` and steps `*/10`,
/// `8-18/2`, `3/5` (from 3 to the end). Sunday is 0 or 7; a range may end in 7 (`FRI-7`). `?` in the two
/// day fields is `*`. `@yearly @annually @monthly @weekly @daily @midnight @hourly` are short forms.
///
/// Days follow the rule of Vixie cron: when both day fields are restricted a day matches either; a
/// field that begins with `*` does not count as restricted.
package struct CronExpression: Hashable, Sendable, CustomStringConvertible {
  /// The text as given, blanks normalised.
  package let description: String
  let minutes: UInt64
  let hours: UInt64
  let daysOfMonth: UInt64
  let months: UInt64
  let daysOfWeek: UInt64
  let anyDayOfMonth: Bool
  let anyDayOfWeek: Bool
  /// Minute and hour are both fixed: the schedule means a local time, not a rhythm.
  let isFixedTime: Bool

  private static let shortForms = [
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
  ]

  /// - Throws: `CronError`, saying which field and which character; also for dates that never come
  ///   (30 February).
  package init(_ text: String) throws(CronError) {
    var words = Self.words(text)
    description = words.map(\.text).joined(separator: " ")
    if let first = words.first, first.text.hasPrefix("@") {
      guard words.count == 1, let long = Self.shortForms[first.text.lowercased()] else {
        throw CronError(
          field: nil, position: first.position,
          "\"\(description)\" is no short form; expected one of \(Self.shortForms.keys.sorted().joined(separator: ", "))"
        )
      }
      words = Self.words(long)
    }
    guard words.count == 5 else {
      throw CronError(
        field: nil, position: words.count > 5 ? words[5].position : text.count + 1,
        "found \(words.count) field\(words.count == 1 ? "" : "s"), expected 5: minute, hour, day of month, month, day of week"
      )
    }
    minutes = try CronField.minute.mask(words[0])
    hours = try CronField.hour.mask(words[1])
    daysOfMonth = try CronField.dayOfMonth.mask(words[2])
    months = try CronField.month.mask(words[3])
    daysOfWeek = try CronField.dayOfWeek.mask(words[4])
    func isOpen(_ index: Int) -> Bool { words[index].text.first == "*" || words[index].text == "?" }
    anyDayOfMonth = isOpen(2)
    anyDayOfWeek = isOpen(4)
    isFixedTime = !isOpen(0) && !isOpen(1)
    guard hasDates else {
      throw CronError(
        field: CronField.dayOfMonth.name, position: words[2].position,
        "none of the months has such a day; the schedule would never run")
    }
  }

  struct Word {
    let text: String
    /// Of the first character, from 1.
    let position: Int
  }

  private static func words(_ text: String) -> [Word] {
    var words: [Word] = []
    var current = ""
    var start = 0
    for (index, character) in text.enumerated() {
      if character.isWhitespace {
        if !current.isEmpty { words.append(Word(text: current, position: start + 1)) }
        current = ""
      } else {
        if current.isEmpty { start = index }
        current.append(character)
      }
    }
    if !current.isEmpty { words.append(Word(text: current, position: start + 1)) }
    return words
  }

  /// Whether any date of the calendar can match.
  private var hasDates: Bool {
    if !anyDayOfMonth && !anyDayOfWeek { return true }
    return (1...12).contains { month in
      months & 1 << UInt64(month) != 0
        && (1...CivilDate.length(year: 2000, month: month)).contains {
          daysOfMonth & 1 << UInt64($0) != 0
        }
    }
  }

  func matches(month: Int) -> Bool { months & 1 << UInt64(month) != 0 }

  func matches(dayOfMonth: Int, weekday: Int) -> Bool {
    let inMonth = daysOfMonth & 1 << UInt64(dayOfMonth) != 0
    let inWeek = daysOfWeek & 1 << UInt64(weekday) != 0
    return anyDayOfMonth || anyDayOfWeek ? inMonth && inWeek : inMonth || inWeek
  }
}

/// A cron expression that cannot be read.
package struct CronError: Error, Sendable, Equatable, CustomStringConvertible {
  /// `minute`, `hour`, `day of month`, `month`, `day of week`; nil where no single one is to blame.
  package let field: String?
  /// Character of the expression, from 1.
  package let position: Int
  package let message: String

  init(field: String?, position: Int, _ message: String) {
    self.field = field
    self.position = position
    self.message = message
  }

  /// The configuration's fault; the same text fails again.
  package var isTransient: Bool { false }

  package var description: String {
    "\(field.map { "\($0) field" } ?? "cron expression"), character \(position): \(message)"
  }
}

/// The values one field may have.
struct CronField {
  let name: String
  let range: ClosedRange<Int>
  var names: [String: Int] = [:]

  static let minute = CronField(name: "minute", range: 0...59)
  static let hour = CronField(name: "hour", range: 0...23)
  static let dayOfMonth = CronField(name: "day of month", range: 1...31)
  static let month = CronField(
    name: "month", range: 1...12,
    names: [
      "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9,
      "oct": 10, "nov": 11, "dec": 12,
    ])
  static let dayOfWeek = CronField(
    name: "day of week", range: 0...7,
    names: ["sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6])

  /// Bit `n` is set where `n` matches; Sunday is bit 0.
  func mask(_ word: CronExpression.Word) throws(CronError) -> UInt64 {
    var mask: UInt64 = 0
    var position = word.position
    for item in word.text.split(separator: ",", omittingEmptySubsequences: false) {
      mask |= try self.mask(item: item, at: position)
      position += item.count + 1
    }
    if range.upperBound == 7, mask & 1 << 7 != 0 { mask = mask & ~(1 << 7) | 1 }
    return mask
  }

  private func mask(item: Substring, at position: Int) throws(CronError) -> UInt64 {
    let parts = item.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let span = parts[0]
    var step = 1
    if parts.count == 2 {
      let place = position + span.count + 1
      guard let value = Self.number(parts[1]), value >= 1, value <= range.upperBound else {
        throw fail(place, "\"\(parts[1])\" is no step, expected 1 to \(range.upperBound)")
      }
      step = value
    }
    var low = range.lowerBound
    var high = range.upperBound == 7 ? 6 : range.upperBound
    if span == "?", parts.count == 1, self.name.hasPrefix("day") {
      // As the star.
    } else if span != "*" {
      let ends = span.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
      low = try value(ends[0], at: position)
      if ends.count == 2 {
        let place = position + ends[0].count + 1
        high = try value(ends[1], at: place)
        if high == 0, range.upperBound == 7, low > 0 { high = 7 }
        guard low <= high else {
          throw fail(place, "the range \"\(span)\" runs backwards; write it as two, with a comma")
        }
      } else if parts.count == 1 {
        high = low
      }
    }
    var mask: UInt64 = 0
    for value in stride(from: low, through: high, by: step) { mask |= 1 << UInt64(value) }
    return mask
  }

  private func value(_ text: Substring, at position: Int) throws(CronError) -> Int {
    let found = Self.number(text) ?? names[text.lowercased()]
    guard let found, range.contains(found) else {
      let example =
        names.isEmpty ? "" : " or a name such as \(names.min { $0.key < $1.key }?.key ?? "")"
      throw fail(
        position,
        "found \(text.isEmpty ? "nothing" : "\"\(text)\""), expected \(range.lowerBound) to \(range.upperBound)\(example)"
      )
    }
    return found
  }

  private static func number(_ text: Substring) -> Int? {
    guard !text.isEmpty, text.count <= 4, text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
    else { return nil }
    return Int(text)
  }

  private func fail(_ position: Int, _ message: String) -> CronError {
    CronError(field: name, position: position, message)
  }
}
