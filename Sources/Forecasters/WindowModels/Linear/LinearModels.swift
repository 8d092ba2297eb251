// Names: shape letters B, T, F, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// DLinear (Zeng et al. 2023, arXiv 2205.13504): a moving average of the window and the rest each have a linear map to
/// all steps ahead; here to all their quantiles.
///
/// Missing values are 0, the mean of the window. Weights start normal with deviation `0.1 / sqrt(T)`.
public struct DLinear<Element: Real>: WindowModel {
  let window: Int
  let trend: ParameterLayout.Tensor  // [T, H Q]
  let rest: ParameterLayout.Tensor

  /// - Parameter window: steps of the moving average, odd.
  init(context: Int, outputs: Int, window: Int = 25, layout: inout ParameterLayout) {
    precondition(window % 2 == 1)
    self.window = window
    trend = layout.add("model.trend_weight", [context, outputs])
    rest = layout.add("model.rest_weight", [context, outputs])
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    for weight in [trend, rest] {
      let deviation = 0.1 / Double(weight.shape[0]).squareRoot()
      parameters.fillNormal(weight, deviation: deviation, using: &stream)
    }
  }

  /// The moving average of `[T, B]` and what remains.
  package static func decomposed(
    _ x: Tensor<Element>, window: Int
  ) -> (trend: Tensor<Element>, rest: Tensor<Element>) {
    let trend = x.movingAverage(window: window)
    return (trend, x - trend)
  }

  public func apply(to inputs: Tensor<Element>) -> Tensor<Element> {
    let parts = Self.decomposed(WindowParts(inputs).values, window: window)
    let graph = inputs.graph
    return parts.trend.product(graph.parameter(trend), transposed: true)
      + parts.rest.product(graph.parameter(rest), transposed: true)
  }
}

/// NLinear (Zeng et al. 2023): a linear map of the differences to the last observed value.
///
/// The last value itself is part of what every model of the package adds: the linear start of `QuantileHead`. Missing
/// steps have no difference. Weights start normal with deviation `0.1 / sqrt(T)`.
public struct NLinear<Element: Real>: WindowModel {
  let weight: ParameterLayout.Tensor  // [T, H Q]

  init(context: Int, outputs: Int, layout: inout ParameterLayout) {
    weight = layout.add("model.weight", [context, outputs])
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    let deviation = 0.1 / Double(weight.shape[0]).squareRoot()
    parameters.fillNormal(weight, deviation: deviation, using: &stream)
  }

  public func apply(to inputs: Tensor<Element>) -> Tensor<Element> {
    let window = WindowParts(inputs)
    let differences = (window.values - inputs.lastObserved()) * window.masks
    return differences.product(inputs.graph.parameter(weight), transposed: true)
  }
}
