// Names: shape letters H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation

/// Forecasts each series by the structural model that fits it best: see ``KalmanArchitecture``.
///
/// Quantiles are normal, of the mean and variance that the filter gives each step ahead; those of a model of
/// logarithms are mapped back, and end where the history's own growth would end if it came once more: a
/// slope or a spread of logarithms would soon go beyond all numbers otherwise. Variances are those of maximum likelihood over the share of observations
/// that the parameters leave. A series with a single value or no change stays where it is.
package final class KalmanForecaster: SeriesForecaster {
  /// Few: a season of many states takes a tenth of a second a series.
  package let batch = 4

  private let horizon: Int
  /// Standard normal quantiles of the levels.
  private let levels: [Double]
  private let seasonality: [Int]
  private let trends: [StructuralModel.Trend]
  private let form: StructuralModel.Form?
  private let harmonics: Int
  private let transforms: [Transform]
  /// Steps that are read at most.
  private let history: Int
  private var models: [Key: MaximumLikelihood] = [:]

  private enum Transform: Hashable { case none, log }

  private struct Key: Hashable {
    let structure: StructuralModel
    let advances: [Int]
  }

  init(_ configuration: ForecasterConfiguration) {
    horizon = configuration.horizon
    levels = configuration.quantiles.map(NormalDistribution.quantile)
    seasonality = configuration.seasonality
    trends =
      StructuralModel.Trend(rawValue: configuration.text("trend")).map { [$0] } ?? [
        .damped, .reverting, .level,
      ]
    form = StructuralModel.Form(rawValue: configuration.text("seasonal"))
    harmonics = configuration.integer("harmonics")
    switch configuration.text("transform") {
    case "none": transforms = [.none]
    case "log": transforms = [.log]
    default: transforms = [.none, .log]
    }
    let steps = configuration.integer("history")
    history =
      steps > 0
      ? steps
      : Self.affordable(Self.fullModel(configuration), longest: seasonality.max() ?? 1)
  }

  /// The largest model that a configuration allows, for series that are long enough for all seasons.
  static func fullModel(_ configuration: ForecasterConfiguration) -> StructuralModel {
    StructuralModel(
      trend: configuration.text("trend") == "level" ? .level : .damped,
      seasons: StructuralModel.Form(rawValue: configuration.text("seasonal")).map {
        StructuralModel.seasons(
          configuration.seasonality, span: .max, form: $0,
          harmonics: configuration.integer("harmonics"))
      } ?? [])
  }

  /// Steps that a model reads where nothing is said: the time of a step rises with the square of its states.
  package static func affordable(_ model: StructuralModel, longest: Int) -> Int {
    min(2000, max(500_000 / (model.states * model.states), 3 * longest, 200))
  }

  package func forecast(
    _ series: [SeriesValues], into quantiles: UnsafeMutablePointer<Double>
  ) throws {
    for (number, one) in series.enumerated() {
      try forecast(one, into: quantiles + number * horizon * levels.count)
    }
  }

  /// A series in the units of the model: centred, with variance 1, from its first observation on.
  private struct Scaled {
    let values: [Double]
    let location: Double
    let scale: Double
    /// What a criterion gains for each degree of freedom by going back to the data's units.
    let unit: Double

    /// - Returns: nil where all values are equal.
    init?(_ values: UnsafeBufferPointer<Double>, _ transform: Transform) {
      let changed =
        transform == .log ? values.map { $0.isNaN ? $0 : Foundation.log($0) } : Array(values)
      let scaler = WindowScaler(changed)
      let observed = changed.filter { !$0.isNaN }
      let deviation =
        (observed.reduce(0) { $0 + ($1 - scaler.location) * ($1 - scaler.location) }
        / Double(max(observed.count, 1))).squareRoot()
      let level = observed.reduce(0) { max($0, abs($1)) }
      guard deviation > 1e-12 * max(level, 1e-280), deviation.isFinite else { return nil }
      location = scaler.location
      scale = deviation
      self.values = changed.map { ($0 - scaler.location) / deviation }
      unit = Foundation.log(deviation) + (transform == .log ? scaler.location : 0)
    }
  }

  /// Of forecasts: as far above the highest as that is above the lowest, and by a factor of e at least.
  private static func highestLogarithm(_ values: [Double]) -> Double {
    let (lowest, highest) = values.reduce((Double.infinity, -Double.infinity)) {
      $1.isNaN ? $0 : (min($0.0, $1), max($0.1, $1))
    }
    return highest + max(highest - lowest, 1)
  }

  private struct Candidate {
    let structure: StructuralModel
    let transform: Transform
    let scaled: Scaled
    let fit: MaximumLikelihood.Fit
    /// In the units of the data.
    let criterion: Double
  }

  private func forecast(_ series: SeriesValues, into out: UnsafeMutablePointer<Double>) throws {
    let all = series.values
    let Q = levels.count
    let recent = max(0, all.count - history)
    guard let first = (recent..<all.count).first(where: { !all[$0].isNaN }) else {
      throw ForecasterError(.badSeries, "nothing was observed in the history")
    }
    let values = UnsafeBufferPointer(rebasing: all[first...])
    let observed = values.count { !$0.isNaN }
    let isPositive = values.allSatisfy { $0.isNaN || $0 > 0 }
    let scaled = transforms.filter { $0 == .none || isPositive }.compactMap { transform in
      Scaled(values, transform).map { (transform, $0) }
    }
    guard observed > 1, !scaled.isEmpty || (transforms == [.log] && !isPositive) else {
      for k in 0..<(horizon * Q) { out[k] = values[0] }
      return
    }
    let clock = Steps(series, first: first, count: values.count + horizon, seasonality)
    let seasons =
      form.map {
        StructuralModel.seasons(
          seasonality, span: values.count, form: $0, harmonics: harmonics,
          stepsPerDay: series.clock.stepsPerDay)
      } ?? []
    // A transform that does not apply gives way.
    let usable = scaled.isEmpty ? [(Transform.none, Scaled(values, .none)!)] : scaled
    let best = choose(usable, seasons, clock, count: values.count)
    write(best, clock, count: values.count, out)
  }

  /// The best of the models by Akaike's criterion, one choice after another: transform, trend, season.
  private func choose(
    _ scaled: [(Transform, Scaled)], _ seasons: [StructuralModel.Season], _ steps: Steps, count: Int
  ) -> Candidate {
    var best: Candidate?
    func candidate(
      _ structure: StructuralModel, _ transform: Transform, _ scaled: Scaled,
      iterations: Int = Self.iterations
    ) -> Candidate {
      let fit = scaled.values.withUnsafeBufferPointer {
        model(structure, steps).fit(
          $0, ways: steps.ways.map { Array($0.prefix(count)) },
          near: best?.transform == transform ? best?.fit : nil,
          iterations: iterations)
      }
      let observed = scaled.values.count { !$0.isNaN }
      return Candidate(
        structure: structure, transform: transform, scaled: scaled, fit: fit,
        criterion: fit.criterion + 2 * Double(observed) * scaled.unit)
    }
    func consider(_ other: Candidate) {
      if best.map({ other.criterion < $0.criterion }) ?? true { best = other }
    }
    let structure = StructuralModel(trend: trends[0], seasons: seasons)
    for (transform, values) in scaled { consider(candidate(structure, transform, values)) }
    for trend in trends.dropFirst() {
      let other = StructuralModel(trend: trend, seasons: best!.structure.seasons)
      consider(candidate(other, best!.transform, best!.scaled))
    }
    if !seasons.isEmpty {
      let plain = StructuralModel(trend: best!.structure.trend, seasons: [])
      consider(candidate(plain, best!.transform, best!.scaled))
    }
    // Too short for any criterion: the simplest.
    if best!.criterion == .infinity {
      return candidate(
        StructuralModel(trend: .level, seasons: []), scaled[0].0, scaled[0].1, iterations: 60)
    }
    return candidate(best!.structure, best!.transform, best!.scaled, iterations: 60)
  }

  /// Of the search for each model: enough to tell models apart; the chosen one's then goes on.
  private static let iterations = 15

  private func model(_ structure: StructuralModel, _ steps: Steps) -> MaximumLikelihood {
    let key = Key(structure: structure, advances: steps.advances)
    if let model = models[key] { return model }
    // Clocks that change give many; they are not worth keeping.
    if models.count > 64 { models = [:] }
    let model = MaximumLikelihood(structure, advances: steps.advances)
    models[key] = model
    return model
  }

  private func write(
    _ best: Candidate, _ steps: Steps, count: Int, _ out: UnsafeMutablePointer<Double>
  ) {
    let filter = model(best.structure, steps).filter
    let (scaled, Q) = (best.scaled, levels.count)
    filter.model.damping = best.fit.damping
    scaled.values.withUnsafeBufferPointer {
      _ = filter.run(
        $0, advances: steps.ways.map { Array($0.prefix(count)) }, variances: best.fit.variances)
    }
    // As in a regression, what was fitted makes the errors of the fit too small.
    let observed = Double(scaled.values.count { !$0.isNaN })
    let freedom = observed / max(observed - Double(best.structure.parameters), 1)
    let most =
      best.transform == .log
      ? Self.highestLogarithm(
        scaled.values.map { $0 * scaled.scale + scaled.location }) : .infinity
    filter.forecast(horizon, advances: steps.ways.map { Array($0.dropFirst(count)) }) {
      step, mean, variance in
      let deviation = (max(variance, 0) * freedom).squareRoot()
      for q in 0..<Q {
        let value = (mean + levels[q] * deviation) * scaled.scale + scaled.location
        out[step * Q + q] = best.transform == .log ? exp(min(value, most)) : value
      }
    }
  }

  /// How each step follows the one before it on the wall clock.
  private struct Steps {
    /// Different advances of the phase; the first is 1.
    var advances = [1]
    /// For each step which of them; nil where all are 1.
    var ways: [UInt8]?

    init(_ series: SeriesValues, first: Int, count: Int, _ seasonality: [Int]) {
      let clock = series.clock
      guard let season = seasonality.filter({ $0 > 1 && $0 % clock.stepsPerDay == 0 }).max() else {
        return
      }
      var ways = [UInt8](repeating: 0, count: count)
      for t in 0..<count {
        let ordinal = series.firstOrdinal + first + t
        let advance =
          (clock.phase(of: ordinal, season: season)
            - clock.phase(of: ordinal - 1, season: season)) %% season
        // Clocks that are not changed by hours within a season have a few ways at most.
        if let way = advances.firstIndex(of: advance) {
          ways[t] = UInt8(way)
        } else if advances.count < 256 {
          ways[t] = UInt8(advances.count)
          advances.append(advance)
        }
      }
      if advances.count > 1 { self.ways = ways }
    }
  }
}
