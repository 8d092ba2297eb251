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
    return LagEncoder<Element>(lags: lags == 0 ? configuration.contextLength : lags)
  }
}

/// The newest values of a window as they are, 0 where missing, and which of them are observed: no parameters.
struct LagEncoder<Element: Real>: WindowEncoder {
  let lags: Int
  var width: Int { 2 * lags }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {}

  /// Values, oldest first, then ones where they are observed.
  func encode(_ inputs: Tensor<Element>) -> Tensor<Element> {
    let (steps, batch) = (inputs.shape[0], inputs.shape[1])
    let recent = inputs.slice(axis: 0, (steps - lags)..<steps)
    return .joined(
      (0..<2).map {
        recent.slice(axis: 2, $0..<($0 + 1)).reshaped([lags, batch]).exchanged(axis: 0)
      }, axis: 1)
  }
}
