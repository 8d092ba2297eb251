public import Training

/// What of a panel a forecaster may learn from, and the origins that it then forecasts from (Tashman 2000).
///
/// The last `held` steps of every series are held out. Origins lie every `stride` steps from their beginning on,
/// as long as a whole horizon follows; the forecaster reads everything before an origin.
public struct RollingOrigins: Sendable {
  public let panel: Panel
  /// Steps that are held out at the end of every series.
  public let held: Int
  public let horizon: Int
  public let stride: Int

  /// - Precondition: `1 <= horizon <= held`, `stride >= 1`.
  public init(_ panel: Panel, held: Int, horizon: Int, stride: Int) {
    precondition(horizon >= 1 && horizon <= held && stride >= 1)
    self.panel = panel
    self.held = held
    self.horizon = horizon
    self.stride = stride
  }

  public var count: Int { (held - horizon) / stride + 1 }

  /// What may be learned from.
  public var training: Panel { cut(held) }

  /// What is known at an origin, by its number from 0.
  public func history(_ origin: Int) -> Panel { cut(held - origin * stride) }

  /// What is known at several origins, all series of one after all of another.
  ///
  /// - Parameter newest: steps of a series that are kept, from its end backwards; nil for all.
  func histories(_ origins: Range<Int>, newest: Int?) -> Panel {
    var (keys, offsets, firstOrdinals): ([String], [Int], [Int]) = ([], [0], [])
    var values: [Double] = []
    for origin in origins {
      for series in 0..<panel.count {
        let all = panel.range(of: series)
        let known = panel.values[all].dropLast(held - origin * stride)
        let kept = known.suffix(newest ?? known.count)
        keys.append(panel.keys[series])
        firstOrdinals.append(panel.firstOrdinals[series] + known.count - kept.count)
        values += kept
        offsets.append(values.count)
      }
    }
    return Panel(
      keys: keys, offsets: offsets, values: values, firstOrdinals: firstOrdinals,
      clock: panel.clock)
  }

  /// What really followed in a series, `[H]`.
  public func actual(_ origin: Int, series: Int) -> ArraySlice<Double> {
    let start = max(
      panel.range(of: series).upperBound - held + origin * stride,
      panel.range(of: series).lowerBound)
    return panel.values[start..<(start + horizon)]
  }

  /// The panel without the last `steps` of every series.
  private func cut(_ steps: Int) -> Panel {
    var values: [Double] = []
    values.reserveCapacity(max(0, panel.values.count - steps * panel.count))
    var offsets = [0]
    for series in 0..<panel.count {
      values += panel.values[panel.range(of: series)].dropLast(steps)
      offsets.append(values.count)
    }
    return Panel(
      keys: panel.keys, offsets: offsets, values: values, firstOrdinals: panel.firstOrdinals,
      clock: panel.clock)
  }
}
