/// The files of a zip archive that are stored as they are: what `torch.save` writes.
///
/// Reads archives with and without the 64-bit fields. Every position is checked before it is used, and so is
/// every file's checksum; compressed or encrypted files are refused.
struct StoredArchive {
  /// Where the bytes of a file lie in the archive, and its checksum.
  private struct Entry {
    let header: Int
    let count: Int
    let checksum: UInt32
  }

  private let bytes: [UInt8]
  private var entries: [String: Entry] = [:]

  var names: [String] { entries.keys.sorted() }

  init(_ bytes: [UInt8]) throws(PyTorchError) {
    self.bytes = bytes
    let (start, count) = try directory()
    var position = start
    for _ in 0..<count {
      guard number(position, 4) == 0x0201_4b50 else { throw Self.broken }
      let method = try require(number(position + 10, 2))
      let checksum = try require(number(position + 16, 4))
      var sizes = [
        try require(number(position + 20, 4)), try require(number(position + 24, 4)),
        try require(number(position + 42, 4)),
      ]
      let (nameCount, extraCount, commentCount) = (
        try require(number(position + 28, 2)), try require(number(position + 30, 2)),
        try require(number(position + 32, 2))
      )
      let nameStart = position + 46
      let extraStart = nameStart + nameCount
      let next = extraStart + extraCount + commentCount
      guard next <= bytes.count else { throw Self.broken }
      let name = String(decoding: bytes[nameStart..<extraStart], as: UTF8.self)
      // Uncompressed size, compressed size and position, as far as they did not fit into 32 bits.
      if let wide = extra(in: extraStart..<(extraStart + extraCount)) {
        var field = wide
        for index in [1, 0, 2] where sizes[index] == 0xffff_ffff {
          sizes[index] = try require(number(field, 8))
          field += 8
        }
      }
      guard method == 0, sizes[0] == sizes[1] else {
        throw PyTorchError(
          "the file \(name) inside is compressed, expected it stored as torch.save does")
      }
      entries[name] = Entry(
        header: sizes[2], count: sizes[0], checksum: UInt32(truncatingIfNeeded: checksum))
      position = next
    }
  }

  /// Where the bytes of a file lie.
  ///
  /// - Returns: nil where there is no file of this name.
  func range(of name: String) throws(PyTorchError) -> Range<Int>? {
    guard let entry = entries[name] else { return nil }
    guard number(entry.header, 4) == 0x0403_4b50, let nameCount = number(entry.header + 26, 2),
      let extraCount = number(entry.header + 28, 2)
    else { throw Self.broken }
    let start = entry.header + 30 + nameCount + extraCount
    guard start <= bytes.count, entry.count <= bytes.count - start else {
      throw PyTorchError("the file is cut off inside \(name)")
    }
    let range = start..<(start + entry.count)
    guard Self.checksum(bytes, range) == entry.checksum else {
      throw PyTorchError("the checksum of \(name) is wrong: the file is damaged")
    }
    return range
  }

  // MARK: Structure

  private static let broken = PyTorchError(
    "the file is no zip archive as torch.save writes it, or it is cut off")

  /// Where the directory begins and how many files it lists.
  private func directory() throws(PyTorchError) -> (start: Int, count: Int) {
    // The last record has 22 bytes and a comment of up to 65535.
    var end = bytes.count - 22
    while end >= max(0, bytes.count - 22 - 0xffff), number(end, 4) != 0x0605_4b50 { end -= 1 }
    guard end >= 0, number(end, 4) == 0x0605_4b50, var count = number(end + 10, 2),
      var start = number(end + 16, 4)
    else { throw Self.broken }
    if end >= 20, number(end - 20, 4) == 0x0706_4b50, let wide = number(end - 12, 8) {
      guard number(wide, 4) == 0x0606_4b50, let many = number(wide + 32, 8),
        let first = number(wide + 48, 8)
      else { throw Self.broken }
      (count, start) = (many, first)
    }
    // An entry takes at least 46 bytes.
    guard start <= end, count <= (end - start) / 46 else { throw Self.broken }
    return (start, count)
  }

  /// Where the 64-bit fields among the extra fields of an entry begin.
  private func extra(in range: Range<Int>) -> Int? {
    var position = range.lowerBound
    while position + 4 <= range.upperBound, let kind = number(position, 2),
      let length = number(position + 2, 2)
    {
      if kind == 1 { return position + 4 }
      position += 4 + length
    }
    return nil
  }

  /// A little-endian number; nil outside of the archive, or where it exceeds what fits into a position.
  private func number(_ position: Int, _ length: Int) -> Int? {
    guard position >= 0, position <= bytes.count - length else { return nil }
    var value: UInt64 = 0
    for k in 0..<length { value |= UInt64(bytes[position + k]) << (8 * UInt64(k)) }
    return value < 1 << 48 ? Int(value) : nil
  }

  private func require(_ number: Int?) throws(PyTorchError) -> Int {
    guard let number else { throw Self.broken }
    return number
  }

  // MARK: Checksum

  /// CRC-32 of IEEE 802.3, eight bytes at a time.
  private static func checksum(_ bytes: [UInt8], _ range: Range<Int>) -> UInt32 {
    bytes.withUnsafeBytes { all in
      tables.withUnsafeBufferPointer { tables in
        var sum = UInt32.max
        var position = range.lowerBound
        while position + 8 <= range.upperBound {
          let word =
            UInt64(
              littleEndian: all.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            ^ UInt64(sum)
          sum = 0
          for k in 0..<8 {
            sum ^= tables[(7 - k) * 256 + Int(word >> (8 * UInt64(k)) & 0xff)]
          }
          position += 8
        }
        while position < range.upperBound {
          sum = sum >> 8 ^ tables[Int((sum ^ UInt32(all[position])) & 0xff)]
          position += 1
        }
        return ~sum
      }
    }
  }

  /// Table `k` is for a byte that `k` others follow.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xedb8_8320 }
      tables[byte] = value
    }
    for k in 1..<8 {
      for byte in 0..<256 {
        let value = tables[(k - 1) * 256 + byte]
        tables[k * 256 + byte] = value >> 8 ^ tables[Int(value & 0xff)]
      }
    }
    return tables
  }()
}
