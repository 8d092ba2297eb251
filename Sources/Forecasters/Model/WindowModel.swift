public import NumericsCore

/// What stands between the inputs of a window and its quantiles: maps `[T, B, F]` to raw numbers
/// `[B, H Q]`, which `QuantileHead` makes into quantiles.
///
/// Zeros are the linear start with the intervals of the head's bias, so a model begins near them.
public protocol WindowModel<Element>: Sendable {
  associatedtype Element: Real

  /// Writes starting values into `parameters`.
  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream)

  /// Appends the model to the graph of `inputs` `[T, B, F]`; returns `[B, H Q]`.
  func apply(to inputs: Tensor<Element>) -> Tensor<Element>

  /// The same with less kept for the backward pass, which computes it again.
  func applyRecomputed(to inputs: Tensor<Element>) -> Tensor<Element>

  /// The same for a step of training, which may hide inputs at random (with the numbers of
  /// ``OperationContext/stream(_:)``), and may have further targets inside the window.
  func applyForTraining(
    to inputs: Tensor<Element>, head: QuantileHead<Element>, recompute: Bool
  ) -> TrainingForecast<Element>
}

/// What a window model makes of a window in training.
public struct TrainingForecast<Element: Real> {
  /// `[B, H Q]`.
  public let raw: Tensor<Element>
  /// Forecasts `[B, E, Q]` from points inside of the window, and what came `[B, E]`, NaN where unknown: they
  /// count as the steps ahead of the window do.
  public let inner: (quantiles: Tensor<Element>, targets: Tensor<Element>)?

  public init(
    raw: Tensor<Element>, inner: (quantiles: Tensor<Element>, targets: Tensor<Element>)? = nil
  ) {
    self.raw = raw
    self.inner = inner
  }
}

extension WindowModel {
  public func applyForTraining(
    to inputs: Tensor<Element>, head: QuantileHead<Element>, recompute: Bool
  ) -> TrainingForecast<Element> {
    TrainingForecast(raw: recompute ? applyRecomputed(to: inputs) : apply(to: inputs))
  }

  /// Everything is computed again as one part.
  public func applyRecomputed(to inputs: Tensor<Element>) -> Tensor<Element> {
    inputs.graph.recomputed([inputs]) { _, copies in [apply(to: copies[0])] }[0]
  }
}

/// An encoder and a linear map of its state to all steps ahead.
public struct DirectModel<Element: Real>: WindowModel {
  public let encoder: any WindowEncoder<Element>
  private let weight: ParameterLayout.Tensor  // [D, H Q]

  public init(
    _ encoder: any WindowEncoder<Element>, _ configuration: ForecasterConfiguration,
    layout: inout ParameterLayout
  ) {
    self.encoder = encoder
    weight = layout.add(
      "head.weight", [encoder.width, configuration.horizon * configuration.quantiles.count])
  }

  /// The map starts small, so that a forecast starts near the linear start.
  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    encoder.initialize(parameters, using: &stream)
    for k in 0..<weight.count {
      parameters[weight.offset + k] =
        Element(stream.normal() * 0.1 / Double(encoder.width).squareRoot())
    }
  }

  public func apply(to inputs: Tensor<Element>) -> Tensor<Element> {
    encoder.encode(inputs).linear(inputs.graph.parameter(weight))
  }

  public func applyRecomputed(to inputs: Tensor<Element>) -> Tensor<Element> {
    encoder.encodeRecomputed(inputs).linear(inputs.graph.parameter(weight))
  }
}
