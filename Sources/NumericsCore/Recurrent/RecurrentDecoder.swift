// Names: shape letters B, T, D, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CKernels

/// A decoder of LSTM layers that reads what it wrote (Sutskever et al. 2014), with or without attention to the
/// outputs of an encoder (Luong et al. 2015, section 3.1, the score "general").
///
/// The first layer reads one number: at first `start`, then the output `fed` of the step before (plus `start`
/// if ``addsStart``). With `h` the output of the last layer and `e_i` those of the encoder,
/// `a = softmax_i (h Wa) . e_i`, `context = sum of a_i e_i`, `z = tanh([context, h] Wc)`, `y = z Wo + bo`;
/// without attention `y = h Wo + bo`. Unlike the paper's, `z` is not fed into the next step.
public struct RecurrentDecoder: Hashable, Sendable {
  /// Width `D` of a layer, and of the encoder's outputs.
  public let width: Int
  public let layers: Int
  /// Numbers `Q` written at every step.
  public let outputs: Int
  /// Which of them is read at the next.
  public let fed: Int
  /// Whether outputs are differences from `start`, so that it is added to what is read.
  public let addsStart: Bool

  /// Layers at most.
  public static let largestDepth = Int(CK_DECODER_LAYERS)

  public init(width: Int, layers: Int = 1, outputs: Int, fed: Int = 0, addsStart: Bool = false) {
    precondition((1...Self.largestDepth).contains(layers) && width >= 1)
    precondition((0..<outputs).contains(fed))
    self.width = width
    self.layers = layers
    self.outputs = outputs
    self.fed = fed
    self.addsStart = addsStart
  }

  /// The cell of each layer.
  public var cells: [RecurrentCell] {
    (0..<layers).map { RecurrentCell(.lstm, inputs: $0 == 0 ? 1 : width, width: width) }
  }
}

/// The trained tensors of a decoder in a graph.
public struct DecoderWeights<Element: Real> {
  /// Of each layer, as those of `RecurrentDecoder.cells`.
  public let layers: [RecurrentWeights<Element>]
  /// `Wo` `[D, Q]`.
  public let output: Tensor<Element>
  /// `bo` `[Q]`.
  public let bias: Tensor<Element>
  /// `Wa` `[D, D]` and `Wc` `[2 D, D]`, the context's rows first; nil without attention.
  public let attention: (query: Tensor<Element>, combine: Tensor<Element>)?

  public init(
    layers: [RecurrentWeights<Element>], output: Tensor<Element>, bias: Tensor<Element>,
    attention: (query: Tensor<Element>, combine: Tensor<Element>)? = nil
  ) {
    self.layers = layers
    self.output = output
    self.bias = bias
    self.attention = attention
  }
}

/// What a decoder makes.
public struct DecoderOutput<Element: Real> {
  /// `[B, H, Q]`.
  public let outputs: Tensor<Element>
  /// `[B, H, T]`; nil without attention.
  public let attention: Tensor<Element>?
  /// Of each layer after the last step.
  public let states: [RecurrentState<Element>]
}

/// A decoder over all its steps, fused: see `decoder.inc`.
///
/// Inputs: start `[B]`, `Wo`, `bo`, for each layer `h0`, `c0` `[B, D]` and its weights, then with attention the
/// encoder's outputs `[T, B, D]`, `Wa`, `Wc`. Results: `[B, H, Q]`, the last `h` and `c` of each layer, and with
/// attention its shares `[B, H, T]`.
///
/// Arithmetic of a step and sequence: `8 D (D + 1)` operations for a layer (`16 D²` from the second on), and for
/// the attention `6 D² + 4 T D`, which reads the encoder's outputs twice; twice that backward. Memory from forward
/// to backward: 6 numbers for each unit of a layer and step, 3 for the attention's, `T` for each step.
struct DecoderSequence<Element: Real>: Operation {
  let decoder: RecurrentDecoder
  let steps: Int
  let batch: Int
  /// Steps `T` of the encoder; 0 without attention.
  let memory: Int

  private var kernel: ck_decoder {
    ck_decoder(
      steps: steps, batch: batch, width: decoder.width, layers: decoder.layers,
      outputs: decoder.outputs, memory: memory, fed: decoder.fed,
      adds_start: decoder.addsStart ? 1 : 0)
  }
  private var state: Shape { [batch, decoder.width] }
  var outputs: [Shape] {
    [[batch, steps, decoder.outputs]] + [Shape](repeating: state, count: 2 * decoder.layers)
      + (memory > 0 ? [[batch, steps, memory]] : [])
  }
  var tapeCount: Int { withUnsafePointer(to: kernel) { ck_decoder_tape(Element.kernelType, $0) } }
  var scratchCount: Int {
    withUnsafePointer(to: kernel) { ck_decoder_scratch(Element.kernelType, $0) }
  }
  private var inputCount: Int { 3 + 5 * decoder.layers + (memory > 0 ? 3 : 0) }
  /// The encoder's outputs.
  private var encoded: Int { 3 + 5 * decoder.layers }
  // The tape has the rest.
  func backwardReads(input: Int) -> Bool { memory > 0 && input == encoded }
  var backwardReadsOutputs: Bool { memory > 0 }

  /// Numbers of each input.
  private var counts: [Int] {
    let D = decoder.width
    let layers = decoder.cells.flatMap {
      [batch * D, batch * D, $0.inputShape.count, $0.recurrentShape.count, $0.biasShape.count]
    }
    let attention = memory > 0 ? [memory * batch * D, D * D, 2 * D * D] : []
    return [batch, D * decoder.outputs, decoder.outputs] + layers + attention
  }

  func forward(_ context: OperationContext<Element>) {
    var kernel = kernel
    withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: inputCount) { operands in
      withUnsafeTemporaryAllocation(
        of: UnsafeMutableRawPointer?.self, capacity: 2 + 2 * decoder.layers
      ) { results in
        for k in 0..<inputCount { operands[k] = UnsafeRawPointer(context.input(k)) }
        for k in 0..<(1 + 2 * decoder.layers + (memory > 0 ? 1 : 0)) {
          results[k] = UnsafeMutableRawPointer(context.output(k))
        }
        ck_decoder_forward(
          Element.kernelType, &kernel, operands.baseAddress, results.baseAddress, context.tape,
          context.scratch)
      }
    }
  }

  func backward(_ context: OperationContext<Element>) {
    var kernel = kernel
    let counts = counts
    let resultCount = 1 + 2 * decoder.layers + (memory > 0 ? 1 : 0)
    withUnsafeTemporaryAllocation(
      of: UnsafeRawPointer?.self, capacity: inputCount + resultCount
    ) { read in
      withUnsafeTemporaryAllocation(
        of: UnsafeMutableRawPointer?.self, capacity: inputCount + resultCount
      ) { written in
        for k in 0..<inputCount {
          read[k] = backwardReads(input: k) ? UnsafeRawPointer(context.input(k)) : nil
          written[k] = context.inputGradient(k).map {
            UnsafeMutableRawPointer($0.cleared(counts[k]))
          }
        }
        for k in 0..<resultCount {
          read[inputCount + k] = context.outputGradient(k).map { UnsafeRawPointer($0) }
          written[inputCount + k] = UnsafeMutableRawPointer(context.output(k))
        }
        ck_decoder_backward(
          Element.kernelType, &kernel, read.baseAddress, written.baseAddress! + inputCount,
          read.baseAddress! + inputCount, written.baseAddress, context.tape, context.scratch)
      }
    }
  }
}

extension Tensor {
  /// Runs a decoder from this start `[B]`.
  ///
  /// - Parameters:
  ///   - states: where each layer begins, such as the final states of an encoder of as many layers.
  ///   - encoded: `[T, B, D]`, what the attention looks at; given exactly if the weights have attention.
  ///   - steps: `H`.
  public func decoded(
    by decoder: RecurrentDecoder, _ weights: DecoderWeights<Element>,
    from states: [RecurrentState<Element>], attending encoded: Tensor? = nil, steps: Int
  ) -> DecoderOutput<Element> {
    let D = decoder.width
    precondition(shape.rank == 1 && steps >= 1)
    precondition(states.count == decoder.layers && weights.layers.count == decoder.layers)
    precondition((encoded == nil) == (weights.attention == nil))
    precondition(weights.output.shape == [D, decoder.outputs])
    precondition(weights.bias.shape == [decoder.outputs])
    precondition(weights.attention.map { $0.query.shape == [D, D] } ?? true)
    precondition(weights.attention.map { $0.combine.shape == [2 * D, D] } ?? true)
    precondition(encoded.map { $0.shape.rank == 3 && $0.shape[1] == shape[0] } ?? true)
    precondition(encoded.map { $0.shape[2] == D } ?? true)
    var operands = [self, weights.output, weights.bias]
    for (index, cell) in decoder.cells.enumerated() {
      let (state, weights) = (states[index], weights.layers[index])
      guard let c = state.c, let input = weights.input else {
        preconditionFailure("a decoder consists of LSTM layers")
      }
      precondition(input.shape.count == cell.inputShape.count)
      precondition(weights.recurrent.shape.count == cell.recurrentShape.count)
      precondition(weights.bias.shape.count == cell.biasShape.count)
      operands += [state.h, c, input, weights.recurrent, weights.bias]
    }
    if let encoded, let attention = weights.attention {
      operands += [encoded, attention.query, attention.combine]
    }
    let operation = DecoderSequence<Element>(
      decoder: decoder, steps: steps, batch: shape[0], memory: encoded?.shape[0] ?? 0)
    let results = graph.apply(operation, to: operands)
    return DecoderOutput(
      outputs: results[0], attention: encoded == nil ? nil : results[1 + 2 * decoder.layers],
      states: (0..<decoder.layers).map {
        RecurrentState(h: results[1 + 2 * $0], c: results[2 + 2 * $0])
      })
  }
}
