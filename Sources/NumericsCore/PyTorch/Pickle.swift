// Python's pickle format, as far as it says what lies where. A pickle is a program for a small stack machine, and
// a general machine can be told to call anything; this one knows how to make numbers, texts, lists,
// dictionaries and tensors, and stops at everything else.

/// What a pickle holds. Lists and dictionaries are numbers of places in the pickle that was read, so that what
/// refers to itself or is deeply nested needs no care.
enum PickleValue: Sendable {
  case none
  case flag(Bool)
  case integer(Int)
  case number(Double)
  case text(String)
  /// A list or tuple.
  case list(Int)
  case dictionary(Int)
  /// The name of a class or function, one of ``Pickle/known``.
  case global(String)
  /// Numbers in a file of the archive.
  case storage(PickledStorage)
  case tensor(PickledTensor)
}

struct PickledStorage: Sendable {
  let type: Safetensors.NumberType
  /// Name of the file in the folder `data` of the archive.
  let file: String
  let count: Int
}

/// A view of a storage; what it says has not been checked against the storage.
struct PickledTensor: Sendable {
  let storage: PickledStorage
  let offset: Int
  let shape: [Int]
  let strides: [Int]
}

/// A pickle that was read.
struct Pickle: Sendable {
  private(set) var lists: [[PickleValue]] = []
  /// Keys that are whole numbers are written in decimal.
  private(set) var dictionaries: [[String: PickleValue]] = []
  private(set) var contents = PickleValue.none

  private var stack: [PickleValue] = []
  private var marks: [Int] = []
  private var memo: [Int: PickleValue] = [:]

  /// The only names that may be asked for, and what numbers a storage of this name holds.
  private static let known: [String: Safetensors.NumberType?] = [
    "collections.OrderedDict": nil, "torch._utils._rebuild_tensor_v2": nil,
    "torch._utils._rebuild_parameter": nil, "torch.Size": nil,
    "torch.DoubleStorage": .f64, "torch.FloatStorage": .f32, "torch.HalfStorage": .f16,
    "torch.BFloat16Storage": .bf16, "torch.LongStorage": .i64, "torch.IntStorage": .i32,
    "torch.ShortStorage": .i16, "torch.CharStorage": .i8, "torch.ByteStorage": .u8,
    "torch.BoolStorage": .bool,
  ]

  init(_ bytes: ArraySlice<UInt8>) throws(PyTorchError) {
    var reader = Reader(bytes)
    while true {
      let code = try reader.byte()
      if code == UInt8(ascii: ".") { break }
      try perform(code, &reader)
    }
    contents = try pop()
  }

  // MARK: Instructions

  private mutating func perform(_ code: UInt8, _ reader: inout Reader) throws(PyTorchError) {
    switch code {
    case 0x80: _ = try reader.byte()  // version
    case 0x95: _ = try reader.number(8)  // length of a frame
    case UInt8(ascii: "("): marks.append(stack.count)
    case UInt8(ascii: "0"): _ = try pop()
    case UInt8(ascii: "1"): _ = try popMarked()
    case UInt8(ascii: "2"): stack.append(try top())

    case UInt8(ascii: "N"): stack.append(.none)
    case 0x88: stack.append(.flag(true))
    case 0x89: stack.append(.flag(false))
    case UInt8(ascii: "K"): stack.append(.integer(try reader.number(1)))
    case UInt8(ascii: "M"): stack.append(.integer(try reader.number(2)))
    case UInt8(ascii: "J"):
      stack.append(.integer(Int(Int32(truncatingIfNeeded: try reader.number(4)))))
    case 0x8a: stack.append(.integer(try reader.long()))
    case UInt8(ascii: "G"): stack.append(.number(try reader.double()))
    case UInt8(ascii: "X"): stack.append(.text(try reader.text(reader.number(4))))
    case 0x8c: stack.append(.text(try reader.text(reader.number(1))))
    case 0x8d: stack.append(.text(try reader.text(reader.number(8))))

    case UInt8(ascii: "]"), UInt8(ascii: ")"): push(list: [])
    case 0x85: push(list: try pop(count: 1))
    case 0x86: push(list: try pop(count: 2))
    case 0x87: push(list: try pop(count: 3))
    case UInt8(ascii: "t"), UInt8(ascii: "l"): push(list: try popMarked())
    case UInt8(ascii: "a"): try append([pop()])
    case UInt8(ascii: "e"): try append(popMarked())
    case UInt8(ascii: "}"): pushDictionary()
    case UInt8(ascii: "d"):
      let items = try popMarked()
      pushDictionary()
      try set(items)
    case UInt8(ascii: "s"): try set(pop(count: 2))
    case UInt8(ascii: "u"): try set(popMarked())

    case UInt8(ascii: "q"): memo[try reader.number(1)] = try top()
    case UInt8(ascii: "r"): memo[try reader.number(4)] = try top()
    case 0x94: memo[memo.count] = try top()
    case UInt8(ascii: "h"): stack.append(try remembered(reader.number(1)))
    case UInt8(ascii: "j"): stack.append(try remembered(reader.number(4)))

    case UInt8(ascii: "c"):
      let (module, name) = (try reader.line(), try reader.line())
      stack.append(try global(module, name))
    case 0x93:
      guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
        throw Self.broken
      }
      stack.append(try global(module, name))
    case UInt8(ascii: "R"):
      let arguments = try popList()
      stack.append(try call(pop(), arguments))
    case 0x81:
      let arguments = try popList()
      stack.append(try call(pop(), arguments))
    case UInt8(ascii: "b"):
      // Attributes of a dictionary, such as the versions of a state dict.
      _ = try pop()
      guard case .dictionary = try top() else {
        throw PyTorchError("the file sets attributes of something that is no dictionary")
      }
    case UInt8(ascii: "Q"): stack.append(try storage(pop()))
    default:
      throw PyTorchError(
        "the file holds the pickle instruction 0x\(String(code, radix: 16)), which stands for more than numbers, texts, lists, dictionaries and tensors"
      )
    }
    // Each instruction adds one value at most, but lists may be shared: memory follows the size of the file.
  }

  private static let broken = PyTorchError("the pickle of the file is broken")

  // MARK: Stack

  private func top() throws(PyTorchError) -> PickleValue {
    guard let value = stack.last, stack.count > marks.last ?? 0 else { throw Self.broken }
    return value
  }

  private mutating func pop() throws(PyTorchError) -> PickleValue {
    let value = try top()
    stack.removeLast()
    return value
  }

  private mutating func pop(count: Int) throws(PyTorchError) -> [PickleValue] {
    guard stack.count - (marks.last ?? 0) >= count else { throw Self.broken }
    let values = Array(stack.suffix(count))
    stack.removeLast(count)
    return values
  }

  private mutating func popMarked() throws(PyTorchError) -> [PickleValue] {
    guard let mark = marks.popLast(), mark <= stack.count else { throw Self.broken }
    let values = Array(stack[mark...])
    stack.removeSubrange(mark...)
    return values
  }

  private mutating func popList() throws(PyTorchError) -> [PickleValue] {
    guard case .list(let index) = try pop() else { throw Self.broken }
    return lists[index]
  }

  private mutating func push(list values: [PickleValue]) {
    stack.append(.list(lists.count))
    lists.append(values)
  }

  private mutating func pushDictionary() {
    stack.append(.dictionary(dictionaries.count))
    dictionaries.append([:])
  }

  private mutating func append(_ values: [PickleValue]) throws(PyTorchError) {
    guard case .list(let index) = try top() else { throw Self.broken }
    lists[index] += values
  }

  private mutating func set(_ items: [PickleValue]) throws(PyTorchError) {
    guard case .dictionary(let index) = try top(), items.count % 2 == 0 else { throw Self.broken }
    for k in stride(from: 0, to: items.count, by: 2) {
      switch items[k] {
      case .text(let key): dictionaries[index][key] = items[k + 1]
      case .integer(let key): dictionaries[index]["\(key)"] = items[k + 1]
      default: throw PyTorchError("a dictionary of the file has a key that is no text")
      }
    }
  }

  private func remembered(_ number: Int) throws(PyTorchError) -> PickleValue {
    guard let value = memo[number] else { throw Self.broken }
    return value
  }

  // MARK: Objects

  private func global(_ module: String, _ name: String) throws(PyTorchError) -> PickleValue {
    let full = "\(module).\(name)"
    guard Self.known.keys.contains(full) else {
      throw PyTorchError(
        "the file asks for \(full.prefix(100)); only tensors, numbers, texts, lists and dictionaries are read, and nothing is ever run"
      )
    }
    return .global(full)
  }

  private mutating func call(
    _ function: PickleValue, _ arguments: [PickleValue]
  ) throws(PyTorchError) -> PickleValue {
    guard case .global(let name) = function else { throw Self.broken }
    switch (name, arguments.first) {
    case ("collections.OrderedDict", nil):
      dictionaries.append([:])
      return .dictionary(dictionaries.count - 1)
    case ("torch._utils._rebuild_tensor_v2", .storage(let storage)):
      guard arguments.count >= 4, case .integer(let offset) = arguments[1] else {
        throw Self.broken
      }
      return .tensor(
        PickledTensor(
          storage: storage, offset: offset, shape: try integers(arguments[2]),
          strides: try integers(arguments[3])))
    case ("torch._utils._rebuild_parameter", .tensor(let tensor)): return .tensor(tensor)
    case ("torch.Size", .list(let index)): return .list(index)
    default: throw PyTorchError("the file calls \(name) in a way that torch.save does not write")
    }
  }

  private func integers(_ value: PickleValue) throws(PyTorchError) -> [Int] {
    guard case .list(let index) = value else { throw Self.broken }
    var numbers: [Int] = []
    for item in lists[index] {
      guard case .integer(let number) = item else { throw Self.broken }
      numbers.append(number)
    }
    return numbers
  }

  /// A persistent identifier: `("storage", class, file, device, numbers)`.
  private func storage(_ value: PickleValue) throws(PyTorchError) -> PickleValue {
    guard case .list(let index) = value, lists[index].count >= 5,
      case .text("storage") = lists[index][0], case .global(let name) = lists[index][1],
      case .text(let file) = lists[index][2], case .integer(let count) = lists[index][4],
      let type = Self.known[name] ?? nil
    else { throw PyTorchError("the file refers to something that is no tensor's storage") }
    return .storage(PickledStorage(type: type, file: file, count: count))
  }

  // MARK: Bytes

  private struct Reader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
      self.bytes = bytes
      position = bytes.startIndex
    }

    private mutating func take(_ count: Int) throws(PyTorchError) -> ArraySlice<UInt8> {
      guard count >= 0, count <= bytes.endIndex - position else {
        throw PyTorchError("the pickle of the file is cut off")
      }
      position += count
      return bytes[(position - count)..<position]
    }

    mutating func byte() throws(PyTorchError) -> UInt8 { try take(1).first! }

    mutating func number(_ count: Int) throws(PyTorchError) -> Int {
      var value: UInt64 = 0
      for (k, byte) in try take(count).enumerated() { value |= UInt64(byte) << (8 * UInt64(k)) }
      guard let number = Int(exactly: value) else { throw Pickle.broken }
      return number
    }

    /// A whole number of any length, in two's complement.
    mutating func long() throws(PyTorchError) -> Int {
      let count = try number(1)
      guard count <= 8 else {
        throw PyTorchError("the file holds a whole number of more than 64 bits")
      }
      let taken = try take(count)
      var value: UInt64 = taken.last.map { $0 & 0x80 != 0 } == true ? .max : 0
      for byte in taken.reversed() { value = value << 8 | UInt64(byte) }
      return Int(bitPattern: UInt(value))
    }

    mutating func double() throws(PyTorchError) -> Double {
      Double(bitPattern: try take(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }

    mutating func text(_ count: Int) throws(PyTorchError) -> String {
      String(decoding: try take(count), as: UTF8.self)
    }

    mutating func line() throws(PyTorchError) -> String {
      guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else {
        throw Pickle.broken
      }
      defer { position = end + 1 }
      return String(decoding: bytes[position..<end], as: UTF8.self)
    }
  }
}
