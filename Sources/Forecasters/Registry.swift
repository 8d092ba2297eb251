public import NumericsCore

/// An architecture as its folder declares it, once: job files, `forecastctl models`, checkpoints and the
/// conformance suite read the declaration.
public protocol Architecture: Sendable {
  /// What a job file says (`model: {kind: …}`).
  static var kind: String { get }
  /// One sentence for `forecastctl models`.
  static var help: String { get }
  /// Key in docs/references.md.
  static var reference: String { get }
  /// Arithmetic of a forward pass over one series: `T` steps, width `D`, state size `N`.
  static var time: String { get }
  /// Numbers that a stream carries from step to step.
  static var memory: String { get }
  /// What can be chosen beside `hidden`, `layers` and `dropout`.
  static var options: [ModelOption] { get }

  /// What options have to fulfil together.
  ///
  /// - Throws: `ForecasterError.badConfiguration`.
  static func validate(_ configuration: ForecasterConfiguration) throws

  /// Makes the backbone of a validated configuration for `inputs` numbers a step, and adds its parameters to
  /// `layout`.
  static func makeBackbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element>
}

extension Architecture {
  public static var options: [ModelOption] { [] }
  public static func validate(_ configuration: ForecasterConfiguration) throws {}
}

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
  ]

  public static var kinds: [String] { entries.map { $0.kind } }

  public static func entry(_ kind: String) -> (any Architecture.Type)? {
    entries.first { $0.kind == kind }
  }

  package static func backbone<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any Backbone<Element> {
    guard let entry = entry(configuration.kind) else {
      preconditionFailure("kind \(configuration.kind) was not validated")
    }
    return entry.makeBackbone(configuration, inputs: inputs, layout: &layout)
  }
}
