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
/// Training forecasts from many context lengths at once (the paper's parallel targets): from every end of a horizon
/// inside of the window too, so that all of its values are targets. Deviations from the paper: inputs are those of
/// `WindowFeatures`, forecasts are distances from the linear start, and the ends are a horizon apart, not a step.
public struct FlowState<Element: Real>: WindowModel {
  private let stack: MixerStack<Element>
  private let decoder: Projection
  private let levels: Int
  /// Values of the functions at the steps ahead, `[K, H]`.
  private let values: [Element]
  private let functions: Int
  private let horizon: Int
  private let configuration: ForecasterConfiguration

  init(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) {
    let size = configuration.integer("stateSize")
    let timeScale = Self.timeScale(configuration)
    stack = MixerStack(configuration, inputs: inputs, norm: .layer, layout: &layout) {
      S5(
        $0, width: configuration.hidden, stateSize: size == 0 ? nil : size, rule: .zeroOrderHold,
        steps: .papers, timeScale: timeScale, layout: &$1)
    }
    levels = configuration.quantiles.count
    self.configuration = configuration
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

  /// `[B, n, H Q]` of `n` states `[n, B, D]`.
  private func decoded(_ states: Tensor<Element>) -> Tensor<Element> {
    let (n, B) = (states.shape[0], states.shape[1])
    return decoder(states.exchanged(axis: 0)).reshaped([B, n, levels, functions])
      .linear(states.graph.constant(values, [functions, horizon]))
      .exchanged(axis: 2).reshaped([B, n, horizon * levels])
  }

  private func forecast(_ state: Tensor<Element>) -> Tensor<Element> {
    let B = state.shape[0]
    return decoded(state.reshaped([1, B, stack.width])).reshaped([B, horizon * levels])
  }

  public func apply(to inputs: Tensor<Element>) -> Tensor<Element> {
    forecast(stack.encode(inputs))
  }

  /// Block by block.
  public func applyRecomputed(to inputs: Tensor<Element>) -> Tensor<Element> {
    forecast(stack.encodeRecomputed(inputs))
  }

  public func applyForTraining(
    to inputs: Tensor<Element>, head: QuantileHead<Element>, recompute: Bool
  ) -> TrainingForecast<Element> {
    let (T, B) = (inputs.shape[0], inputs.shape[1])
    let states = recompute ? stack.recomputed(inputs) : stack.sequence(inputs)
    let raw = forecast(states[T - 1])
    // Horizons that fill the window, the first of them perhaps in part.
    let n = (T + horizon - 1) / horizon
    guard n > 1 else { return TrainingForecast(raw: raw) }
    let graph = inputs.graph
    let visible = graph.constant([Element](repeating: 1, count: n * B), [n, B])
    let origins = graph.apply(
      PatchOrigins<Element>(
        steps: T, batch: B, features: inputs.shape[2], patch: horizon, patches: n, ahead: 1,
        horizon: horizon, seasons: configuration.usableSeasons), to: [inputs, visible])
    let ends = (1..<n).map { T - (n - $0) * horizon }
    let before = Tensor.joined(ends.map { states.slice(axis: 0, ($0 - 1)..<$0) }, axis: 0)
    let inner = head.quantiles(
      of: decoded(before), starts: origins[1], ahead: origins[2], patches: 1)
    return TrainingForecast(raw: raw, inner: (inner, origins[0]))
  }
}

public enum FlowStateArchitecture: ContinuousTimeArchitecture {
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

  public static func stepLength(_ configuration: ForecasterConfiguration) -> Double {
    FlowState<Double>.timeScale(configuration)
  }

  public static func settled(_ configuration: ForecasterConfiguration) -> ForecasterConfiguration {
    var settled = configuration
    settled.options["span"] = .number(FlowState<Double>.span(configuration))
    return settled
  }

  public static func makeModel<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowModel<Element> {
    FlowState<Element>(configuration, inputs: inputs, layout: &layout)
  }
}
