/// Numbers series keys in order of appearance. Bytes lie in one arena; a lookup allocates nothing.
struct KeyTable: Sendable {
  private var arena: [UInt8] = []
  private var ends: [Int] = []
  /// Open addressing; -1 is empty. The capacity is a power of two, at most half full.
  private var slots: [Int32] = Array(repeating: -1, count: 1024)
  private var hashes: [UInt32] = []

  var count: Int { ends.count }

  /// The bytes of a key.
  func withBytes<R>(_ index: Int, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    let range = range(index)
    return try arena.withUnsafeBytes {
      try body(UnsafeRawBufferPointer(rebasing: $0[range]))
    }
  }

  func string(_ index: Int) -> String { String(decoding: arena[range(index)], as: UTF8.self) }

  @inline(__always)
  private func range(_ index: Int) -> Range<Int> {
    (index == 0 ? 0 : ends[index - 1])..<ends[index]
  }

  /// Whether the key at `index` has these bytes.
  @inline(__always)
  func isEqual(_ index: Int, _ key: UnsafeRawBufferPointer) -> Bool {
    let range = range(index)
    guard range.count == key.count else { return false }
    return arena.withUnsafeBytes { bytes in
      for position in 0..<key.count
      where bytes[range.lowerBound &+ position] != key[position] { return false }
      return true
    }
  }

  /// The number of a key, a new one when it has none and fewer than `limit` are known.
  mutating func index(of key: UnsafeRawBufferPointer, limit: Int) -> Int? {
    let hash = Self.hash(key)
    var slot = Int(hash) & (slots.count - 1)
    while slots[slot] >= 0 {
      let index = Int(slots[slot])
      if hashes[index] == hash, isEqual(index, key) { return index }
      slot = (slot + 1) & (slots.count - 1)
    }
    guard ends.count < limit else { return nil }
    slots[slot] = Int32(ends.count)
    arena.append(contentsOf: key)
    ends.append(arena.count)
    hashes.append(hash)
    if ends.count * 2 > slots.count { grow() }
    return ends.count - 1
  }

  private mutating func grow() {
    slots = Array(repeating: -1, count: slots.count * 2)
    for (index, hash) in hashes.enumerated() {
      var slot = Int(hash) & (slots.count - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = Int32(index)
    }
  }

  /// Mixes eight bytes at a time; the upper half of the last product is the hash.
  private static func hash(_ key: UnsafeRawBufferPointer) -> UInt32 {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(key.count)
    var position = 0
    while position + 8 <= key.count {
      state = mix(state ^ key.loadUnaligned(fromByteOffset: position, as: UInt64.self))
      position += 8
    }
    var tail: UInt64 = 0
    while position < key.count {
      tail = tail << 8 | UInt64(key[position])
      position += 1
    }
    return UInt32(truncatingIfNeeded: mix(state ^ tail) >> 32)
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    let product = (value ^ value >> 32) &* 0xD6E8_FEB8_6659_FD93
    return product ^ product >> 32
  }

  /// Positions in byte order of their keys.
  func sorted() -> [Int] {
    arena.withUnsafeBytes { bytes in
      (0..<count).sorted { left, right in
        UnsafeRawBufferPointer(rebasing: bytes[range(left)])
          .lexicographicallyPrecedes(UnsafeRawBufferPointer(rebasing: bytes[range(right)]))
      }
    }
  }
}
