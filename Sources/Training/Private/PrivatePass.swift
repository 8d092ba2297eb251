import Forecasters

/// How many units go through the network at a time.
///
/// Units of a batch have nothing to do with each other until their gradients are clipped, so a thread takes its share
/// of the batch in passes: what the backward sweep leaves for the units is then still in a cache when they read
/// it, and memory does not grow with the batch.
package struct PrivatePass {
  /// Units of one pass of a thread.
  package let units: Int
  /// Windows of each.
  package let windows: Int

  /// Windows of a unit from which on it is a batch of its own, whose gradient is that of a plain pass: so many rows
  /// fill the register tiles of the kernels, in less memory. Where the times cross was not measured.
  static let ownPass = 16
  /// Rows of a pass that fill the register tiles.
  private static let fewest = 16
  /// Memory of a pass, where more rows than the fewest fit. LSTM, GRU and S4D at two sizes are fastest from 1 to 4
  /// MB, on a second-level cache of 1 MB, and lose 5 to 15 % at 10 MB.
  private static let bytes = 2 << 20

  init(
    _ network: ForecastNetwork<Float>, _ training: TrainingConfiguration,
    _ privacy: PrivacyConfiguration, threads: Int
  ) {
    windows = privacy.windowsPerSeries
    let together = max(1, training.batch / threads / windows)
    guard windows < Self.ownPass, !training.recompute, together > 1, network.separatesUnits else {
      units = 1
      return
    }
    let windows = windows
    units = Self.units(of: together, windows: windows) {
      network.unitBytes($0, windows: windows)
    }
  }

  /// - Parameters:
  ///   - all: units of a thread.
  ///   - planned: bytes of a pass of that many units.
  package static func units(
    of all: Int, windows: Int = 1, _ planned: (Int) throws -> Int
  ) rethrows -> Int {
    let least = (fewest + windows - 1) / windows
    guard all > least else { return all }
    let most = max(least, bytes * least / max(1, try planned(max(2, least))))
    // Passes of equal size.
    let passes = (all + most - 1) / most
    return (all + passes - 1) / passes
  }
}
