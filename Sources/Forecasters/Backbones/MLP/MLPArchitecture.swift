public import NumericsCore

public enum MLPArchitecture: EncoderArchitecture {
  public static let kind = "mlp"
  public static let help = "Multilayer perceptron over the window."
  public static let reference = "rumelhart1986"
  public static let time = "T D + D²"
  public static let memory = "T: the whole window is read again"

  public static func makeEncoder<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowEncoder<Element> {
    MLP<Element>(
      inputs: inputs, context: configuration.contextLength, hidden: configuration.hidden,
      layers: configuration.layers, dropout: configuration.dropout, layout: &layout)
  }
}
