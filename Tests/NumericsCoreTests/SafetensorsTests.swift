import NumericsCore
import TestSupport
import Testing

@Suite("Safetensors")
struct SafetensorsTests {
  private func sample() -> Safetensors {
    var file = Safetensors(metadata: ["format": "test", "note": "a \"quoted\" /text/ é"])
    file.add(
      "weights", [2, 3], [1, -2.5, .infinity, 0.1, -0.0, .leastNonzeroMagnitude] as [Float])
    file.add("exact", [2], [Double.pi, -1e300])
    file.add("counter", [], [UInt64.max])
    file.add("signed", [2, 1], [Int64.min, 7])
    file.add("empty", [0, 4], [Float]())
    return file
  }

  @Test("what is written is read, to the bit")
  func roundTrip() throws {
    let bytes = sample().encoded()
    let file = try Safetensors(decoding: bytes)
    #expect(file.metadata == ["format": "test", "note": "a \"quoted\" /text/ é"])
    #expect(Set(file.entries.map(\.name)) == ["weights", "exact", "counter", "signed", "empty"])
    let weights: [Float] = try file.numbers("weights", shape: [2, 3])
    #expect(
      weights == [1, -2.5, .infinity, 0.1, 0, .leastNonzeroMagnitude] && weights[4].sign == .minus)
    #expect(try file.numbers("weights", as: Double.self)[3] == Double(Float(0.1)))
    #expect(try file.numbers("exact", as: Double.self) == [Double.pi, -1e300])
    #expect(try file.numbers("exact", as: Float.self)[0] == Float(Double.pi))
    #expect(try file.unsigned("counter", shape: []) == [.max])
    #expect(try file.signed("signed", shape: [2, 1]) == [.min, 7])
    #expect(try file.numbers("empty", shape: [0, 4], as: Float.self).isEmpty)
    #expect(file["weights"]?.type == .f32 && file["weights"]?.count == 6)
    #expect(file["none"] == nil)
    #expect(sample().encoded() == bytes)
  }

  @Test("the header is padded so that data begin at a multiple of eight")
  func alignment() throws {
    for length in 0..<9 {
      let file = Safetensors(metadata: ["k": String(repeating: "x", count: length)])
      let bytes = file.encoded()
      #expect(bytes.count % 8 == 0)
      #expect(try Safetensors(decoding: bytes).metadata["k"]?.count == length)
    }
    #expect(try Safetensors(decoding: Safetensors().encoded()).entries.isEmpty)
  }

  /// A file of this header and this many bytes of data.
  private func file(_ header: String, data: Int = 0) -> [UInt8] {
    let text = Array(header.utf8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
    return length + text + [UInt8](repeating: 0, count: data)
  }

  private func refusal(_ bytes: [UInt8]) -> String? {
    do {
      _ = try Safetensors(decoding: bytes)
      return nil
    } catch { return error.message }
  }

  @Test(
    "a header that lies is refused in words",
    arguments: [
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "4 bytes, expected 8"),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#, 4, "cut off or broken"),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "cut off or broken"),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4, "cut off or broken"),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, 4, "cut off or broken"),
      (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "impossible shape"),
      (
        #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#, 4,
        "impossible shape"
      ),
      (#"{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}}"#, 4, "type Q4"),
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        4, "overlap"
      ),
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
        12, "leave a hole"
      ),
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 8, "8 bytes of data, expected 4"
      ),
      (#"{"a":{"b":"c"}}"#, 0, "the header's entry a is no tensor"),
      (#"{"__metadata__":{"a":1}}"#, 0, "not JSON as safetensors writes it"),
      ("[1]", 0, "not JSON"), ("{", 0, "not JSON"), ("", 0, "not JSON"),
      (String(repeating: "[", count: 100_000), 0, "not JSON"),
    ])
  func refused(header: String, data: Int, part: String) {
    let message = refusal(file(header, data: data))
    #expect(message?.contains(part) == true, "\(message ?? "accepted")")
  }

  @Test("a tensor that is missing, of another shape or another type says so")
  func wrongTensor() throws {
    let file = try Safetensors(decoding: sample().encoded())
    func message(_ body: () throws -> Void) -> String {
      do {
        try body()
        return "accepted"
      } catch { return "\(error)" }
    }
    #expect(message { _ = try file.numbers("x", as: Float.self) } == "tensor x is missing")
    #expect(
      message { _ = try file.numbers("weights", shape: [3, 2], as: Float.self) }
        == "tensor weights is [2, 3], expected [3, 2]")
    #expect(
      message { _ = try file.numbers("counter", as: Float.self) }
        == "tensor counter holds U64, expected F32 or F64")
    #expect(message { _ = try file.signed("counter") } == "tensor counter holds U64, expected I64")
    #expect(
      message { _ = try file.unsigned("weights") } == "tensor weights holds F32, expected U64")
  }

  @Test("every cut of a file is refused")
  func truncated() {
    let bytes = sample().encoded()
    for count in 0..<bytes.count {
      #expect(refusal(Array(bytes[..<count])) != nil, "\(count) of \(bytes.count) bytes")
    }
    #expect(refusal(bytes) == nil)
    #expect(refusal(bytes + [0]) != nil)
  }

  @Test("no change of bytes crashes, and what is accepted lies within the file", arguments: 0..<20)
  func mutations(seed: Int) throws {
    var random = SeededGenerator(seed: UInt64(seed))
    let bytes = sample().encoded()
    for _ in 0..<200 {
      var changed = bytes
      for _ in 0...(Int(random.next() % 4)) {
        let place = Int(random.next() % UInt64(min(changed.count, 450)))
        switch random.next() % 4 {
        case 0: changed[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: changed[place] ^= 1 << UInt8(random.next() % 8)
        case 2: changed.insert(UInt8(ascii: "9"), at: place)
        default: changed.remove(at: place)
        }
      }
      guard let file = try? Safetensors(decoding: changed) else { continue }
      var total = 0
      for entry in file.entries {
        #expect(entry.shape.reduce(1, *) == entry.count)
        if let numbers: [Double] = try? file.numbers(entry.name) {
          #expect(numbers.count == entry.count)
        }
        _ = try? file.unsigned(entry.name)
        _ = try? file.signed(entry.name)
        total += entry.count
      }
      #expect(total <= changed.count)
    }
  }
}
