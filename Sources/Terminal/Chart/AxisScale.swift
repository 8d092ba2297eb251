import Foundation

/// A vertical axis: the range that is drawn and round numbers on it.
struct AxisScale: Equatable {
  var lower: Double
  var upper: Double
  /// Ascending, inside the range.
  var ticks: [Double]
  var labels: [String]

  /// Covers the finite `values` with a small margin. A constant series gets a band around it;
  /// no finite value at all gives 0 to 1.
  init(covering values: some Sequence<Double>, tickCount: Int) {
    var low = Double.infinity
    var high = -Double.infinity
    for value in values where value.isFinite {
      low = min(low, value)
      high = max(high, value)
    }
    if low > high { (low, high) = (0, 1) }
    // Halved before subtracting: the difference of two extreme values may overflow.
    let half = high / 2 - low / 2
    let magnitude = max(abs(low), abs(high))
    if half <= magnitude * 1e-12 {
      let margin = magnitude == 0 ? 1 : magnitude * 0.05
      (low, high) = (low - margin, high + margin)
    } else {
      let margin = half * 0.06
      let touchesZero = low >= 0 && low - margin < 0
      (low, high) = (touchesZero ? 0 : low - margin, high + margin)
    }
    if !low.isFinite { low = -.greatestFiniteMagnitude / 4 }
    if !high.isFinite { high = .greatestFiniteMagnitude / 4 }
    lower = low
    upper = high

    let step = Self.niceStep((high / 2 - low / 2) / Double(max(tickCount, 2)) * 2)
    var ticks: [Double] = []
    let first = (low / step).rounded(.up)
    let last = (high / step).rounded(.down)
    if step > 0, first.isFinite, last >= first, last - first < 100 {
      for index in 0...Int(last - first) { ticks.append((first + Double(index)) * step) }
    }
    self.ticks = ticks
    labels = Self.labels(ticks, step: step)
  }

  /// The smallest of 1, 2, 2.5, 5 times a power of ten that is at least `raw`.
  static func niceStep(_ raw: Double) -> Double {
    guard raw.isFinite, raw > 0 else { return 1 }
    let power = pow(10, log10(raw).rounded(.down))
    guard power > 0, power.isFinite else { return raw }
    for factor in [1, 2, 2.5, 5, 10] where factor * power >= raw * (1 - 1e-9) {
      return factor * power
    }
    return 10 * power
  }

  /// Labels with the same decimals and the same suffix, so that they compare at a glance.
  static func labels(_ ticks: [Double], step: Double) -> [String] {
    let largest = ticks.map(abs).max() ?? 0
    guard largest > 0 else { return ticks.map { _ in "0" } }
    var divisor = 1.0
    var suffix = ""
    if largest < 1e-4 || largest >= 1e15 {
      return ticks.map { tick in
        if abs(tick) < step / 2 { return "0" }
        // Enough digits to tell neighbours apart.
        let digits = min(max(Int(log10(abs(tick) / step).rounded(.up)), 0) + 1, 8)
        let text = String(format: "%.\(digits)e", tick)
        return Self.shortened(text)
      }
    }
    if step >= 1, largest >= 1e5 {
      for (limit, name) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
      where largest >= limit {
        // A suffix only where it does not force more digits than it saves.
        if decimals(step / limit) <= 3 { (divisor, suffix) = (limit, name) }
        break
      }
      if divisor == 1, largest >= 1e6, step >= 1e3 { (divisor, suffix) = (1e3, "k") }
    }
    let digits = decimals(step / divisor)
    return ticks.map { tick in
      let text = HumanFormat.fixed(tick / divisor, digits: digits)
      return abs(tick) < step / 2 ? HumanFormat.fixed(0, digits: digits) : text + suffix
    }
  }

  /// Decimals that write a multiple of `step` exactly; `step` is a nice number.
  private static func decimals(_ step: Double) -> Int {
    for digits in 0...12 {
      let scaled = step * pow(10, Double(digits))
      if abs(scaled - scaled.rounded()) < 1e-6 * scaled, scaled.rounded() >= 1 { return digits }
    }
    return 12
  }

  /// `2.50e-07` to `2.5e-7`.
  private static func shortened(_ text: String) -> String {
    let parts = text.split(separator: "e")
    guard parts.count == 2, let exponent = Int(parts[1]) else { return text }
    var mantissa = String(parts[0])
    if mantissa.contains(".") {
      while mantissa.last == "0" { mantissa.removeLast() }
      if mantissa.last == "." { mantissa.removeLast() }
    }
    return "\(mantissa)e\(exponent)"
  }
}
