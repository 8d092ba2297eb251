// Names: shape letters T, B, F, D.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// Recurrent layers with random weights: sparse recurrent ones scaled to a spectral radius, dense ones from the
/// inputs. States start at zero in every window, which the window itself washes out.
///
/// The state that is read is the last of every layer and the last inputs (Lukoševičius 2012, equation 4; layers:
/// Gallicchio & Micheli 2017).
struct Reservoir<Element: Real>: WindowEncoder {
  struct Layer: Sendable {
    let cell: RecurrentCell
    let input: ParameterLayout.Tensor
    let recurrent: ParameterLayout.Tensor
    let bias: ParameterLayout.Tensor
    let candidateBias: ParameterLayout.Tensor?
  }

  let inputs: Int
  let hidden: Int
  let leak: Double
  let spectralRadius: Double
  let connectivity: Double
  let inputScale: Double
  let layers: [Layer]

  var width: Int { layers.count * hidden + inputs }

  /// - Parameter kind: `elman` makes leaky integrators, to which alone `leak` applies.
  init(
    _ kind: RecurrentCell.Kind, inputs: Int, hidden: Int, layers count: Int, leak: Double,
    spectralRadius: Double, connectivity: Double, inputScale: Double,
    layout: inout ParameterLayout
  ) {
    self.inputs = inputs
    self.hidden = hidden
    self.leak = leak
    self.spectralRadius = spectralRadius
    self.connectivity = connectivity
    self.inputScale = inputScale
    layers = (0..<count).map { index in
      let cell = RecurrentCell(kind, inputs: index == 0 ? inputs : hidden, width: hidden)
      let name = "reservoir.\(index)"
      return Layer(
        cell: cell, input: layout.add("\(name).input_weight", cell.inputShape.axes),
        recurrent: layout.add("\(name).recurrent_weight", [hidden, cell.gates * hidden]),
        bias: layout.add("\(name).bias", cell.biasShape.axes),
        candidateBias: cell.hasCandidateBias
          ? layout.add("\(name).candidate_bias", [hidden]) : nil)
    }
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    for layer in layers {
      // As many inputs as there may be are not to drive a unit harder than one.
      let bound = inputScale / Double(layer.cell.inputs).squareRoot() * 2
      for k in 0..<layer.input.count {
        parameters[layer.input.offset + k] = Element((2 * stream.uniform() - 1) * bound)
      }
      let (D, gates) = (hidden, layer.cell.gates)
      for gate in 0..<gates {
        let matrix = recurrent(using: &stream)
        for row in 0..<D {
          for column in 0..<D {
            parameters[layer.recurrent.offset + (row * gates + gate) * D + column] =
              Element(matrix[row * D + column])
          }
        }
      }
      for k in 0..<layer.bias.count {
        parameters[layer.bias.offset + k] = Element((2 * stream.uniform() - 1) * inputScale)
      }
      // As where they are trained, the gate that keeps the old state starts open.
      if gates > 1 {
        for k in 0..<D { parameters[layer.bias.offset + D + k] += 1 }
      }
      if let bias = layer.candidateBias {
        for k in 0..<D { parameters[bias.offset + k] = 0 }
      }
    }
  }

  /// A random sparse matrix `[D, D]` of the spectral radius.
  private func recurrent(using stream: inout RandomStream) -> [Double] {
    var matrix = (0..<(hidden * hidden)).map { _ in
      stream.uniform() < connectivity ? 2 * stream.uniform() - 1 : 0
    }
    let radius = SpectralRadius.of(matrix, hidden)
    // A few units may be connected without any circle: there is nothing to scale.
    if radius > 1e-6 { for k in matrix.indices { matrix[k] *= spectralRadius / radius } }
    return matrix
  }

  func encode(_ inputs: Tensor<Element>) -> Tensor<Element> {
    let graph = inputs.graph
    var x = inputs
    var read: [Tensor<Element>] = []
    for layer in layers {
      let (weight, bias) = (graph.parameter(layer.input), graph.parameter(layer.bias))
      let recurrent = graph.parameter(layer.recurrent)
      if layer.cell.kind == .elman {
        x = x.linear(weight, bias: bias).leakyIntegrator(recurrent, leak: leak)
        read.append(x[x.shape[0] - 1])
      } else {
        let (all, last) = x.recurrent(
          layer.cell,
          RecurrentWeights(
            input: weight, recurrent: recurrent, bias: bias,
            candidateBias: layer.candidateBias.map { graph.parameter($0) }))
        x = all
        read.append(last.h)
      }
    }
    return .joined(read + [inputs[inputs.shape[0] - 1]], axis: 1)
  }
}
