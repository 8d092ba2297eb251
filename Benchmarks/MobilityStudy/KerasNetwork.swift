// Names: shape letters B, T, F, D.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore

/// The network of the paper: one recurrent layer with rectifiers in place of tanh, in one or two directions, the last
/// state of each, a dense layer to all regions.
///
/// As Keras makes it: gates are sigmoids, the reset gate of the GRU acts after the recurrent product and has two
/// biases, input and dense weights are Glorot uniform over the gates together, recurrent weights `[D, G D]` have
/// orthonormal rows, biases are 0 and the LSTM's forget bias is 1. The reverse direction gives its state after the
/// first row.
struct KerasNetwork: Sendable {
  struct Direction: Sendable {
    let input: ParameterLayout.Tensor  // [F, G D]
    let recurrent: ParameterLayout.Tensor  // [D, G D]
    let bias: ParameterLayout.Tensor  // [G D]
    /// Of the GRU, whose gates add both.
    let recurrentBias: ParameterLayout.Tensor?  // [G D]
  }

  let cell: RecurrentCell
  let directions: [Direction]
  let dense: ParameterLayout.Tensor  // [D or 2 D, 6]
  let denseBias: ParameterLayout.Tensor  // [6]
  let layout: ParameterLayout

  init(_ kind: RecurrentCell.Kind, width: Int, bidirectional: Bool) {
    var layout = ParameterLayout()
    let cell = RecurrentCell(kind, inputs: MobilityData.features, width: width)
    let columns = cell.gates * width
    directions = (bidirectional ? ["forward", "reverse"] : ["forward"]).map { name in
      Direction(
        input: layout.add("\(name).input", [cell.inputs, columns]),
        recurrent: layout.add("\(name).recurrent", [width, columns]),
        bias: layout.add("\(name).bias", [columns]),
        recurrentBias: cell.hasCandidateBias
          ? layout.add("\(name).recurrent_bias", [columns]) : nil)
    }
    let states = directions.count * width
    dense = layout.add("dense.weight", [states, MobilityData.regions])
    denseBias = layout.add("dense.bias", [MobilityData.regions])
    self.cell = cell
    self.layout = layout
  }

  func initialParameters(seed: UInt64) -> Buffer<Float> {
    let parameters = Buffer<Float>(layout.count)
    func glorot(_ tensor: ParameterLayout.Tensor) {
      var stream = RandomStream(seed: seed, purpose: "initial \(tensor.name)")
      let bound = (6 / Double(tensor.shape[0] + tensor.shape[1])).squareRoot()
      for k in 0..<tensor.count {
        parameters[tensor.offset + k] = Float((2 * stream.uniform() - 1) * bound)
      }
    }
    for direction in directions {
      glorot(direction.input)
      let recurrent = direction.recurrent
      var stream = RandomStream(seed: seed, purpose: "initial \(recurrent.name)")
      let rows = Orthogonal.rows(recurrent.shape[0], width: recurrent.shape[1], using: &stream)
      for (k, number) in rows.enumerated() { parameters[recurrent.offset + k] = Float(number) }
      if cell.memories == 1 {
        // Columns stand in the order i f g o.
        for k in cell.width..<(2 * cell.width) { parameters[direction.bias.offset + k] = 1 }
      }
    }
    glorot(dense)
    return parameters
  }

  /// Predictions `[B, 6]` from `x` `[T, B, F]`.
  func apply(to x: Tensor<Float>) -> Tensor<Float> {
    let graph = x.graph
    let D = cell.width
    let states = directions.enumerated().map { index, direction in
      var bias = graph.parameter(direction.bias)
      var candidate: Tensor<Float>?
      if let tensor = direction.recurrentBias {
        let recurrent = graph.parameter(tensor)
        bias = Tensor.joined(
          [
            bias.slice(axis: 0, 0..<2 * D) + recurrent.slice(axis: 0, 0..<2 * D),
            bias.slice(axis: 0, 2 * D..<3 * D),
          ], axis: 0)
        candidate = recurrent.slice(axis: 0, 2 * D..<3 * D)
      }
      return x.recurrent(
        cell,
        RecurrentWeights(
          input: graph.parameter(direction.input), recurrent: graph.parameter(direction.recurrent),
          bias: bias, candidateBias: candidate), reverse: index == 1
      ).state.h
    }
    let state = states.count == 1 ? states[0] : Tensor.joined(states, axis: 1)
    return state.linear(graph.parameter(dense), bias: graph.parameter(denseBias))
  }
}

/// The network over batches of one size, ready to run.
final class KerasPass {
  let batch: Int
  private let x: Tensor<Float>
  private let y: Tensor<Float>
  private let predictions: Tensor<Float>
  private let loss: Tensor<Float>
  private let execution: Execution<Float>

  init(_ network: KerasNetwork, batch: Int) {
    self.batch = batch
    let graph = Graph<Float>()
    x = graph.input([MobilityData.lags, batch, MobilityData.features])
    y = graph.input([batch, MobilityData.regions])
    predictions = network.apply(to: x)
    loss = (predictions - y).map(.absolute).mean()
    graph.keep(predictions)
    execution = Execution(Plan(graph, loss: loss))
  }

  /// - Parameters:
  ///   - inputs: features `[row][F]` of all rows.
  ///   - targets: counts `[row][6]` of all rows.
  ///   - first: row that the first window predicts.
  func fill(_ inputs: [Float], _ targets: [Float], first: Int) {
    let (F, regions) = (MobilityData.features, MobilityData.regions)
    inputs.withUnsafeBufferPointer { inputs in
      for lag in 0..<MobilityData.lags {
        let from = inputs.baseAddress! + (first - MobilityData.lags + lag) * F
        (execution.input(x) + lag * batch * F).update(from: from, count: batch * F)
      }
    }
    targets.withUnsafeBufferPointer {
      execution.input(y).update(
        from: $0.baseAddress! + first * regions, count: batch * regions)
    }
  }

  /// The mean absolute error of the batch, whose gradient is added to `gradient`.
  func run(_ parameters: Buffer<Float>, into gradient: Buffer<Float>) -> Float {
    execution.forward(parameters: parameters.base, training: true)
    execution.backward(into: gradient.base)
    return execution.value(loss)[0]
  }

  func predict(_ parameters: Buffer<Float>) -> [Double] {
    execution.forward(parameters: parameters.base)
    return (0..<predictions.shape.count).map { Double(execution.value(predictions)[$0]) }
  }
}
