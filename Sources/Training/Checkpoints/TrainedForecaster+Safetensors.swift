// Names: the format's own key.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import Foundation
import NumericsCore

// Safetensors: 8 bytes little-endian header length, a JSON header, then the tensors one after another
// (https://github.com/huggingface/safetensors). Readable from Python with `safetensors`.
extension TrainedForecaster {
  /// Weights as 32-bit floats under their names, the configuration as JSON in the header's metadata.
  ///
  /// - Throws: `ForecasterError` for an invalid configuration.
  public func encoded() throws -> [UInt8] {
    let layout = try ForecastNetwork<Float>(configuration).layout
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let json = String(decoding: try encoder.encode(configuration), as: UTF8.self)
    var header: [String: HeaderEntry] = [
      "__metadata__": .metadata(["configuration": json, "format": "forecast-1"])
    ]
    for tensor in layout.tensors {
      header[tensor.name] = .tensor(
        TensorEntry(
          dtype: "F32", shape: tensor.shape,
          data_offsets: [tensor.offset * 4, (tensor.offset + tensor.count) * 4]))
    }
    var text = [UInt8](try encoder.encode(header))
    // Data start at a multiple of 8 for readers that map the file.
    text += [UInt8](repeating: 0x20, count: (8 - text.count % 8) % 8)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 + text.count + parameters.count * 4)
    withUnsafeBytes(of: UInt64(text.count).littleEndian) { bytes.append(contentsOf: $0) }
    bytes += text
    for value in parameters {
      withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }
    return bytes
  }

  /// - Throws: `ForecasterError.badWeights` naming what does not fit.
  public init(decoding bytes: [UInt8]) throws {
    func fail(_ text: String) -> ForecasterError {
      ForecasterError(.badWeights, "these bytes are no model of ours: \(text)")
    }
    guard bytes.count >= 8 else { throw fail("shorter than a header") }
    let length = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[$1]) << (8 * UInt64($1)) }
    guard length <= UInt64(bytes.count - 8) else { throw fail("the header is cut off") }
    let start = 8 + Int(length)
    let header: [String: HeaderEntry]
    do {
      header = try JSONDecoder().decode([String: HeaderEntry].self, from: Data(bytes[8..<start]))
    } catch { throw fail("the header is not JSON as safetensors writes it") }
    guard case .metadata(let metadata)? = header["__metadata__"],
      let json = metadata["configuration"],
      let configuration = try? JSONDecoder().decode(
        ForecasterConfiguration.self, from: Data(json.utf8))
    else { throw fail("the metadata hold no configuration") }
    let layout = try ForecastNetwork<Float>(configuration).layout
    guard bytes.count - start == layout.count * 4 else {
      throw fail("\(bytes.count - start) bytes of weights, expected \(layout.count * 4)")
    }
    var parameters = [Float](repeating: 0, count: layout.count)
    for tensor in layout.tensors {
      guard case .tensor(let entry)? = header[tensor.name] else {
        throw fail("tensor \(tensor.name) is missing")
      }
      guard entry.dtype == "F32", entry.shape == tensor.shape, entry.data_offsets.count == 2,
        (0...(bytes.count - start)).contains(entry.data_offsets[0]),
        (0...(bytes.count - start)).contains(entry.data_offsets[1]),
        entry.data_offsets[1] - entry.data_offsets[0] == tensor.count * 4
      else {
        throw fail("tensor \(tensor.name) is not F32 \(tensor.shape)")
      }
      for k in 0..<tensor.count {
        let at = start + entry.data_offsets[0] + 4 * k
        let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << (8 * UInt32($1)) }
        let value = Float(bitPattern: bits)
        guard value.isFinite else { throw fail("tensor \(tensor.name) holds \(value)") }
        parameters[tensor.offset + k] = value
      }
    }
    self.init(configuration: configuration, parameters: parameters)
  }

  private struct TensorEntry: Codable {
    let dtype: String
    let shape: [Int]
    let data_offsets: [Int]  // the format's own spelling
  }

  private enum HeaderEntry: Codable {
    case metadata([String: String])
    case tensor(TensorEntry)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let tensor = try? container.decode(TensorEntry.self) {
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
