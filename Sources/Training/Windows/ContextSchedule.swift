package import Forecasters
import NumericsCore

/// How many contexts the windows of each step read.
///
/// A state that training always takes from zero over one context meets, in a longer stream, values that no weights were
/// fitted for, and the error rises (the unexplored states of Buitrago & Gu 2025, arXiv 2507.02782). So a share of the
/// steps, drawn at random, reads 2, 4, 8 or 16 contexts. Such a step has as many fewer windows, and costs what every
/// other does.
///
/// They come late, every other step from where they are half of what is left: gradients of few windows are noisy, which
/// costs forecasts from one context some percent where the rate is high and nothing that was seen where it falls.
///
/// Only windows with that much of their series behind them are read so: a context that is mostly missing teaches nothing
/// about streams, and takes steps from those that forecast. Where few windows are so long, such steps are rare: a
/// window is not drawn for them more often than the same number of other steps would have drawn it.
package struct ContextSchedule: Sendable {
  /// Of the steps from `first` on.
  private let share: Double
  private let first: Int
  /// Powers of two from 2 on that may be drawn; none: always one context.
  private let longer: [Int]
  /// Of each of them: how many of the steps that drew it take it.
  private let taken: [Double]
  private let seed: UInt64

  /// - Parameters:
  ///   - share: of all steps.
  ///   - steps: of the training.
  ///   - most: windows that a step can do without.
  ///   - reaching: the part of all windows that has so many contexts of its series behind it.
  package init(
    share: Double, steps: Int, most: Int, seed: UInt64, reaching: (Int) -> Double = { _ in 1 }
  ) {
    self.share = max(share, 0.5)
    first = Int((Double(steps) * (1 - share / self.share)).rounded(.up))
    self.seed = seed
    longer =
      share > 0
      ? [2, 4, 8, 16].filter { $0 <= most && reaching($0) >= Self.leastReaching } : []
    // A step of k contexts has a k-th of the windows, all of them from the part that reaches so far.
    taken = longer.map { min(1, Double($0) * reaching($0)) }
  }

  /// Fewer windows than this part are not worth the look for them.
  private static let leastReaching = 0.02

  /// All that may be drawn.
  package var all: [Int] { [1] + longer }

  /// A function of seed and step alone, so that a training can go on anywhere.
  package func contexts(at step: Int) -> Int {
    guard !longer.isEmpty, step >= first else { return 1 }
    var stream = RandomStream(seed: seed, purpose: "context lengths")
    stream.position = 16 * UInt64(step)
    guard stream.uniform() < share else { return 1 }
    let drawn = stream.index(below: longer.count)
    return stream.uniform() < taken[drawn] ? longer[drawn] : 1
  }
}

extension TrainingConfiguration {
  /// - Parameters:
  ///   - threads: which all have a window in every step.
  ///   - index: what is drawn from; nil if any.
  package func contexts(
    _ network: ForecastNetwork<Float>, threads: Int, _ index: WindowIndex? = nil
  ) -> ContextSchedule {
    ContextSchedule(
      share: network.readsAnyLength ? longContexts : 0, steps: steps, most: batch / threads,
      seed: seed,
      reaching: { contexts in
        index.map { $0.share(reaching: contexts * network.configuration.contextLength) } ?? 1
      })
  }
}
