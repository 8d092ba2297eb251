import Foundation

/// How the learning rate runs over the steps. A function of the step's number and public settings alone.
public enum ScheduleKind: String, Codable, Sendable, CaseIterable {
  case constant
  /// To zero in a straight line.
  case linear
  /// Half a cosine to zero (Loshchilov & Hutter 2017, without restarts).
  case cosine
  /// Up and down again in cosines (Smith & Topin 2018; momentum stays as it is): from a 25th of the peak,
  /// down to 1/10000 of that start, as in PyTorch's `OneCycleLR`.
  case oneCycle = "one-cycle"
  /// Times `gamma` every `stepSize` steps.
  case step
}

package struct LearningRateSchedule {
  let kind: ScheduleKind
  let peak: Double
  /// Steps in all.
  let steps: Int
  /// Steps that the rate rises to its peak, in a straight line (a cosine for one-cycle).
  let warmup: Int
  let gamma: Double
  let stepSize: Int

  /// - Parameters:
  ///   - warmup: nil for a twentieth of the steps where the rate falls afterwards, three tenths for
  ///     one-cycle, none for `constant` and `step`.
  ///   - stepSize: nil for a third of the steps.
  package init(
    _ kind: ScheduleKind = .cosine, peak: Double, steps: Int, warmup: Int? = nil,
    gamma: Double = 0.1, stepSize: Int? = nil
  ) {
    self.kind = kind
    self.peak = peak
    self.steps = steps
    self.gamma = gamma
    self.stepSize = stepSize ?? max(1, steps / 3)
    self.warmup =
      warmup
      ?? {
        switch kind {
        case .constant, .step: 0
        case .linear, .cosine: max(1, steps / 20)
        case .oneCycle: max(1, steps * 3 / 10)
        }
      }()
  }

  /// - Parameter step: 0 for the first.
  package func rate(_ step: Int) -> Double {
    if kind == .oneCycle { return oneCycle(step) }
    if step < warmup { return peak * Double(step + 1) / Double(warmup) }
    let done = Double(step - warmup) / Double(max(1, steps - warmup))
    switch kind {
    case .constant, .oneCycle: return peak
    case .linear: return peak * max(0, 1 - done)
    case .cosine: return peak * 0.5 * (1 + cos(.pi * done))
    case .step: return peak * pow(gamma, Double((step - warmup) / stepSize))
    }
  }

  /// The peak is reached at step `warmup - 1`, the end at the last step.
  private func oneCycle(_ step: Int) -> Double {
    let start = peak / 25
    func cosine(_ from: Double, _ to: Double, _ done: Double) -> Double {
      to + (from - to) / 2 * (1 + cos(.pi * done))
    }
    let top = Double(warmup - 1)
    if Double(step) < top { return cosine(start, peak, Double(step) / top) }
    return cosine(peak, start / 1e4, (Double(step) - top) / max(1, Double(steps - 1) - top))
  }
}
