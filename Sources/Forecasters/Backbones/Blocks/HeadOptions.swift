/// Options of blocks whose cell has heads and a short convolution before it.
enum HeadOptions {
  static let heads = ModelOption.integer(
    "heads", 0...64, standard: 0,
    "heads of a block; 0 means 4, or fewer where hidden is not divisible by 4")
  static let convolution = ModelOption.integer(
    "convolution", 0...32, standard: 4,
    "length of the causal convolution at the start of a block, 0 for none")

  static func heads(_ configuration: ForecasterConfiguration) -> Int {
    let heads = configuration.integer(heads.name)
    return heads > 0 ? heads : XLSTM<Float>.heads(for: configuration.hidden)
  }

  /// - Throws: `ForecasterError.badConfiguration` where the heads do not divide the width.
  static func validate(_ configuration: ForecasterConfiguration) throws {
    let heads = heads(configuration)
    guard configuration.hidden % heads == 0 else {
      throw ForecasterError(
        .badConfiguration,
        "heads is \(heads), expected a divisor of hidden, which is \(configuration.hidden)")
    }
  }
}
