package import NumericsCore

/// One registered backbone: a line of `Registry.entries`.
public struct RegistryEntry: Sendable {
  /// What a job file says (`model: {kind: …}`).
  public let kind: String
  /// One sentence for `forecastctl models`.
  public let help: String
  /// Key in docs/references.md.
  public let reference: String
}

/// All architectures, a literal list: job files, checkpoints and tests read it.
public enum Registry {
  public static let entries: [RegistryEntry] = [
    RegistryEntry(
      kind: "lstm", help: "Stacked LSTM; state-tracking, constant memory per step.",
      reference: "hochreiter1997"),
    RegistryEntry(
      kind: "gru", help: "Stacked GRU; three gates, one state.", reference: "cho2014"),
    RegistryEntry(
      kind: "elman", help: "Stacked Elman network; the plain recurrent baseline.",
      reference: "elman1990"),
    RegistryEntry(
      kind: "s4d",
      help:
        "Diagonal state spaces trained as long convolutions; long contexts, constant memory per step.",
      reference: "gu2022s4d"),
    RegistryEntry(
      kind: "mamba", help: "Selective state spaces; what is kept depends on the input.",
      reference: "gu2023mamba"),
    RegistryEntry(
      kind: "s5",
      help: "One diagonal state space for all channels; reads irregular gaps in time as they are.",
      reference: "smith2023s5"),
    RegistryEntry(
      kind: "lmu",
      help: "Legendre Memory Unit; the context held as coefficients of orthogonal polynomials.",
      reference: "voelker2019"),
  ]

  public static var kinds: [String] { entries.map(\.kind) }

  public static func entry(_ kind: String) -> RegistryEntry? {
    entries.first { $0.kind == kind }
  }

  /// Makes the backbone of a validated configuration for `inputs` numbers a step, and adds its parameters to
  /// `layout`.
  package static func backbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    func stack(_ kind: RecurrentCell.Kind) -> any Backbone<Element> {
      StackedRecurrent<Element>(
        kind, inputs: inputs, hidden: configuration.hidden,
        layers: configuration.layers, dropout: configuration.dropout, layout: &layout)
    }
    switch configuration.kind {
    case "lstm": return stack(.lstm)
    case "gru": return stack(.gru)
    case "elman": return stack(.elman)
    case "s4d":
      return S4D<Element>(
        inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
        dropout: configuration.dropout, layout: &layout)
    case "mamba":
      return Mamba<Element>(
        inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
        dropout: configuration.dropout, layout: &layout)
    case "s5":
      return S5<Element>(
        inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
        dropout: configuration.dropout, layout: &layout)
    case "lmu":
      return LMU<Element>(
        inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
        dropout: configuration.dropout, window: Double(configuration.contextLength),
        layout: &layout)
    default: preconditionFailure("kind \(configuration.kind) was not validated")
    }
  }
}
