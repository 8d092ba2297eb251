/// `numeric` as its decimal text: exact, with the scale the server has, `NaN`, `Infinity`, `-Infinity`.
///
/// In binary a numeric is base-10000 digits with a weight: value = Σ digit[i] · 10000^(weight − i).
package struct PostgresNumeric: Sendable, Hashable, CustomStringConvertible, PostgresEncodable,
  PostgresDecodable
{
  package let text: String
  package var description: String { text }

  private static let negative: UInt16 = 0x4000
  private static let nan: UInt16 = 0xC000
  private static let infinity: UInt16 = 0xD000
  private static let minusInfinity: UInt16 = 0xF000

  /// - Parameter text: digits with optional sign, point and exponent, or `NaN`, `Infinity`, `-Infinity`; nil
  ///   when it is none of these.
  package init?(_ text: String) {
    guard Self.parse(text) != nil else { return nil }
    self.text = text
  }

  package init(_ value: Int) { text = String(value) }

  /// Every finite double has an exact short decimal form, the one Swift prints.
  package init(_ value: Double) {
    text =
      value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : "\(value)"
  }

  package static var postgresType: PostgresType { .numeric }
  package static var postgresArrayType: PostgresType { .numericArray }

  private struct Parts {
    var sign: UInt16
    /// Decimal digits without point.
    var digits: [UInt8]
    /// How many of them stand before the point; may be negative or beyond the end.
    var pointAt: Int
    var scale: Int
  }

  private static func parse(_ text: String) -> Parts? {
    switch text.lowercased() {
    case "nan": return Parts(sign: nan, digits: [], pointAt: 0, scale: 0)
    case "infinity", "+infinity", "inf":
      return Parts(sign: infinity, digits: [], pointAt: 0, scale: 0)
    case "-infinity", "-inf": return Parts(sign: minusInfinity, digits: [], pointAt: 0, scale: 0)
    default: break
    }
    var rest = Substring(text)
    var sign: UInt16 = 0
    if let first = rest.first, first == "-" || first == "+" {
      if first == "-" { sign = negative }
      rest.removeFirst()
    }
    var exponent = 0
    if let mark = rest.firstIndex(where: { $0 == "e" || $0 == "E" }) {
      guard let value = Int(rest[rest.index(after: mark)...]), abs(value) < 10_000 else {
        return nil
      }
      exponent = value
      rest = rest[..<mark]
    }
    let halves = rest.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let whole = halves[0]
    let fraction = halves.count == 2 ? halves[1] : ""
    let digits = (Array(whole.utf8) + Array(fraction.utf8)).map { $0 &- 48 }
    guard !digits.isEmpty, digits.allSatisfy({ $0 < 10 }) else { return nil }
    return Parts(
      sign: sign, digits: digits, pointAt: whole.utf8.count + exponent,
      scale: max(0, fraction.utf8.count - exponent))
  }

  package func encode(into bytes: inout [UInt8]) {
    guard let parts = Self.parse(text) else { preconditionFailure("numeric text was checked") }
    // Group by four decimals, aligned at the point.
    let lead = ((-parts.pointAt) % 4 + 4) % 4
    var groups: [UInt16] = []
    var group: UInt16 = 0
    var filled = lead
    for digit in parts.digits {
      group = group * 10 + UInt16(digit)
      filled += 1
      if filled == 4 {
        groups.append(group)
        group = 0
        filled = 0
      }
    }
    if filled > 0 {
      for _ in filled..<4 { group *= 10 }
      groups.append(group)
    }
    var weight = (parts.pointAt + lead) / 4 - 1
    let leadingZeros = groups.prefix { $0 == 0 }.count
    groups.removeFirst(leadingZeros)
    weight -= leadingZeros
    while groups.last == 0 { groups.removeLast() }
    if groups.isEmpty { weight = 0 }
    bytes.append(bigEndian: UInt16(groups.count))
    bytes.append(bigEndian: Int16(clamping: weight))
    bytes.append(bigEndian: groups.isEmpty && parts.sign == Self.negative ? 0 : parts.sign)
    bytes.append(bigEndian: UInt16(min(parts.scale, 16383)))
    for group in groups { bytes.append(bigEndian: group) }
  }

  private static func header(_ bytes: UnsafeRawBufferPointer) throws -> (
    count: Int, weight: Int, sign: UInt16, scale: Int
  ) {
    func word(_ offset: Int) -> UInt16 {
      UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
    guard bytes.count >= 8, bytes.count == 8 + 2 * Int(word(0)) else {
      throw DecodingFailure.length(bytes.count)
    }
    return (Int(word(0)), Int(Int16(bitPattern: word(2))), word(4), Int(word(6)))
  }

  private static func group(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Int {
    Int(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 8 + 2 * index, as: UInt16.self)))
  }

  package init(postgres value: PostgresValue) throws {
    guard value.type == .numeric else { throw DecodingFailure.type }
    text = try Self.text(value.bytes)
  }

  private static func text(_ bytes: UnsafeRawBufferPointer) throws -> String {
    let (count, weight, sign, scale) = try header(bytes)
    switch sign {
    case nan: return "NaN"
    case infinity: return "Infinity"
    case minusInfinity: return "-Infinity"
    default: break
    }
    func digits(_ position: Int) -> String {
      let value = position >= 0 && position < count ? group(bytes, position) : 0
      let text = String(value)
      return String(repeating: "0", count: 4 - text.count) + text
    }
    var text = sign == negative ? "-" : ""
    if weight < 0 {
      text += "0"
    } else {
      text += String(count > 0 ? group(bytes, 0) : 0)
      for position in 1..<(weight + 1) where weight > 0 { text += digits(position) }
    }
    if scale > 0 {
      var fraction = ""
      var position = weight + 1
      while fraction.count < scale {
        fraction += digits(position)
        position += 1
      }
      text += "." + fraction.prefix(scale)
    }
    return text
  }

  /// Nearest double; exact digits up to 15 decimals come without allocation.
  @usableFromInline
  static func double(_ bytes: UnsafeRawBufferPointer) throws -> Double {
    let (count, weight, sign, _) = try header(bytes)
    switch sign {
    case nan: return .nan
    case infinity: return .infinity
    case minusInfinity: return -.infinity
    default: break
    }
    if count == 0 { return 0 }
    if count <= 3 {
      // An integer below 2^53 and a power of ten up to 10^22 are exact, so one operation rounds once.
      var integer = 0
      for index in 0..<count { integer = integer * 10_000 + group(bytes, index) }
      let shift = 4 * (weight - count + 1)
      if shift >= -20, shift <= 20 {
        let power = powers[abs(shift) / 4]
        let magnitude = shift < 0 ? Double(integer) / power : Double(integer) * power
        return sign == negative ? -magnitude : magnitude
      }
    }
    return Double(try text(bytes)) ?? .nan
  }

  private static let powers: [Double] = [1, 1e4, 1e8, 1e12, 1e16, 1e20]
}
