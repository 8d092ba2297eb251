import Foundation
public import NumericsCore

public enum DilatedArchitecture: BackboneArchitecture {
  public static let kind = "dilated"
  public static let help =
    "Dilated LSTM or GRU with residual blocks: layers look back 1, 2, 4 ... steps, or whole seasons; two at least."
  public static let reference = "chang2017"
  public static let time = "T D²"
  public static let memory = "2 D (sum of dilations)"
  public static let options: [ModelOption] = [
    .choice("cell", ["lstm", "gru"], standard: "lstm", "what the layers consist of"),
    .choice(
      "spacing", ["doubling", "seasonal"], standard: "doubling",
      "steps that the layers look back: 1, 2, 4 ..., or from 1 up to the seasons of the data"),
    .integers(
      "dilations", 1...100_000,
      "steps that each layer looks back, such as [1, 4, 24, 168], in place of spacing"),
    .flag("residual", standard: true, "whether blocks of layers add their input to their output"),
    .integer("block", 1...16, standard: 2, "layers of a block"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    let given = configuration.integers("dilations")
    guard given.isEmpty || given.count == configuration.layers else {
      throw ForecasterError(
        .badConfiguration,
        "dilations are \(given), expected one for each of the \(configuration.layers) layers")
    }
  }

  public static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    DilatedRecurrent<Element>(
      configuration.text("cell") == "gru" ? .gru : .lstm, inputs: inputs,
      hidden: configuration.hidden, dilations: dilations(configuration),
      block: configuration.flag("residual") ? configuration.integer("block") : nil,
      dropout: configuration.dropout, layout: &layout)
  }

  /// Steps that each layer goes back.
  package static func dilations(_ configuration: ForecasterConfiguration) -> [Int] {
    let given = configuration.integers("dilations")
    if !given.isEmpty { return given }
    // A single layer that looks back one step would be a plain recurrent network.
    let layers = max(2, configuration.layers)
    let seasons = Set(configuration.usableSeasons).sorted()
    if configuration.text("spacing") == "doubling" || seasons.isEmpty {
      return (0..<layers).map { 1 << $0 }
    }
    // As in Smyl's tables for the M4 (hourly 1 4 24 168, weekly 1 52): the last layers take the seasons, those
    // below go in equal ratios from 1 to the shortest season, each to its divisor nearest in ratio.
    let long = seasons.prefix(layers - 1)
    let short = layers - long.count
    let season = seasons[0]
    let divisors = (1...season).filter { season % $0 == 0 }
    let ratios = (0..<short).map { layer in
      let wanted = Double(layer) / Double(short) * log(Double(season))
      // Of two as near, but for rounding, the smaller.
      func distance(_ divisor: Int) -> Double {
        (abs(log(Double(divisor)) - wanted) * 1e9).rounded()
      }
      return divisors.min { distance($0) < distance($1) }!
    }
    return ratios + long
  }
}
