/// Minimisation of a smooth function of a few variables within bounds, by the method of Broyden, Fletcher, Goldfarb
/// and Shanno with steps that are cut back until they descend (Nocedal & Wright 2006, chapters 3 and 6). Variables
/// at a bound that the descent would leave are held.
package struct QuasiNewton {
  var lower: [Double]
  var upper: [Double]
  /// The search ends where no slope exceeds this.
  var tolerance = 1e-4
  /// It ends too where a step gains less than this part of the value.
  var leastGain = 1e-6
  /// Longest change of a variable in one step.
  var reach = 2.0

  package init(lower: [Double], upper: [Double]) {
    self.lower = lower
    self.upper = upper
  }

  /// - Parameters:
  ///   - x: the start; afterwards the lowest point that was seen.
  ///   - function: value and slopes; a value that is not finite is worse than any.
  /// - Returns: the value at `x`.
  package func minimise(
    _ x: inout [Double], iterations: Int = 60,
    _ function: ([Double]) -> (value: Double, slopes: [Double])
  ) -> Double {
    let n = x.count
    for k in 0..<n { x[k] = min(max(x[k], lower[k]), upper[k]) }
    var (value, slopes) = function(x)
    guard value.isFinite else { return value }
    var inverse = Self.identity(n)
    var isFresh = true
    for _ in 0..<iterations {
      let free = (0..<n).map { k in
        !(x[k] <= lower[k] && slopes[k] > 0) && !(x[k] >= upper[k] && slopes[k] < 0)
      }
      guard (0..<n).contains(where: { free[$0] && abs(slopes[$0]) > tolerance }) else { break }
      var direction = (0..<n).map { i in
        free[i]
          ? -(0..<n).reduce(0) { $0 + (free[$1] ? inverse[i * n + $1] * slopes[$1] : 0) } : 0
      }
      var descent = zip(direction, slopes).reduce(0) { $0 + $1.0 * $1.1 }
      if !(descent < 0) {
        inverse = Self.identity(n)
        isFresh = true
        direction = (0..<n).map { free[$0] ? -slopes[$0] : 0 }
        descent = zip(direction, slopes).reduce(0) { $0 + $1.0 * $1.1 }
      }
      let longest = direction.reduce(0) { max($0, abs($1)) }
      var step = min(1, reach / longest)
      // The first direction is a gradient, whose length says nothing.
      if isFresh { step = min(reach, 1) / longest }
      var next = x
      var found: (value: Double, slopes: [Double])?
      for _ in 0..<25 {
        for k in 0..<n { next[k] = min(max(x[k] + step * direction[k], lower[k]), upper[k]) }
        let moved = zip(zip(next, x), slopes).reduce(0) { $0 + ($1.0.0 - $1.0.1) * $1.1 }
        let trial = function(next)
        if trial.value.isFinite, trial.value <= value + 1e-4 * min(moved, 0) {
          found = trial
          break
        }
        step *= 0.35
      }
      guard let found else {
        if isFresh { break }
        inverse = Self.identity(n)
        isFresh = true
        continue
      }
      let change = value - found.value
      let s = zip(next, x).map { $0 - $1 }
      let y = zip(found.slopes, slopes).map { $0 - $1 }
      let curvature = zip(s, y).reduce(0) { $0 + $1.0 * $1.1 }
      if curvature > 1e-12 {
        if isFresh {
          let scale = curvature / y.reduce(0) { $0 + $1 * $1 }
          for k in 0..<n { inverse[k * n + k] = scale }
        }
        Self.update(&inverse, s, y, curvature)
        isFresh = false
      }
      (x, value, slopes) = (next, found.value, found.slopes)
      if change <= leastGain * (1 + abs(value)) { break }
    }
    return value
  }

  private static func identity(_ n: Int) -> [Double] {
    (0..<(n * n)).map { $0 / n == $0 % n ? 1 : 0 }
  }

  /// `(I - s y'/c) H (I - y s'/c) + s s'/c`.
  private static func update(
    _ inverse: inout [Double], _ s: [Double], _ y: [Double], _ curvature: Double
  ) {
    let n = s.count
    let hy = (0..<n).map { i in (0..<n).reduce(0) { $0 + inverse[i * n + $1] * y[$1] } }
    let factor = (1 + zip(y, hy).reduce(0) { $0 + $1.0 * $1.1 } / curvature) / curvature
    for i in 0..<n {
      for j in 0..<n {
        inverse[i * n + j] += factor * s[i] * s[j] - (hy[i] * s[j] + s[i] * hy[j]) / curvature
      }
    }
  }
}
