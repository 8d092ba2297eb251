import Foundation

/// One step of private training: every record is in the batch independently with probability
/// `samplingRate` (Poisson), contributions are clipped, Gaussian noise is added to their SUM.
///
/// Neighbours differ by one record, added or removed. With `y` the noisy sum along the record's
/// contribution, divided by the noise's standard deviation, the dominating pair is (Zhu et al. 2022)
///
///     P = (1 - q) N(0, 1) + q N(1 / s, 1)     the record is there
///     Q = N(0, 1)                             it is not
///
/// with q the sampling rate and s the noise multiplier. Removing a record compares P with Q, adding one Q
/// with P; under composition neither is always the worse, so both are to be looked at.
public struct SubsampledGaussian: Sendable, Hashable {
  public let samplingRate: Double
  /// Standard deviation of the noise divided by the clipping norm.
  public let noiseMultiplier: Double

  /// - Throws: `PrivacyError` unless 0 <= `samplingRate` <= 1 and `noiseMultiplier` > 0.
  public init(samplingRate: Double, noiseMultiplier: Double) throws {
    try PrivacyError.check(samplingRate: samplingRate)
    try PrivacyError.check(noiseMultiplier: noiseMultiplier)
    self.samplingRate = samplingRate
    self.noiseMultiplier = noiseMultiplier
  }

  package init(uncheckedRate: Double, noiseMultiplier: Double) {
    samplingRate = uncheckedRate
    self.noiseMultiplier = noiseMultiplier
  }

  /// The privacy loss `log(P / Q)` at `y`: increasing, from `log(1 - q)` to infinity.
  package func loss(at y: Double) -> Double {
    let full = (y - 0.5 / noiseMultiplier) / noiseMultiplier
    if samplingRate == 1 { return full }
    // expm1 and log1p keep tiny losses exact; above 30 the e^full would be for nothing.
    if full < 30 { return log1p(samplingRate * expm1(full)) }
    return full + log(samplingRate) + log1p((1 - samplingRate) / samplingRate * exp(-full))
  }

  /// Where the privacy loss is `loss`; minus infinity where it is never as small.
  package func position(ofLoss loss: Double) -> Double {
    let full: Double
    if samplingRate == 1 {
      full = loss
    } else if loss > 30 {
      full = loss + log1p((samplingRate - 1) * exp(-loss)) - log(samplingRate)
    } else {
      let ratio = expm1(loss) / samplingRate  // e^full - 1
      if ratio <= -1 { return -.infinity }
      full = log1p(ratio)
    }
    return full * noiseMultiplier + 0.5 / noiseMultiplier
  }
}

/// Values and weights of a trapezoidal rule, in the logarithm.
struct LossQuadrature {
  /// Logarithm of the density times the step, and the privacy loss there.
  private(set) var logWeight: [Double] = []
  private(set) var loss: [Double] = []
  let step: Double

  /// Cumulant generating function `log sum exp(logWeight + t loss)` with its first two derivatives.
  func cumulants(_ t: Double) -> (value: Double, mean: Double, variance: Double) {
    var peak = -Double.infinity
    for i in 0..<loss.count { peak = max(peak, logWeight[i] + t * loss[i]) }
    var sum = 0.0
    var first = 0.0
    for i in 0..<loss.count {
      let weight = exp(logWeight[i] + t * loss[i] - peak)
      sum += weight
      first += weight * loss[i]
    }
    let mean = first / sum
    var second = 0.0
    for i in 0..<loss.count {
      let weight = exp(logWeight[i] + t * loss[i] - peak)
      second += weight * (loss[i] - mean) * (loss[i] - mean)
    }
    return (peak + log(sum), mean, second / sum)
  }

  /// The cumulant generating function alone.
  func value(_ t: Double) -> Double {
    var peak = -Double.infinity
    for i in 0..<loss.count { peak = max(peak, logWeight[i] + t * loss[i]) }
    var sum = 0.0
    for i in 0..<loss.count { sum += exp(logWeight[i] + t * loss[i] - peak) }
    return peak + log(sum)
  }

  /// Of the loss under P (`direction` remove) or of its negative under Q (add), on `from...to` in `y`.
  init(
    _ mechanism: SubsampledGaussian, direction: AdjacencyDirection, from: Double, to: Double,
    step: Double
  ) {
    self.step = step
    let count = max(2, Int(((to - from) / step).rounded(.up)) + 1)
    logWeight.reserveCapacity(count)
    loss.reserveCapacity(count)
    let constant = log(step) - 0.5 * log(2 * Double.pi)
    for i in 0..<count {
      let y = from + Double(i) * step
      let l = mechanism.loss(at: y)
      loss.append(direction == .remove ? l : -l)
      logWeight.append(constant - y * y / 2 + (direction == .remove ? l : 0))
    }
  }
}

/// Which way the neighbouring data sets differ.
public enum AdjacencyDirection: Sendable, CaseIterable {
  /// The record is in the data, and not in the neighbour's.
  case remove
  /// The record is in the neighbour's data only.
  case add
}
