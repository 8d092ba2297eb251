// Names: shape letters B, T, F, D.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// A multilayer perceptron over the window: values and masks of all steps, and the other inputs of the last step (the
/// phases of the seasons; those of earlier steps follow from them), then layers of ReLU units.
///
/// Weights start uniform within `1 / sqrt(inputs)`, biases at 0. Dropout acts behind every layer.
public struct MLP<Element: Real>: WindowEncoder {
  public let width: Int
  let dropout: Double
  let first: WindowProjection
  let rest: [Projection]

  init(
    inputs: Int, context: Int, hidden: Int, layers: Int, dropout: Double,
    layout: inout ParameterLayout
  ) {
    width = hidden
    self.dropout = dropout
    first = WindowProjection(
      "encoder.0", steps: 2 * context, others: inputs - 2, hidden, layout: &layout)
    rest = (1..<max(layers, 1)).map {
      Projection("encoder.\($0)", hidden, hidden, layout: &layout)
    }
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    first.initialize(parameters, using: &stream)
    for layer in rest { layer.initialize(parameters, using: &stream) }
  }

  public func encode(_ inputs: Tensor<Element>) -> Tensor<Element> {
    let window = WindowParts(inputs)
    func active(_ x: Tensor<Element>, _ index: Int) -> Tensor<Element> {
      x.map(.relu).dropout(dropout, purpose: "dropout of layer \(index)")
    }
    var x = active(
      first(.joined([window.values, window.masks], axis: 0), others: window.others), 0)
    for (index, layer) in rest.enumerated() { x = active(layer(x), index + 1) }
    return x
  }
}

/// The inputs `[T, B, F]` of a window taken apart.
struct WindowParts<Element: Real> {
  /// Scaled values, 0 where missing, and whether they are observed: `[T, B]`.
  let values: Tensor<Element>
  let masks: Tensor<Element>
  /// The other inputs of the last step, `[B, F - 2]`; nil where there are none.
  let others: Tensor<Element>?

  init(_ inputs: Tensor<Element>) {
    let (T, B, F) = (inputs.shape[0], inputs.shape[1], inputs.shape[2])
    values = inputs.slice(axis: 2, 0..<1).reshaped([T, B])
    masks = inputs.slice(axis: 2, 1..<2).reshaped([T, B])
    others = F > 2 ? inputs[T - 1].slice(axis: 1, 2..<F) : nil
  }
}

/// A linear map of numbers by step `[K, B]` and of others by window `[B, M]` to `[B, D]`.
struct WindowProjection: Sendable {
  let weight: ParameterLayout.Tensor
  let others: ParameterLayout.Tensor?
  let bias: ParameterLayout.Tensor

  /// - Parameters: `K`, `M` and `D`; `M` may be 0.
  init(
    _ name: String, steps: Int, others count: Int, _ outputs: Int, layout: inout ParameterLayout
  ) {
    weight = layout.add("\(name).weight", [steps, outputs])
    others = count > 0 ? layout.add("\(name).other_weight", [count, outputs]) : nil
    bias = layout.add("\(name).bias", [outputs])
  }

  /// Weights uniform within `1 / sqrt(inputs)`, bias 0.
  func initialize<Element: Real>(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    let count = weight.shape[0] + (others?.shape[0] ?? 0)
    for tensor in [weight] + (others.map { [$0] } ?? []) {
      parameters.fillUniform(tensor, bound: 1 / Double(count).squareRoot(), using: &stream)
    }
    parameters.fill(bias, 0)
  }

  func callAsFunction<Element: Real>(
    _ x: Tensor<Element>, others numbers: Tensor<Element>?
  ) -> Tensor<Element> {
    let graph = x.graph
    let y = x.product(graph.parameter(weight), transposed: true) + graph.parameter(bias)
    guard let others, let numbers else { return y }
    return y + numbers.linear(graph.parameter(others))
  }
}
