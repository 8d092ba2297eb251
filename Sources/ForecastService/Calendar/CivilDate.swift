/// Days and months of the proleptic Gregorian calendar as plain integers.
///
/// Days are counted from 1970-01-01. All functions are pure arithmetic, right for any year that fits.
package enum CivilDate {
  /// Days from 1970-01-01 to the date; `month` is 1...12, `day` 1...31.
  @inlinable package static func days(year: Int, month: Int, day: Int) -> Int {
    let y = month <= 2 ? year - 1 : year
    let era = (y >= 0 ? y : y - 399) / 400
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  /// Year, month and day of a day count.
  @inlinable package static func date(days: Int) -> (year: Int, month: Int, day: Int) {
    let z = days + 719_468
    let era = (z >= 0 ? z : z - 146_096) / 146_097
    let dayOfEra = z - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    return (
      yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1
    )
  }

  /// 28 to 31.
  @inlinable package static func length(year: Int, month: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// 0 for Sunday to 6 for Saturday.
  @inlinable package static func weekday(days: Int) -> Int { floorMod(days + 4, 7) }
}

/// Quotient rounded towards minus infinity; `divisor` is positive.
@inlinable package func floorDiv<I: BinaryInteger>(_ value: I, _ divisor: I) -> I {
  let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
  return remainder < 0 ? quotient - 1 : quotient
}

/// Remainder in `0..<divisor`; `divisor` is positive.
@inlinable package func floorMod<I: BinaryInteger>(_ value: I, _ divisor: I) -> I {
  let remainder = value % divisor
  return remainder < 0 ? remainder + divisor : remainder
}
