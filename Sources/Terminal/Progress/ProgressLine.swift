/// What a progress display knows at one moment; `render` turns it into one line.
package struct ProgressLine: Sendable, Equatable {
  /// How counts and rates are written.
  package enum Unit: Sendable, Hashable { case count, bytes }

  package var label: String
  package var completed: Int64 = 0
  /// Nil or not positive: unknown, shown by a spinner.
  package var total: Int64?
  package var unit: Unit = .count
  package var detail: String = ""
  /// Since the stage began.
  package var elapsed: Double = 0
  /// Grows by one per drawing; moves the spinner.
  package var frame: Int = 0

  package init(
    label: String, completed: Int64 = 0, total: Int64? = nil, unit: Unit = .count,
    detail: String = "", elapsed: Double = 0, frame: Int = 0
  ) {
    self.label = label
    self.completed = completed
    self.total = total
    self.unit = unit
    self.detail = detail
    self.elapsed = elapsed
    self.frame = frame
  }

  /// Between 0 and 1, or nil where the total is unknown.
  package var fraction: Double? {
    guard let total, total > 0 else { return nil }
    return min(max(Double(completed) / Double(total), 0), 1)
  }

  /// `fit  ━━━━━━━━╸───────  42 %  420/1000  118/s  5 s left  loss 0.123`
  ///
  /// At most `width` columns: rate, then detail, then counts, then the bar give way.
  package func render(width: Int, color: Bool, unicode: Bool) -> String {
    let label = Role.strong
    let name = self.label.sanitized
    let note = detail.sanitized
    // From most to least important; each is kept only if the line still fits.
    var tail: [(text: String, rank: Int)] = []
    if let fraction {
      let percent = "\(Int((fraction * 100).rounded(.down))) %"
      tail.append((String(repeating: " ", count: max(5 - percent.count, 0)) + percent, 0))
      tail.append((amount, 3))
      if let rate { tail.append((rate, 5)) }
      if let remaining { tail.append((remaining, 1)) }
    } else {
      if completed > 0 { tail.append((amount, 1)) }
      if let rate { tail.append((rate, 5)) }
      if elapsed >= 1 {
        tail.append((Self.whole(elapsed.rounded(.down)), 3))
      }
    }
    if !note.isEmpty { tail.append((note, 2)) }

    let leastBar = fraction == nil ? 1 : 8
    func needed() -> Int {
      name.displayWidth + 2 + leastBar + tail.reduce(0) { $0 + 2 + $1.text.displayWidth }
    }
    while needed() > width, let last = tail.indices.max(by: { tail[$0].rank < tail[$1].rank }) {
      tail.remove(at: last)
    }
    guard needed() <= width else {
      return label.paint(name.truncated(to: width, unicode: unicode), color: color)
    }
    var parts = [label.paint(name, color: color)]
    if let fraction {
      // Of one length as long as there is room, so that it does not twitch with the numbers.
      let room = leastBar + width - needed()
      let size = min(room, max(leastBar, min(width / 4, 30)))
      parts.append(bar(fraction, width: size, color: color, unicode: unicode))
    } else {
      let frames: [Character] = unicode ? Array("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏") : Array("|/-\\")
      parts.append(Role.accent.paint(String(frames[frame % frames.count]), color: color))
    }
    for part in tail {
      let isQuiet = part.rank == 1 || part.rank == 3 || part.rank == 5
      parts.append(isQuiet ? Role.dim.paint(part.text, color: color) : part.text)
    }
    return parts.joined(separator: "  ")
  }

  /// A line for a log: `fit 42 % (420/1000), loss 0.123`.
  package func plain() -> String {
    var text = label.sanitized
    if let fraction {
      text += " \(Int((fraction * 100).rounded(.down))) % (\(amount))"
    } else if completed > 0 {
      text += " \(amount)"
    }
    return detail.isEmpty ? text : text + ", " + detail.sanitized
  }

  private func written(_ count: Int64) -> String {
    unit == .bytes ? HumanFormat.bytes(count) : HumanFormat.grouped(count)
  }

  private var amount: String {
    guard let total, total > 0 else { return written(completed) }
    return "\(written(completed))/\(written(total))"
  }

  private var perSecond: Double? {
    guard elapsed >= 0.5, completed > 0 else { return nil }
    return Double(completed) / elapsed
  }

  private var rate: String? {
    guard let perSecond else { return nil }
    return unit == .bytes
      ? HumanFormat.bytes(Int64(perSecond)) + "/s" : HumanFormat.compact(perSecond) + "/s"
  }

  private var remaining: String? {
    guard let perSecond, let total, completed < total else { return nil }
    let seconds = (Double(total - completed) / perSecond).rounded(.up)
    return Self.whole(seconds) + " left"
  }

  /// Whole seconds: decimals that change ten times a second are noise.
  private static func whole(_ seconds: Double) -> String {
    seconds < 60 ? "\(Int(seconds)) s" : HumanFormat.duration(seconds)
  }

  private func bar(_ fraction: Double, width: Int, color: Bool, unicode: Bool) -> String {
    guard unicode else {
      let filled = Int((fraction * Double(width - 2)).rounded(.down))
      let head = fraction < 1 && width - 2 > filled ? ">" : ""
      let body = String(repeating: "=", count: filled) + head
      return "[" + body + String(repeating: " ", count: width - 2 - body.count) + "]"
    }
    let halves = Int((fraction * Double(width * 2)).rounded(.down))
    let full = String(repeating: "━", count: halves / 2) + (halves % 2 == 1 ? "╸" : "")
    let rest = String(repeating: "─", count: width - halves / 2 - halves % 2)
    return (fraction < 1 ? Role.accent : Role.ok).paint(full, color: color)
      + Role.dim.paint(rest, color: color)
  }
}
