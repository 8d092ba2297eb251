/// Finds what a misspelt word was probably meant to be.
package enum NearestName {
  /// The candidate that differs least, when it differs little; case, `-` and `_` do not count.
  package static func find(_ word: String, among candidates: some Sequence<String>) -> String? {
    let plain = simplified(word)
    var best: (name: String, distance: Int)?
    for candidate in candidates {
      let other = simplified(candidate)
      guard abs(other.count - plain.count) <= 3 else { continue }
      let distance = distance(plain, other)
      if distance <= max(1, min(plain.count, other.count) / 3), distance < best?.distance ?? .max {
        best = (candidate, distance)
      }
    }
    return best?.name
  }

  private static func simplified(_ word: String) -> [Character] {
    Array(word.lowercased().prefix(64).filter { $0 != "_" && $0 != "-" && $0 != " " })
  }

  /// Insertions, deletions, replacements and swaps of neighbours.
  static func distance(_ left: [Character], _ right: [Character]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for i in 0..<left.count {
      var row = [i + 1]
      for j in 0..<right.count {
        var cost = min(last[j] + (left[i] == right[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
          cost = min(cost, beforeLast[j - 1] + 1)
        }
        row.append(cost)
      }
      beforeLast = last
      last = row
    }
    return last[right.count]
  }
}
