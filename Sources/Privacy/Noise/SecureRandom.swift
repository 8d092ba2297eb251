import Foundation

/// Random bits that nobody can predict: a ChaCha20 key stream under a key from the operating system.
///
/// For everything private training must keep secret: its noise, and who is in a batch. There is no way to give
/// it a seed; the only other initialiser is for tests and not visible outside of the package. An instance
/// is used by one thread at a time; give each thread its own.
///
/// A class, so that no copy can draw the same numbers again. Its memory is overwritten at the end. A process
/// that forks must not go on drawing from an instance in both halves.
public final class SecureRandom: RandomNumberGenerator {
  private static let words = 16 * ChaCha20.wordsAtOnce / 2

  private let key: SIMD8<UInt32>
  private var nonce: SIMD3<UInt32>
  private var counter: UInt32 = 0
  private let buffer: UnsafeMutablePointer<UInt64>
  private var used = SecureRandom.words

  /// With a key from the operating system (`getrandom` or what the platform has in its place).
  public convenience init() {
    var system = SystemRandomNumberGenerator()
    var key = SIMD8<UInt32>()
    for i in 0..<8 { key[i] = UInt32(truncatingIfNeeded: system.next()) }
    self.init(fixedKey: key)
  }

  /// For tests, which must repeat. Noise from a known key protects nothing.
  package init(fixedKey: SIMD8<UInt32>) {
    key = fixedKey
    nonce = SIMD3()
    buffer = .allocate(capacity: Self.words)
    buffer.initialize(repeating: 0, count: Self.words)
  }

  deinit {
    // A plain loop could be optimised away; this call cannot, its result is used.
    let wiped = memset(buffer, 0, Self.words * 8)
    precondition(wiped != nil)
    buffer.deallocate()
  }

  private func refill() {
    let cipher = ChaCha20(key: key, nonce: nonce)
    buffer.withMemoryRebound(to: UInt32.self, capacity: 2 * Self.words) { words in
      cipher.fill(words, from: counter, groups: 16)
    }
    counter &+= 64
    if counter == 0 {
      // 256 GiB were drawn: the next nonce starts a new stream.
      nonce[0] &+= 1
      if nonce[0] == 0 { nonce[1] &+= 1 }
    }
    used = 0
  }

  @inline(__always)
  public func next() -> UInt64 {
    if used == Self.words { refill() }
    let word = buffer[used]
    // What was drawn is not kept.
    buffer[used] = 0
    used += 1
    return word
  }

  /// Uniform in `0..<bound`, by rejection: exact.
  package func index(below bound: UInt64) -> UInt64 {
    precondition(bound > 0)
    // The product's upper half is uniform once the lower half avoids 2^64 mod bound (Lemire 2019).
    let least = (0 &- bound) % bound
    while true {
      let (high, low) = bound.multipliedFullWidth(by: next())
      if low >= least { return high }
    }
  }

  /// Uniform in `0..<bound`, by rejection: exact.
  package func index(below bound: UInt128) -> UInt128 {
    precondition(bound > 0)
    if bound <= UInt128(UInt64.max) { return UInt128(index(below: UInt64(bound))) }
    let mask = UInt128.max >> UInt128((bound - 1).leadingZeroBitCount)
    while true {
      let value = (UInt128(next()) << 64 | UInt128(next())) & mask
      if value < bound { return value }
    }
  }
}
