import Foundation
import Postgres
import Training

/// History and forecast of one series, ready to be drawn.
package struct ForecastPicture: Sendable {
  package let job: String
  package let series: String
  package let subtitle: String
  /// Oldest first, NaN where missing.
  package let history: [Double]
  /// The quantile nearest the median.
  package let center: [Double]
  /// Bounds of the interval between the levels nearest 10 % and 90 %; empty when there is no pair.
  package let lower: [Double]
  package let upper: [Double]
  package let intervalName: String
  /// A label for every point of history and forecast.
  package let labels: [String]
}

extension Session {
  /// Reads the forecast in force of one series, and its history by the job's own query at the same cutoff.
  ///
  /// - Parameter series: nil takes the first one by name.
  /// - Throws: `ServiceError.badArgument` when the series has no forecast.
  package func picture(job name: String, series: String?) async throws -> ForecastPicture {
    let job = try await JobRegistry(pool: pool).find(name)
    let definition = try JobDefinition(canonicalJSON: job.definition)
    let horizon = Int64(definition.horizon)
    var rows = try await pool.run(ReadCurrent(job: name, series: series, limit: horizon))
    guard let first = rows.first else {
      throw ServiceError(
        .badArgument,
        series.map { "job \(name) has no forecast of a series \"\($0)\"" }
          ?? "job \(name) has no forecast yet: `forecastctl run \(name) --wait`")
    }
    rows = rows.filter { $0.series == first.series }
    let cutoff = first.originAt.map(Cutoff.at) ?? .index(first.originIndex ?? .max)
    let read = try await ReadStage(pool: pool, definition: definition, cutoff: cutoff).read(
      onlySeries: first.series)
    let built = read.built
    let history = built.panel.count == 1 ? built.panel.values : []

    let levels = first.levels
    func nearest(_ level: Double) -> Int {
      levels.indices.min { abs(levels[$0] - level) < abs(levels[$1] - level) } ?? 0
    }
    let (middle, low, high) = (nearest(0.5), nearest(0.1), nearest(0.9))
    let past: [Int64] = history.indices.map {
      built.target(series: 0, step: $0 + 1 - history.count)
    }
    let targets = rows.map { row in
      row.targetAt.map { Int64(($0.timeIntervalSince1970 * 1e6).rounded()) } ?? row.targetIndex ?? 0
    }
    let label = Self.labeller(definition)
    return ForecastPicture(
      job: name, series: first.series,
      subtitle:
        "from \(first.originAt.map { label(Int64($0.timeIntervalSince1970 * 1e6)) } ?? "the last step"), run \(first.runID)",
      history: history, center: rows.map { $0.quantiles[middle] },
      lower: low < high ? rows.map { $0.quantiles[low] } : [],
      upper: low < high ? rows.map { $0.quantiles[high] } : [],
      intervalName: String(format: "%g %% interval", (levels[high] - levels[low]) * 100),
      labels: (past + targets).map(label))
  }

  /// Writes times as short as the frequency allows, on the job's wall clock.
  private static func labeller(_ definition: JobDefinition) -> (Int64) -> String {
    if definition.source.frequency.isInteger { return { String($0) } }
    let table = ZoneTable.table(for: definition.zone)
    let subDaily = [.minute, .hour].contains(definition.source.frequency.unit)
    let byDay = [.day, .week].contains(definition.source.frequency.unit)
    return { instant in
      let local = instant + table.offset(at: instant)
      let (year, month, day) = CivilDate.date(days: Int(floorDiv(local, 86_400_000_000)))
      let minute = Int(floorMod(local, 86_400_000_000) / 60_000_000)
      func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
      if subDaily { return "\(two(month))-\(two(day)) \(two(minute / 60)):\(two(minute % 60))" }
      return byDay ? "\(year)-\(two(month))-\(two(day))" : "\(year)-\(two(month))"
    }
  }
}
