package import Foundation

/// Times, durations, counts and sizes as people read them. Pure: `now` and zone are arguments.
package enum HumanFormat {
  /// `850 µs`, `12 ms`, `1.2 s`, `45 s`, `3 min 4 s`, `2 h 5 min`, `3 d 4 h`.
  /// Not finite: `-`.
  package static func duration(_ seconds: Double, unicode: Bool = true) -> String {
    guard seconds.isFinite else { return "-" }
    if seconds < 0 { return "-" + duration(-seconds, unicode: unicode) }
    if seconds == 0 { return "0 s" }
    if seconds < 0.9995e-3 {
      return "\(max(Int((seconds * 1e6).rounded()), 1)) \(unicode ? "µs" : "us")"
    }
    if seconds < 0.9995 { return "\(Int((seconds * 1e3).rounded())) ms" }
    if seconds < 9.95 { return fixed(seconds, digits: 1) + " s" }
    if seconds < 59.5 { return "\(Int(seconds.rounded())) s" }
    guard seconds < 1e15 else { return "-" }
    let whole = Int(seconds.rounded())
    func pair(_ big: Int, _ bigUnit: String, _ small: Int, _ smallUnit: String) -> String {
      small == 0 ? "\(big) \(bigUnit)" : "\(big) \(bigUnit) \(small) \(smallUnit)"
    }
    if whole < 3600 { return pair(whole / 60, "min", whole % 60, "s") }
    let minutes = Int((seconds / 60).rounded())
    if minutes < 1440 { return pair(minutes / 60, "h", minutes % 60, "min") }
    let hours = Int((seconds / 3600).rounded())
    return pair(hours / 24, "d", hours % 24, "h")
  }

  /// `now`, `12 s ago`, `in 3 min`, `2 h ago`, `in 4 d`; beyond 60 days the calendar day.
  package static func relative(_ date: Date, now: Date, timeZone: TimeZone = .gmt) -> String {
    let difference = date.timeIntervalSince(now)
    let seconds = abs(difference)
    if seconds < 1 { return "now" }
    let text: String
    if seconds < 59.5 {
      text = "\(Int(seconds.rounded())) s"
    } else if seconds < 3570 {
      text = "\(Int((seconds / 60).rounded())) min"
    } else if seconds < 84_600 {
      text = "\(Int((seconds / 3600).rounded())) h"
    } else if seconds < 60 * 86_400 {
      text = "\(Int((seconds / 86_400).rounded())) d"
    } else {
      return stamp(date, timeZone: timeZone, precision: .day)
    }
    return difference < 0 ? text + " ago" : "in " + text
  }

  package enum Precision: Sendable, Hashable { case day, minute, second }

  /// `2026-11-21`, `2026-11-21 05:03` or `2026-11-21 05:03:26` on the wall clock of `timeZone`.
  package static func stamp(_ date: Date, timeZone: TimeZone, precision: Precision) -> String {
    let local = date.timeIntervalSince1970 + Double(timeZone.secondsFromGMT(for: date))
    let (days, rest) = Int64(local.rounded(.down)).quotientAndRemainder(flooringBy: 86_400)
    let day = civil(daysSince1970: days)
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)
    switch precision {
    case .day: return day
    case .minute: return "\(day) \(two(hour)):\(two(minute))"
    case .second: return "\(day) \(two(hour)):\(two(minute)):\(two(second))"
    }
  }

  /// `2026-11-21T05:03:26Z`, with milliseconds only where there are any.
  package static func iso8601(_ date: Date) -> String {
    let milliseconds = Int64((date.timeIntervalSince1970 * 1000).rounded())
    let (seconds, fraction) = milliseconds.quotientAndRemainder(flooringBy: 1000)
    let (days, rest) = seconds.quotientAndRemainder(flooringBy: 86_400)
    let time = "\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60))"
    let tail = fraction == 0 ? "" : "." + String(String(1000 + fraction).dropFirst())
    return "\(civil(daysSince1970: days))T\(time)\(tail)Z"
  }

  /// `1,234,567`.
  package static func grouped(_ number: Int64) -> String {
    let digits = String(number.magnitude)
    var result = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { result.append(",") }
      result.append(digit)
    }
    return number < 0 ? "-" + result : result
  }

  /// `950`, `1.2k`, `34.6k`, `1.2M`, `3.4G`.
  package static func compact(_ number: Double) -> String {
    guard number.isFinite else { return "-" }
    if number < 0 { return "-" + compact(-number) }
    if number < 9.95 { return fixed(number, digits: number == number.rounded() ? 0 : 1) }
    if number < 999.5 { return fixed(number, digits: 0) }
    var value = number
    for unit in ["k", "M", "G", "T", "P"] {
      value /= 1000
      if value < 999.95 || unit == "P" {
        return fixed(value, digits: value < 99.95 ? 1 : 0) + unit
      }
    }
    return fixed(number, digits: 0)
  }

  /// `512 B`, `1.2 kB`, `34.6 MB`: powers of 1000.
  package static func bytes(_ count: Int64) -> String {
    if count < 1000 { return "\(count) B" }
    let text = compact(Double(count))
    guard let unit = text.last else { return text }
    return "\(text.dropLast()) \(unit)B"
  }

  /// Fixed decimals; rounds half to even like `printf`, never writes `-0`.
  package static func fixed(_ value: Double, digits: Int) -> String {
    let text = String(format: "%.\(max(digits, 0))f", value)
    if text.first == "-", text.dropFirst().allSatisfy({ $0 == "0" || $0 == "." }) {
      return String(text.dropFirst())
    }
    return text
  }

  private static func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }

  /// Proleptic Gregorian date of a day number, after Howard Hinnant's `civil_from_days`.
  private static func civil(daysSince1970: Int64) -> String {
    let shifted = daysSince1970 + 719_468
    let (era, dayOfEra) = shifted.quotientAndRemainder(flooringBy: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let digits = String(year.magnitude)
    let padding = String(repeating: "0", count: max(0, 4 - digits.count))
    return "\(year < 0 ? "-" : "")\(padding)\(digits)-\(two(month))-\(two(day))"
  }
}

extension Int64 {
  fileprivate func quotientAndRemainder(flooringBy divisor: Int64) -> (Int64, Int64) {
    var (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    if remainder < 0 {
      quotient -= 1
      remainder += divisor
    }
    return (quotient, remainder)
  }
}
