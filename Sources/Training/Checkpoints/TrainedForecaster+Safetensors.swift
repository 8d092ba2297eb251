import Forecasters
import Foundation
import NumericsCore

extension TrainedForecaster {
  /// A safetensors file: weights as 32-bit floats under their names, the configuration as JSON in the
  /// metadata.
  ///
  /// - Throws: `ForecasterError` for an invalid configuration.
  public func encoded() throws -> [UInt8] {
    let layout = try Self.layout(configuration)
    var file = Safetensors(metadata: [
      "configuration": try configuration.canonicalJSON(), "format": Self.format,
    ])
    for tensor in layout.tensors {
      file.add(
        tensor.name, tensor.shape,
        Array(parameters[tensor.offset..<(tensor.offset + tensor.count)]))
    }
    return file.encoded()
  }

  private static let format = "forecast-1"

  /// - Throws: `ForecasterError` for an invalid configuration.
  private static func layout(_ configuration: ForecasterConfiguration) throws -> ParameterLayout {
    try configuration.validate()
    if !Registry.isNetwork(configuration.kind) {
      return ParameterLayout()
    }
    return try ForecastNetwork<Float>(configuration).layout
  }

  /// - Throws: `ForecasterError.badWeights` naming what does not fit.
  public init(decoding bytes: [UInt8]) throws {
    func fail(_ text: String) -> ForecasterError {
      ForecasterError(.badWeights, "these bytes are no model of ours: \(text)")
    }
    do {
      let file = try Safetensors(decoding: bytes)
      guard let json = file.metadata["configuration"],
        let configuration = try? JSONDecoder().decode(
          ForecasterConfiguration.self, from: Data(json.utf8))
      else { throw fail("the metadata hold no configuration") }
      let layout = try Self.layout(configuration)
      guard file.entries.count == layout.tensors.count else {
        throw fail("\(file.entries.count) tensors, expected \(layout.tensors.count)")
      }
      var parameters: [Float] = []
      parameters.reserveCapacity(layout.count)
      for tensor in layout.tensors {
        let values: [Float] = try file.numbers(tensor.name, shape: tensor.shape)
        guard file[tensor.name]?.type == .f32 else {
          throw fail("tensor \(tensor.name) is not F32")
        }
        if let bad = values.first(where: { !$0.isFinite }) {
          throw fail("tensor \(tensor.name) holds \(bad)")
        }
        parameters += values
      }
      self.init(configuration: configuration, parameters: parameters)
    } catch let error as SafetensorsError { throw fail(error.message) }
  }
}

extension Encodable {
  /// JSON with sorted keys: equal values give equal text.
  package func canonicalJSON() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}
