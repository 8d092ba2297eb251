/// One rendering of a `ForecastChart`: where things are, and the lines that result.
struct ChartDrawing {
  private let chart: ForecastChart
  private let width: Int
  private let height: Int
  private let color: Bool
  private let unicode: Bool
  private let braille: Bool

  private let history: ArraySlice<Double>
  private let horizon: Int
  private let axis: AxisScale
  /// Columns of the vertical labels; 0 where there is no room for them.
  private let labelWidth: Int
  private let plotWidth: Int

  init(
    chart: ForecastChart, width: Int, height: Int, color: Bool, unicode: Bool, braille: Bool
  ) {
    self.chart = chart
    self.width = width
    self.height = height
    self.color = color
    self.unicode = unicode
    self.braille = braille && unicode
    horizon = max(chart.forecast.count, chart.actuals.count)
    history = chart.history.suffix(max(chart.historyLimit ?? max(4 * horizon, 48), 0))
    axis = AxisScale(
      covering: Array(history) + chart.forecast + chart.lower + chart.upper + chart.actuals,
      tickCount: max(2, min(7, height / 2)))
    let widest = axis.labels.map(\.displayWidth).max() ?? 0
    labelWidth = width >= widest + 2 + 12 ? widest : 0
    plotWidth = max(width - (labelWidth > 0 ? labelWidth + 2 : 1), 1)
  }

  private var pointCount: Int { history.count + horizon }

  func lines() -> [String] {
    var result: [String] = []
    if let header { result.append(header) }
    guard width >= 8, pointCount > 0 else {
      let text =
        pointCount == 0
        ? "no values"
        : Sparkline.render(
          Array(history) + chart.forecast, width: width, unicode: unicode)
      return result + [text.truncated(to: width, unicode: unicode)]
    }
    let canvas = draw()
    let marks = actualMarks(canvas)
    let ticks = tickRows(canvas)
    let origin = originColumn(canvas)
    for row in 0..<height {
      result.append(plotLine(row, canvas: canvas, marks: marks, tick: ticks[row], origin: origin))
    }
    result += horizontalAxis(canvas, origin: origin)
    return result + legend()
  }

  // MARK: Places

  private func dotX(_ point: Int, _ canvas: DotCanvas) -> Int {
    guard pointCount > 1 else { return canvas.dotColumns / 2 }
    return Int(
      (Double(point) * Double(canvas.dotColumns - 1) / Double(pointCount - 1)).rounded())
  }

  private func dotY(_ value: Double, _ canvas: DotCanvas) -> Int {
    let position = (axis.upper / 2 - value / 2) / (axis.upper / 2 - axis.lower / 2)
    return Int((min(max(position, 0), 1) * Double(canvas.dotRows - 1)).rounded())
  }

  private func cellColumn(_ point: Int, _ canvas: DotCanvas) -> Int {
    dotX(point, canvas) / (braille ? 2 : 1)
  }

  private func cellRow(_ value: Double, _ canvas: DotCanvas) -> Int {
    dotY(value, canvas) / (braille ? 4 : 3)
  }

  /// The column of the last observation, where there is something on both sides of it.
  private func originColumn(_ canvas: DotCanvas) -> Int? {
    history.isEmpty || horizon == 0 ? nil : cellColumn(history.count - 1, canvas)
  }

  private func tickRows(_ canvas: DotCanvas) -> [Int: String] {
    var rows: [Int: String] = [:]
    for (tick, label) in zip(axis.ticks, axis.labels) { rows[cellRow(tick, canvas)] = label }
    return rows
  }

  /// Actuals are marks, not a line: they stay visible on top of the forecast without colour.
  private func actualMarks(_ canvas: DotCanvas) -> Set<Int> {
    var marks: Set<Int> = []
    for (step, value) in chart.actuals.enumerated() where value.isFinite {
      let column = cellColumn(history.count + step, canvas)
      marks.insert(cellRow(value, canvas) * canvas.columns + column)
    }
    return marks
  }

  // MARK: Drawing

  private func draw() -> DotCanvas {
    var canvas = DotCanvas(columns: plotWidth, rows: height, braille: braille)
    let start = history.count
    let last = history.last.flatMap { $0.isFinite ? $0 : nil }
    if chart.lower.count == chart.upper.count {
      var bounds = zip(chart.lower, chart.upper).enumerated().map { step, bound in
        (point: start + step, low: bound.0, high: bound.1)
      }
      if let last, !bounds.isEmpty { bounds.insert((start - 1, last, last), at: 0) }
      fill(bounds, &canvas)
    }
    trace(history.enumerated().map { ($0.offset, $0.element) }, .history, &canvas)
    var path = chart.forecast.enumerated().map { (start + $0.offset, $0.element) }
    if let last, !path.isEmpty { path.insert((start - 1, last), at: 0) }
    trace(path, .forecast, &canvas)
    return canvas
  }

  private func trace(
    _ points: [(Int, Double)], _ layer: DotCanvas.Layer, _ canvas: inout DotCanvas
  ) {
    var previous: (x: Int, y: Int)?
    for (point, value) in points {
      guard value.isFinite else {
        previous = nil
        continue
      }
      let place = (x: dotX(point, canvas), y: dotY(value, canvas))
      if let previous {
        canvas.line(from: previous, to: place, layer)
      } else {
        canvas.set(place.x, place.y, layer)
      }
      previous = place
    }
  }

  /// Shades between the bounds with every second dot, so that lines stand out from it.
  private func fill(
    _ bounds: [(point: Int, low: Double, high: Double)], _ canvas: inout DotCanvas
  ) {
    func column(_ x: Int, _ low: Double, _ high: Double) {
      let (top, bottom) = (dotY(max(low, high), canvas), dotY(min(low, high), canvas))
      guard braille else {
        for y in top...bottom { canvas.set(x, y, .interval) }
        return
      }
      for y in top...bottom where (x + y) % 2 == 0 { canvas.set(x, y, .interval) }
    }
    var previous: (point: Int, low: Double, high: Double)?
    for bound in bounds {
      guard bound.low.isFinite, bound.high.isFinite else {
        previous = nil
        continue
      }
      let x = dotX(bound.point, canvas)
      if let previous {
        let before = dotX(previous.point, canvas)
        for between in stride(from: before + 1, through: x, by: 1) {
          let share = Double(between - before) / Double(x - before)
          column(
            between, previous.low * (1 - share) + bound.low * share,
            previous.high * (1 - share) + bound.high * share)
        }
      } else {
        column(x, bound.low, bound.high)
      }
      previous = bound
    }
  }

  // MARK: Lines

  private var header: String? {
    let title = chart.title.sanitized.truncated(to: width, unicode: unicode)
    let subtitle = chart.subtitle.sanitized
    guard !title.isEmpty || !subtitle.isEmpty else { return nil }
    let room = width - title.displayWidth - 2
    guard !subtitle.isEmpty, room >= subtitle.displayWidth else {
      return Role.strong.paint(title, color: color)
    }
    let blanks = String(repeating: " ", count: room - subtitle.displayWidth + 2)
    return Role.strong.paint(title, color: color) + blanks
      + Role.dim.paint(subtitle, color: color)
  }

  private func plotLine(
    _ row: Int, canvas: DotCanvas, marks: Set<Int>, tick: String?, origin: Int?
  ) -> String {
    var line = ""
    if labelWidth > 0 {
      let label = tick ?? ""
      line += String(repeating: " ", count: labelWidth - label.displayWidth)
      line += Role.dim.paint(label + " ", color: color)
    }
    let edge = unicode ? (tick == nil ? "│" : "┤") : (tick == nil ? "|" : "+")
    line += Role.dim.paint(edge, color: color)

    // Neighbours of one colour share one escape sequence.
    var run = ""
    var runRole = Role.plain
    func flush() {
      line += runRole.paint(run, color: color)
      run = ""
    }
    for column in 0..<plotWidth {
      let role: Role
      let character: Character
      if marks.contains(row * canvas.columns + column) {
        (character, role) = (unicode ? "●" : "o", .actual)
      } else if let glyph = canvas.glyph(column: column, row: row) {
        character = glyph.character
        switch glyph.layer {
        case .interval: role = .interval
        case .history: role = .history
        case .forecast: role = .forecast
        }
      } else if column == origin {
        (character, role) = (unicode ? "┊" : ":", .dim)
      } else {
        (character, role) = (" ", .plain)
      }
      if role != runRole {
        flush()
        runRole = role
      }
      run.append(character)
    }
    if runRole == .plain { while run.last == " " { run.removeLast() } }
    flush()
    return line
  }

  private func label(_ point: Int) -> String {
    let first = chart.history.count - history.count
    if chart.labels.indices.contains(first + point) {
      return chart.labels[first + point].sanitized
    }
    let step = point - history.count + 1
    return step > 0 ? "+\(step)" : "\(step)"
  }

  /// The axis with ticks and the labels under it: origin and ends first, then evenly between.
  private func horizontalAxis(_ canvas: DotCanvas, origin: Int?) -> [String] {
    let margin = labelWidth > 0 ? labelWidth + 1 : 0
    var taken = Array(repeating: false, count: plotWidth + 1)
    var characters = Array(repeating: Character(" "), count: plotWidth + 1)
    var ticks: Set<Int> = []

    func place(_ point: Int) {
      let text = label(point)
      let size = text.displayWidth
      // Wide characters would need two places each; labels with them are left out.
      guard size > 0, size == text.count, size <= plotWidth + 1 else { return }
      let column = cellColumn(point, canvas) + 1
      let start = min(max(column - size / 2, 0), plotWidth + 1 - size)
      let reach = max(start - 2, 0)..<min(start + size + 2, plotWidth + 1)
      guard !reach.contains(where: { taken[$0] }) else { return }
      for (offset, character) in text.enumerated() {
        characters[start + offset] = character
        taken[start + offset] = true
      }
      ticks.insert(column)
    }

    let last = pointCount - 1
    let anchor = max(history.count - 1, 0)
    if !history.isEmpty { place(anchor) }
    place(last)
    let widest = [0, last / 2, last].map { label($0).displayWidth }.max() ?? 1
    let room = max(1, plotWidth / (widest + 4))
    let stride = Self.calmStride(atLeast: Double(pointCount) / Double(room))
    var distance = stride
    while distance <= max(anchor, last - anchor) {
      if anchor + distance <= last { place(anchor + distance) }
      if anchor - distance >= 0 { place(anchor - distance) }
      distance += stride
    }
    place(0)

    let (corner, bar, mark) = unicode ? ("└", "─", "┴") : ("+", "-", "+")
    var axisLine = corner
    for column in 1...plotWidth { axisLine += ticks.contains(column) ? mark : bar }
    let indent = String(repeating: " ", count: margin)
    var labelLine = String(characters)
    while labelLine.last == " " { labelLine.removeLast() }
    return [
      indent + Role.dim.paint(axisLine, color: color),
      indent + Role.dim.paint(labelLine, color: color),
    ]
  }

  /// Label distances that calendars like: months of a year, days of a week, hours of a day.
  private static func calmStride(atLeast distance: Double) -> Int {
    let strides = [
      1, 2, 3, 4, 6, 7, 12, 14, 24, 28, 36, 48, 60, 72, 84, 96, 120, 144, 168, 192, 240, 336, 365,
      480, 500, 672, 730, 1000,
    ]
    if let stride = strides.first(where: { Double($0) >= distance }) { return stride }
    return Int((distance / 1000).rounded(.up)) * 1000
  }

  private func legend() -> [String] {
    var entries: [(glyph: String, role: Role, name: String)] = []
    let hasHistory = history.contains(where: \.isFinite)
    let hasForecast = chart.forecast.contains(where: \.isFinite)
    if braille, !color, hasHistory, hasForecast {
      // One pen for both: the line at the origin tells them apart.
      entries.append(("⠤⠤", .history, "history ┊ \(chart.forecastName)"))
    } else if hasHistory {
      entries.append((braille ? "⠤⠤" : unicode ? "──" : "--", .history, "history"))
    }
    if hasForecast, color || !braille || !hasHistory {
      entries.append((braille ? "⠤⠤" : "**", .forecast, chart.forecastName))
    }
    if zip(chart.lower, chart.upper).contains(where: { $0.isFinite && $1.isFinite }) {
      entries.append((braille ? "⢕⢕" : "..", .interval, chart.intervalName))
    }
    if chart.actuals.contains(where: \.isFinite) {
      entries.append((unicode ? "●" : "o", .actual, "actual"))
    }
    let indent = labelWidth > 0 ? labelWidth + 2 : 1
    var lines: [String] = []
    var line = ""
    var used = 0
    for entry in entries {
      let name = entry.name.sanitized
      let size = entry.glyph.count + 1 + name.displayWidth
      guard indent + size <= width else { continue }
      if used > 0, indent + used + 3 + size > width {
        lines.append(line)
        (line, used) = ("", 0)
      }
      if used > 0 {
        line += "   "
        used += 3
      }
      line += entry.role.paint(entry.glyph, color: color) + " "
      line += Role.dim.paint(name, color: color)
      used += size
    }
    if used > 0 { lines.append(line) }
    return lines.map { String(repeating: " ", count: indent) + $0 }
  }
}
