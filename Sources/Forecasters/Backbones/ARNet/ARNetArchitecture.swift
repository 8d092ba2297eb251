public import NumericsCore

/// AR-Net (Triebe, Laptev & Rajagopal 2019): autoregression as one linear layer, of which least squares are the
/// trained state; here one for each step ahead, over all series.
public enum ARNetArchitecture: EncoderArchitecture {
  public static let kind = "arnet"
  public static let help =
    "Autoregression by least squares, dense or sparse: fitted in a moment, the honest linear model."
  public static let reference = "triebe2019"
  public static let time = "T H"
  public static let memory = "2 T"
  public static let fitting = FittingMethod.leastSquares
  /// Weight of the sparse form's regulariser.
  package static let sparsity = "sparsity"
  public static let options: [ModelOption] = [
    .integer("lags", 0...1_000_000, standard: 0, "newest steps that are read; 0 is the context"),
    RidgeOptions.ridge, RidgeOptions.robust,
    .number(
      sparsity, 0...1e6, standard: 0,
      "weight of AR-Net's regulariser, which takes lags to zero; 0 is the dense form"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    let lags = configuration.integer("lags")
    guard lags <= configuration.contextLength else {
      throw ForecasterError(
        .badConfiguration,
        "lags is \(lags), expected at most contextLength, which is \(configuration.contextLength)")
    }
  }

  public static func makeEncoder<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowEncoder<Element> {
    let lags = configuration.integer("lags")
    return LagEncoder<Element>(
      lags: lags == 0 ? configuration.contextLength : lags,
      hasSeason: !configuration.usableSeasons.isEmpty)
  }
}

/// The newest values of a window and which of them are observed: no parameters.
struct LagEncoder<Element: Real>: WindowEncoder {
  let lags: Int
  let hasSeason: Bool
  var width: Int { 2 * lags }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {}

  /// Values, oldest first, then ones where they are observed.
  func encode(_ inputs: Tensor<Element>) -> Tensor<Element> {
    let steps = inputs.shape[0]
    let recent = ObservedInputs(
      inputs.slice(axis: 0, (steps - lags)..<steps), hasSeason: hasSeason)
    return .joined(
      [recent.values.exchanged(axis: 0), recent.mask.exchanged(axis: 0)], axis: 1)
  }
}
