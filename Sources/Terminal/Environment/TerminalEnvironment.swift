import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What is known about the terminal a command talks to: size, colours, characters.
///
/// A value that is passed to everything that prints, so that output is a pure function of it.
/// The shells call `TerminalEnvironment.current()` once; tests write the fields down.
package struct TerminalEnvironment: Sendable, Equatable {
  /// Columns of the terminal; 80 where nothing says otherwise.
  package var width: Int
  /// Rows of the terminal; 24 where nothing says otherwise.
  package var height: Int
  /// Whether tables must fit `width`. False when standard output is a pipe or a file and nobody
  /// set `COLUMNS`: then whole rows are written, so that `grep` and logs see everything.
  package var fitsWidth: Bool
  /// Standard output is a terminal.
  package var outputIsTerminal: Bool
  /// Standard error is a terminal: the condition for anything that moves.
  package var errorIsTerminal: Bool
  /// Colours on standard output.
  package var outputColor: Bool
  /// Colours on standard error.
  package var errorColor: Bool
  /// Characters outside ASCII may be written.
  package var unicode: Bool
  /// Braille patterns may be written: not on the Linux console, whose font lacks them.
  package var braille: Bool

  package init(
    width: Int = 80, height: Int = 24, fitsWidth: Bool = true, outputIsTerminal: Bool = false,
    errorIsTerminal: Bool = false, outputColor: Bool = false, errorColor: Bool = false,
    unicode: Bool = true, braille: Bool? = nil
  ) {
    self.width = max(width, 1)
    self.height = max(height, 1)
    self.fitsWidth = fitsWidth
    self.outputIsTerminal = outputIsTerminal
    self.errorIsTerminal = errorIsTerminal
    self.outputColor = outputColor
    self.errorColor = errorColor
    self.unicode = unicode
    self.braille = braille ?? unicode
  }

  /// What the operating system says about standard output and standard error.
  package struct Probe: Sendable {
    package var outputIsTerminal: Bool
    package var errorIsTerminal: Bool
    package var size: (columns: Int, rows: Int)?

    package init(
      outputIsTerminal: Bool, errorIsTerminal: Bool, size: (columns: Int, rows: Int)? = nil
    ) {
      self.outputIsTerminal = outputIsTerminal
      self.errorIsTerminal = errorIsTerminal
      self.size = size
    }
  }

  /// Decides from environment variables and a probe, without side effects.
  ///
  /// - Width: the terminal's own size, else `COLUMNS`, else 80.
  /// - Colour, first match wins: `NO_COLOR` set and not empty: off; `FORCE_COLOR` or
  ///   `CLICOLOR_FORCE` set and not `0`: on; `TERM=dumb` or `CLICOLOR=0`: off; otherwise on
  ///   exactly where the stream is a terminal.
  /// - Characters: the first of `LC_ALL`, `LC_CTYPE`, `LANG` that is not empty decides by naming
  ///   UTF-8. Containers often set none of them; there a terminal that is neither `dumb` nor the
  ///   Linux console is taken to know UTF-8, and a pipe is not.
  package init(variables: [String: String], probe: Probe) {
    func value(_ name: String) -> String? {
      guard let text = variables[name], !text.isEmpty else { return nil }
      return text
    }
    func isOn(_ name: String) -> Bool { value(name).map { $0 != "0" } ?? false }
    let term = value("TERM")?.lowercased() ?? ""

    let columns = value("COLUMNS").flatMap(Int.init).flatMap { $0 > 0 ? $0 : nil }
    let rows = value("LINES").flatMap(Int.init).flatMap { $0 > 0 ? $0 : nil }
    let size = probe.size.flatMap { $0.columns > 0 && $0.rows > 0 ? $0 : nil }

    func color(terminal: Bool) -> Bool {
      if value("NO_COLOR") != nil { return false }
      if isOn("FORCE_COLOR") || isOn("CLICOLOR_FORCE") { return true }
      if term == "dumb" || variables["CLICOLOR"] == "0" { return false }
      return terminal
    }

    let locale = value("LC_ALL") ?? value("LC_CTYPE") ?? value("LANG")
    let unicode: Bool
    if let locale {
      let folded = locale.lowercased()
      unicode = folded.contains("utf-8") || folded.contains("utf8")
    } else {
      unicode = probe.outputIsTerminal && !["", "dumb", "linux"].contains(term)
    }

    self.init(
      width: size?.columns ?? columns ?? 80,
      height: size?.rows ?? rows ?? 24,
      fitsWidth: probe.outputIsTerminal || columns != nil,
      outputIsTerminal: probe.outputIsTerminal,
      errorIsTerminal: probe.errorIsTerminal && term != "dumb",
      outputColor: color(terminal: probe.outputIsTerminal),
      errorColor: color(terminal: probe.errorIsTerminal),
      unicode: unicode,
      braille: unicode && term != "linux")
  }

  /// The terminal of this process, asked now: call again after a `SIGWINCH`.
  package static func current() -> TerminalEnvironment {
    let outputIsTerminal = isatty(STDOUT_FILENO) == 1
    let errorIsTerminal = isatty(STDERR_FILENO) == 1
    var size: (columns: Int, rows: Int)?
    for descriptor in [STDOUT_FILENO, STDERR_FILENO] where size == nil {
      var window = winsize()
      if isatty(descriptor) == 1, ioctl(descriptor, UInt(TIOCGWINSZ), &window) == 0,
        window.ws_col > 0
      {
        size = (Int(window.ws_col), Int(window.ws_row))
      }
    }
    return TerminalEnvironment(
      variables: ProcessInfo.processInfo.environment,
      probe: Probe(
        outputIsTerminal: outputIsTerminal, errorIsTerminal: errorIsTerminal, size: size))
  }
}
