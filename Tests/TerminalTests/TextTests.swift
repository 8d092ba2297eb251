import Foundation
import Terminal
import Testing

@Suite("Text on a terminal")
struct TextTests {
  @Test(
    "width counts columns, not characters",
    arguments: [
      ("abc", 3), ("", 0), ("é", 1), ("e\u{301}", 1), ("日本", 4), ("한글", 4), ("ｱ", 1), ("Ａ", 2),
      ("🙂", 2), ("👩‍👩‍👧", 2), ("❤️", 2), ("🇫🇷", 2), ("a\u{200B}b", 2), ("─┤⣿", 3), ("ε", 1),
    ])
  func width(_ text: String, _ expected: Int) {
    #expect(text.displayWidth == expected)
  }

  @Test("truncation keeps within the width and marks the cut")
  func truncation() {
    #expect("abcdef".truncated(to: 6, unicode: true) == "abcdef")
    #expect("abcdef".truncated(to: 4, unicode: true) == "abc…")
    #expect("abcdef".truncated(to: 4, unicode: false) == "abc~")
    #expect("日本語".truncated(to: 4, unicode: true) == "日…")
    #expect("ab cd".truncated(to: 4, unicode: true) == "ab…")
    #expect("abc".truncated(to: 0, unicode: true) == "")
    for width in 0...12 {
      #expect("a日e\u{301}👩‍👩‍👧b本c".truncated(to: width, unicode: true).displayWidth <= width)
    }
  }

  @Test(
    "durations read naturally",
    arguments: [
      (0, "0 s"), (0.0000004, "1 µs"), (0.00085, "850 µs"), (0.0123, "12 ms"), (0.9996, "1.0 s"),
      (1.24, "1.2 s"), (45.4, "45 s"), (59.6, "1 min"), (184, "3 min 4 s"), (3600, "1 h"),
      (7500, "2 h 5 min"), (86_399, "1 d"), (360_000, "4 d 4 h"), (-2, "-2.0 s"), (.nan, "-"),
    ] as [(Double, String)])
  func durations(_ seconds: Double, _ expected: String) {
    #expect(HumanFormat.duration(seconds) == expected)
  }

  @Test(
    "relative times read naturally",
    arguments: [
      (-0.5, "now"), (-12, "12 s ago"), (-180, "3 min ago"), (7200, "in 2 h"), (-90_000, "1 d ago"),
      (3580, "in 1 h"), (-100 * 86_400, "2026-08-13"),
    ] as [(Double, String)])
  func relative(_ seconds: Double, _ expected: String) {
    #expect(HumanFormat.relative(now + seconds, now: now) == expected)
  }

  @Test("stamps follow the wall clock, exports are UTC")
  func stamps() throws {
    let paris = try #require(TimeZone(identifier: "Europe/Paris"))
    #expect(HumanFormat.stamp(now, timeZone: paris, precision: .minute) == "2026-11-21 06:00")
    #expect(HumanFormat.stamp(now, timeZone: .gmt, precision: .second) == "2026-11-21 05:00:00")
    #expect(HumanFormat.iso8601(now + 0.25) == "2026-11-21T05:00:00.250Z")
    #expect(HumanFormat.iso8601(Date(timeIntervalSince1970: -1)) == "1969-12-31T23:59:59Z")
    let formatter = ISO8601DateFormatter()
    for day in stride(from: -60_000, to: 60_000, by: 97) {
      let date = Date(timeIntervalSince1970: Double(day) * 86_400 + 4242)
      #expect(HumanFormat.iso8601(date) == formatter.string(from: date))
    }
  }

  @Test("counts and sizes are short")
  func counts() {
    #expect(HumanFormat.grouped(1_234_567) == "1,234,567")
    #expect(HumanFormat.grouped(-123) == "-123")
    #expect(
      [0, 7.25, 950, 1234, 34_567, 999_960, 5e9].map(HumanFormat.compact)
        == ["0", "7.2", "950", "1.2k", "34.6k", "1.0M", "5.0G"])
    #expect([512, 1234, 34_567_890].map(HumanFormat.bytes) == ["512 B", "1.2 kB", "34.6 MB"])
  }

  @Test("sparklines show the shape")
  func sparkline() {
    #expect(Sparkline.render([0, 1, 2, 3, 4, 5, 6, 7], width: 8, unicode: true) == "▁▂▃▄▅▆▇█")
    #expect(Sparkline.render([1, .nan, 1], width: 8, unicode: true) == "▅ ▅")
    #expect(Sparkline.render([0, 0, 9, 9], width: 2, unicode: false) == "_#")
    #expect(Sparkline.render([], width: 5, unicode: true) == "")
  }
}

@Suite("The terminal environment")
struct TerminalEnvironmentTests {
  private func environment(
    _ variables: [String: String], terminal: Bool = true, size: (Int, Int)? = nil
  ) -> TerminalEnvironment {
    TerminalEnvironment(
      variables: variables,
      probe: .init(outputIsTerminal: terminal, errorIsTerminal: terminal, size: size))
  }

  @Test("width comes from the terminal, then COLUMNS, then is 80")
  func width() {
    #expect(environment(["COLUMNS": "100"], size: (132, 40)).width == 132)
    #expect(environment(["COLUMNS": "100"], terminal: false).width == 100)
    #expect(environment(["COLUMNS": "0"]).width == 80)
    #expect(environment([:], terminal: false).fitsWidth == false)
    #expect(environment(["COLUMNS": "100"], terminal: false).fitsWidth)
  }

  @Test(
    "colour follows the conventions",
    arguments: [
      ([:], true, true), ([:], false, false), (["NO_COLOR": "1"], true, false),
      (["NO_COLOR": ""], true, true), (["TERM": "dumb"], true, false),
      (["CLICOLOR_FORCE": "1"], false, true), (["FORCE_COLOR": "1"], false, true),
      (["FORCE_COLOR": "0"], false, false), (["NO_COLOR": "1", "FORCE_COLOR": "1"], true, false),
      (["CLICOLOR": "0"], true, false),
    ] as [([String: String], Bool, Bool)])
  func color(_ variables: [String: String], _ terminal: Bool, _ expected: Bool) {
    #expect(environment(variables, terminal: terminal).outputColor == expected)
    #expect(environment(variables, terminal: terminal).errorColor == expected)
  }

  @Test(
    "characters follow the locale",
    arguments: [
      (["LANG": "en_US.UTF-8"], true), (["LANG": "C"], false),
      (["LC_ALL": "C", "LANG": "x.utf8"], false),
      (["LC_CTYPE": "C.utf8"], true), ([:], false), (["TERM": "xterm-256color"], true),
      (["TERM": "linux"], false),
    ])
  func unicode(_ variables: [String: String], _ expected: Bool) {
    #expect(environment(variables).unicode == expected)
  }

  @Test("the Linux console gets no braille")
  func console() {
    let console = environment(["LANG": "C.UTF-8", "TERM": "linux"])
    #expect(console.unicode)
    #expect(!console.braille)
  }
}
