extension CronExpression {
  /// The schedule in words, `every day at 02:00`; the expression itself where words would be longer.
  package var inWords: String {
    let minuteList = Self.values(minutes, 0...59)
    let hourList = Self.values(hours, 0...23)
    guard let time = Self.time(minuteList, hourList) else { return "on \"\(description)\"" }
    let allMonths = Self.values(months, 1...12).count == 12
    let days = Self.values(daysOfMonth, 1...31)
    let weekdays = Self.values(daysOfWeek, 0...6)
    let everyDay = days.count == 31
    let everyWeekday = weekdays.count == 7
    switch (everyDay, everyWeekday) {
    case (true, true) where allMonths:
      return hourList.count == 24 || time.hasPrefix("every") ? time : "every day \(time)"
    case (true, false) where allMonths && anyDayOfMonth:
      return "\(time), on \(Self.weekdays(weekdays))"
    case (false, true) where allMonths && anyDayOfWeek:
      return "\(time), on day \(Self.list(days.map(String.init))) of the month"
    case (false, true) where anyDayOfWeek && days.count == 1:
      let names = Self.values(months, 1...12).map { Self.monthNames[$0 - 1] }
      return "\(time), on \(Self.list(names.map { "\(days[0]) \($0)" }))"
    default: return "on \"\(description)\""
    }
  }

  private static let monthNames = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
  ]
  private static let dayNames = [
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
  ]

  private static func values(_ mask: UInt64, _ range: ClosedRange<Int>) -> [Int] {
    range.filter { mask & 1 << UInt64($0) != 0 }
  }

  private static func time(_ minutes: [Int], _ hours: [Int]) -> String? {
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    if hours.count == 24 {
      if minutes.count == 60 { return "every minute" }
      if minutes.count == 1 {
        return minutes[0] == 0 ? "every hour" : "every hour at minute \(minutes[0])"
      }
      let step = minutes[1] - minutes[0]
      let even = zip(minutes, minutes.dropFirst()).allSatisfy { $1 - $0 == step }
      return even && minutes[0] == 0 && 60 % step == 0 && minutes.count == 60 / step
        ? "every \(step) minutes" : nil
    }
    guard minutes.count * hours.count <= 4 else { return nil }
    let times = hours.flatMap { hour in minutes.map { "\(two(hour)):\(two($0))" } }
    return "at \(list(times))"
  }

  private static func weekdays(_ days: [Int]) -> String {
    if days == [1, 2, 3, 4, 5] { return "weekdays" }
    if days == [0, 6] { return "weekends" }
    return list(days.map { "\(dayNames[$0])s" })
  }

  private static func list(_ words: [String]) -> String {
    guard let last = words.last, words.count > 1 else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " and " + last
  }
}
