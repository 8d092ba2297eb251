/// A file that `torch.save` wrote (PyTorch 1.6 or newer), such as a checkpoint of PyTorch Lightning.
///
/// Only tensors, numbers, texts, lists and dictionaries are read, as with `torch.load(weights_only=True)`; a file
/// that asks for anything else is refused. Nothing in a file is ever run.
public struct PyTorchCheckpoint: Sendable {
  /// A value of the file: nothing, or one of the plain kinds.
  public enum Value: Sendable, Equatable {
    case none
    case flag(Bool)
    case integer(Int)
    case number(Double)
    case text(String)
    case list([Value])
    /// A dictionary, a list inside a list, or a tensor.
    case other
  }

  private let bytes: [UInt8]
  private let archive: StoredArchive
  private let pickle: Pickle
  /// The folder inside the archive that everything lies in.
  private let folder: String

  /// Whether these bytes begin as an archive does.
  public static func isArchive(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x50, 0x4b]) }

  /// - Throws: `PyTorchError` saying what is wrong with the bytes.
  public init(decoding bytes: [UInt8]) throws(PyTorchError) {
    self.bytes = bytes
    archive = try StoredArchive(bytes)
    guard let name = archive.names.first(where: { $0.hasSuffix("/data.pkl") }) else {
      throw PyTorchError("the archive holds no data.pkl, so torch.save did not write it")
    }
    folder = String(name.dropLast("data.pkl".count))
    if let order = try archive.range(of: folder + "byteorder"),
      String(decoding: bytes[order], as: UTF8.self) != "little"
    {
      throw PyTorchError("the numbers of the file are not little-endian")
    }
    guard let range = try archive.range(of: name) else { throw PyTorchError("no \(name)") }
    pickle = try Pickle(bytes[range])
  }

  /// What stands at a path of keys; nil where there is nothing.
  private func find(_ path: [String]) -> PickleValue? {
    var value = pickle.contents
    for key in path {
      guard case .dictionary(let index) = value, let next = pickle.dictionaries[index][key] else {
        return nil
      }
      value = next
    }
    return value
  }

  /// The value at a path of dictionary keys; nil where there is nothing.
  public func value(at path: String...) -> Value? { find(path).map { plain($0, lists: true) } }

  private func plain(_ value: PickleValue, lists: Bool) -> Value {
    switch value {
    case .none: .none
    case .flag(let flag): .flag(flag)
    case .integer(let number): .integer(number)
    case .number(let number): .number(number)
    case .text(let text): .text(text)
    case .list(let index):
      lists ? .list(pickle.lists[index].map { plain($0, lists: false) }) : .other
    case .dictionary, .global, .storage, .tensor: .other
    }
  }

  /// The tensors of the dictionary at a path, such as `state_dict`, as a safetensors file: rows together, in the
  /// order of their names. Other values of the dictionary are left out.
  ///
  /// - Throws: `PyTorchError` where there is no dictionary, or a tensor exceeds its storage.
  public func tensors(at path: String...) throws(PyTorchError) -> Safetensors {
    guard case .dictionary(let index) = find(path) else {
      throw PyTorchError(
        "the file holds no \(path.isEmpty ? "dictionary" : path.joined(separator: "/"))")
    }
    var file = Safetensors()
    var places: [String: Range<Int>] = [:]
    for (name, value) in pickle.dictionaries[index].sorted(by: { $0.key < $1.key }) {
      guard case .tensor(let tensor) = value else { continue }
      let place: Range<Int>
      if let known = places[tensor.storage.file] {
        place = known
      } else {
        guard let found = try archive.range(of: folder + "data/" + tensor.storage.file) else {
          throw PyTorchError("the numbers of \(name) are missing from the archive")
        }
        place = found
        places[tensor.storage.file] = found
      }
      file.add(name, tensor.shape, try numbers(tensor, name, place), tensor.storage.type)
    }
    return file
  }

  /// The bytes of a tensor with its rows together.
  private func numbers(
    _ tensor: PickledTensor, _ name: String, _ place: Range<Int>
  ) throws(PyTorchError) -> ArraySlice<UInt8> {
    let size = tensor.storage.type.bytes
    let wrong = PyTorchError(
      "tensor \(name) of shape \(tensor.shape) does not fit its storage of \(place.count) bytes")
    // Sizes in a file can be anything: no product may overflow, and nothing grows beyond its storage.
    guard tensor.shape.count == tensor.strides.count, tensor.offset >= 0,
      tensor.shape.allSatisfy({ $0 >= 0 }), tensor.strides.allSatisfy({ $0 >= 0 })
    else { throw wrong }
    var (count, last, overflows) = (1, tensor.offset, false)
    for (axis, stride) in zip(tensor.shape, tensor.strides) {
      let product = count.multipliedReportingOverflow(by: axis)
      let reach = max(axis - 1, 0).multipliedReportingOverflow(by: stride)
      let sum = last.addingReportingOverflow(reach.partialValue)
      overflows = overflows || product.overflow || reach.overflow || sum.overflow
      (count, last) = (product.partialValue, sum.partialValue)
    }
    let stored = place.count / size
    guard !overflows, count <= stored, count == 0 || last < stored else { throw wrong }
    if count == 0 { return [] }

    var whole = 1
    var isWhole = true
    for (axis, stride) in zip(tensor.shape, tensor.strides).reversed() where axis > 1 {
      isWhole = isWhole && stride == whole
      whole *= axis
    }
    let start = place.lowerBound + tensor.offset * size
    if isWhole { return bytes[start..<(start + count * size)] }
    var gathered: [UInt8] = []
    gathered.reserveCapacity(count * size)
    var index = [Int](repeating: 0, count: tensor.shape.count)
    for _ in 0..<count {
      let element = zip(index, tensor.strides).reduce(0) { $0 + $1.0 * $1.1 }
      gathered += bytes[(start + element * size)..<(start + (element + 1) * size)]
      for axis in index.indices.reversed() {
        index[axis] += 1
        if index[axis] < tensor.shape[axis] { break }
        index[axis] = 0
      }
    }
    return gathered[...]
  }
}

/// What is wrong with the bytes of a PyTorch file, in one sentence.
public struct PyTorchError: Error, Sendable, Equatable, CustomStringConvertible {
  public let message: String
  /// The file's fault; the same bytes fail again.
  public var isTransient: Bool { false }
  public var description: String { message }

  init(_ message: String) { self.message = message }
}
