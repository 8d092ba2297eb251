import Foundation

/// The privacy loss distribution of one step on a grid, rounded to the safe side.
///
/// The losses between two neighbouring grid points are moved to these two such that the masses under both P
/// and Q stay what they are. That joins the points of the curve `delta(e^epsilon)` on the grid by straight
/// lines; the curve is convex, so the lines are above it ("connect the dots", Doroshenko et al. 2022), and
/// composition keeps the order. What lies beyond the ends of the grid is moved upwards too: losses
/// below the first point to it, losses above the last in part to it, in part to infinity, again with both
/// masses kept.
package struct PrivacyLossMasses {
  /// `masses[k]` belongs to the loss `(first + k) * step`.
  package private(set) var masses: [Double]
  package private(set) var first: Int
  let step: Double
  /// Mass of an infinite loss: it counts in full for delta.
  package private(set) var infinite: Double

  /// Of `mechanism` on the losses `low * step ... high * step`; for `.add` the losses are `log(Q / P)`.
  package init(
    _ mechanism: SubsampledGaussian, direction: AdjacencyDirection, step h: Double, low: Int,
    high: Int
  ) {
    precondition(low <= high)
    let q = mechanism.samplingRate
    let shift = 1 / mechanism.noiseMultiplier
    let spread = -expm1(-h)
    // `.add` mirrors the same cells: its loss is the negative one, its P is Q.
    let (bottom, top) = direction == .remove ? (low, high) : (-high, -low)
    var masses = [Double](repeating: 0, count: high - low + 1)
    var infinite = 0.0

    var edge = Edge(
      y: mechanism.position(ofLoss: Double(bottom) * h), shift: shift)
    var loss = Double(bottom) * h
    var odds = expm1(loss) + q  // e^loss - (1 - q)
    do {  // below the grid
      let m = edge.lower0
      let g = edge.lower1
      let p = (1 - q) * m + q * g
      switch direction {
      case .remove: masses[0] += p
      case .add:
        let out = min(m, max(0, (m * odds - q * g) * exp(-loss)))
        infinite += out
        masses[masses.count - 1] += m - out
      }
    }
    for i in bottom..<max(bottom, top) {
      let nextLoss = Double(i + 1) * h
      let next = Edge(y: mechanism.position(ofLoss: nextLoss), shift: shift)
      let m = Edge.between(edge.y, edge.tail0, next.y, next.tail0)
      let g = Edge.between(edge.y - shift, edge.tail1, next.y - shift, next.tail1)
      let p = (1 - q) * m + q * g
      let k = i - bottom
      if p < 1e-290 {
        // Too little for the split: everything moves up.
        masses[direction == .remove ? k + 1 : masses.count - 1 - k] += direction == .remove ? p : m
      } else {
        // a + b = p and a e^-loss + b e^-nextLoss = m, solved for b.
        let b = min(p, max(0, (q * g - m * odds) / spread))
        let a = p - b
        switch direction {
        case .remove:
          masses[k] += a
          masses[k + 1] += b
        case .add:
          masses[masses.count - 1 - k] += a * exp(-loss)
          masses[masses.count - 2 - k] += b * exp(-nextLoss)
        }
      }
      edge = next
      loss = nextLoss
      odds = expm1(loss) + q
    }
    do {  // above the grid
      let m = edge.upper0
      let g = edge.upper1
      switch direction {
      case .remove:
        let p = (1 - q) * m + q * g
        let out = min(p, max(0, q * g - m * odds))
        infinite += out
        masses[masses.count - 1] += p - out
      case .add: masses[0] += m
      }
    }
    self.masses = masses
    self.infinite = infinite
    first = low
    step = h
  }
}

/// A cell's end, with the smaller tail of both normal distributions: differences of the smaller tails lose
/// nothing far out.
private struct Edge {
  let y: Double
  let shift: Double
  let tail0: Double
  let tail1: Double

  init(y: Double, shift: Double) {
    self.y = y
    self.shift = shift
    tail0 = Self.tail(abs(y))
    tail1 = Self.tail(abs(y - shift))
  }

  static func tail(_ y: Double) -> Double { erfc(y * 0.5.squareRoot()) / 2 }

  static func between(_ y: Double, _ tail: Double, _ next: Double, _ nextTail: Double) -> Double {
    let mass =
      y >= 0 ? tail - nextTail : next <= 0 ? nextTail - tail : 1 - tail - nextTail
    return max(0, mass)
  }

  var lower0: Double { y <= 0 ? tail0 : 1 - tail0 }
  var lower1: Double { y <= shift ? tail1 : 1 - tail1 }
  var upper0: Double { y >= 0 ? tail0 : 1 - tail0 }
  var upper1: Double { y >= shift ? tail1 : 1 - tail1 }
}
