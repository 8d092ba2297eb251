// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// A stack of cells with diagonal recurrent weights (ParaRNN, Danieli et al. 2025); see ``DiagonalCell`` for the
/// equations. Units are mixed by the input weights of the next layer alone.
///
/// Starting values: input weights Xavier uniform; recurrent weights and peepholes uniform in [-1, 1], divided by
/// 2 so that no unit amplifies its past; the bias of the gate that keeps the state (`f`, `-z`) evenly from 0 to 3
/// over the units, for memories of 2 to 20 steps; other biases 0. Dropout acts between layers.
public struct ParaRNN<Element: Real>: Backbone {
  struct Layer: Sendable {
    let cell: DiagonalCell
    let input: ParameterLayout.Tensor
    let recurrent: ParameterLayout.Tensor
    let bias: ParameterLayout.Tensor
    let peephole: ParameterLayout.Tensor?
  }

  public let width: Int
  let layers: [Layer]
  let dropout: Double

  public init(
    _ kind: DiagonalCell.Kind, inputs: Int, hidden: Int, layers count: Int, dropout: Double,
    layout: inout ParameterLayout
  ) {
    width = hidden
    self.dropout = dropout
    let cell = DiagonalCell(kind, width: hidden)
    layers = (0..<count).map { index in
      let name = "backbone.\(index)"
      return Layer(
        cell: cell,
        input: layout.add(
          "\(name).input_weight", [index == 0 ? inputs : hidden, DiagonalCell.gates * hidden]),
        recurrent: layout.add("\(name).recurrent_weight", cell.recurrentShape.axes),
        bias: layout.add("\(name).bias", [DiagonalCell.gates * hidden]),
        peephole: cell.peepholeShape.map { layout.add("\(name).peephole_weight", $0.axes) })
    }
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    let D = width
    func fill(_ tensor: ParameterLayout.Tensor, _ bound: Double) {
      for k in 0..<tensor.count {
        parameters[tensor.offset + k] = Element((2 * stream.uniform() - 1) * bound)
      }
    }
    for layer in layers {
      fill(layer.input, (6 / Double(layer.input.shape[0] + D)).squareRoot())
      fill(layer.recurrent, 0.5)
      if let peephole = layer.peephole { fill(peephole, 0.5) }
      // The first gate: f of the LSTM keeps the state, z of the GRU replaces it.
      let sign: Element = layer.cell.hasMemory ? 1 : -1
      for k in 0..<D {
        parameters[layer.bias.offset + k] = sign * 3 * Element(k) / Element(max(D - 1, 1))
      }
    }
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    let graph = inputs.graph
    var x = inputs
    var last = inputs
    for (index, layer) in layers.enumerated() {
      if index > 0 { x = x.dropout(dropout, purpose: "dropout of layer \(index)") }
      let weighted = x.linear(graph.parameter(layer.input), bias: graph.parameter(layer.bias))
      let (outputs, state) = weighted.diagonalRecurrent(
        layer.cell, recurrent: graph.parameter(layer.recurrent),
        peephole: layer.peephole.map { graph.parameter($0) })
      (x, last) = (outputs, state.h)
    }
    return BackboneOutput(all: x, last: last)
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    Stepper(
      layers.map { layer in
        DiagonalCellStepper(
          layer.cell, inputs: layer.input.shape[0], batch: batch,
          input: parameters + layer.input.offset, bias: parameters + layer.bias.offset,
          recurrent: parameters + layer.recurrent.offset,
          peephole: layer.peephole.map { parameters + $0.offset })
      })
  }

  private final class Stepper: BackboneStepper {
    private let layers: [DiagonalCellStepper<Element>]

    init(_ layers: [DiagonalCellStepper<Element>]) { self.layers = layers }

    func step(_ input: UnsafePointer<Element>, _ output: UnsafeMutablePointer<Element>) {
      var x = input
      for layer in layers { x = layer.step(x) }
      output.update(from: x, count: layers[0].batch * layers[0].cell.width)
    }
  }
}
