import NumericsCore

/// A backbone one step at a time: its graph for a sequence of length 1, with steppers for the layers that
/// keep a state.
///
/// So norms, projections and gates are written once for both. Parameters are copied. Not synchronised.
final class StepGraph<Element: Real>: BackboneStepper {
  private let input: Tensor<Element>
  private let output: Tensor<Element>
  private let parameters: Buffer<Element>
  private let execution: Execution<Element>

  /// - Parameters:
  ///   - parameters: the whole buffer that the tensors lie in, up to `end`.
  ///   - build: makes `[1, B, D]` of `[1, B, F]`.
  init(
    _ parameters: UnsafePointer<Element>, end: Int, batch: Int, inputs: Int,
    _ build: (Tensor<Element>) -> Tensor<Element>
  ) {
    self.parameters = Buffer(end)
    self.parameters.base.update(from: parameters, count: end)
    let graph = Graph<Element>()
    input = graph.input([1, batch, inputs])
    output = build(input)
    graph.keep(output)
    execution = Execution(Plan(graph))
  }

  func step(_ input: UnsafePointer<Element>, _ output: UnsafeMutablePointer<Element>) {
    execution.input(self.input).update(from: input, count: self.input.shape.count)
    execution.forward(parameters: parameters.base)
    output.update(from: execution.value(self.output), count: self.output.shape.count)
  }
}

/// A projection with bias.
struct Projection: Sendable {
  let weight: ParameterLayout.Tensor
  let bias: ParameterLayout.Tensor?

  init(
    _ name: String, _ inputs: Int, _ outputs: Int, bias: Bool = true,
    layout: inout ParameterLayout
  ) {
    weight = layout.add("\(name).weight", [inputs, outputs])
    self.bias = bias ? layout.add("\(name).bias", [outputs]) : nil
  }

  /// Weights uniform within `1 / sqrt(inputs)`, bias 0.
  func initialize<Element: Real>(
    _ parameters: Buffer<Element>, using stream: inout RandomStream
  ) {
    let bound = 1 / Double(weight.shape[0]).squareRoot()
    for k in 0..<weight.count {
      parameters[weight.offset + k] = Element((2 * stream.uniform() - 1) * bound)
    }
    if let bias { (parameters.base + bias.offset).update(repeating: 0, count: bias.count) }
  }

  func callAsFunction<Element: Real>(_ x: Tensor<Element>) -> Tensor<Element> {
    x.linear(x.graph.parameter(weight), bias: bias.map { x.graph.parameter($0) })
  }
}

/// Normalisation of rows with a trained gain: by mean and deviation, then with a bias too, or by the root of the
/// mean square.
struct Norm: Sendable {
  enum Kind: Sendable { case layer, rootMeanSquare }

  let gain: ParameterLayout.Tensor
  let bias: ParameterLayout.Tensor?

  init(_ kind: Kind, _ name: String, _ width: Int, layout: inout ParameterLayout) {
    gain = layout.add("\(name).gain", [width])
    bias = kind == .layer ? layout.add("\(name).bias", [width]) : nil
  }

  func initialize<Element: Real>(_ parameters: Buffer<Element>) {
    (parameters.base + gain.offset).update(repeating: 1, count: gain.count)
    if let bias { (parameters.base + bias.offset).update(repeating: 0, count: bias.count) }
  }

  func callAsFunction<Element: Real>(_ x: Tensor<Element>) -> Tensor<Element> {
    let gain = x.graph.parameter(gain)
    guard let bias else { return x.rmsNormalised(gain: gain) }
    return x.layerNormalised(gain: gain, bias: x.graph.parameter(bias))
  }
}

extension Tensor {
  /// All steps of `[T, B, D]`, and the last one.
  func backboneOutput() -> BackboneOutput<Element> {
    BackboneOutput(all: self, last: self[shape[0] - 1])
  }
}
