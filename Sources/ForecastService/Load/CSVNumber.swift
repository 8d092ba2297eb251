/// Decimal numbers from bytes, exactly rounded.
enum CSVNumber {
  enum Outcome: Equatable {
    case number(Double)
    case missing
    case infinite
    case tooLarge
    case invalid
  }

  private static let powers: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
  ]

  /// Reads `[+-]digits[.digits][e[+-]digits]` with blanks around it.
  ///
  /// Up to 53 bits of digits and powers of ten up to 22 are exact in one operation of floating
  /// point (Clinger's fast path); the rest goes through the standard library.
  static func parse(
    _ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int, decimalMark: UInt8 = UInt8(ascii: ".")
  ) -> Outcome {
    var index = start
    var end = end
    while index < end, bytes[index] == 0x20 || bytes[index] == 0x09 { index += 1 }
    while end > index, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
    guard index < end else { return .missing }
    let first = index
    var negative = false
    if bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
      negative = bytes[index] == UInt8(ascii: "-")
      index += 1
    }
    var mantissa: UInt64 = 0
    var digits = 0
    var significant = 0
    var exponent = 0
    var seenMark = false
    while index < end {
      let byte = bytes[index]
      if byte &- 0x30 < 10 {
        if significant < 19 {
          mantissa = mantissa &* 10 &+ UInt64(byte &- 0x30)
          if mantissa > 0 { significant += 1 }
          if seenMark { exponent -= 1 }
        } else {
          significant += 1
        }
        digits += 1
      } else if byte == decimalMark, !seenMark {
        seenMark = true
      } else {
        break
      }
      index += 1
    }
    guard digits > 0 else { return word(bytes, first, end) }
    if index < end {
      guard bytes[index] | 0x20 == UInt8(ascii: "e") else { return .invalid }
      index += 1
      var negativeExponent = false
      if index < end, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
        negativeExponent = bytes[index] == UInt8(ascii: "-")
        index += 1
      }
      guard index < end else { return .invalid }
      var value = 0
      while index < end {
        guard bytes[index] &- 0x30 < 10 else { return .invalid }
        if value < 100_000 { value = value * 10 + Int(bytes[index] &- 0x30) }
        index += 1
      }
      exponent += negativeExponent ? -value : value
    }
    if significant <= 19, mantissa <= 1 << 53, exponent >= -22, exponent <= 22 {
      let magnitude = Double(mantissa)
      let value = exponent < 0 ? magnitude / powers[-exponent] : magnitude * powers[exponent]
      return .number(negative ? -value : value)
    }
    return slow(bytes, first, end, decimalMark: decimalMark)
  }

  private static func string(_ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int) -> String {
    var copy: [UInt8] = []
    copy.reserveCapacity(end - start)
    for index in start..<end { copy.append(bytes[index]) }
    return String(decoding: copy, as: UTF8.self)
  }

  @inline(never)
  private static func slow(
    _ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int, decimalMark: UInt8
  ) -> Outcome {
    var text = string(bytes, start, end)
    if decimalMark != UInt8(ascii: ".") { text = text.replacing(",", with: ".") }
    guard let value = Double(text) else { return .invalid }
    return value.isFinite ? .number(value) : .tooLarge
  }

  @inline(never)
  private static func word(
    _ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int
  ) -> Outcome {
    guard end - start <= 9 else { return .invalid }
    switch string(bytes, start, end).lowercased() {
    case "na", "n/a", "nan", "-nan", "+nan", "null", "none", "#n/a", "\\n": return .missing
    case "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity": return .infinite
    default: return .invalid
    }
  }
}
