public import NumericsCore

/// Echo state networks (Jaeger 2001; Lukoševičius 2012): recurrent layers with weights that are drawn and stay, and a
/// regression on their states.
public enum EchoStateArchitecture: EncoderArchitecture {
  public static let kind = "esn"
  public static let help =
    "Echo state network: a random reservoir that is not trained, read by a regression."
  public static let reference = "jaeger2001"
  public static let time = "T D²"
  public static let memory = "D"
  public static let fitting = FittingMethod.leastSquares
  public static let options: [ModelOption] = [
    .choice(
      "cell", ["tanh", "lstm", "gru"], standard: "tanh",
      "units of the reservoir: leaky integrators, or frozen gated cells"),
    .number(
      "leak", 0.01...1, standard: 0.5, "part of a unit's state that is new at every step; of tanh"),
    .number(
      "spectralRadius", 0...2, standard: 0.9,
      "largest modulus of the recurrent eigenvalues, of each gate"),
    .number("connectivity", 0.001...1, standard: 0.2, "part of the recurrent weights not zero"),
    .number(
      "inputScale", 0.001...100, standard: 0.3, "input weights lie between plus and minus it"),
    RidgeOptions.ridge, RidgeOptions.robust,
  ]

  public static func makeEncoder<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowEncoder<Element> {
    let kinds: [String: RecurrentCell.Kind] = ["tanh": .elman, "lstm": .lstm, "gru": .gru]
    return Reservoir<Element>(
      kinds[configuration.text("cell")]!, inputs: inputs, hidden: configuration.hidden,
      layers: configuration.layers, leak: configuration.number("leak"),
      spectralRadius: configuration.number("spectralRadius"),
      connectivity: configuration.number("connectivity"),
      inputScale: configuration.number("inputScale"), layout: &layout)
  }
}
