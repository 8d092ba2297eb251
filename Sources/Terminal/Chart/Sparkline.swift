/// A series as a few characters in one line: `▁▂▃▅▇`.
package enum Sparkline {
  /// At most `width` characters; longer series are averaged in equal parts. NaN leaves a blank,
  /// a constant series lies in the middle.
  package static func render(_ values: [Double], width: Int, unicode: Bool) -> String {
    guard width > 0, !values.isEmpty else { return "" }
    let marks: [Character] = unicode ? Array("▁▂▃▄▅▆▇█") : Array("_.-=+*#")
    let count = min(width, values.count)
    let means: [Double] = (0..<count).map { part in
      let range = (part * values.count / count)..<((part + 1) * values.count / count)
      let finite = values[range].filter(\.isFinite)
      return finite.isEmpty ? .nan : finite.reduce(0) { $0 + $1 / Double(finite.count) }
    }
    let finite = means.filter(\.isFinite)
    guard let low = finite.min(), let high = finite.max() else {
      return String(repeating: " ", count: count)
    }
    let range = high / 2 - low / 2
    return String(
      means.map { value -> Character in
        guard value.isFinite else { return " " }
        guard range > 0 else { return marks[marks.count / 2] }
        let position = (value / 2 - low / 2) / range
        return marks[min(Int(position * Double(marks.count)), marks.count - 1)]
      })
  }
}
