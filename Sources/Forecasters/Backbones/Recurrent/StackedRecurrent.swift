// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// A stack of recurrent layers of one kind; see ``RecurrentCell`` for the equations.
///
/// Starting values: input weights Xavier uniform, recurrent ones orthogonal per gate, the LSTM's forget bias
/// 1 (Jozefowicz et al. 2015), the GRU's update bias 1, other biases 0. Dropout acts between layers.
public struct StackedRecurrent<Element: Real>: Backbone {
  struct Layer: Sendable {
    let cell: RecurrentCell
    let input: ParameterLayout.Tensor
    let recurrent: ParameterLayout.Tensor
    let bias: ParameterLayout.Tensor
    let candidateBias: ParameterLayout.Tensor?
  }

  public let width: Int
  let layers: [Layer]
  let dropout: Double

  public init(
    _ kind: RecurrentCell.Kind, inputs: Int, hidden: Int, layers count: Int, heads: Int = 1,
    dropout: Double, layout: inout ParameterLayout
  ) {
    width = hidden
    self.dropout = dropout
    layers = (0..<count).map { index in
      let cell = RecurrentCell(
        kind, inputs: index == 0 ? inputs : hidden, width: hidden, heads: heads)
      let name = "backbone.\(index)"
      return Layer(
        cell: cell, input: layout.add("\(name).input_weight", cell.inputShape.axes),
        recurrent: layout.add("\(name).recurrent_weight", [hidden, cell.gates * hidden / heads]),
        bias: layout.add("\(name).bias", cell.biasShape.axes),
        candidateBias: cell.hasCandidateBias
          ? layout.add("\(name).candidate_bias", [hidden]) : nil)
    }
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    let D = width
    for layer in layers {
      let gates = layer.cell.gates
      let bound = (6 / Double(layer.cell.inputs + D)).squareRoot()
      for k in 0..<layer.input.count {
        parameters[layer.input.offset + k] = Element((2 * stream.uniform() - 1) * bound)
      }
      let block = D / layer.cell.heads
      for head in 0..<layer.cell.heads {
        for gate in 0..<gates {
          let q = Orthogonal.matrix(block, using: &stream)
          for row in 0..<block {
            for column in 0..<block {
              let at = ((head * block + row) * gates + gate) * block + column
              parameters[layer.recurrent.offset + at] = Element(q[row * block + column])
            }
          }
        }
      }
      // The second gate keeps the old state: f of the LSTM, z of the GRU.
      if gates > 1 {
        for k in 0..<D { parameters[layer.bias.offset + D + k] = 1 }
      }
    }
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    let (all, states) = run(inputs, from: nil)
    return BackboneOutput(all: all, last: states.last!.h)
  }

  /// In segments of about the square root of the length: what is kept of a segment are its outputs and the
  /// states after it.
  public func applyRecomputed(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    let steps = inputs.shape[0]
    let segment = max(1, Int(Double(steps).squareRoot().rounded()))
    var parts: [Tensor<Element>] = []
    var states: [RecurrentState<Element>]?
    for start in stride(from: 0, to: steps, by: segment) {
      let x = inputs.slice(axis: 0, start..<min(start + segment, steps))
      let operands = [x] + (states ?? []).flatMap { [$0.h] + ($0.c.map { [$0] } ?? []) }
      let results = inputs.graph.recomputed(operands) { _, copies in
        let (all, states) = run(
          copies[0], from: copies.count > 1 ? unpacked(copies.dropFirst()) : nil)
        return [all] + states.flatMap { [$0.h] + ($0.c.map { [$0] } ?? []) }
      }
      parts.append(results[0])
      states = unpacked(results.dropFirst())
    }
    return BackboneOutput(all: Tensor.joined(parts, axis: 0), last: states!.last!.h)
  }

  private func unpacked(_ states: ArraySlice<Tensor<Element>>) -> [RecurrentState<Element>] {
    let perLayer = states.count / layers.count
    return stride(from: states.startIndex, to: states.endIndex, by: perLayer).map {
      RecurrentState(h: states[$0], c: perLayer == 2 ? states[$0 + 1] : nil)
    }
  }

  /// All layers over a stretch of time.
  private func run(
    _ inputs: Tensor<Element>, from initial: [RecurrentState<Element>]?
  ) -> (all: Tensor<Element>, states: [RecurrentState<Element>]) {
    let graph = inputs.graph
    var x = inputs
    var states: [RecurrentState<Element>] = []
    for (index, layer) in layers.enumerated() {
      if index > 0 { x = x.dropout(dropout, purpose: "dropout of layer \(index)") }
      let weights = RecurrentWeights(
        input: graph.parameter(layer.input), recurrent: graph.parameter(layer.recurrent),
        bias: graph.parameter(layer.bias),
        candidateBias: layer.candidateBias.map { graph.parameter($0) })
      let (outputs, state) = x.recurrent(layer.cell, weights, initial: initial?[index])
      x = outputs
      states.append(state)
    }
    return (x, states)
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    Stepper(
      layers.map { layer in
        RecurrentStepper(
          layer.cell, batch: batch, input: parameters + layer.input.offset,
          recurrent: parameters + layer.recurrent.offset, bias: parameters + layer.bias.offset,
          candidateBias: layer.candidateBias.map { parameters + $0.offset })
      })
  }

  private final class Stepper: BackboneStepper {
    private let layers: [RecurrentStepper<Element>]
    /// Results of a layer without the padding of its rows: what the next one reads.
    private let row: Buffer<Element>

    init(_ layers: [RecurrentStepper<Element>]) {
      self.layers = layers
      row = Buffer(layers[0].batch * layers[0].cell.width)
    }

    func step(_ input: UnsafePointer<Element>, _ output: UnsafeMutablePointer<Element>) {
      var x = input
      for layer in layers {
        let h = layer.step(x)
        let width = layer.cell.width
        for b in 0..<layer.batch {
          (row.base + b * width).update(from: h + b * layer.rowLength, count: width)
        }
        x = UnsafePointer(row.base)
      }
      output.update(from: row.base, count: row.count)
    }
  }
}

/// Random orthogonal matrices: QR of a normal matrix by modified Gram-Schmidt, twice for accuracy.
enum Orthogonal {
  static func matrix(_ n: Int, using stream: inout RandomStream) -> [Double] {
    var a = (0..<(n * n)).map { _ in stream.normal() }
    for row in 0..<n {
      for _ in 0..<2 {
        for earlier in 0..<row {
          var dot = 0.0
          for k in 0..<n { dot += a[row * n + k] * a[earlier * n + k] }
          for k in 0..<n { a[row * n + k] -= dot * a[earlier * n + k] }
        }
      }
      var norm = 0.0
      for k in 0..<n { norm += a[row * n + k] * a[row * n + k] }
      let scale = 1 / norm.squareRoot()
      for k in 0..<n { a[row * n + k] *= scale }
    }
    return a
  }
}
