// Safetensors: 8 bytes little-endian header length, a JSON header, then the tensors one after another
// (https://github.com/huggingface/safetensors). Here because it is numbers as bytes, which forecasters and
// trainings both need; files are the business of callers.
import Foundation

/// Named tensors and text as the bytes of a safetensors file, readable from Python with `safetensors`.
///
/// What is read is checked as the reference implementation does: lengths, bounds, shapes that fit their bytes,
/// no overlaps and no holes. Numbers are converted when they are taken out, at the cost of one copy.
public struct Safetensors: Sendable {
  /// A type of number that a file can hold.
  public enum NumberType: String, Sendable, CaseIterable {
    case f64 = "F64"
    case f32 = "F32"
    case f16 = "F16"
    case bf16 = "BF16"
    case i64 = "I64"
    case i32 = "I32"
    case i16 = "I16"
    case i8 = "I8"
    case u64 = "U64"
    case u32 = "U32"
    case u16 = "U16"
    case u8 = "U8"
    case bool = "BOOL"

    var bytes: Int {
      switch self {
      case .f64, .i64, .u64: 8
      case .f32, .i32, .u32: 4
      case .f16, .bf16, .i16, .u16: 2
      case .i8, .u8, .bool: 1
      }
    }
  }

  /// A tensor of the file.
  public struct Entry: Sendable, Equatable {
    public let name: String
    public let type: NumberType
    /// Empty for a single number.
    public let shape: [Int]
    /// Where its bytes lie in the data.
    fileprivate let bytes: Range<Int>

    public var count: Int { bytes.count / type.bytes }
  }

  /// Texts of the header.
  public var metadata: [String: String]
  /// In the order of their bytes.
  public private(set) var entries: [Entry] = []
  private var positions: [String: Int] = [:]
  private var data: [UInt8] = []
  /// Where the tensors begin in `data`.
  private var start = 0

  public init(metadata: [String: String] = [:]) { self.metadata = metadata }

  public subscript(name: String) -> Entry? { positions[name].map { entries[$0] } }

  // MARK: Write

  /// Adds a tensor, after those that are there.
  ///
  /// - Precondition: the shape fits the values, and the name is new.
  public mutating func add(_ name: String, _ shape: [Int], _ values: [Float]) {
    add(name, shape, values.map { $0.bitPattern.littleEndian }, .f32)
  }

  public mutating func add(_ name: String, _ shape: [Int], _ values: [Double]) {
    add(name, shape, values.map { $0.bitPattern.littleEndian }, .f64)
  }

  public mutating func add(_ name: String, _ shape: [Int], _ values: [UInt64]) {
    add(name, shape, values.map(\.littleEndian), .u64)
  }

  public mutating func add(_ name: String, _ shape: [Int], _ values: [Int64]) {
    add(name, shape, values.map(\.littleEndian), .i64)
  }

  private mutating func add<Bits>(
    _ name: String, _ shape: [Int], _ bits: [Bits], _ type: NumberType
  ) {
    precondition(shape.reduce(1, *) == bits.count, "\(name): \(shape) for \(bits.count) numbers")
    bits.withUnsafeBytes { add(name, shape, $0, type) }
  }

  /// Adds a tensor from its bytes.
  mutating func add(
    _ name: String, _ shape: [Int], _ bytes: some Collection<UInt8>, _ type: NumberType
  ) {
    precondition(shape.reduce(type.bytes, *) == bytes.count, "\(name): \(shape)")
    precondition(name != Self.metadataKey && positions[name] == nil, "\(name) is taken")
    let before = data.count - start
    data.append(contentsOf: bytes)
    positions[name] = entries.count
    entries.append(
      Entry(name: name, type: type, shape: shape, bytes: before..<(data.count - start)))
  }

  /// The bytes of the file. Equal contents give equal bytes.
  public func encoded() -> [UInt8] {
    var header: [String: HeaderEntry] = [:]
    if !metadata.isEmpty { header[Self.metadataKey] = .metadata(metadata) }
    for entry in entries {
      header[entry.name] = .tensor(
        TensorHeader(
          dtype: entry.type.rawValue, shape: entry.shape,
          dataOffsets: [entry.bytes.lowerBound, entry.bytes.upperBound]))
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let json = try? encoder.encode(header) else {
      preconditionFailure("texts and whole numbers are always JSON")
    }
    // Data start at a multiple of 8 for readers that map the file.
    let padding = (8 - json.count % 8) % 8
    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 + json.count + padding + data.count - start)
    withUnsafeBytes(of: UInt64(json.count + padding).littleEndian) { bytes.append(contentsOf: $0) }
    bytes += json
    bytes += [UInt8](repeating: 0x20, count: padding)
    bytes += data[start...]
    return bytes
  }

  // MARK: Read

  /// - Throws: `SafetensorsError` saying what is wrong with the bytes.
  public init(decoding bytes: [UInt8]) throws(SafetensorsError) {
    guard bytes.count >= 8 else { throw SafetensorsError("the file is shorter than a header") }
    let length = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[$1]) << (8 * UInt64($1)) }
    guard length <= UInt64(bytes.count - 8) else {
      throw SafetensorsError("the header is cut off")
    }
    start = 8 + Int(length)
    data = bytes
    metadata = [:]
    let header: [String: HeaderEntry]
    do {
      header = try JSONDecoder().decode([String: HeaderEntry].self, from: Data(bytes[8..<start]))
    } catch {
      throw SafetensorsError("the header is not JSON as safetensors writes it")
    }
    for (name, value) in header {
      switch value {
      case .metadata(let texts):
        guard name == Self.metadataKey else {
          throw SafetensorsError("the header's entry \(name) is no tensor")
        }
        metadata = texts
      case .tensor(let tensor):
        entries.append(try Self.entry(name, tensor, of: bytes.count - start))
      }
    }
    entries.sort {
      ($0.bytes.lowerBound, $0.bytes.upperBound, $0.name)
        < ($1.bytes.lowerBound, $1.bytes.upperBound, $1.name)
    }
    var end = 0
    for (position, entry) in entries.enumerated() {
      guard entry.bytes.lowerBound == end else {
        throw SafetensorsError(
          "tensor \(entry.name) begins at byte \(entry.bytes.lowerBound) of the data, expected \(end): tensors \(entry.bytes.lowerBound < end ? "overlap" : "leave a hole")"
        )
      }
      end = entry.bytes.upperBound
      positions[entry.name] = position
    }
    guard end == bytes.count - start else {
      throw SafetensorsError(
        "\(bytes.count - start) bytes of data, expected \(end) as the header says")
    }
  }

  private static func entry(
    _ name: String, _ tensor: TensorHeader, of available: Int
  ) throws(SafetensorsError) -> Entry {
    guard let type = NumberType(rawValue: tensor.dtype) else {
      throw SafetensorsError(
        "tensor \(name) is of type \(tensor.dtype), expected one of \(NumberType.allCases.map(\.rawValue).joined(separator: ", "))"
      )
    }
    let offsets = tensor.dataOffsets
    guard offsets.count == 2, 0 <= offsets[0], offsets[0] <= offsets[1], offsets[1] <= available
    else {
      throw SafetensorsError(
        "tensor \(name) lies at \(offsets) of \(available) bytes of data; the file is cut off or broken"
      )
    }
    var size = type.bytes
    for axis in tensor.shape {
      let (product, overflows) = size.multipliedReportingOverflow(by: axis)
      guard axis >= 0, !overflows else {
        throw SafetensorsError("tensor \(name) has the impossible shape \(tensor.shape)")
      }
      size = product
    }
    guard size == offsets[1] - offsets[0] else {
      throw SafetensorsError(
        "tensor \(name) has \(offsets[1] - offsets[0]) bytes, expected \(size) for \(type.rawValue) \(tensor.shape)"
      )
    }
    return Entry(name: name, type: type, shape: tensor.shape, bytes: offsets[0]..<offsets[1])
  }

  /// The tensor of a name.
  ///
  /// - Parameter shape: the expected shape; nil for any.
  /// - Throws: `SafetensorsError` if there is none, or it has another shape.
  public func entry(_ name: String, shape: [Int]? = nil) throws(SafetensorsError) -> Entry {
    guard let entry = self[name] else { throw SafetensorsError("tensor \(name) is missing") }
    guard shape == nil || shape == entry.shape else {
      throw SafetensorsError("tensor \(name) is \(entry.shape), expected \(shape!)")
    }
    return entry
  }

  /// The numbers of a tensor of F64, F32, F16 or BF16, rounded to `Element` where that holds fewer digits.
  ///
  /// - Throws: `SafetensorsError` if there is no such tensor, or it has another shape or other numbers.
  public func numbers<Element: Real>(
    _ name: String, shape: [Int]? = nil, as type: Element.Type = Element.self
  ) throws(SafetensorsError) -> [Element] {
    let entry = try entry(name, shape: shape)
    switch entry.type {
    case .f64: return words(entry).map { Element(Double(bitPattern: $0)) }
    case .f32: return words(entry).map { Element(Float(bitPattern: $0)) }
    case .bf16:
      return words(entry).map { (bits: UInt16) in Element(Float(bitPattern: UInt32(bits) << 16)) }
    case .f16: return words(entry).map { Element(Self.half($0)) }
    default:
      throw SafetensorsError("tensor \(name) holds \(entry.type.rawValue), expected F32 or F64")
    }
  }

  /// The numbers of a tensor of U64.
  public func unsigned(
    _ name: String, shape: [Int]? = nil
  ) throws(SafetensorsError) -> [UInt64] {
    try words(entry(name, shape: shape), .u64)
  }

  /// The numbers of a tensor of I64.
  public func signed(_ name: String, shape: [Int]? = nil) throws(SafetensorsError) -> [Int64] {
    let bits: [UInt64] = try words(entry(name, shape: shape), .i64)
    return bits.map { Int64(bitPattern: $0) }
  }

  private func words(_ entry: Entry, _ type: NumberType) throws(SafetensorsError) -> [UInt64] {
    guard entry.type == type else {
      throw SafetensorsError(
        "tensor \(entry.name) holds \(entry.type.rawValue), expected \(type.rawValue)")
    }
    return words(entry)
  }

  private func words<Word: FixedWidthInteger & BitwiseCopyable>(_ entry: Entry) -> [Word] {
    data.withUnsafeBytes { all in
      let bytes = UnsafeRawBufferPointer(
        rebasing: all[(start + entry.bytes.lowerBound)..<(start + entry.bytes.upperBound)])
      return (0..<entry.count).map {
        Word(
          littleEndian: bytes.loadUnaligned(
            fromByteOffset: $0 * MemoryLayout<Word>.size, as: Word.self))
      }
    }
  }

  /// The value of an IEEE 754 half.
  private static func half(_ bits: UInt16) -> Float {
    let sign: Float = bits >> 15 == 0 ? 1 : -1
    let exponent = Int(bits >> 10 & 0x1f)
    let fraction = Float(bits & 0x3ff)
    switch exponent {
    case 0: return sign * fraction * 0x1p-24
    case 31: return fraction == 0 ? sign * .infinity : .nan
    default:
      return sign * Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction * 0x1p-10)
    }
  }

  // MARK: Header

  private static let metadataKey = "__metadata__"

  private struct TensorHeader: Codable {
    let dtype: String
    let shape: [Int]
    let dataOffsets: [Int]

    enum CodingKeys: String, CodingKey {
      case dtype, shape
      case dataOffsets = "data_offsets"
    }
  }

  private enum HeaderEntry: Codable {
    case metadata([String: String])
    case tensor(TensorHeader)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let tensor = try? container.decode(TensorHeader.self) {
        self = .tensor(tensor)
      } else {
        self = .metadata(try container.decode([String: String].self))
      }
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .metadata(let values): try container.encode(values)
      case .tensor(let entry): try container.encode(entry)
      }
    }
  }
}

/// What is wrong with the bytes of a safetensors file, in one sentence.
public struct SafetensorsError: Error, Sendable, Equatable, CustomStringConvertible {
  public let message: String
  /// The file's fault; the same bytes fail again.
  public var isTransient: Bool { false }
  public var description: String { message }

  init(_ message: String) { self.message = message }
}
