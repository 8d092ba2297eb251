import Forecasters
import Foundation
import NumericsCore

/// Made-up series that stand for the data of others in an audit.
enum AuditPanel {
  /// Series, or blocks.
  static let count = 128

  /// - Parameter first: the series before are left out; the others are what they are with them.
  static func make(
    _ forecaster: ForecasterConfiguration, _ privacy: PrivacyConfiguration, from first: Int = 0
  ) -> Panel {
    // One block each, or room for a few windows.
    let length =
      privacy.blockLength
      ?? TrainedForecaster.minimumObservations(forecaster) + 2 * forecaster.horizon
    var stream = RandomStream(seed: 1, purpose: "series of an audit")
    let season = Double(forecaster.seasonality.last ?? 1)
    var values: [Double] = []
    values.reserveCapacity(count * length)
    for _ in 0..<count {
      let (level, phase) = (10 + 90 * stream.uniform(), stream.uniform())
      for t in 0..<length {
        let angle = 2 * Double.pi * (Double(t) / max(2, season) + phase)
        values.append(level + 5 * sin(angle) + 4 * (stream.uniform() - 0.5))
      }
    }
    values.removeFirst(first * length)
    return Panel(
      keys: (first..<count).map { "series \($0)" },
      offsets: (0...count - first).map { $0 * length },
      values: values, firstOrdinals: Array(repeating: 0, count: count - first))
  }
}
