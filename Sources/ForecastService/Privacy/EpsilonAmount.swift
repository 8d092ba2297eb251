package import Postgres

/// An epsilon as the ledger books it: a whole number of 10^-12, made from a computed one by rounding up.
///
/// No spend that is above 0 vanishes, however small, and sums are exact.
package struct EpsilonAmount: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// In units of 10^-12.
  package let quanta: Int128

  package static let zero = EpsilonAmount(quanta: 0)
  package static let least = EpsilonAmount(quanta: 1)
  /// What a column of the ledger holds: below 10^15.
  package static let limit = EpsilonAmount(quanta: 1_000_000_000_000_000 * scale)

  private static let scale: Int128 = 1_000_000_000_000

  package init(quanta: Int128) { self.quanta = quanta }

  /// The smallest amount that is not below `epsilon`; nil for what is negative, no number, or not below `limit`.
  package init?(roundingUp epsilon: Double) {
    guard epsilon >= 0, epsilon < 1e15 else { return nil }
    guard epsilon > 0 else {
      self = .zero
      return
    }
    // epsilon = significand 2^shift exactly, and the product with 10^12 has 93 bits at most.
    let significand = Int128(epsilon.significandBitPattern) + (epsilon.isNormal ? 1 << 52 : 0)
    let shift = (epsilon.isNormal ? Int(epsilon.exponent) : -1022) - 52
    let product = significand * Self.scale
    if shift >= 0 {
      self.init(quanta: product << Int128(shift))
    } else if shift <= -120 {
      self = .least
    } else {
      let divisor: Int128 = 1 << Int128(-shift)
      self.init(quanta: (product + divisor - 1) / divisor)
    }
    guard self < .limit else { return nil }
  }

  package static func < (left: Self, right: Self) -> Bool { left.quanta < right.quanta }
  package static func + (left: Self, right: Self) -> Self {
    Self(quanta: left.quanta + right.quanta)
  }
  package static func - (left: Self, right: Self) -> Self {
    Self(quanta: left.quanta - right.quanta)
  }

  /// The nearest double, for printing and for estimates.
  package var value: Double { Double(quanta) / 1e12 }

  /// All twelve decimals, without zeros at the end.
  package var description: String {
    let magnitude = quanta.magnitude
    let scale = Self.scale.magnitude
    var text = String(magnitude / scale)
    let fraction = String(magnitude % scale)
    if fraction != "0" {
      let digits = String(repeating: "0", count: 12 - fraction.count) + fraction
      text += "." + digits.reversed().drop { $0 == "0" }.reversed()
    }
    return (quanta < 0 ? "-" : "") + text
  }

  /// - Returns: nil unless `text` is a decimal number of at most twelve decimals.
  package init?(_ text: String) {
    var rest = Substring(text)
    let isNegative = rest.hasPrefix("-")
    if isNegative { rest.removeFirst() }
    let parts = rest.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let fraction = parts.count == 2 ? parts[1] : ""
    guard (1...19).contains(parts[0].count), fraction.count <= 12,
      (parts[0] + fraction).utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let quanta = Int128(parts[0] + fraction + String(repeating: "0", count: 12 - fraction.count))
    else { return nil }
    self.init(quanta: isNegative ? -quanta : quanta)
  }
}

extension EpsilonAmount: PostgresEncodable, PostgresDecodable {
  package static var postgresType: PostgresType { .numeric }
  package static var postgresArrayType: PostgresType { .numericArray }

  package func encode(into bytes: inout [UInt8]) {
    // The description is a numeric literal by construction.
    PostgresNumeric(description)?.encode(into: &bytes)
  }

  package init(postgres value: PostgresValue) throws {
    let text = try PostgresNumeric(postgres: value).text
    guard let amount = EpsilonAmount(text) else {
      throw PostgresError(.decoding, "expected a number with at most twelve decimals")
    }
    self = amount
  }
}
