import Forecasters
import TestSupport
import Testing
import Training

@Suite("Window index")
struct WindowIndexTests {
  private let panel = Sample.panel([
    [Double](repeating: 1, count: 20), [], [1], [.nan, 1, .nan, 2, 3, .nan, 4, 5, 6, 7],
    [Double](repeating: .nan, count: 12), [1, 2, 3, 4, 5, 6],
    [Double](repeating: 2, count: 13) + [.nan, .nan, .nan],
  ])

  /// The definition, step by step.
  private func bruteForce(horizon: Int, held: Int, minimum: Int) -> (
    training: [WindowIndex.Window], validation: [WindowIndex.Window]
  ) {
    var training: [WindowIndex.Window] = []
    var validation: [WindowIndex.Window] = []
    for series in 0..<panel.count {
      let values = Array(panel.values[panel.range(of: series)])
      func observed(before end: Int) -> Int { values[..<end].filter { !$0.isNaN }.count }
      let reserve = held * horizon
      let spares =
        reserve > 0 && values.count - reserve - horizon >= 0
        && observed(before: values.count - reserve - horizon) >= minimum
      let limit = spares ? values.count - reserve : values.count
      for end in 0..<max(1, values.count) where end < values.count {
        let enoughPast = observed(before: end) >= minimum
        let enoughFuture = limit - end >= (horizon + 1) / 2
        if enoughPast && enoughFuture {
          training.append(.init(series: series, end: end, limit: limit))
        }
      }
      if spares {
        for window in 0..<held {
          let end = limit + window * horizon
          if values[end..<(end + horizon)].contains(where: { !$0.isNaN }) {
            validation.append(.init(series: series, end: end, limit: values.count))
          }
        }
      }
    }
    return (training, validation)
  }

  @Test("windows are those of the definition", arguments: [1, 2, 3, 5], [0, 1, 2])
  func windows(horizon: Int, held: Int) {
    for minimum in [2, 4] {
      let index = WindowIndex(
        panel, horizon: horizon, contextLength: 6, validationWindows: held,
        minimumContext: minimum)
      let expected = bruteForce(horizon: horizon, held: held, minimum: minimum)
      #expect(index.count == expected.training.count)
      #expect((0..<index.count).map { index.window($0) } == expected.training)
      #expect(index.validation == expected.validation)
    }
  }

  @Test("held-out steps are no training targets")
  func heldOut() throws {
    let horizon = 4
    let series = Sample.seasonal(3)
    let index = WindowIndex(
      Sample.panel(series), horizon: horizon, contextLength: 16, validationWindows: 2,
      minimumContext: 4)
    for number in 0..<index.count {
      let window = index.window(number)
      #expect(window.limit == series[window.series].count - 2 * horizon)
      #expect(window.end < window.limit)
    }
    // And the trainer keeps to it: other values there leave the training loss as it was.
    let training = TrainingConfiguration(
      steps: 30, batch: 16, validationWindows: 2, patience: 100, refitOnAll: false)
    let other = series.map { values in
      values.dropLast(2 * horizon) + [Double](repeating: 1e5, count: 2 * horizon)
    }
    let losses = try [series, other].map {
      try Sample.fit(Sample.panel($0.map { Array($0) }), training)
    }
    #expect(losses[0].trainingLoss == losses[1].trainingLoss)
    #expect(losses[0].validationLoss != losses[1].validationLoss)
  }
}
