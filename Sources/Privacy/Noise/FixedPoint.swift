/// Exponentials of fractions in 128-bit fixed point, for samplers that must be right to more than 100 bits.
package enum FixedPoint {
  /// `exp(-x)` for x in [0, 1), both in units of 2^-128, to within 40 such units; 1 comes out as 1 - 2^-128.
  package static func expOfNegative(_ x: UInt128) -> UInt128 {
    if x == 0 { return .max }
    // 1 - x + x²/2 - ...: the partial sums stay between 0 and 1, and arithmetic is modulo 1.
    var term = x
    var sum = 0 &- x
    var n: UInt128 = 2
    while term > 0 {
      term = product(term, x) / n
      sum = n & 1 == 0 ? sum &+ term : sum &- term
      n += 1
    }
    return sum
  }

  /// Rounded down.
  package static func product(_ x: UInt128, _ y: UInt128) -> UInt128 {
    x.multipliedFullWidth(by: y).high
  }
}
