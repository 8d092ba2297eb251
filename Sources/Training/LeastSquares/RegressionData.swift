// Names: shape letters N, D, H.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

package import NumericsCore

/// Rows of features with the targets of all steps ahead, and how they are divided for cross-validation.
///
/// Features are kept as they come, in single precision: what is computed of them is double. Rows are in the
/// order of the panel, so that neighbours belong together.
package final class RegressionData: Sendable {
  /// Rows `N`, features `D`, steps ahead `H`.
  package let rows: Int
  package let width: Int
  package let steps: Int
  /// `[N, D]`.
  package let features: Buffer<Float>
  /// `[N, H]`, NaN where missing.
  package let targets: Buffer<Float>
  /// For each row the series it is of and where in it.
  package let places: [Place]

  package struct Place: Sendable {
    package let series: Int
    package let position: Int

    package init(series: Int, position: Int) {
      self.series = series
      self.position = position
    }
  }

  package init(places: [Place], width: Int, steps: Int) {
    self.places = places
    rows = places.count
    self.width = width
    self.steps = steps
    features = Buffer(rows * width)
    targets = Buffer(rows * steps)
  }

  /// Steps ahead whose targets are observed in the same rows: one set of normal equations serves them all.
  struct Group: Sendable {
    let steps: [Int]
    /// Rows with a missing target elsewhere, in which these are observed.
    let partial: [Int32]
  }

  /// Rows of which every target is observed, and the groups of steps.
  func groups() -> (complete: [Bool], groups: [Group]) {
    let (N, H) = (rows, steps)
    let targets = targets.base
    var complete = [Bool](repeating: true, count: N)
    for row in 0..<N {
      complete[row] = !(0..<H).contains { targets[row * H + $0].isNaN }
    }
    let others = (0..<N).filter { !complete[$0] }
    var groups: [Group] = []
    for h in 0..<H {
      let partial = others.filter { !targets[$0 * H + h].isNaN }.map { Int32($0) }
      if let same = groups.firstIndex(where: { $0.partial == partial }) {
        groups[same] = Group(steps: groups[same].steps + [h], partial: partial)
      } else {
        groups.append(Group(steps: [h], partial: partial))
      }
    }
    return (complete, groups)
  }
}

/// A division of rows into contiguous parts, each of which is predicted from the others.
///
/// Parts end between series where there are enough of them; where a series is cut, rows of it whose targets
/// overlap those of the part next door are left out of what it is predicted from (purged; López de Prado 2018,
/// chapter 7).
struct Folds: Sendable {
  /// The part of each row.
  let parts: [UInt8]
  let count: Int
  /// For each part the rows outside of it that know its targets.
  let purged: [[Int32]]

  /// - Parameter reach: steps between rows from which on their targets have nothing in common.
  init(_ places: [RegressionData.Place], count wanted: Int, reach: Int) {
    let N = places.count
    let count = max(1, min(wanted, N))
    var parts = [UInt8](repeating: 0, count: N)
    let series = Set(places.map(\.series)).count
    if series >= 2 * count {
      var start = 0
      while start < N {
        var end = start
        while end < N, places[end].series == places[start].series { end += 1 }
        // By the middle of the series, so that long ones do not skew the parts.
        let part = UInt8(min(count - 1, (start + end) / 2 * count / N))
        for row in start..<end { parts[row] = part }
        start = end
      }
    } else {
      for row in 0..<N { parts[row] = UInt8(row * count / N) }
    }
    var purged = [[Int32]](repeating: [], count: count)
    for edge in 1..<max(N, 1) where parts[edge] != parts[edge - 1] {
      let series = places[edge].series
      guard places[edge - 1].series == series else { continue }
      var row = edge
      while row < N, places[row].series == series,
        places[row].position - places[edge - 1].position < reach
      {
        if parts[row] != parts[edge - 1] { purged[Int(parts[edge - 1])].append(Int32(row)) }
        row += 1
      }
      row = edge - 1
      while row >= 0, places[row].series == series,
        places[edge].position - places[row].position < reach
      {
        if parts[row] != parts[edge] { purged[Int(parts[edge])].append(Int32(row)) }
        row -= 1
      }
    }
    self.parts = parts
    self.count = count
    self.purged = purged.map { Array(Set($0)).sorted() }
  }
}
