import Forecasters
import NumericsCore

/// All training windows of a panel, counted and not copied: window `n` is found by binary search.
///
/// A window is a series and the position where its context ends and its targets begin. The last
/// `heldOut` steps of a series long enough to spare them serve as validation and are no training target.
package struct WindowIndex: Sendable {
  /// A context and its targets: positions within a series.
  package struct Window: Sendable, Equatable {
    package let series: Int
    /// One past the last step of the context; targets follow.
    package let end: Int
    /// Steps of the series that may be seen: targets at or beyond it count as missing.
    package let limit: Int

    package init(series: Int, end: Int, limit: Int) {
      self.series = series
      self.end = end
      self.limit = limit
    }
  }

  /// Windows before each series; one entry more than series.
  private let before: [Int]
  private let first: [Int]
  private let limits: [Int]
  package let count: Int
  /// Held-out windows with at least one observed target.
  package let validation: [Window]

  /// - Parameters:
  ///   - validationWindows: windows held out at the end of each series; 0 trains on everything.
  ///   - minimumContext: observed steps that a context needs.
  ///   - contextShare: part of its series that a context covers at least, as far as the context length goes: what is
  ///     forecast has seen all of it.
  package init(
    _ panel: Panel, horizon: Int, contextLength: Int, validationWindows: Int, minimumContext: Int,
    contextShare: Double = 0
  ) {
    var before = [0]
    var first: [Int] = []
    var limits: [Int] = []
    var validation: [Window] = []
    before.reserveCapacity(panel.count + 1)
    first.reserveCapacity(panel.count)
    for series in 0..<panel.count {
      let range = panel.range(of: series)
      let length = range.count
      // Contexts end at `start` at the earliest and targets need not be complete at the end.
      let start = max(
        Self.start(panel, range, minimumContext),
        min(contextLength, Int(contextShare * Double(length))))
      let heldOut = validationWindows * horizon
      let spares = heldOut > 0 && length - heldOut >= start + horizon
      let end = spares ? length - heldOut : length  // targets lie before `end`
      // Late windows with few targets left would overweight the first steps: ask for half a horizon.
      let lastStart = end - max(1, (horizon + 1) / 2)
      let windows = max(0, lastStart - start + 1)
      before.append(before[series] + windows)
      first.append(start)
      limits.append(end)
      if spares {
        for window in 0..<validationWindows {
          let first = length - heldOut + window * horizon
          let targets = panel.values[(range.lowerBound + first)...].prefix(horizon)
          if targets.contains(where: { !$0.isNaN }) {
            validation.append(Window(series: series, end: first, limit: length))
          }
        }
      }
    }
    self.before = before
    self.first = first
    self.limits = limits
    self.validation = validation
    count = before.last!
  }

  /// The earliest position with `minimum` observations before it.
  private static func start(_ panel: Panel, _ range: Range<Int>, _ minimum: Int) -> Int {
    var seen = 0
    for position in range where !panel.values[position].isNaN {
      seen += 1
      if seen == minimum { return position - range.lowerBound + 1 }
    }
    return range.count + 1
  }

  /// Numbers of the training windows of a series.
  package func windows(of series: Int) -> Range<Int> { before[series]..<before[series + 1] }

  /// The part of the training windows with at least `steps` of their series before their targets.
  package func share(reaching steps: Int) -> Double {
    var found = 0
    for series in 0..<first.count {
      let windows = windows(of: series).count
      found += max(0, min(windows, first[series] + windows - steps))
    }
    return count == 0 ? 0 : Double(found) / Double(count)
  }

  /// Training window `number`, below `count`.
  package func window(_ number: Int) -> Window {
    var low = 0
    var high = before.count - 1
    while high - low > 1 {
      let middle = (low + high) / 2
      if before[middle] <= number { low = middle } else { high = middle }
    }
    return Window(series: low, end: first[low] + number - before[low], limit: limits[low])
  }
}

extension WindowIndex {
  /// The windows that a forecaster is fitted to; none are held out where nothing else would be left.
  ///
  /// - Throws: `TrainingError.noWindows` where no series is long enough.
  init(
    _ panel: Panel, _ configuration: ForecasterConfiguration, validationWindows: Int,
    contextShare: Double = 0
  ) throws {
    let minimum = TrainedForecaster.minimumObservations(configuration)
    func index(_ validationWindows: Int) -> WindowIndex {
      WindowIndex(
        panel, horizon: configuration.horizon, contextLength: configuration.contextLength,
        validationWindows: validationWindows, minimumContext: minimum,
        contextShare: contextShare)
    }
    var found = index(validationWindows)
    if found.count == 0 { found = index(0) }
    guard found.count > 0 else {
      throw TrainingError(
        .noWindows,
        "no series is long enough to train on: a window needs \(minimum) observations and \((configuration.horizon + 1) / 2) steps after them"
      )
    }
    self = found
  }
}
