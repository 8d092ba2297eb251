package import NumericsCore

/// All architectures.
public enum Registry {
  /// Architectures that think alike.
  public struct Family: Sendable {
    public let name: String
    public let entries: [any Architecture.Type]
  }

  /// A literal list: one line for each architecture.
  public static let families = [
    Family(
      name: "recurrent",
      entries: [
        LSTMArchitecture.self,
        GRUArchitecture.self,
        ElmanArchitecture.self,
        DilatedArchitecture.self,
        BiLSTMArchitecture.self,
        BiGRUArchitecture.self,
        Seq2SeqArchitecture.self,
        ParaLSTMArchitecture.self,
        ParaGRUArchitecture.self,
      ]),
    Family(
      name: "xLSTM",
      entries: [
        SLSTMArchitecture.self,
        MLSTMArchitecture.self,
        XLSTMArchitecture.self,
        XLSTMMixerArchitecture.self,
        TiRexArchitecture.self,
        TiRexPretrainedArchitecture.self,
      ]),
    Family(
      name: "state space",
      entries: [
        S4DArchitecture.self,
        S4Architecture.self,
        LSSLArchitecture.self,
        S5Architecture.self,
        FlowStateArchitecture.self,
        H3Architecture.self,
        MambaArchitecture.self,
        Mamba2Architecture.self,
        HydraArchitecture.self,
        LMUArchitecture.self,
      ]),
    Family(
      name: "delta rule",
      entries: [
        DeltaNetArchitecture.self,
        ReversoArchitecture.self,
      ]),
    Family(
      name: "closed form",
      entries: [
        ARNetArchitecture.self,
        LegendreArchitecture.self,
        EchoStateArchitecture.self,
        KalmanArchitecture.self,
      ]),
    Family(
      name: "to compare",
      entries: [
        SeasonalNaiveArchitecture.self,
        DLinearArchitecture.self,
        NLinearArchitecture.self,
        MLPArchitecture.self,
        NHiTSArchitecture.self,
        TCNArchitecture.self,
        TransformerArchitecture.self,
        AarenArchitecture.self,
        PatchTSTArchitecture.self,
      ]),
  ]

  public static let entries: [any Architecture.Type] = families.flatMap(\.entries)

  public static var kinds: [String] { entries.map { $0.kind } }

  /// Whether a forecaster of this kind has weights that are fitted to a panel.
  public static func isNetwork(_ kind: String) -> Bool {
    entry(kind) is any NetworkArchitecture.Type
  }

  /// How the weights of a kind are fitted; nil where there are none.
  public static func fitting(_ kind: String) -> FittingMethod? {
    (entry(kind) as? any NetworkArchitecture.Type)?.fitting
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
