// Names: shape letters B, H, P, Q; n for patches.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import NumericsCore
import Synchronization

/// Forecasts with TiRex weights that a file brings along (Auer et al. 2025): nothing is fitted.
///
/// Forecasts are those of the package `tirex-ts` in single precision; the package itself rounds the recurrent
/// cell to bfloat16. Quantile levels between those of the weights are interpolated, and beyond the outermost
/// extended, linearly in the normal score of the level; what crosses is put in order.
package final class TiRexForecaster: SeriesForecaster {
  package let batch = 16
  private let model: PackedTiRex
  private let engine: TiRexEngine
  private let horizon: Int
  private let levels: [Level]
  /// Missing patches that one pass appends to the context, and forecasts.
  private let patchesAtOnce: Int

  /// A wanted level as a mixture of two of the model's.
  private struct Level {
    let lower: Int
    let share: Double
  }

  package init(
    _ model: PackedTiRex, horizon: Int, levels: [Double], patchesAtOnce: Int, threads: Int = 1
  ) {
    self.model = model
    engine = TiRexEngine(model, threads: threads)
    self.horizon = horizon
    self.patchesAtOnce = patchesAtOnce
    let known = model.levels
    let scores = known.map(NormalDistribution.quantile)
    self.levels = levels.map { level in
      if let exact = known.firstIndex(where: { abs($0 - level) < 1e-9 }) {
        return Level(lower: exact, share: 0)
      }
      let upper = min(max(known.firstIndex { $0 > level } ?? known.count - 1, 1), known.count - 1)
      let score = NormalDistribution.quantile(level)
      return Level(
        lower: upper - 1,
        share: (score - scores[upper - 1]) / (scores[upper] - scores[upper - 1]))
    }
  }

  package func forecast(_ series: [SeriesValues], into quantiles: UnsafeMutablePointer<Double>)
    throws
  {
    for one in series where one.values.suffix(model.contextLength).allSatisfy(\.isNaN) {
      throw ForecasterError(.badSeries, "nothing was observed in the context")
    }
    let Q = model.levels.count
    var raw = [Double](repeating: 0, count: series.count * horizon * Q)
    forecast(series.map(\.values), into: &raw)
    for row in 0..<(series.count * horizon) {
      let known = raw[(row * Q)..<((row + 1) * Q)].sorted()
      let to = quantiles + row * levels.count
      for (k, level) in levels.enumerated() {
        let lower = known[level.lower]
        to[k] = level.share == 0 ? lower : lower + level.share * (known[level.lower + 1] - lower)
      }
      // Rounding of levels that nearly coincide.
      for k in 1..<max(levels.count, 1) { to[k] = max(to[k], to[k - 1]) }
    }
  }

  /// Quantiles `[series, H, Q]` at the levels of the model, as they come out of it.
  package func forecast(_ series: [UnsafeBufferPointer<Double>], into quantiles: inout [Double]) {
    let P = model.size.patch
    var (done, count) = (0, patchesAtOnce)
    while done * P < horizon {
      count = min((horizon - done * P + P - 1) / P, count)
      // Series with about as many patches run together: those before them are missing for all.
      var groups: [Int: [Int]] = [:]
      for (number, values) in series.enumerated() {
        let observed = values.firstIndex { !$0.isNaN }.map { values.count - $0 } ?? 0
        let wanted = max(1, (observed + P - 1) / P + shift(done))
        var n = 4
        while n < wanted { n *= 2 }
        groups[min(n, model.patches), default: []].append(number)
      }
      for (n, members) in groups.sorted(by: { $0.key < $1.key }) {
        for start in stride(from: 0, to: members.count, by: batch) {
          let part = members[start..<min(start + batch, members.count)]
          run(part, of: series, n, done: done, count: count, into: &quantiles)
        }
      }
      done += count
    }
  }

  /// Patches that the window has moved on by when `done` were forecast: at most half of it, so that no forecast
  /// is made from nothing. (The package goes on, and forgets the series.)
  private func shift(_ done: Int) -> Int { min(done, model.patches / 2) }

  /// Forecasts `count` patches after the `done` that were forecast before, which count as missing.
  private func run(
    _ members: ArraySlice<Int>, of series: [UnsafeBufferPointer<Double>], _ n: Int, done: Int,
    count: Int, into quantiles: inout [Double]
  ) {
    let (P, Q, B) = (model.size.patch, model.size.quantiles, members.count)
    let shift = shift(done)
    let length = n + done - shift + count - 1
    let missing = model.patches - n
    let tokens = engine.tokens(length, batch: B, after: missing)
    tokens.clear(length * B * 2 * P)
    var scalers: [(location: Double, scale: Double)] = []
    for (row, number) in members.enumerated() {
      let values = series[number]
      // Positions of the window that the values, and patches forecast before, lie at.
      let end = (n - shift) * P
      let from = max(0, values.count - (model.contextLength - shift * P))
      let scaler = Self.scaler(values[from...])
      scalers.append(scaler)
      for position in max(from, values.count - end)..<max(values.count, from)
      where !values[position].isNaN {
        let at = end - (values.count - position)
        let token = tokens + ((at / P) * B + row) * 2 * P + at % P
        token[0] = Float((values[position] - scaler.location) / scaler.scale)
        token[P] = 1
      }
    }
    let results = engine.run(length, batch: B, last: count, after: missing)
    for patch in 0..<count {
      for (row, number) in members.enumerated() {
        let from = results + (patch * B + row) * Q * P
        let scaler = scalers[row]
        for step in 0..<P {
          let h = (done + patch) * P + step
          if h >= horizon { break }
          for q in 0..<Q {
            quantiles[(number * horizon + h) * Q + q] =
              Double(from[q * P + step]) * scaler.scale + scaler.location
          }
        }
      }
    }
  }

  /// Mean and standard deviation of what was observed; of a constant its size, so that it stays finite.
  private static func scaler(
    _ values: some Sequence<Double>
  ) -> (location: Double, scale: Double) {
    var (count, mean, squares) = (0.0, 0.0, 0.0)
    for value in values where !value.isNaN {
      count += 1
      let step = value - mean
      mean += step / count
      squares += step * (value - mean)
    }
    guard count > 0 else { return (0, 1) }
    let deviation = (squares / count).squareRoot()
    return (mean, deviation > 0 && deviation.isFinite ? deviation : abs(mean) + 1e-5)
  }
}

/// TiRex with weights from a file.
public enum TiRexPretrainedArchitecture: SeriesArchitecture {
  public static let kind = "tirex-pretrained"
  public static let help =
    "TiRex with weights from a file, such as a checkpoint of the package tirex-ts: nothing fitted."
  public static let reference = "auer2025tirex"
  public static let time = "T D² / patch"
  public static let memory = "4 D"
  public static let options: [ModelOption] = [
    .file("weights", "checkpoint (.ckpt of PyTorch, or .safetensors) to read; required"),
    .integer(
      "patchesAtOnce", 1...1024, standard: 1,
      "patches forecast in one pass; 1 reads the context again for each, as tirex-ts does by itself"
    ),
  ]

  /// The weights must be there and be those of a TiRex. Files that were found good are not read again until they
  /// change.
  public static func validate(_ configuration: ForecasterConfiguration) throws {
    let path = configuration.text("weights")
    guard !path.isEmpty else {
      throw ForecasterError(
        .badConfiguration, "\(kind) needs weights: the path of a checkpoint to read")
    }
    _ = try WeightsFiles.shared.model(path)
  }

  public static func makeForecaster(
    _ configuration: ForecasterConfiguration
  ) throws -> any SeriesForecaster {
    try TiRexForecaster(
      WeightsFiles.shared.model(configuration.text("weights")), horizon: configuration.horizon,
      levels: configuration.quantiles, patchesAtOnce: configuration.integer("patchesAtOnce"))
  }
}

/// The file that was read last, packed: threads share it, and jobs that follow one another.
private final class WeightsFiles: Sendable {
  static let shared = WeightsFiles()

  private struct Entry {
    let path: String
    let modified: Date
    let size: Int
    let model: PackedTiRex
  }
  private let last = Mutex<Entry?>(nil)

  /// - Throws: `ForecasterError.badConfiguration` naming the file.
  func model(_ path: String) throws -> PackedTiRex {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    let modified = attributes?[.modificationDate] as? Date ?? .distantPast
    let size = attributes?[.size] as? Int ?? -1
    return try last.withLock { last in
      if let last, last.path == path, last.modified == modified, last.size == size {
        return last.model
      }
      last = nil
      let model = PackedTiRex(try TiRexWeights(file: path))
      last = Entry(path: path, modified: modified, size: size, model: model)
      return model
    }
  }
}
