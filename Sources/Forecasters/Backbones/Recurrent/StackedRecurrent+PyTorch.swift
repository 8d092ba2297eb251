public import NumericsCore

/// A stack of recurrent layers taken from PyTorch, with its parameters.
///
/// Reads the state dict of `torch.nn.LSTM`, `GRU` or `RNN` (`weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`,
/// `bias_hh_l0`, `weight_ih_l1` ...), as `safetensors` writes it. Gates stand in the same order there (LSTM
/// `i f g o`, GRU `r z n`); weights are transposed; the two biases are added, but for the GRU's candidate,
/// where `bias_hh` acts inside the reset gate and stays apart. `batch_first` leaves no trace in the numbers.
public struct ImportedRecurrent<Element: Real>: Sendable {
  public let backbone: StackedRecurrent<Element>
  public let layout: ParameterLayout
  /// In the order of `layout`, which holds nothing else.
  public let parameters: [Element]

  /// - Parameters:
  ///   - bytes: of the safetensors file.
  ///   - prefix: what stands before the names, such as `encoder.`; nil to find it, if it is the only one.
  ///   - usesReLU: whether an `RNN` was made with `nonlinearity="relu"`, which the numbers do not show.
  /// - Throws: `ForecasterError.badWeights` naming the tensor that does not fit.
  public init(
    pyTorch bytes: [UInt8], prefix: String? = nil, usesReLU: Bool = false,
    as type: Element.Type = Element.self
  ) throws {
    func fail(_ text: String) -> ForecasterError {
      ForecasterError(.badWeights, "these are no recurrent layers of PyTorch: \(text)")
    }
    do {
      let file = try Safetensors(decoding: bytes)
      let prefix = try prefix ?? Self.prefix(file, fail)
      for entry in file.entries where entry.name.hasPrefix(prefix + "weight_") {
        if entry.name.hasSuffix("_reverse") {
          throw fail("\(entry.name) is of a bidirectional layer, which sees the future")
        }
        if entry.name.hasPrefix(prefix + "weight_hr") {
          throw fail("\(entry.name) is a projection (proj_size), which this version does not have")
        }
      }
      let shape = try file.entry(prefix + "weight_ih_l0").shape
      let recurrent = try file.entry(prefix + "weight_hh_l0").shape
      guard shape.count == 2, recurrent.count == 2, shape[0] == recurrent[0],
        shape[1] > 0, recurrent[1] > 0, recurrent[0] % recurrent[1] == 0
      else {
        throw fail("\(prefix)weight_ih_l0 is \(shape) and weight_hh_l0 \(recurrent)")
      }
      let hidden = recurrent[1]
      let kind: RecurrentCell.Kind
      switch recurrent[0] / hidden {
      case 1: kind = usesReLU ? .elmanReLU : .elman
      case 3: kind = .gru
      case 4: kind = .lstm
      default:
        throw fail(
          "\(prefix)weight_hh_l0 is \(recurrent), expected 1, 3 or 4 gates of \(hidden) units")
      }
      var layers = 1
      while file["\(prefix)weight_ih_l\(layers)"] != nil { layers += 1 }

      var layout = ParameterLayout()
      let backbone = StackedRecurrent<Element>(
        kind, inputs: shape[1], hidden: hidden, layers: layers, dropout: 0, layout: &layout)
      var parameters = [Element](repeating: 0, count: layout.count)
      for (number, layer) in backbone.layers.enumerated() {
        let rows = layer.cell.gates * hidden
        func numbers(_ name: String, _ shape: [Int]) throws -> [Element] {
          try file.numbers("\(prefix)\(name)_l\(number)", shape: shape)
        }
        func transpose(_ name: String, _ width: Int, to tensor: ParameterLayout.Tensor) throws {
          let source = try numbers(name, [rows, width])
          for row in 0..<rows {
            for column in 0..<width {
              parameters[tensor.offset + column * rows + row] = source[row * width + column]
            }
          }
        }
        try transpose("weight_ih", layer.cell.inputs, to: layer.input)
        try transpose("weight_hh", hidden, to: layer.recurrent)
        guard file["\(prefix)bias_ih_l\(number)"] != nil else { continue }  // bias=False
        let (input, state) = (try numbers("bias_ih", [rows]), try numbers("bias_hh", [rows]))
        // Gates whose two biases act in the same place.
        let joint = layer.candidateBias == nil ? rows : rows - hidden
        for k in 0..<rows {
          parameters[layer.bias.offset + k] = k < joint ? input[k] + state[k] : input[k]
        }
        if let candidate = layer.candidateBias {
          for k in 0..<hidden { parameters[candidate.offset + k] = state[joint + k] }
        }
      }
      if let bad = parameters.first(where: { !$0.isFinite }) { throw fail("a weight is \(bad)") }
      (self.backbone, self.layout, self.parameters) = (backbone, layout, parameters)
    } catch let error as SafetensorsError { throw fail(error.message) }
  }

  /// What stands before the names of the only recurrent layers in the file.
  private static func prefix(
    _ file: Safetensors, _ fail: (String) -> ForecasterError
  ) throws -> String {
    let first = "weight_ih_l0"
    let found = file.entries.map(\.name).filter { $0.hasSuffix(first) }.sorted()
    guard let name = found.first else { throw fail("there is no tensor \(first)") }
    guard found.count == 1 else {
      throw fail("there are several, \(found.joined(separator: " and ")); give the prefix of one")
    }
    return String(name.dropLast(first.count))
  }
}
