package import Forecasters
import NumericsCore
import Privacy

/// The units of a panel and their windows.
package struct PrivateUnits {
  /// Cut into blocks where these are the units.
  let panel: Panel
  /// How many there are to draw from; those too short for a window count.
  let count: Int
  private let index: WindowIndex
  private let unit: PrivacyUnit
  private let windows: Int
  /// What a series, or each of a series' blocks, is called in the data.
  private let names: [String]
  private let blockLength: Int?

  package init(
    _ panel: Panel, _ privacy: PrivacyConfiguration, _ forecaster: ForecasterConfiguration
  ) {
    unit = privacy.unit
    windows = privacy.windowsPerSeries
    blockLength = privacy.blockLength
    if let length = privacy.blockLength {
      let cut = panel.cut(into: length)
      var series = 0
      names = cut.offsets.dropLast().map { start in
        // Parts are not empty and lie in their series, in the same order.
        while start >= panel.offsets[series + 1] { series += 1 }
        return panel.keys[series]
      }
      self.panel = cut
    } else {
      names = panel.keys
      self.panel = panel
    }
    index = WindowIndex(
      self.panel, horizon: forecaster.horizon, contextLength: forecaster.contextLength,
      validationWindows: 0, minimumContext: TrainedForecaster.minimumObservations(forecaster))
    count = unit == .window ? index.count : self.panel.count
  }

  /// For each unit the step of a cycle in which it takes part: what its series' name and its time say, whatever else is
  /// in the data. Blocks and windows of a series come one after the other, in the order of time.
  package func phases(cycle: Int) -> [Int] {
    let starts = names.map { CorrelatedSteps.phase(of: $0, cycle: cycle) }
    func turn(_ series: Int, _ time: Int) -> Int {
      let sum = (starts[series] + time) % cycle
      return sum < 0 ? sum + cycle : sum
    }
    switch unit {
    case .series: return starts
    case .block:
      let length = blockLength ?? 1
      return (0..<count).map { part in
        let ordinal = panel.firstOrdinals[part]
        return turn(part, (ordinal - (ordinal % length + length) % length) / length)
      }
    case .window:
      return (0..<count).map { number in
        let window = index.window(number)
        return turn(window.series, panel.firstOrdinals[window.series] + window.end)
      }
    }
  }

  /// Appends as many windows of a unit as there are to be, or none where it has none.
  ///
  /// Which windows are drawn need not be a secret, as the unit is clipped as a whole, but they are named by the unit's
  /// key and not by its position: with one unit less, all others have to draw the same windows as before, or more
  /// than one contribution would change.
  func draw(_ number: Int, seed: UInt64, step: Int, into all: inout [WindowIndex.Window]) {
    guard unit != .window else {
      all.append(index.window(number))
      return
    }
    let own = index.windows(of: number)
    guard !own.isEmpty else { return }
    var stream = RandomStream(
      seed: seed, purpose: "windows of unit \(panel.keys[number]) at step \(step)")
    for _ in 0..<windows {
      all.append(index.window(own.lowerBound + stream.index(below: own.count)))
    }
  }
}

extension Panel {
  /// The same observations as shorter series: each is cut where the ordinal of a step is a multiple of
  /// `length`. A window of one block sees nothing of another.
  package func cut(into length: Int) -> Panel {
    var (keys, offsets, ordinals) = ([String](), [0], [Int]())
    for series in 0..<count {
      let range = self.range(of: series)
      var start = range.lowerBound
      while start < range.upperBound {
        let ordinal = firstOrdinals[series] + start - range.lowerBound
        let phase = (ordinal % length + length) % length
        let end = min(range.upperBound, start + length - phase)
        keys.append("\(self.keys[series]) from \(ordinal)")
        offsets.append(end)
        ordinals.append(ordinal)
        start = end
      }
    }
    return Panel(
      keys: keys, offsets: offsets, values: values, firstOrdinals: ordinals, clock: clock)
  }
}
