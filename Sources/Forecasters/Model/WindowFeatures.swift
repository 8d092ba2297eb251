// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// Turns windows of series into the numbers a model reads.
///
/// Inputs of a step: the scaled value (0 where missing), whether it is observed, the scaled value one
/// season earlier for every season that the context holds, and sine and cosine of the phase within every
/// season. All come from the window itself and its position on the grid.
public struct WindowFeatures: Sendable {
  let configuration: ForecasterConfiguration

  public init(_ configuration: ForecasterConfiguration) { self.configuration = configuration }

  /// Windows, time-major, ready for a backbone. The memory is another's, or its own.
  public final class Batch<Element: Real> {
    public let count: Int
    /// Contexts that a window reads.
    public let contexts: Int
    private let places: [() -> UnsafeMutablePointer<Element>]
    public internal(set) var scalers: [WindowScaler]

    /// `[T, B, F]`.
    public var inputs: UnsafeMutablePointer<Element> { places[0]() }
    /// `[B, H, K]`: the candidates of the linear start, scaled.
    public var candidates: UnsafeMutablePointer<Element> { places[1]() }
    /// `[B, H]`, scaled, NaN where there is none.
    public var targets: UnsafeMutablePointer<Element> { places[2]() }

    /// Memory that moves when it grows, so it is asked for at every use.
    init(
      _ count: Int, contexts: Int = 1, inputs: @escaping () -> UnsafeMutablePointer<Element>,
      candidates: @escaping () -> UnsafeMutablePointer<Element>,
      targets: @escaping () -> UnsafeMutablePointer<Element>
    ) {
      self.count = count
      self.contexts = contexts
      places = [inputs, candidates, targets]
      scalers = [WindowScaler](repeating: WindowScaler([]), count: count)
    }

    public convenience init(_ count: Int, _ configuration: ForecasterConfiguration) {
      let c = configuration
      let inputs = Buffer<Element>(c.contextLength * count * c.featureCount)
      let candidates = Buffer<Element>(count * c.horizon * c.skipCount)
      let targets = Buffer<Element>(count * c.horizon)
      self.init(
        count, inputs: { inputs.base }, candidates: { candidates.base },
        targets: { targets.base })
    }
  }

  /// Fills row `row` of a batch with the window that ends before `end`.
  ///
  /// - Parameters:
  ///   - values: one series, oldest first, NaN where missing.
  ///   - firstOrdinal: grid ordinal of `values[0]`.
  ///   - clock: where the grid's steps are on the wall clock, for the seasons.
  ///   - end: the window covers the `contextLength` steps before `values[end]`, or several times as many; steps
  ///     before the start of the series count as missing. Scale and linear start are those of the last context.
  ///     Targets are `values[end...]` as far as they exist.
  public func fill<Element>(
    _ batch: Batch<Element>, row: Int, values: UnsafeBufferPointer<Double>, firstOrdinal: Int,
    clock: SeasonClock = .steady, end: Int
  ) {
    let T = configuration.contextLength
    let H = configuration.horizon
    let B = batch.count
    let (inputs, targets) = (batch.inputs, batch.targets)
    let F = configuration.featureCount
    let start = end - batch.contexts * T
    let from = max(end - T, 0)
    let scaler = WindowScaler(UnsafeBufferPointer(rebasing: values[from..<end]))
    batch.scalers[row] = scaler
    let inverse = 1 / scaler.scale
    func value(_ position: Int, from: Int) -> Double? {
      guard position >= from, position < end else { return nil }
      let value = values[position]
      return value.isNaN ? nil : (value - scaler.location) * inverse
    }
    let first = max(start, 0)
    func input(_ position: Int) -> Double? { value(position, from: first) }

    let usable = configuration.usableSeasons
    let seasons = configuration.seasonality.filter { $0 > 1 }
    for t in 0..<(batch.contexts * T) {
      let x = inputs + (t * B + row) * F
      let position = start + t
      let now = input(position)
      x[0] = Element(now ?? 0)
      x[1] = now == nil ? 0 : 1
      var k = 2
      for season in usable {
        let lag = clock.lag(at: firstOrdinal + position, season: season)
        x[k] = Element(input(position - lag) ?? 0)
        k += 1
      }
      for season in seasons {
        let phase =
          Double(clock.phase(of: firstOrdinal + position, season: season)) / Double(season)
        x[k] = Element(Trigonometry.sine(phase))
        x[k + 1] = Element(Trigonometry.cosine(phase))
        k += 2
      }
    }
    Self.fillCandidates(
      batch.candidates + row * H * configuration.skipCount, steps: 0..<H, end: end, from: from,
      usable: usable, lag: { clock.lag(at: firstOrdinal + $0, season: $1, count: $2) },
      { value($0, from: from) })
    // Nothing observed, nothing to scale by: such a window teaches nothing.
    let blank = !values[from..<end].contains { !$0.isNaN }
    for h in 0..<H {
      let position = end + h
      let target = position < values.count && !blank ? values[position] : .nan
      targets[row * H + h] = Element((target - scaler.location) * inverse)
    }
  }

  /// Last value; for every season the value of the same phase in the last season, plain and moved by the
  /// change of level between the last two seasons. Where a season is not there yet, the one before it among the seasons
  /// stands in, or else the last value: a mixture that is learned where all are there must not unlearn one for this.
  ///
  /// - Parameters:
  ///   - candidates: `[steps.count, K]`.
  ///   - steps: ahead of `end`, from 0.
  ///   - end, from: nothing at or after `end` or before `from` is observed.
  ///   - lag: steps from a position back to its phase a number of seasons earlier.
  ///   - value: of a position, nil where missing.
  static func fillCandidates<Element: Real>(
    _ candidates: UnsafeMutablePointer<Element>, steps: Range<Int>, end: Int, from: Int,
    usable: [Int], lag: (_ position: Int, _ season: Int, _ count: Int) -> Int,
    _ value: (Int) -> Double?
  ) {
    let K = 1 + 2 * usable.count
    var last = 0.0
    for position in stride(from: end - 1, through: from, by: -1) {
      if let found = value(position) {
        last = found
        break
      }
    }
    for h in 0..<steps.count {
      candidates[h * K] = Element(last)
    }
    /// Candidates of the season before, `[steps, 2]`.
    var shorter: UnsafeMutablePointer<Element>?
    for (index, season) in usable.enumerated() {
      let drift = drift(end: end, season: season, lag: lag, value)
      for h in steps {
        // The newest observation of this phase; older seasons stand in for a missing one.
        var seasonsAhead = h / season + 1
        var found: Double?
        while found == nil {
          let position = end + h - lag(end + h, season, seasonsAhead)
          found = value(position)
          if position < from { break }
          if found == nil { seasonsAhead += 1 }
        }
        let out = candidates + (h - steps.lowerBound) * K + 1 + 2 * index
        if let found {
          out[0] = Element(found)
          out[1] = Element(found + drift * Double(seasonsAhead))
        } else if let shorter {
          let row = shorter + (h - steps.lowerBound) * K
          (out[0], out[1]) = (row[0], row[1])
        } else {
          (out[0], out[1]) = (Element(last), Element(last))
        }
      }
      shorter = candidates + 1 + 2 * index
    }
  }

  /// Mean change from one season to the next over the last two, from phases observed in both.
  private static func drift(
    end: Int, season: Int, lag: (Int, Int, Int) -> Int, _ value: (Int) -> Double?
  ) -> Double {
    var sum = 0.0
    var count = 0
    for position in (end - season)..<end {
      if let now = value(position), let before = value(position - lag(position, season, 1)) {
        sum += now - before
        count += 1
      }
    }
    return count * 2 > season ? sum / Double(count) : 0
  }
}
