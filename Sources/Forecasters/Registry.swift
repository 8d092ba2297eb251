package import NumericsCore

/// All architectures.
public enum Registry {
  /// A literal list: one line each.
  public static let entries: [any Architecture.Type] = [
    LSTMArchitecture.self,
    GRUArchitecture.self,
    ElmanArchitecture.self,
    S4DArchitecture.self,
    S5Architecture.self,
    MambaArchitecture.self,
    LMUArchitecture.self,
    ParaLSTMArchitecture.self,
    ParaGRUArchitecture.self,
    SLSTMArchitecture.self,
    MLSTMArchitecture.self,
    XLSTMArchitecture.self,
    SeasonalNaiveArchitecture.self,
    TiRexArchitecture.self,
    TiRexPretrainedArchitecture.self,
    XLSTMMixerArchitecture.self,
  ]

  public static var kinds: [String] { entries.map { $0.kind } }

  /// Whether a forecaster of this kind has weights that are fitted to a panel.
  public static func isNetwork(_ kind: String) -> Bool {
    entry(kind) is any NetworkArchitecture.Type
  }

  public static func entry(_ kind: String) -> (any Architecture.Type)? {
    entries.first { $0.kind == kind }
  }

  /// The backbone of a validated configuration.
  ///
  /// - Precondition: the kind is that of a `BackboneArchitecture`.
  package static func backbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    guard let entry = entry(configuration.kind) as? any BackboneArchitecture.Type else {
      preconditionFailure("\(configuration.kind) is no backbone")
    }
    return entry.makeBackbone(configuration, inputs: inputs, layout: &layout)
  }
}
