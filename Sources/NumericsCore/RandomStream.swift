import Foundation

/// A counter-based stream of random numbers, Philox4x32-10 (Salmon et al. 2011).
///
/// Number `n` of a stream depends on seed, name and `n` alone, not on what other streams or threads
/// drew. Streams are named by purpose ("initialisation", "windows"), so adding one changes no other.
/// Not for the noise of private training.
public struct RandomStream: Sendable {
  let key: SIMD2<UInt32>
  let lane: UInt64
  private var block: UInt64 = 0
  private var buffer = SIMD4<UInt32>()
  private var left = 0

  public init(seed: UInt64, purpose: String) {
    key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    // FNV-1a of the purpose fills the upper half of the counter.
    lane = purpose.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  /// The ten-round Philox bijection of a counter under a key.
  public static func philox(_ counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var c = counter
    var k = key
    for _ in 0..<10 {
      let low = UInt64(c.x) * 0xD251_1F53
      let high = UInt64(c.z) * 0xCD9E_8D57
      c = SIMD4(
        UInt32(truncatingIfNeeded: high >> 32) ^ c.y ^ k.x, UInt32(truncatingIfNeeded: high),
        UInt32(truncatingIfNeeded: low >> 32) ^ c.w ^ k.y, UInt32(truncatingIfNeeded: low))
      k = SIMD2(k.x &+ 0x9E37_79B9, k.y &+ 0xBB67_AE85)
    }
    return c
  }

  /// Words drawn so far; setting it moves there at once.
  public var position: UInt64 {
    get { 4 * block - UInt64(left) }
    set {
      block = newValue / 4
      left = 0
      for _ in 0..<(newValue % 4) { _ = nextWord() }
    }
  }

  public mutating func nextWord() -> UInt32 {
    if left == 0 {
      buffer = Self.philox(
        SIMD4(
          UInt32(truncatingIfNeeded: block), UInt32(truncatingIfNeeded: block >> 32),
          UInt32(truncatingIfNeeded: lane), UInt32(truncatingIfNeeded: lane >> 32)), key: key)
      block += 1
      left = 4
    }
    left -= 1
    return buffer[3 - left]
  }

  /// Uniform in [0, 1), 53 bits.
  public mutating func uniform() -> Double {
    let word = UInt64(nextWord()) << 32 | UInt64(nextWord())
    return Double(word >> 11) * 0x1p-53
  }

  /// Standard normal (Box and Muller 1958).
  public mutating func normal() -> Double {
    let radius = (-2 * log(1 - uniform())).squareRoot()
    return radius * cos(2 * Double.pi * uniform())
  }

  /// Uniform in `0..<bound`, by rejection.
  public mutating func index(below bound: Int) -> Int {
    precondition(bound > 0)
    let range = UInt64(bound)
    let limit = UInt64.max - UInt64.max % range
    while true {
      let word = UInt64(nextWord()) << 32 | UInt64(nextWord())
      if word < limit { return Int(word % range) }
    }
  }
}
