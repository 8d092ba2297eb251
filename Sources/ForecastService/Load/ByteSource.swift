import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Bytes that arrive in order: a file, standard input, an inflated file.
protocol ByteSource {
  /// Fills `buffer` from `offset` on and says how many bytes came; 0 at the end.
  mutating func read(into buffer: inout [UInt8], from offset: Int) throws -> Int
  /// Bytes taken from the file itself, compressed as they may be: what progress is measured in.
  var consumed: Int64 { get }
  /// Size of the file; nil for pipes.
  var total: Int64? { get }
}

/// Bytes that are already here.
struct MemorySource: ByteSource {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func read(into buffer: inout [UInt8], from offset: Int) -> Int {
    let count = min(buffer.count - offset, bytes.count - position)
    guard count > 0 else { return 0 }
    buffer.replaceSubrange(offset..<offset + count, with: bytes[position..<position + count])
    position += count
    return count
  }

  var consumed: Int64 { Int64(position) }
  var total: Int64? { Int64(bytes.count) }
}

/// A file or, for the name `-`, standard input.
final class FileSource: ByteSource {
  private let name: String
  private let descriptor: Int32
  private let isOwned: Bool
  private(set) var consumed: Int64 = 0
  let total: Int64?

  init(path: String) throws {
    name = path
    if path == "-" {
      descriptor = STDIN_FILENO
      isOwned = false
      total = nil
      return
    }
    let opened = open(path, O_RDONLY | O_CLOEXEC)
    guard opened >= 0 else {
      throw LoadError(
        .unreadable, file: path, "cannot be opened: \(String(cString: strerror(errno)))")
    }
    var status = stat()
    let known = fstat(opened, &status) == 0
    guard !known || status.st_mode & S_IFMT != S_IFDIR else {
      close(opened)
      throw LoadError(
        .unreadable, file: path, "is a directory; name a CSV file, or - for standard input")
    }
    descriptor = opened
    isOwned = true
    total = known && status.st_mode & S_IFMT == S_IFREG ? Int64(status.st_size) : nil
  }

  deinit {
    if isOwned { close(descriptor) }
  }

  func read(into buffer: inout [UInt8], from offset: Int) throws -> Int {
    while true {
      let count = buffer.withUnsafeMutableBytes { bytes in
        #if canImport(Glibc)
          Glibc.read(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
        #elseif canImport(Musl)
          Musl.read(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
        #else
          Darwin.read(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
        #endif
      }
      if count >= 0 {
        consumed += Int64(count)
        return count
      }
      if errno != EINTR {
        throw LoadError(
          .unreadable, file: name, "cannot be read: \(String(cString: strerror(errno)))")
      }
    }
  }
}

/// Gives back bytes that were looked at, then the rest.
struct PrefixedSource: ByteSource {
  private var prefix: MemorySource
  private var rest: any ByteSource

  init(_ prefix: [UInt8], then rest: any ByteSource) {
    self.prefix = MemorySource(prefix)
    self.rest = rest
  }

  mutating func read(into buffer: inout [UInt8], from offset: Int) throws -> Int {
    let count = prefix.read(into: &buffer, from: offset)
    return count > 0 ? count : try rest.read(into: &buffer, from: offset)
  }

  var consumed: Int64 { rest.consumed }
  var total: Int64? { rest.total }
}
