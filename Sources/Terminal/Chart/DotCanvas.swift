/// A grid of dots, several to a character: 2 by 4 in braille, 1 by 3 in ASCII.
///
/// Each layer keeps its own dots, because a character has one colour only: the topmost layer
/// present in it decides.
struct DotCanvas {
  enum Layer: Int, CaseIterable { case interval, history, forecast }

  let columns: Int
  let rows: Int
  let braille: Bool
  private var masks: [[UInt8]]

  init(columns: Int, rows: Int, braille: Bool) {
    self.columns = columns
    self.rows = rows
    self.braille = braille
    masks = Array(repeating: Array(repeating: 0, count: columns * rows), count: 3)
  }

  var dotColumns: Int { columns * (braille ? 2 : 1) }
  var dotRows: Int { rows * (braille ? 4 : 3) }

  /// Sets a dot; (0, 0) is the upper left corner. Outside the canvas nothing happens.
  mutating func set(_ x: Int, _ y: Int, _ layer: Layer) {
    guard x >= 0, y >= 0, x < dotColumns, y < dotRows else { return }
    let cell: Int
    let bit: UInt8
    if braille {
      cell = y / 4 * columns + x / 2
      // Unicode numbers the dots 1 2 3 7 in the left column and 4 5 6 8 in the right one.
      let left: [UInt8] = [0x01, 0x02, 0x04, 0x40]
      let right: [UInt8] = [0x08, 0x10, 0x20, 0x80]
      bit = x % 2 == 0 ? left[y % 4] : right[y % 4]
    } else {
      cell = y / 3 * columns + x
      bit = 1 << UInt8(y % 3)
    }
    masks[layer.rawValue][cell] |= bit
  }

  /// A straight line between two dots, ends included (Bresenham).
  mutating func line(from start: (x: Int, y: Int), to end: (x: Int, y: Int), _ layer: Layer) {
    var (x, y) = start
    let (dx, dy) = (abs(end.x - x), -abs(end.y - y))
    let (sx, sy) = (x < end.x ? 1 : -1, y < end.y ? 1 : -1)
    var error = dx + dy
    while true {
      set(x, y, layer)
      if x == end.x && y == end.y { return }
      let doubled = 2 * error
      if doubled >= dy {
        error += dy
        x += sx
      }
      if doubled <= dx {
        error += dx
        y += sy
      }
    }
  }

  /// The topmost character of a cell and the layer it belongs to; nil where there is no dot.
  func glyph(column: Int, row: Int) -> (character: Character, layer: Layer)? {
    let cell = row * columns + column
    let history = masks[Layer.history.rawValue][cell]
    let forecast = masks[Layer.forecast.rawValue][cell]
    let interval = masks[Layer.interval.rawValue][cell]
    let layer: Layer
    if forecast != 0 {
      layer = .forecast
    } else if history != 0 {
      layer = .history
    } else if interval != 0 {
      layer = .interval
    } else {
      return nil
    }
    if braille {
      let mask = layer == .interval ? interval : history | forecast
      guard let scalar = Unicode.Scalar(0x2800 + UInt32(mask)) else { return nil }
      return (Character(scalar), layer)
    }
    switch layer {
    case .interval: return (".", layer)
    case .forecast: return ("*", layer)
    case .history:
      switch history {
      case 1: return ("'", layer)
      case 2: return ("-", layer)
      case 4: return ("_", layer)
      default: return ("|", layer)
      }
    }
  }
}
