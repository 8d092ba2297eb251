// Names: shape letters B, T, F, D.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

package import NumericsCore

/// One recurrent cell of a stack with the places of its parameters; see ``RecurrentCell`` for the equations.
///
/// Starting values: input weights Xavier uniform, recurrent ones orthogonal per gate, the LSTM's forget bias
/// 1 (Jozefowicz et al. 2015), the GRU's update bias 1, other biases 0.
struct RecurrentLayer: Sendable {
  let cell: RecurrentCell
  let input: ParameterLayout.Tensor  // [F, G D]
  let recurrent: ParameterLayout.Tensor  // [D, G D / heads]
  let bias: ParameterLayout.Tensor  // [G D]
  let candidateBias: ParameterLayout.Tensor?  // [D]

  /// - Parameter name: what its parameters are called before the dot.
  init(
    _ kind: RecurrentCell.Kind, _ name: String, inputs: Int, width: Int, heads: Int = 1,
    layout: inout ParameterLayout
  ) {
    cell = RecurrentCell(kind, inputs: inputs, width: width, heads: heads)
    input = layout.add("\(name).input_weight", cell.inputShape.axes)
    recurrent = layout.add("\(name).recurrent_weight", [width, cell.gates * width / heads])
    bias = layout.add("\(name).bias", cell.biasShape.axes)
    candidateBias =
      cell.hasCandidateBias ? layout.add("\(name).candidate_bias", [width]) : nil
  }

  func initialize<Element: Real>(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    let (D, gates) = (cell.width, cell.gates)
    let bound = (6 / Double(cell.inputs + D)).squareRoot()
    for k in 0..<input.count {
      parameters[input.offset + k] = Element((2 * stream.uniform() - 1) * bound)
    }
    let block = D / cell.heads
    for head in 0..<cell.heads {
      for gate in 0..<gates {
        let q = Orthogonal.rows(block, width: block, using: &stream)
        for row in 0..<block {
          for column in 0..<block {
            let at = ((head * block + row) * gates + gate) * block + column
            parameters[recurrent.offset + at] = Element(q[row * block + column])
          }
        }
      }
    }
    // The second gate keeps the old state: f of the LSTM, z of the GRU.
    if gates > 1 {
      for k in 0..<D { parameters[bias.offset + D + k] = 1 }
    }
  }

  func weights<Element: Real>(in graph: Graph<Element>) -> RecurrentWeights<Element> {
    RecurrentWeights(
      input: graph.parameter(input), recurrent: graph.parameter(recurrent),
      bias: graph.parameter(bias), candidateBias: candidateBias.map { graph.parameter($0) })
  }

  /// The layer over `x` `[T, B, F]`; see `Tensor.recurrent`.
  func apply<Element: Real>(
    to x: Tensor<Element>, mask: Tensor<Element>? = nil, initial: RecurrentState<Element>? = nil,
    reverse: Bool = false
  ) -> (outputs: Tensor<Element>, state: RecurrentState<Element>) {
    x.recurrent(cell, weights(in: x.graph), mask: mask, initial: initial, reverse: reverse)
  }

  /// The layer as a stream; `parameters` are copied.
  func makeStepper<Element: Real>(
    _ parameters: UnsafePointer<Element>, batch: Int, dilation: Int = 1
  ) -> RecurrentStepper<Element> {
    RecurrentStepper(
      cell, batch: batch, dilation: dilation, input: parameters + input.offset,
      recurrent: parameters + recurrent.offset, bias: parameters + bias.offset,
      candidateBias: candidateBias.map { parameters + $0.offset })
  }
}

/// Random orthogonal matrices: QR of a normal matrix by modified Gram-Schmidt, twice for accuracy.
package enum Orthogonal {
  /// `n` orthonormal rows of `width` numbers.
  ///
  /// - Precondition: `n <= width`.
  package static func rows(
    _ n: Int, width: Int, using stream: inout RandomStream
  ) -> [Double] {
    precondition(n <= width)
    var a = (0..<(n * width)).map { _ in stream.normal() }
    for row in 0..<n {
      for _ in 0..<2 {
        for earlier in 0..<row {
          var dot = 0.0
          for k in 0..<width { dot += a[row * width + k] * a[earlier * width + k] }
          for k in 0..<width { a[row * width + k] -= dot * a[earlier * width + k] }
        }
      }
      var norm = 0.0
      for k in 0..<width { norm += a[row * width + k] * a[row * width + k] }
      let scale = 1 / norm.squareRoot()
      for k in 0..<width { a[row * width + k] *= scale }
    }
    return a
  }
}
