import Evaluation
import Forecasters
import TestSupport
import Testing

/// Whether a state trained over one context serves a stream: errors at 1, 4 and 16 contexts.
@Suite("State hygiene")
struct StateHygieneTests {
  /// Those that remember a fixed number of steps: nothing that could grow.
  static let windows = ["transformer", "tcn"]
  static let kinds = Registry.entries.compactMap { ($0 as? any BackboneArchitecture.Type)?.kind }
    .filter { !windows.contains($0) }

  /// - Parameter longContexts: half, where a trainer takes a fifth: the steps are few.
  private func trained(_ kind: String, longContexts: Double = 0.5) throws -> SequenceTaskTrial {
    let trial = try SequenceTaskTrial(
      .wave,
      ForecasterConfiguration(
        kind: kind, hidden: 32, layers: 1, contextLength: 24, horizon: 1))
    trial.train(steps: 400, longContexts: longContexts)
    return trial
  }

  /// The last steps are the same at every length.
  @Test(
    "the error does not rise at 4 and 16 contexts, read whole or as a stream", arguments: kinds)
  func holds(kind: String) throws {
    let trial = try trained(kind)
    let error = trial.score(steps: 24)
    // The wave's own mean square is 0.5: something was learnt.
    #expect(error < 0.1)
    #expect(trial.score(steps: 4 * 24) < 1.05 * error)
    #expect(trial.score(steps: 16 * 24, streaming: true) < 1.05 * error)
  }

  @Test("without longer contexts in training it rises")
  func rises() throws {
    let trial = try trained("lstm", longContexts: 0)
    #expect(trial.score(steps: 16 * 24) > 1.5 * trial.score(steps: 24))
  }

  @Test("what reads a window forgets all before it", arguments: windows)
  func forgets(kind: String) throws {
    let trial = try trained(kind)
    let error = trial.score(steps: 4 * 24)
    expectClose(trial.score(steps: 16 * 24, streaming: true), error, absolute: 1e-4 * error)
  }
}
