public import NumericsCore

/// The fixed memory of a Legendre Memory Unit (Voelker, Kajić & Eliasmith 2019) as features of a regression: the
/// window's course as coefficients of polynomials.
public enum LegendreArchitecture: EncoderArchitecture {
  public static let kind = "legendre"
  public static let help =
    "The window as Legendre polynomials with a regression on them: few coefficients for long contexts."
  public static let reference = "voelker2019"
  public static let time = "T N"
  public static let memory = "2 N"
  public static let fitting = FittingMethod.leastSquares
  public static let options: [ModelOption] = [
    .integer("order", 1...512, standard: 32, "coefficients of the memory"),
    .integer("window", 0...1_000_000, standard: 0, "steps that the memory holds; 0 is the context"),
    RidgeOptions.ridge, RidgeOptions.robust,
  ]

  public static func makeEncoder<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowEncoder<Element> {
    let window = configuration.integer("window")
    return LegendreEncoder<Element>(
      memory: LegendreMemory(
        order: configuration.integer("order"),
        theta: Double(window == 0 ? configuration.contextLength : window)), inputs: inputs,
      hasSeason: !configuration.usableSeasons.isEmpty)
  }
}

/// The memory's state after the window, of the values and of which are observed, and the inputs of the last step:
/// no parameters.
struct LegendreEncoder<Element: Real>: WindowEncoder {
  let memory: LegendreMemory
  let inputs: Int
  let hasSeason: Bool
  var width: Int { 2 * memory.order + inputs }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {}

  /// One product: the last state is the sum of all steps times the response after as many more.
  func encode(_ inputs: Tensor<Element>) -> Tensor<Element> {
    let (steps, order) = (inputs.shape[0], memory.order)
    let response = memory.impulseResponse(steps: steps)
    let reversed = (0..<(steps * order)).map {
      Element(response[(steps - 1 - $0 / order) * order + $0 % order])
    }
    let weights = inputs.graph.constant(reversed, [steps, order])
    let window = ObservedInputs(inputs, hasSeason: hasSeason)
    return .joined(
      [window.values, window.mask].map { $0.product(weights, transposed: true) }
        + [inputs[steps - 1]], axis: 1)
  }
}
