import NumericsCore

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
      reference: "hochreiter1997")
  ]

  public static var kinds: [String] { entries.map(\.kind) }

  public static func entry(_ kind: String) -> RegistryEntry? {
    entries.first { $0.kind == kind }
  }

  /// Makes the backbone of a validated configuration and adds its parameters to `layout`.
  static func backbone<Element: Real>(
    _ configuration: ForecasterConfiguration, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    switch configuration.kind {
    case "lstm":
      return LSTM<Element>(
        inputs: configuration.featureCount, hidden: configuration.hidden,
        layers: configuration.layers, dropout: configuration.dropout, layout: &layout)
    default:
      preconditionFailure("kind \(configuration.kind) was not validated")
    }
  }
}
