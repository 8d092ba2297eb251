import Yams

/// Takes typed values out of YAML nodes and collects what is wrong on the way.
struct JobNodeReader {
  private(set) var problems: [JobProblem] = []
  private(set) var warnings: [JobProblem] = []
  let lines: [Substring]

  init(text: String) {
    lines = text.split(separator: "\n", omittingEmptySubsequences: false)
  }

  mutating func fail(_ node: Node, _ message: String) {
    problems.append(Self.problem(node, message))
  }

  mutating func warn(_ node: Node, _ message: String) {
    warnings.append(Self.problem(node, message))
  }

  private static func problem(_ node: Node, _ message: String) -> JobProblem {
    JobProblem(line: node.mark?.line ?? 1, column: node.mark?.column ?? 1, message)
  }

  /// A problem inside a scalar: at the place of the file where the character stands.
  mutating func fail(_ node: Node, characterOffset: Int, _ message: String) {
    guard let mark = node.mark, let scalar = node.scalar else { return fail(node, message) }
    let before = scalar.string.prefix(characterOffset)
    switch scalar.style {
    case .literal:
      let row = before.count { $0 == "\n" }
      let column = before.reversed().prefix { $0 != "\n" }.count
      let line = mark.line + 1 + row
      var indent = 0
      if line <= lines.count {
        let content = scalar.string.split(separator: "\n", omittingEmptySubsequences: false)[row]
        indent = max(0, lines[line - 1].count - content.count)
      }
      problems.append(JobProblem(line: line, column: indent + column + 1, message))
    case .plain where !before.contains("\n"):
      problems.append(JobProblem(line: mark.line, column: mark.column + before.count, message))
    case .singleQuoted, .doubleQuoted:
      problems.append(JobProblem(line: mark.line, column: mark.column + before.count + 1, message))
    default: fail(node, message)
    }
  }

  /// What a node is, for messages.
  static func describe(_ node: Node) -> String {
    switch node {
    case .scalar(let scalar):
      if isNull(node) { return "nothing" }
      let text = scalar.string.count > 40 ? scalar.string.prefix(40) + "…" : scalar.string[...]
      return "\"\(text)\""
    case .mapping: return "a mapping"
    case .sequence: return "a list"
    case .alias: return "an alias"
    }
  }

  static func isNull(_ node: Node) -> Bool {
    guard let scalar = node.scalar, scalar.style == .plain else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
  }

  // MARK: Values

  /// The entries of a mapping by key; unknown keys are problems. nil when it is no mapping.
  mutating func mapping(_ node: Node, _ path: String, keys: [String]) -> [String: Node]? {
    guard let mapping = node.mapping else {
      let shown = path.isEmpty ? "the file" : path
      fail(
        node,
        "\(shown): found \(Self.describe(node)), expected a mapping with the keys \(keys.joined(separator: ", "))"
      )
      return nil
    }
    var entries: [String: Node] = [:]
    for (key, value) in mapping {
      guard let name = key.scalar?.string else {
        fail(key, "found \(Self.describe(key)) as a key, expected a name")
        continue
      }
      guard keys.contains(name) else {
        let place = path.isEmpty ? "" : " in \(path)"
        let hint =
          NearestName.find(name, among: keys).map { "did you mean \($0)?" }
          ?? "known keys: \(keys.joined(separator: ", "))"
        fail(key, "unknown key \"\(name)\"\(place); \(hint)")
        continue
      }
      entries[name] = value
    }
    return entries
  }

  mutating func text(_ node: Node?, _ path: String, expected: String) -> String? {
    guard let node else { return nil }
    guard let scalar = node.scalar, !Self.isNull(node) else {
      fail(node, "\(path): found \(Self.describe(node)), expected \(expected)")
      return nil
    }
    // Readers of YAML disagree whether these are words; the file has to say it.
    guard scalar.style != .plain || !Self.booleans.contains(scalar.string.lowercased()) else {
      fail(
        node,
        "\(path): found \(scalar.string), which is true or false in YAML, expected \(expected); put it in quotes if it is meant as text"
      )
      return nil
    }
    return scalar.string
  }

  private static let booleans: Set<String> = ["true", "false", "yes", "no", "on", "off"]

  /// Reports every value but the plain word `only`.
  mutating func expect(_ only: String, _ node: Node?, _ path: String) {
    guard let node, Self.plain(node) != only else { return }
    fail(node, "\(path): found \(Self.describe(node)), expected \(only)\(Self.quoteHint(node))")
  }

  private static func plain(_ node: Node) -> String? {
    guard let scalar = node.scalar, scalar.style == .plain else { return nil }
    return scalar.string
  }

  /// What to do about a number or boolean in quotes: messages show both alike.
  private static func quoteHint(_ node: Node) -> String {
    guard let scalar = node.scalar, scalar.style != .plain,
      Double(scalar.string) != nil || booleans.contains(scalar.string.lowercased())
    else { return "" }
    return "; remove the quotes"
  }

  /// A whole number in decimal. `010` is none: YAML 1.1 reads it as eight, YAML 1.2 as ten.
  private static func wholeNumber(_ text: String) -> Int? {
    guard text.wholeMatch(of: /[-+]?(0|[1-9][0-9_]*)/) != nil else { return nil }
    return Int(text.replacing("_", with: ""))
  }

  mutating func integer(_ node: Node?, _ path: String, in range: ClosedRange<Int>) -> Int? {
    guard let node else { return nil }
    guard let value = Self.plain(node).flatMap(Self.wholeNumber),
      range.contains(value)
    else {
      let bounds =
        range.upperBound == .max
        ? "of \(range.lowerBound) or more" : "from \(range.lowerBound) to \(range.upperBound)"
      fail(
        node,
        "\(path): found \(Self.describe(node)), expected a whole number \(bounds)\(Self.quoteHint(node))"
      )
      return nil
    }
    return value
  }

  mutating func number(
    _ node: Node?, _ path: String, expected: String, where isGood: (Double) -> Bool
  ) -> Double? {
    guard let node else { return nil }
    guard let value = Self.plain(node).flatMap(Double.init), value.isFinite, isGood(value) else {
      fail(
        node,
        "\(path): found \(Self.describe(node)), expected \(expected)\(Self.quoteHint(node))")
      return nil
    }
    return value
  }

  /// The plain word true or false.
  mutating func boolean(_ node: Node?, _ path: String) -> Bool? {
    guard let node else { return nil }
    guard let text = Self.plain(node), let value = Bool(text) else {
      fail(
        node,
        "\(path): found \(Self.describe(node)), expected true or false\(Self.quoteHint(node))")
      return nil
    }
    return value
  }

  mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ node: Node?, _ path: String, _ type: Choice.Type = Choice.self
  ) -> Choice? {
    guard let node else { return nil }
    if let value = node.scalar.flatMap({ Choice(rawValue: $0.string) }) { return value }
    let names = Choice.allCases.map(\.rawValue)
    let hint =
      node.scalar.flatMap { NearestName.find($0.string, among: names) }
      .map { "; did you mean \($0)?" } ?? ""
    fail(
      node,
      "\(path): found \(Self.describe(node)), expected \(names.count == 1 ? names[0] : "one of \(names.joined(separator: ", "))")\(hint)"
    )
    return nil
  }

  mutating func list(
    _ node: Node?, _ path: String, expected: String, atMost limit: Int
  ) -> [Node]? {
    guard let node else { return nil }
    guard let sequence = node.sequence else {
      fail(node, "\(path): found \(Self.describe(node)), expected a list of \(expected)")
      return nil
    }
    guard sequence.count <= limit else {
      fail(node, "\(path): found \(sequence.count) values, expected at most \(limit)")
      return nil
    }
    return Array(sequence)
  }
}
