import NumericsCore

/// The model of parts C and D: what a region's count will change by, linear in the last changes of all regions and
/// in harmonics of the day. With all weights 0 it is persistence.
///
/// Everything is scaled by constants that are no part of the private data: round numbers of the size of the
/// regions. Few weights and inputs of size 1, because noise hits every weight alike.
struct PrivateModel: Sendable {
  /// People that a region can hold, as a planner would guess it to one digit.
  static let capacities: [Double] = [200_000, 20_000, 20_000, 20_000, 10_000, 20_000]
  /// Half hours move a region by some hundredths of its capacity.
  static let inputScale = 10.0
  static let outputScale = 20.0

  /// Rows that a window reads. A slot is in one window more than that.
  let lags: Int
  /// Of the day, a sine and a cosine each.
  let harmonics: Int

  var inputs: Int { 1 + (lags - 1) * MobilityData.regions + 2 * harmonics }
  var parameters: Int { inputs * MobilityData.regions }

  /// What the window before `row` shows.
  func input(_ data: MobilityData, row: Int) -> [Float] {
    var x: [Float] = [1]
    for lag in 1..<lags {
      for region in 0..<MobilityData.regions {
        let change = data[row - lag, region] - data[row - lag - 1, region]
        x.append(Float(change / Self.capacities[region] * Self.inputScale))
      }
    }
    let phase = data.phase(row, period: 86_400)
    var (sine, cosine) = (0.0, 1.0)
    for _ in 0..<harmonics {
      (sine, cosine) = (
        sine * phase.cosine + cosine * phase.sine, cosine * phase.cosine - sine * phase.sine
      )
      x += [Float(sine), Float(cosine)]
    }
    return x
  }

  /// What is to be predicted: the scaled change.
  func target(_ data: MobilityData, row: Int) -> [Float] {
    (0..<MobilityData.regions).map { region in
      let change = data[row, region] - data[row - 1, region]
      return Float(change / Self.capacities[region] * Self.outputScale)
    }
  }

  /// Adds the gradient of half the squared error of one window, times `scale`. Weights are `[input][region]`.
  func addGradient(
    _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ weights: Buffer<Float>, scale: Float,
    to gradient: Buffer<Float>
  ) {
    let regions = MobilityData.regions
    withUnsafeTemporaryAllocation(of: Float.self, capacity: regions) { errors in
      for region in 0..<regions { errors[region] = -y[region] }
      for k in 0..<inputs {
        for region in 0..<regions { errors[region] += x[k] * weights.base[k * regions + region] }
      }
      for region in 0..<regions { errors[region] *= scale }
      for k in 0..<inputs {
        for region in 0..<regions { gradient.base[k * regions + region] += x[k] * errors[region] }
      }
    }
  }

  /// Counts of the regions at `row`.
  func predict(_ data: MobilityData, row: Int, _ weights: Buffer<Float>) -> [Double] {
    let x = input(data, row: row)
    return (0..<MobilityData.regions).map { region in
      var change = 0.0
      for k in 0..<inputs {
        change += Double(x[k]) * Double(weights[k * MobilityData.regions + region])
      }
      return data[row - 1, region] + change / Self.outputScale * Self.capacities[region]
    }
  }
}
