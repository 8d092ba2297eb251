import Foundation

/// The table for people: one line per row, never wrapped, never wider than the terminal.
extension Table {
  private static let gap = 2
  /// Text narrower than this is hardly worth its column; another column leaves first.
  private static let comfortableText = 20
  private static let narrowText = 12
  private static let leastText = 4

  func text(environment: TerminalEnvironment, now: Date, timeZone: TimeZone) -> String {
    let color = environment.outputColor
    let unicode = environment.unicode
    let limit = environment.fitsWidth ? environment.width : Int.max
    guard !rows.isEmpty, !columns.isEmpty else {
      let message = emptyMessage.sanitized.truncated(to: limit, unicode: unicode)
      return Role.dim.paint(message, color: color) + "\n"
    }

    let shown = rows.map { row in
      row.map { $0.display(now: now, timeZone: timeZone, unicode: unicode) }
    }
    let layout = fit(shown, limit: limit)
    let gap = String(repeating: " ", count: Self.gap)
    let ruleMark = unicode ? "─" : "-"
    var lines: [String] = []

    func line(_ parts: [(text: String, width: Int, alignment: Alignment, role: Role)]) {
      var result = ""
      for (index, part) in parts.enumerated() {
        let isLast = index == parts.count - 1
        let blanks = String(repeating: " ", count: max(part.width - part.text.displayWidth, 0))
        let painted = part.role.paint(part.text, color: color)
        switch part.alignment {
        case .right: result += blanks + painted
        case .left: result += painted + (isLast ? "" : blanks)
        }
        if !isLast { result += gap }
      }
      while result.last == " " { result.removeLast() }
      lines.append(result)
    }

    line(
      layout.map {
        (
          columns[$0.index].title.sanitized.truncated(to: $0.width, unicode: unicode), $0.width,
          $0.alignment, .strong
        )
      })
    line(layout.map { (String(repeating: ruleMark, count: $0.width), $0.width, .left, .dim) })
    for (row, texts) in zip(rows, shown) {
      line(
        layout.map { place in
          let cell = row[place.index]
          var text = texts[place.index]
          if text.displayWidth > place.width {
            // Part of a number would be another number.
            text = cell.isText ? text.truncated(to: place.width, unicode: unicode) : "…"
            if !unicode, !cell.isText { text = "~" }
          }
          let role = cell.value == .null ? .dim : cell.role ?? columns[place.index].role
          return (text, place.width, place.alignment, role)
        })
    }

    let hidden = columns.indices.filter { index in !layout.contains { $0.index == index } }
    if !hidden.isEmpty {
      let names = hidden.map { columns[$0].title.sanitized }.joined(separator: ", ")
      let note = "\(unicode ? "…" : "...") not shown for want of width: \(names)"
      lines.append(Role.dim.paint(note.truncated(to: limit, unicode: unicode), color: color))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private struct Place {
    var index: Int
    var width: Int
    var alignment: Alignment
    var isText: Bool

    func width(textAtMost limit: Int) -> Int { isText ? min(width, limit) : width }
  }

  /// Which columns are shown and how wide: low priorities leave first, then text is cut.
  private func fit(_ shown: [[String]], limit: Int) -> [Place] {
    var places = columns.indices.map { index in
      let isText = rows.contains { $0[index].isText }
      var width = columns[index].title.displayWidth
      for row in shown { width = max(width, row[index].displayWidth) }
      if isText, let maximum = columns[index].maximumWidth {
        width = min(width, max(maximum, columns[index].title.displayWidth))
      }
      let natural = rows.lazy.compactMap { $0[index].naturalAlignment }.first
      return Place(
        index: index, width: width, alignment: columns[index].alignment ?? natural ?? .left,
        isText: isText)
    }
    guard limit < Int.max else { return places }

    func comfortable(_ place: Place) -> Int {
      place.width(textAtMost: columns[place.index].comfortableWidth ?? Self.comfortableText)
    }
    func total(_ width: (Place) -> Int) -> Int {
      places.reduce(0) { $0 + width($1) } + Self.gap * max(places.count - 1, 0)
    }
    var dropped: [Place] = []
    while total(comfortable) > limit {
      let candidates = places.indices.filter { columns[places[$0].index].priority < .essential }
      // The least important one; of several, the one furthest to the right.
      guard
        let victim = candidates.min(by: {
          let (left, right) = (
            columns[places[$0].index].priority, columns[places[$1].index].priority
          )
          return left == right ? $0 > $1 : left < right
        })
      else { break }
      dropped.append(places.remove(at: victim))
    }
    // What left for a wide column may fit again now that this one is gone.
    dropped.sort {
      let (left, right) = (columns[$0.index].priority, columns[$1.index].priority)
      return left == right ? $0.index < $1.index : left > right
    }
    for place in dropped {
      let addition = Self.gap + place.width(textAtMost: Self.narrowText)
      guard total(comfortable) + addition <= limit else {
        continue
      }
      places.insert(place, at: places.firstIndex { $0.index > place.index } ?? places.endIndex)
    }
    // Take from the widest text, one column at a time, so that narrow text stays whole.
    while total(\.width) > limit {
      let candidates = places.indices.filter {
        places[$0].isText && places[$0].width > Self.leastText
      }
      guard let widest = candidates.max(by: { places[$0].width < places[$1].width }) else { break }
      places[widest].width -= 1
    }
    // Not even the essential columns fit.
    while total(\.width) > limit, places.count > 1 { places.removeLast() }
    if total(\.width) > limit { places[0].width = max(limit, 1) }
    return places
  }
}
