import NumericsCore

/// The stream cipher ChaCha20 (Bernstein 2008) as in RFC 8439: 256-bit key, 96-bit nonce, 32-bit counter.
package struct ChaCha20: Sendable {
  private let key: SIMD8<UInt32>
  private let nonce: SIMD3<UInt32>

  package init(key: SIMD8<UInt32>, nonce: SIMD3<UInt32>) {
    self.key = key
    self.nonce = nonce
  }

  /// Words of the key stream of `Lane.scalarCount` blocks whose counters `counters` holds; word w of block b
  /// is `result[w][b]`. All lanes do the same, so it takes the same time whatever the key.
  @inline(__always)
  private func blocks<Lane: SIMD>(
    _ counters: Lane, _ store: (Int, Lane) -> Void
  ) where Lane.Scalar == UInt32 {
    let c0 = Lane(repeating: 0x6170_7865)
    let c1 = Lane(repeating: 0x3320_646e)
    let c2 = Lane(repeating: 0x7962_2d32)
    let c3 = Lane(repeating: 0x6b20_6574)
    var x0 = c0
    var x1 = c1
    var x2 = c2
    var x3 = c3
    var x4 = Lane(repeating: key[0])
    var x5 = Lane(repeating: key[1])
    var x6 = Lane(repeating: key[2])
    var x7 = Lane(repeating: key[3])
    var x8 = Lane(repeating: key[4])
    var x9 = Lane(repeating: key[5])
    var x10 = Lane(repeating: key[6])
    var x11 = Lane(repeating: key[7])
    var x12 = counters
    var x13 = Lane(repeating: nonce[0])
    var x14 = Lane(repeating: nonce[1])
    var x15 = Lane(repeating: nonce[2])
    for _ in 0..<10 {
      Self.quarter(&x0, &x4, &x8, &x12)
      Self.quarter(&x1, &x5, &x9, &x13)
      Self.quarter(&x2, &x6, &x10, &x14)
      Self.quarter(&x3, &x7, &x11, &x15)
      Self.quarter(&x0, &x5, &x10, &x15)
      Self.quarter(&x1, &x6, &x11, &x12)
      Self.quarter(&x2, &x7, &x8, &x13)
      Self.quarter(&x3, &x4, &x9, &x14)
    }
    store(0, x0 &+ c0)
    store(1, x1 &+ c1)
    store(2, x2 &+ c2)
    store(3, x3 &+ c3)
    store(4, x4 &+ Lane(repeating: key[0]))
    store(5, x5 &+ Lane(repeating: key[1]))
    store(6, x6 &+ Lane(repeating: key[2]))
    store(7, x7 &+ Lane(repeating: key[3]))
    store(8, x8 &+ Lane(repeating: key[4]))
    store(9, x9 &+ Lane(repeating: key[5]))
    store(10, x10 &+ Lane(repeating: key[6]))
    store(11, x11 &+ Lane(repeating: key[7]))
    store(12, x12 &+ counters)
    store(13, x13 &+ Lane(repeating: nonce[0]))
    store(14, x14 &+ Lane(repeating: nonce[1]))
    store(15, x15 &+ Lane(repeating: nonce[2]))
  }

  @inline(__always)
  private static func quarter<Lane: SIMD>(
    _ a: inout Lane, _ b: inout Lane, _ c: inout Lane, _ d: inout Lane
  ) where Lane.Scalar == UInt32 {
    a = a &+ b
    d = rotate(d ^ a, 16)
    c = c &+ d
    b = rotate(b ^ c, 12)
    a = a &+ b
    d = rotate(d ^ a, 8)
    c = c &+ d
    b = rotate(b ^ c, 7)
  }

  @inline(__always)
  private static func rotate<Lane: SIMD>(_ x: Lane, _ by: UInt32) -> Lane
  where Lane.Scalar == UInt32 {
    (x &<< Lane(repeating: by)) | (x &>> Lane(repeating: 32 - by))
  }

  /// One block of the key stream, as the RFC orders it.
  package func block(_ counter: UInt32) -> [UInt32] {
    var words = [UInt32](repeating: 0, count: 16)
    // Four lanes are the narrowest there is a vector for.
    blocks(SIMD4<UInt32>(counter, 0, 0, 0)) { words[$0] = $1[0] }
    return words
  }

  package static let wordsAtOnce = 16 * 4

  /// Blocks from `counter` on, in groups of four: word w of block b of a group comes at `4 w + b`.
  ///
  /// - Parameter groups: a multiple of 4.
  package func fill(
    _ words: UnsafeMutablePointer<UInt32>, from counter: UInt32, groups: Int
  ) {
    precondition(groups % 4 == 0)
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 11) { secret in
      for i in 0..<8 { secret[i] = key[i] }
      for i in 0..<3 { secret[8 + i] = nonce[i] }
      KeyStream.fill(
        key: secret.baseAddress!, nonce: secret.baseAddress! + 8, counter: counter, groups: groups,
        into: words)
      // The stack does not keep the key.
      secret.update(repeating: 0)
    }
  }
}
