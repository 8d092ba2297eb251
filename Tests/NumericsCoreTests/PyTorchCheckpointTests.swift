import Foundation
import NumericsCore
import TestSupport
import Testing

/// Files that torch.save wrote; see Golden/pytorch_save.py.
private struct Expected: Decodable {
  struct Tensor: Decodable {
    let shape: [Int]
    let values: [Double]
  }
  let tensors: [String: Tensor]
}

@Suite("Files of torch.save")
struct PyTorchCheckpointTests {
  private func bytes(_ name: String) throws -> [UInt8] { try [UInt8](Golden.data(name)) }

  private func refusal(_ bytes: [UInt8]) -> String? {
    do {
      let file = try PyTorchCheckpoint(decoding: bytes)
      _ = try file.tensors(at: "tensors")
      return nil
    } catch { return error.message }
  }

  @Test(
    "tensors of every kind, slices and transposes are read", arguments: ["", "_4"])
  func tensors(suffix: String) throws {
    let expected: Expected = try Golden.json("pytorch_save.json")
    let file = try PyTorchCheckpoint(decoding: bytes("pytorch_save\(suffix).pt"))
    let tensors = try file.tensors(at: "tensors")
    let state = try file.tensors(at: "state_dict")
    #expect(tensors.entries.count == 11 && state.entries.count == 2)
    for (name, one) in expected.tensors {
      let part = name.split(separator: ".").map(String.init)
      let values: [Double] =
        part.count == 1
        ? try tensors.numbers(name, shape: one.shape)
        : try state.numbers(part[1], shape: one.shape)
      #expect(values == one.values, "\(name)")
    }
    let whole = try file.tensors(at: "whole")
    #expect(try whole.signed("i64", shape: [1, 2]) == [1 << 40, -7])
    #expect(whole["i32"]?.type == .i32 && whole["u8"]?.type == .u8 && whole["flag"]?.type == .bool)
  }

  @Test("plain values are read", arguments: ["", "_4"])
  func plain(suffix: String) throws {
    let file = try PyTorchCheckpoint(decoding: bytes("pytorch_save\(suffix).pt"))
    let expected: [(String, PyTorchCheckpoint.Value)] = [
      ("none", .none), ("yes", .flag(true)), ("no", .flag(false)), ("small", .integer(7)),
      ("byte", .integer(255)), ("word", .integer(65535)), ("negative", .integer(-1)),
      ("long", .integer(1 << 40)), ("minus", .integer(-(1 << 40))), ("pi", .number(3.140625)),
      ("text", .text("größer")),
      ("list", .list([.integer(1), .number(2.5), .text("three"), .none])),
      ("tuple", .list([.integer(1), .integer(2), .integer(3), .integer(4)])),
      ("nested", .other), ("empty", .list([])), ("5", .text("five")),
      ("size", .list([.integer(2), .integer(3)])),
    ]
    for (name, value) in expected {
      #expect(file.value(at: "plain", name) == value, "\(name)")
    }
    #expect(file.value(at: "plain", "nested", "a", "b") == .list([.other, .integer(2)]))
    #expect(file.value(at: "plain", "absent") == nil && file.value(at: "tensors", "f32") == .other)
    #expect(throws: PyTorchError.self) { try file.tensors(at: "absent") }
    #expect(throws: PyTorchError.self) { try file.tensors(at: "plain", "text") }
  }

  @Test(
    "what is more than data is refused in words, and never run",
    arguments: [
      ("system", "asks for posix.system"), ("eval", "asks for __builtin__.eval"),
      ("object", "asks for pathlib."), ("complex", "asks for __builtin__.complex"),
      ("set", "asks for __builtin__.set"), ("huge", "more than 64 bits"),
      ("compressed", "is compressed"),
    ])
  func refused(name: String, message: String) throws {
    let found = try refusal(bytes("pytorch_save_\(name).pt"))
    #expect(found?.contains(message) == true, "\(found ?? "accepted")")
  }

  @Test("files that are cut off or damaged are refused, wherever it is")
  func damaged() throws {
    let good = try bytes("pytorch_save.pt")
    #expect(refusal(good) == nil)
    #expect(refusal([]) != nil && refusal([0x50, 0x4b]) != nil)
    for count in stride(from: 0, to: good.count, by: 97) {
      #expect(refusal(Array(good.prefix(count))) != nil)
    }
    // A byte that changes where nothing is checked may pass; it must not do harm.
    var random = SeededGenerator(seed: 9)
    for _ in 0..<3000 {
      var bad = good
      for _ in 0..<(1 + Int(random.uniform() * 3)) {
        bad[Int(random.uniform() * Double(bad.count))] = UInt8(random.uniform() * 256)
      }
      _ = refusal(bad)
    }
  }

  /// An archive of stored files, with sums that are right.
  private func archive(_ files: [(name: String, bytes: [UInt8])]) -> [UInt8] {
    func number(_ value: Int, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    func sum(_ bytes: [UInt8]) -> Int {
      var sum: UInt32 = .max
      for byte in bytes {
        sum ^= UInt32(byte)
        for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0xedb8_8320 }
      }
      return Int(~sum)
    }
    var (data, directory): ([UInt8], [UInt8]) = ([], [])
    for file in files {
      let fields =
        number(0, 8) + number(sum(file.bytes), 4) + number(file.bytes.count, 4)
        + number(file.bytes.count, 4) + number(file.name.utf8.count, 2) + number(0, 2)
      directory +=
        number(0x0201_4b50, 4) + number(20, 2) + number(20, 2) + fields
        + number(0, 10) + number(data.count, 4) + Array(file.name.utf8)
      data += number(0x0403_4b50, 4) + number(20, 2) + fields + Array(file.name.utf8)
      data += file.bytes
    }
    return data + directory + number(0x0605_4b50, 4) + number(0, 4) + number(files.count, 2)
      + number(files.count, 2) + number(directory.count, 4) + number(data.count, 4) + number(0, 2)
  }

  /// A pickle of `{"tensors": {"x": tensor}}` with eight numbers stored.
  private func file(
    offset: [UInt8] = [0x4b, 0], shape: [UInt8], strides: [UInt8], file: String = "0"
  ) -> [UInt8] {
    func text(_ value: String) -> [UInt8] { [0x8c, UInt8(value.utf8.count)] + Array(value.utf8) }
    func global(_ module: String, _ name: String) -> [UInt8] {
      [0x63] + Array("\(module)\n\(name)\n".utf8)
    }
    var pickle: [UInt8] = [0x80, 2, 0x7d] + text("tensors") + [0x7d] + text("x")
    pickle += global("torch._utils", "_rebuild_tensor_v2") + [0x28, 0x28]
    pickle += text("storage") + global("torch", "FloatStorage") + text(file) + text("cpu")
    pickle += [0x4b, 8, 0x74, 0x51] + offset + shape + strides + [0x89, 0x4e, 0x74, 0x52]
    pickle += [0x73, 0x73, 0x2e]
    return archive([
      ("a/data.pkl", pickle),
      ("a/data/0", [UInt8](repeating: 0, count: 32)),
    ])
  }

  @Test("shapes and strides that lie are refused before anything is read")
  func lies() throws {
    let pair: [UInt8] = [0x4b, 2, 0x4b, 4, 0x86]
    #expect(refusal(file(shape: pair, strides: [0x4b, 4, 0x4b, 1, 0x86])) == nil)
    let huge: [UInt8] = [0x8a, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]
    let minus: [UInt8] = [0x4a, 0xff, 0xff, 0xff, 0xff]
    let bad: [[UInt8]] = [
      file(offset: [0x4b, 1], shape: pair, strides: [0x4b, 4, 0x4b, 1, 0x86]),
      file(offset: minus, shape: pair, strides: [0x4b, 4, 0x4b, 1, 0x86]),
      file(offset: huge, shape: pair, strides: [0x4b, 4, 0x4b, 1, 0x86]),
      file(shape: pair, strides: [0x4b, 5, 0x4b, 1, 0x86]),
      file(shape: pair, strides: [0x4b, 4, 0x85]),
      file(shape: huge + [0x85], strides: [0x4b, 0, 0x85]),
      file(shape: huge + huge + [0x86], strides: [0x4b, 0, 0x4b, 0, 0x86]),
      file(shape: [0x4b, 9, 0x85], strides: [0x4b, 0, 0x85]),
      file(shape: [0x4b, 2, 0x85], strides: huge + [0x85]),
      file(shape: minus + [0x85], strides: [0x4b, 1, 0x85]),
      file(shape: [0x4b, 2, 0x85], strides: minus + [0x85]),
    ]
    for bytes in bad {
      #expect(refusal(bytes)?.contains("does not fit its storage") == true)
    }
    let absent = file(shape: pair, strides: [0x4b, 4, 0x4b, 1, 0x86], file: "7")
    #expect(refusal(absent)?.contains("missing from the archive") == true)
    #expect(refusal(archive([("a/b", [])]))?.contains("no data.pkl") == true)
    #expect(
      refusal(archive([("a/data.pkl", [0x4e, 0x2e]), ("a/byteorder", Array("big".utf8))]))?
        .contains("little-endian") == true)
  }

  @Test(
    "pickles that are broken are refused",
    arguments: [
      [], [0x2e], [0x4b], [0x4b, 1], [0x28, 0x2e], [0x52, 0x2e], [0x71, 0], [0x68, 1, 0x2e],
      [0x73, 0x2e], [0x7d, 0x4e, 0x4e, 0x73, 0x2e], [0x4e, 0x4e, 0x61, 0x2e], [0x74, 0x2e],
      [0x63, 0x61], [0x58, 0xff, 0xff, 0xff, 0xff], [0x8d, 255, 255, 255, 255, 255, 255, 255, 255],
      [0x4e, 0x51, 0x2e], [0x4e, 0x4e, 0x62, 0x2e], [0x69, 0x2e], [0x50, 0x2e], [0x28, 0x4e, 0x30],
    ] as [[UInt8]])
  func broken(pickle: [UInt8]) {
    let bytes = archive([("a/data.pkl", pickle)])
    #expect(throws: PyTorchError.self) { try PyTorchCheckpoint(decoding: bytes) }
  }

  @Test("what refers to itself or is deeply nested is read as it is")
  func nested() throws {
    // A list that holds itself, and a hundred thousand lists in one another.
    let itself: [UInt8] = [0x5d, 0x94, 0x68, 0, 0x61, 0x2e]
    #expect(
      try PyTorchCheckpoint(decoding: archive([("a/data.pkl", itself)])).value() == .list([.other]))
    let deep = [0x4e] + [UInt8](repeating: 0x85, count: 100_000) + [0x2e]
    #expect(
      try PyTorchCheckpoint(decoding: archive([("a/data.pkl", deep)])).value() == .list([.other]))
  }
}
