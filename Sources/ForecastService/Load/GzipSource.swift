internal import CZlib

/// Inflates a gzip stream as it is read, members one after another as `cat a.gz b.gz` makes them.
///
/// A file that ends inside a member is an error: half a table must not look like a whole one.
final class GzipSource: ByteSource {
  static let magic: [UInt8] = [0x1F, 0x8B]
  private static let chunk = 65_536

  private let name: String
  private var source: any ByteSource
  /// On the heap: zlib keeps the address it was initialised with.
  private let stream: UnsafeMutablePointer<z_stream>
  private var input: [UInt8]
  private var position = 0
  private var filled = 0
  private var isInsideMember = true
  private var inputEnded = false

  init(_ source: any ByteSource, name: String) throws {
    self.name = name
    self.source = source
    input = [UInt8](repeating: 0, count: Self.chunk)
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // 15 bits of window, + 16: gzip with header and checksum.
    let status = inflateInit2_(
      stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else {
      throw LoadError(.compression, file: name, "zlib cannot start (status \(status))")
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deinitialize(count: 1)
    stream.deallocate()
  }

  var consumed: Int64 { source.consumed }
  var total: Int64? { source.total }

  func read(into buffer: inout [UInt8], from offset: Int) throws -> Int {
    while true {
      if position == filled, !inputEnded {
        filled = try source.read(into: &input, from: 0)
        position = 0
        inputEnded = filled == 0
      }
      if position == filled {
        guard !isInsideMember else {
          throw LoadError(
            .compression, file: name,
            "the gzip data ends too early: the file is truncated; fetch it again")
        }
        return 0
      }
      if !isInsideMember {
        // gzip pads tapes with zeros; anything else after a member must be another one.
        if input[position] == 0 {
          position += 1
          continue
        }
        inflateReset(stream)
        isInsideMember = true
      }
      let (status, produced) = inflateOnce(into: &buffer, from: offset)
      switch status {
      case Z_STREAM_END: isInsideMember = false
      case Z_OK, Z_BUF_ERROR: break
      default:
        throw LoadError(
          .compression, file: name,
          "the gzip data is damaged near byte \(consumed - Int64(filled - position)): fetch it again"
        )
      }
      if produced > 0 { return produced }
    }
  }

  private func inflateOnce(into buffer: inout [UInt8], from offset: Int) -> (Int32, Int) {
    input.withUnsafeMutableBufferPointer { source in
      buffer.withUnsafeMutableBufferPointer { target in
        let room = target.count - offset
        stream.pointee.next_in = source.baseAddress! + position
        stream.pointee.avail_in = UInt32(filled - position)
        stream.pointee.next_out = target.baseAddress! + offset
        stream.pointee.avail_out = UInt32(clamping: room)
        let status = inflate(stream, Z_NO_FLUSH)
        position = filled - Int(stream.pointee.avail_in)
        return (status, min(room, Int(UInt32.max)) - Int(stream.pointee.avail_out))
      }
    }
  }
}
