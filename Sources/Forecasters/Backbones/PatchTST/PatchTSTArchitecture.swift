public import NumericsCore

public enum PatchTSTArchitecture: EncoderArchitecture {
  public static let kind = "patchtst"
  public static let help = "Transformer over patches of the series, read in both directions."
  public static let reference = "nie2023"
  public static let time = "P² D + P D², of P patches"
  public static let memory = "T: the whole window is read again"
  public static let options: [ModelOption] = [
    .integer(
      "patchLength", 0...4096, standard: 0,
      "steps of a patch; 0 is 16, less for contexts below 128 and more beyond 512"),
    .integer(
      "patchStride", 0...4096, standard: 0, "steps from one patch to the next; 0 is half a patch"),
    HeadOptions.heads, AttentionOptions.feedForward, AttentionOptions.norm,
  ]

  private static func sizes(_ configuration: ForecasterConfiguration) -> (length: Int, stride: Int)
  {
    let (length, stride) = (
      configuration.integer("patchLength"), configuration.integer("patchStride")
    )
    let steps = length > 0 ? length : PatchTST<Float>.length(for: configuration.contextLength)
    return (steps, stride > 0 ? stride : (steps + 1) / 2)
  }

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try HeadOptions.validate(configuration)
    let (length, stride) = sizes(configuration)
    guard length <= configuration.contextLength else {
      throw ForecasterError(
        .badConfiguration,
        "patchLength is \(length), expected at most contextLength, "
          + "which is \(configuration.contextLength)")
    }
    guard stride <= length else {
      throw ForecasterError(
        .badConfiguration,
        "patchStride is \(stride), expected at most the patch length, which is \(length)")
    }
  }

  public static func makeEncoder<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowEncoder<Element> {
    let (length, stride) = sizes(configuration)
    return PatchTST<Element>(
      hidden: configuration.hidden, layers: configuration.layers,
      heads: HeadOptions.heads(configuration), context: configuration.contextLength,
      length: length, stride: stride,
      factor: configuration.number(AttentionOptions.feedForward.name),
      norm: AttentionOptions.norm(configuration), dropout: configuration.dropout, layout: &layout)
  }
}
