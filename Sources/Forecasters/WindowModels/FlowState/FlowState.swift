// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// A forecaster that knows no steps, only time (FlowState; Graf et al. 2025, arXiv 2508.05287): S5 blocks read the
/// window, and a map of their last output gives coefficients of functions of time, which are read off wherever the
/// steps ahead are.
///
/// Time is counted in base steps. A step of the series is `24 / season` of them, with the first season longer than
/// 1 in the configuration, or 1 without one: a day of hours and a day of half hours pass in the same time. The steps `dt`
/// of the state spaces are multiplied by it, and forecast step `h` is at `(h + 1) 24 / season`. So parameters depend
/// neither on the sampling nor on the horizon, as long as the forecast stays within the `span` of the functions.
///
/// Deviations from the paper: inputs are those of `WindowFeatures`, and training has targets after the window alone.
public struct FlowState<Element: Real>: WindowModel {
  private let stack: MixerStack<Element>
  private let decoder: Projection
  private let levels: Int
  /// Values of the functions at the steps ahead, `[K, H]`.
  private let values: [Element]
  private let functions: Int
  private let horizon: Int

  init(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) {
    let size = configuration.integer("stateSize")
    let timeScale = Self.timeScale(configuration)
    stack = MixerStack(configuration, inputs: inputs, norm: .layer, layout: &layout) {
      S5(
        $0, width: configuration.hidden, stateSize: size == 0 ? nil : size, rule: .zeroOrderHold,
        timeScale: timeScale, layout: &$1)
    }
    levels = configuration.quantiles.count
    functions = configuration.integer("functions")
    horizon = configuration.horizon
    decoder = Projection(
      "decoder", configuration.hidden, levels * functions, bias: false, layout: &layout)
    let basis = FunctionalBasis(rawValue: configuration.text("basis"))!
    let span = Self.span(configuration)
    let columns = (0..<configuration.horizon).map {
      basis.values(
        configuration.integer("functions"), at: 2 * Double($0 + 1) * timeScale / span - 1)
    }
    values = (0..<functions).flatMap { k in columns.map { Element($0[k]) } }
  }

  /// Base steps in a step of the series.
  static func timeScale(_ configuration: ForecasterConfiguration) -> Double {
    configuration.seasonality.first { $0 > 1 }.map { 24 / Double($0) } ?? 1
  }

  /// Base steps that the functions cover.
  static func span(_ configuration: ForecasterConfiguration) -> Double {
    let chosen = configuration.number("span")
    return chosen > 0 ? chosen : Double(configuration.horizon) * timeScale(configuration)
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    stack.initialize(parameters, using: &stream)
    // A small map, so that a forecast starts near the linear start.
    parameters.fillNormal(
      decoder.weight, deviation: 0.1 / Double(stack.width).squareRoot(), using: &stream)
  }

  private func decoded(_ state: Tensor<Element>) -> Tensor<Element> {
    let B = state.shape[0]
    return decoder(state).reshaped([B, levels, functions])
      .linear(state.graph.constant(values, [functions, horizon]))
      .exchanged(axis: 1).reshaped([B, horizon * levels])
  }

  public func apply(to inputs: Tensor<Element>) -> Tensor<Element> {
    decoded(stack.encode(inputs))
  }

  /// Block by block.
  public func applyRecomputed(to inputs: Tensor<Element>) -> Tensor<Element> {
    decoded(stack.encodeRecomputed(inputs))
  }
}

public enum FlowStateArchitecture: NetworkArchitecture {
  public static let kind = "flowstate"
  public static let help =
    "S5 in continuous time with a decoder of functions: one model for any sampling and horizon."
  public static let reference = "graf2025"
  public static let time = "T D (N + D)"
  public static let memory = "N"
  public static let options: [ModelOption] = [
    .integer("stateSize", 0...4096, standard: 0, "real numbers of state, even; 0 is hidden"),
    .integer("functions", 1...256, standard: 16, "functions of time in a forecast"),
    .choice(
      "basis", FunctionalBasis.allCases.map(\.rawValue),
      standard: FunctionalBasis.legendre.rawValue, "their kind"),
    .number(
      "span", 0...1_000_000, standard: 0,
      "base steps, 24 in the first season, that the functions cover; 0 is the horizon"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try configuration.requireEven("stateSize", because: "states come in pairs")
    let needed = Double(configuration.horizon) * FlowState<Double>.timeScale(configuration)
    guard FlowState<Double>.span(configuration) >= needed * (1 - 1e-9) else {
      throw ForecasterError(
        .badConfiguration,
        "span is \(configuration.number("span")), expected at least the horizon, \(needed) base steps"
      )
    }
  }

  public static func makeModel<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowModel<Element> {
    FlowState<Element>(configuration, inputs: inputs, layout: &layout)
  }
}
