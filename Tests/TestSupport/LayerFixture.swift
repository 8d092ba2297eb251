import Foundation
package import Testing

/// Golden values of a layer: weights, inputs, results, final state, loss and gradients, in double precision,
/// from an independent implementation.
///
/// The files name the equations (`model`), the layout of every tensor and the tolerance. A tensor passes when
/// its largest difference is at most `rel` times its largest expected value, plus `abs`.
package struct LayerFixture: Decodable, Sendable {
  package struct Tensor: Decodable, Sendable {
    package let shape: [Int]
    package let data: [Double]
  }
  package struct Bound: Decodable, Sendable {
    package let rel: Double
    package let abs: Double

    package init(rel: Double, abs: Double) {
      self.rel = rel
      self.abs = abs
    }
  }
  package struct Tolerance: Decodable, Sendable {
    package let forward: Bound
    package let grad: Bound
  }
  package struct Tolerances: Decodable, Sendable {
    package let f64: Tolerance
    package let f32: Tolerance
  }

  package let name: String
  package let model: String
  package let notes: String?
  /// Sizes that are whole numbers, such as B, T, D, H.
  package let sizes: [String: Int]
  /// All of them, such as eps.
  package let settings: [String: Double]
  package let weights: [String: Tensor]
  package let inputs: [String: Tensor]
  package let outputs: [String: Tensor]
  /// States before the first step, where they are not zero, and after the last.
  package let initial: [String: Tensor]
  package let final: [String: Tensor]
  package let loss: Double?
  package let grads: [String: Tensor]
  package let tolerance: Tolerances

  private enum Key: String, CodingKey {
    case name, model, notes, sizes, weights, inputs, outputs, state, loss, grads, tolerance
  }
  private struct Loose: Decodable {
    let integer: Int?
    let number: Double?
    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      integer = try? container.decode(Int.self)
      number = try? container.decode(Double.self)
    }
  }
  /// A tensor, or a group of them.
  private struct LooseTensor: Decodable {
    let tensor: Tensor?
    let group: [String: Tensor]
    init(from decoder: any Decoder) throws {
      tensor = try? Tensor(from: decoder)
      group = tensor == nil ? (try? [String: Tensor](from: decoder)) ?? [:] : [:]
    }
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    func tensors(_ key: Key) throws -> [String: Tensor] {
      var tensors: [String: Tensor] = [:]
      for (name, found) in try container.decodeIfPresent([String: LooseTensor].self, forKey: key)
        ?? [:]
      {
        tensors[name] = found.tensor
        for (part, tensor) in found.group { tensors["\(name).\(part)"] = tensor }
      }
      return tensors
    }
    name = try container.decode(String.self, forKey: .name)
    model = (try? container.decode(String.self, forKey: .model)) ?? ""
    notes = try? container.decode(String.self, forKey: .notes)
    let loose = (try? container.decode([String: Loose].self, forKey: .sizes)) ?? [:]
    sizes = loose.compactMapValues(\.integer)
    settings = loose.compactMapValues(\.number)
    weights = try tensors(.weights)
    inputs = try tensors(.inputs)
    outputs = try tensors(.outputs)
    let state = try? container.decode([String: [String: Tensor]].self, forKey: .state)
    initial = state?["initial"] ?? [:]
    final = state?["final"] ?? [:]
    loss = try? container.decode(Double.self, forKey: .loss)
    grads = try tensors(.grads)
    tolerance = try container.decode(Tolerances.self, forKey: .tolerance)
  }

  /// Whether `FORECAST_FIXTURES` names a folder, which need not hold every kind of file.
  package static var isElsewhere: Bool {
    !(ProcessInfo.processInfo.environment["FORECAST_FIXTURES"] ?? "").isEmpty
  }

  /// All files of the folder that `FORECAST_FIXTURES` names, else of the folder `Golden` of the calling test
  /// target, that `accept` takes.
  package static func all(
    file: StaticString = #filePath, where accept: (LayerFixture) -> Bool
  ) throws -> [LayerFixture] {
    let named = ProcessInfo.processInfo.environment["FORECAST_FIXTURES"] ?? ""
    var folder = URL(fileURLWithPath: named)
    if named.isEmpty {
      folder = URL(fileURLWithPath: "\(file)").deletingLastPathComponent()
      while folder.path != "/", !folder.lastPathComponent.hasSuffix("Tests") {
        folder.deleteLastPathComponent()
      }
      folder.appendPathComponent("Golden")
    }
    let files = try FileManager.default.contentsOfDirectory(
      at: folder, includingPropertiesForKeys: nil)
    return files.filter { $0.pathExtension == "json" }
      .sorted { $0.lastPathComponent < $1.lastPathComponent }
      .compactMap { url in
        // Files of other formats lie in the same folder.
        guard
          let fixture = try? JSONDecoder().decode(LayerFixture.self, from: Data(contentsOf: url))
        else { return nil }
        return accept(fixture) ? fixture : nil
      }
  }
}

extension LayerFixture {
  /// Records an issue where numbers are further from a tensor of the file than a bound.
  package func compare<Element: BinaryFloatingPoint>(
    _ actual: UnsafePointer<Element>, _ expected: Tensor, _ bound: Bound, _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let largest = expected.data.reduce(0) { max($0, abs($1)) }
    var difference = 0.0
    for (k, number) in expected.data.enumerated() {
      let distance = abs(Double(actual[k]) - number)
      difference = distance.isNaN ? .infinity : max(difference, distance)
    }
    #expect(
      difference <= bound.rel * largest + bound.abs,
      "\(name) \(Element.self) \(what): \(difference) of \(largest)",
      sourceLocation: sourceLocation)
  }
}
