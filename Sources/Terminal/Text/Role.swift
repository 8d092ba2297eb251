import Rainbow

/// What a piece of text means; colour follows from it.
///
/// The sixteen named colours only, so that the user's own palette (light or dark) stays in charge.
package enum Role: Sendable, Hashable, CaseIterable {
  case plain, strong, dim, ok, warn, bad, accent
  /// Parts of a chart.
  case history, forecast, interval, actual

  /// The numbers of the terminal's "select graphic rendition" sequence; empty for `plain`.
  ///
  /// Read from Rainbow's colour values. Its string extensions are not used: they decide by a
  /// process-wide switch whether they colour, here the caller decides.
  private var codes: [UInt8] {
    switch self {
    case .plain: []
    case .strong: Style.bold.value
    case .dim: NamedColor.lightBlack.value
    case .ok: NamedColor.green.value
    case .warn: NamedColor.yellow.value
    case .bad: NamedColor.red.value
    case .accent: NamedColor.cyan.value
    case .history: []
    case .forecast: NamedColor.lightCyan.value
    case .interval: NamedColor.blue.value
    case .actual: NamedColor.lightYellow.value
    }
  }

  /// The text in this role's colour, or unchanged where colour is off or there is none.
  package func paint(_ text: String, color: Bool) -> String {
    guard color, !text.isEmpty, !codes.isEmpty else { return text }
    let list = codes.map { String($0) }.joined(separator: ";")
    return "\u{1B}[\(list)m\(text)\u{1B}[0m"
  }
}
