import Foundation

/// A series as the sum of a level that wanders, a slope, seasons that change and noise (Harvey 1990; Durbin &
/// Koopman 2012, section 3.2).
package struct StructuralModel: Hashable {
  package enum Trend: String, CaseIterable {
    /// The level is a random walk.
    case level
    /// The level moves by a slope, which is a random walk: the local linear trend.
    case linear
    /// The slope is multiplied by a damping factor at every step (Gardner & McKenzie 1985).
    case damped
    /// The level is a random walk, and the series comes back to it: an autoregression of order one is added (Harvey
    /// 1990, section 2.3). What pushed the series away for hours does not move the forecast of tomorrow.
    case reverting = "mean-reverting"
  }

  package enum Form: String, CaseIterable {
    /// Pairs of states that turn, one for each harmonic: the sum of trigonometric functions.
    case trigonometric
    /// One state for each step of a season but one, which add up to noise.
    case dummy
  }

  package struct Season: Hashable {
    /// Steps.
    package let length: Int
    let form: Form
    /// Cycles in a season of the trigonometric form: of `1 ... length / 2`.
    package let harmonics: [Int]
    /// Whether it moves with the wall clock where that is changed.
    var followsClock = true

    /// Disturbances of all its states have one variance.
    var states: Int {
      form == .dummy
        ? length - 1 : harmonics.reduce(0) { $0 + (2 * $1 == length ? 1 : 2) }
    }
  }

  package var trend: Trend
  /// Whether a factor of its second state has to be found: of the slope, or of the autoregression.
  var hasDamping: Bool { trend == .damped || trend == .reverting }
  package var seasons: [Season]

  package init(trend: Trend, seasons: [Season]) {
    self.trend = trend
    self.seasons = seasons
  }

  package var states: Int { (trend == .level ? 1 : 2) + seasons.reduce(0) { $0 + $1.states } }
  /// Variances: noise, level, slope or autoregression, one a season.
  package var variances: Int { (trend == .level ? 2 : 3) + seasons.count }
  /// Numbers that maximum likelihood has to find.
  var parameters: Int { variances + (hasDamping ? 1 : 0) }

  /// The seasons that a series can tell: those of which it has at least two.
  ///
  /// Harmonics that a shorter season has already are left out.
  ///
  /// - Parameters:
  ///   - lengths: in steps.
  ///   - span: steps of the series.
  ///   - harmonics: of a trigonometric season at most; 0 is all.
  ///   - stepsPerDay: of the clock; seasons of whole days follow it.
  package static func seasons(
    _ lengths: [Int], span: Int, form: Form, harmonics: Int, stepsPerDay: Int = 1
  ) -> [Season] {
    var seasons: [Season] = []
    for length in Set(lengths).sorted() where length > 1 && length <= span / 2 {
      let all = length / 2
      let most = harmonics == 0 ? all : min(harmonics, all)
      let own = (1...max(most, 1)).filter { cycle in
        !seasons.contains { shorter in
          shorter.harmonics.contains { $0 * length == cycle * shorter.length }
        }
      }
      if form == .dummy {
        // Seasons of dummies that contain each other could not be told apart.
        seasons = seasons.filter { length % $0.length != 0 }
        seasons.append(Season(length: length, form: form, harmonics: []))
      } else if !own.isEmpty {
        seasons.append(
          Season(
            length: length, form: form, harmonics: own,
            followsClock: length % stepsPerDay == 0))
      }
    }
    return seasons
  }

  /// - Parameters:
  ///   - advances: phases by which trigonometric seasons move in one step, one transition for each; the first is 1.
  ///   - diffuse: variance of the unknown states at the start.
  package func makeModel(advances: [Int], diffuse: Double) -> StateSpaceModel {
    let n = states
    var variance: [Int?] = [1]
    var readout: [(state: Int, weight: Double)] = [(0, 1)]
    // Slope or autoregression.
    let hasSecond = trend != .level
    if hasSecond { variance.append(2) }
    if trend == .reverting { readout.append((1, 1)) }
    for (index, season) in seasons.enumerated() {
      let number = (hasSecond ? 3 : 2) + index
      let first = variance.count
      switch season.form {
      case .dummy:
        readout.append((first, 1))
        variance += [number] + [Int?](repeating: nil, count: season.states - 1)
      case .trigonometric:
        var state = first
        for cycle in season.harmonics {
          readout.append((state, 1))
          state += 2 * cycle == season.length ? 1 : 2
        }
        variance += [Int?](repeating: number, count: season.states)
      }
    }
    let transitions = advances.map { advance in
      var entries: [(row: Int, column: Int, value: Double)] = [(0, 0, 1)]
      if hasSecond { entries.append((1, 1, 1)) }
      if trend == .linear || trend == .damped { entries.append((0, 1, 1)) }
      var state = hasSecond ? 2 : 1
      for season in seasons {
        entries += Self.entries(season, advance).map {
          ($0.row + state, $0.column + state, $0.value)
        }
        state += season.states
      }
      return SparseMatrix(n, entries)
    }
    return StateSpaceModel(
      size: n, transitions: transitions, readout: readout, variance: variance,
      mean: [Double](repeating: 0, count: n),
      covariance: (0..<(n * n)).map { $0 / n == $0 % n ? diffuse : 0 },
      damped: hasDamping ? (1, trend == .damped ? [0, 1] : [1]) : nil)
  }

  private static func entries(
    _ season: Season, _ advance: Int
  ) -> [(row: Int, column: Int, value: Double)] {
    var entries: [(row: Int, column: Int, value: Double)] = []
    switch season.form {
    case .dummy:
      for column in 0..<season.states { entries.append((0, column, -1)) }
      for row in 1..<max(season.states, 1) { entries.append((row, row - 1, 1)) }
    case .trigonometric:
      var state = 0
      let advance = season.followsClock ? advance : 1
      for cycle in season.harmonics {
        let turns = Double(cycle * advance % season.length) / Double(season.length)
        let (cosine, sine) = (cos(2 * .pi * turns), sin(2 * .pi * turns))
        entries.append((state, state, cosine))
        if 2 * cycle == season.length {
          state += 1
        } else {
          entries += [
            (state, state + 1, sine), (state + 1, state, -sine), (state + 1, state + 1, cosine),
          ]
          state += 2
        }
      }
    }
    return entries
  }
}
