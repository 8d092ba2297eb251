import Foundation
package import NumericsCore

/// The weights of a TiRex network as the package `tirex-ts` stores them: a checkpoint of PyTorch Lightning
/// (`.ckpt`) with `state_dict` and `hyper_parameters`, or the same tensors as a safetensors file.
///
/// Sizes follow from the tensors. A safetensors file may say the context length and the levels in its metadata
/// (`train_ctx_len`, `quantiles`, as JSON); without them they are 2048, and the nine deciles.
package struct TiRexWeights: Sendable {
  package let size: TiRexSize
  package let levels: [Double]
  package let contextLength: Int
  package let network: TiRexNetwork<Float>
  package let layout: ParameterLayout
  /// In the order of the layout.
  package let parameters: [Float]

  /// Weights that are not read but made, such as random ones to measure with.
  package init(
    _ size: TiRexSize, levels: [Double], contextLength: Int, initialize: (Buffer<Float>) -> Void
  ) {
    (self.size, self.levels, self.contextLength) = (size, levels, contextLength)
    var layout = ParameterLayout()
    network = TiRexNetwork<Float>(size, layout: &layout)
    self.layout = layout
    let buffer = Buffer<Float>(layout.count)
    initialize(buffer)
    parameters = buffer.array
  }

  /// - Throws: `ForecasterError.badWeights` saying what does not fit.
  package init(decoding bytes: [UInt8]) throws(ForecasterError) {
    do {
      let stored = try Stored(decoding: bytes)
      var layout = ParameterLayout()
      let network = TiRexNetwork<Float>(stored.size, layout: &layout)
      self.layout = layout
      (size, levels, contextLength) = (stored.size, stored.levels, stored.contextLength)
      self.network = network
      parameters = try stored.parameters(of: network, layout)
    } catch let error as SafetensorsError {
      throw Self.fail(error.message)
    } catch let error as PyTorchError {
      throw Self.fail(error.message)
    } catch let error as ForecasterError {
      throw error
    } catch { throw Self.fail("\(error)") }
  }

  /// - Throws: `ForecasterError.badConfiguration` naming the file and what is wrong with it.
  init(file: String) throws {
    guard let data = FileManager.default.contents(atPath: file) else {
      let exists = FileManager.default.fileExists(atPath: file)
      throw ForecasterError(
        .badConfiguration,
        "weights \(file): the file \(exists ? "cannot be read" : "does not exist")")
    }
    do {
      try self.init(decoding: [UInt8](data))
    } catch let error as ForecasterError {
      throw ForecasterError(.badConfiguration, "weights \(file): \(error.message)")
    }
  }

  private static func fail(_ text: String) -> ForecasterError { ForecasterError(.badWeights, text) }

  // MARK: Files

  /// What the file says, before the numbers are put in order.
  private struct Stored {
    private let tensors: Safetensors
    /// Names in the file by names of the package.
    private let names: [String: String]
    let size: TiRexSize
    let levels: [Double]
    let contextLength: Int

    init(decoding bytes: [UInt8]) throws {
      var levels: [Double]?
      var context: Int?
      if PyTorchCheckpoint.isArchive(bytes) {
        let checkpoint = try PyTorchCheckpoint(decoding: bytes)
        tensors = try checkpoint.tensors(at: "state_dict")
        if case .integer(let length) = checkpoint.value(at: "hyper_parameters", "train_ctx_len") {
          context = length
        }
        if case .list(let values) = checkpoint.value(
          at: "hyper_parameters", "model_config", "quantiles")
        {
          levels = values.compactMap { if case .number(let level) = $0 { level } else { nil } }
        }
      } else {
        tensors = try Safetensors(decoding: bytes)
        let texts = tensors.metadata
        func metadata<Value: Decodable>(_ name: String, _ type: Value.Type) -> Value? {
          texts[name].flatMap { try? JSONDecoder().decode(type, from: Data($0.utf8)) }
        }
        context = metadata("train_ctx_len", Int.self)
        levels = metadata("quantiles", [Double].self)
      }
      // Older checkpoints have the blocks and the norm in a module of their own.
      names = Dictionary(
        tensors.entries.map {
          ($0.name.replacingOccurrences(of: "block_stack.", with: ""), $0.name)
        }, uniquingKeysWith: { first, _ in first })
      size = try Self.size(tensors, names)
      self.levels = levels ?? (1...9).map { Double($0) / 10 }
      contextLength = context ?? 2048
      guard self.levels.count == size.quantiles,
        zip(self.levels, self.levels.dropFirst()).allSatisfy(<),
        self.levels.allSatisfy({ $0 > 0 && $0 < 1 }), self.levels.contains(0.5)
      else {
        throw fail("the network has \(size.quantiles) quantiles, the file names \(self.levels)")
      }
      guard contextLength >= size.patch, contextLength % size.patch == 0, contextLength <= 1 << 20
      else {
        throw fail(
          "the context length is \(contextLength), expected a multiple of the patch of \(size.patch)"
        )
      }
    }

    private static func size(_ file: Safetensors, _ names: [String: String]) throws -> TiRexSize {
      func shape(_ name: String, rank: Int) throws -> [Int] {
        guard let stored = names[name], let shape = file[stored]?.shape, shape.count == rank,
          shape.allSatisfy({ (1...(1 << 20)).contains($0) })
        else {
          throw fail(
            "this is no TiRex: \(names[name] == nil ? "there is no tensor \(name)" : "tensor \(name) has another shape")"
          )
        }
        return shape
      }
      let entry = try shape("input_patch_embedding.hidden_layer.weight", rank: 2)
      let recurrent = try shape("blocks.0.slstm_layer.slstm_cell._recurrent_kernel_", rank: 3)
      let up = try shape("blocks.0.ffn.proj_up.weight", rank: 2)
      let exit = try shape("output_patch_embedding.output_layer.weight", rank: 2)
      var blocks = 0
      while names["blocks.\(blocks).norm_slstm.weight"] != nil { blocks += 1 }
      let patch = entry[1] / 2
      guard entry[1] % 2 == 0, exit[0] % patch == 0, recurrent[0] * recurrent[1] == up[1] else {
        throw fail("this is no TiRex: the shapes of its tensors contradict each other")
      }
      return TiRexSize(
        patch: patch, width: up[1], heads: recurrent[0], blocks: blocks, feedForward: up[0],
        ends: entry[0], quantiles: exit[0] / patch)
    }

    /// All numbers in the order of `layout`.
    func parameters(of network: TiRexNetwork<Float>, _ layout: ParameterLayout) throws -> [Float] {
      var parameters = [Float](repeating: 0, count: layout.count)
      var taken = Set<String>()
      func numbers(_ name: String, _ shape: [Int]) throws -> [Float] {
        guard let stored = names[name] else { throw fail("tensor \(name) is missing") }
        taken.insert(name)
        let values: [Float] = try tensors.numbers(stored, shape: shape)
        guard values.allSatisfy(\.isFinite) else {
          throw fail("tensor \(name) holds a number that is not finite")
        }
        return values
      }
      func put(_ name: String, _ tensor: ParameterLayout.Tensor, plus: Float = 0) throws {
        for (k, value) in try numbers(name, tensor.shape).enumerated() {
          parameters[tensor.offset + k] = value + plus
        }
      }
      /// `[parts, outputs, inputs]` of the file to `[parts, inputs, outputs]`.
      func transpose(_ values: [Float], parts: Int, inputs: Int, outputs: Int, at offset: Int) {
        values.withUnsafeBufferPointer { from in
          parameters.withUnsafeMutableBufferPointer { to in
            for part in 0..<parts {
              let start = part * inputs * outputs
              for k in 0..<inputs {
                for n in 0..<outputs {
                  to[offset + start + k * outputs + n] = from[start + n * inputs + k]
                }
              }
            }
          }
        }
      }
      func linear(_ name: String, _ tensor: ParameterLayout.Tensor) throws {
        let (inputs, outputs) = (tensor.shape[0], tensor.shape[1])
        transpose(
          try numbers(name, [outputs, inputs]), parts: 1, inputs: inputs, outputs: outputs,
          at: tensor.offset)
      }
      func residual(_ name: String, _ network: ResidualNetwork) throws {
        try linear("\(name).hidden_layer.weight", network.hidden)
        try put("\(name).hidden_layer.bias", network.hiddenBias)
        try linear("\(name).output_layer.weight", network.output)
        try put("\(name).output_layer.bias", network.outputBias)
        try linear("\(name).residual_layer.weight", network.residual)
        try put("\(name).residual_layer.bias", network.residualBias)
      }

      try residual("input_patch_embedding", network.entry)
      let (heads, part) = (size.heads, size.width / size.heads)
      for (index, block) in network.blocks.enumerated() {
        let name = "blocks.\(index)"
        try put("\(name).norm_slstm.weight", block.norm)
        // The package feeds the layer called fgate to the input gate, and igate to the forget gate.
        for (gate, layer) in ["fgate", "igate", "zgate", "ogate"].enumerated() {
          transpose(
            try numbers("\(name).slstm_layer.\(layer).weight", [heads, part, part]), parts: heads,
            inputs: part, outputs: part, at: block.gates.offset + gate * heads * part * part)
        }
        try put("\(name).slstm_layer.slstm_cell._recurrent_kernel_", block.recurrent)
        // Biases lie head by head.
        let bias = try numbers("\(name).slstm_layer.slstm_cell._bias_", [4 * size.width])
        for (k, value) in bias.enumerated() {
          let (head, gate, unit) = (k / (4 * part), k / part % 4, k % part)
          parameters[block.bias.offset + gate * size.width + head * part + unit] = value
        }
        try put("\(name).slstm_layer.group_norm.weight", block.headNorm, plus: 1)
        try put("\(name).norm_ffn.weight", block.networkNorm)
        try linear("\(name).ffn.proj_up_gate.weight", block.upGate)
        try linear("\(name).ffn.proj_up.weight", block.up)
        try linear("\(name).ffn.proj_down.weight", block.down)
      }
      try put("out_norm.weight", network.gain)
      try residual("output_patch_embedding", network.exit)
      if let extra = names.keys.sorted().first(where: { !taken.contains($0) }) {
        throw fail("this is no TiRex: tensor \(extra) has no place in it")
      }
      return parameters
    }
  }
}
