package import Forecasters
import NumericsCore

/// How many contexts the windows of each step read.
///
/// A state that training always takes from zero over one context meets, in a longer stream, values that no weights were
/// fitted for, and the error rises (the unexplored states of Buitrago & Gu 2025, arXiv 2507.02782). So a share of the
/// steps, drawn at random, reads 2, 4, 8 or 16 contexts. Such a step has as many fewer windows, and costs what every
/// other does.
package struct ContextSchedule: Sendable {
  /// Of the steps.
  let share: Double
  /// Powers of two from 2 on that may be drawn; none: always one context.
  private let longer: [Int]
  private let seed: UInt64

  /// - Parameters:
  ///   - most: contexts that a window can reach back over, and windows that a step can do without.
  package init(share: Double, most: Int, seed: UInt64) {
    self.share = share
    self.seed = seed
    longer = share > 0 ? [2, 4, 8, 16].filter { $0 <= most } : []
  }

  /// All that may be drawn.
  package var all: [Int] { [1] + longer }

  /// A function of seed and step alone, so that a training can go on anywhere.
  package func contexts(at step: Int) -> Int {
    guard !longer.isEmpty else { return 1 }
    var stream = RandomStream(seed: seed, purpose: "context lengths")
    stream.position = 16 * UInt64(step)
    return stream.uniform() < share ? longer[stream.index(below: longer.count)] : 1
  }
}

extension TrainingConfiguration {
  /// - Parameters:
  ///   - threads: which all have a window in every step.
  ///   - panel: nil if any: what the longest series reaches back over.
  package func contexts(
    _ network: ForecastNetwork<Float>, threads: Int, _ panel: Panel? = nil
  ) -> ContextSchedule {
    let longest = panel.map { panel in
      (0..<panel.count).map { panel.range(of: $0).count }.max() ?? 0
    }
    let reach = longest.map { $0 / network.configuration.contextLength } ?? .max
    return ContextSchedule(
      share: network.readsAnyLength ? longContexts : 0, most: min(reach, batch / threads),
      seed: seed)
  }
}
