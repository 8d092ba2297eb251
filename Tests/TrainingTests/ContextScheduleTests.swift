import Forecasters
import Foundation
import NumericsCore
import TestSupport
import Testing
import Training

@Suite("Contexts of several lengths")
struct ContextScheduleTests {
  @Test("a share of the steps reads longer, and the same steps whenever they are asked for")
  func share() {
    let schedule = ContextSchedule(share: 0.25, steps: 4000, most: 16, seed: 3)
    let drawn = (0..<4000).map { schedule.contexts(at: $0) }
    #expect(Set(drawn) == [1, 2, 4, 8, 16])
    // Every other one of the last half.
    #expect(drawn.prefix(2000).allSatisfy { $0 == 1 })
    #expect(drawn[2000..<2100].contains { $0 > 1 })
    let many = ContextSchedule(share: 0.8, steps: 4000, most: 16, seed: 3)
    #expect(abs((0..<4000).count { many.contexts(at: $0) > 1 } - 3200) < 130)
    // Five standard deviations of a binomial count.
    #expect(abs(drawn.count { $0 > 1 } - 1000) < 140)
    for contexts in [2, 4, 8, 16] { #expect(abs(drawn.count { $0 == contexts } - 250) < 80) }
    #expect(
      stride(from: 3999, through: 0, by: -7).allSatisfy { schedule.contexts(at: $0) == drawn[$0] })
    #expect(
      (2000..<2100).contains {
        ContextSchedule(share: 0.25, steps: 4000, most: 16, seed: 4).contexts(at: $0) != drawn[$0]
      })
  }

  @Test("nothing is longer than it may be")
  func most() {
    for (most, expected) in [(0, [1]), (1, [1]), (5, [1, 2, 4]), (100, [1, 2, 4, 8, 16])] {
      let schedule = ContextSchedule(share: 1, steps: 200, most: most, seed: 1)
      #expect(schedule.all == expected)
      #expect(
        Set((0..<200).map { schedule.contexts(at: $0) })
          == Set(expected.count > 1 ? Array(expected.dropFirst()) : [1]))
    }
    #expect(
      (0..<200).allSatisfy {
        ContextSchedule(share: 0, steps: 200, most: 16, seed: 1).contexts(at: $0) == 1
      })
  }

  @Test("series, threads and the model bound the length")
  func bounds() throws {
    func all(
      _ kind: String, length: Int = 2000, batch: Int = 64, threads: Int = 1
    ) throws -> [Int] {
      var configuration = Sample.configuration
      configuration.kind = kind
      let panel = Sample.panel([
        [Double](repeating: 1, count: 20), [Double](repeating: 1, count: length),
      ])
      return TrainingConfiguration(batch: batch).contexts(
        try ForecastNetwork<Float>(configuration), threads: threads,
        Self.index(panel, configuration)
      ).all
    }
    #expect(try all("lstm") == [1, 2, 4, 8, 16])
    // The longest reaches 7 contexts.
    #expect(try all("lstm", length: 7 * 16) == [1, 2, 4])
    #expect(try all("lstm", length: 31) == [1])
    #expect(try all("lstm", threads: 16) == [1, 2, 4])
    #expect(try all("lstm", batch: 1) == [1])
    #expect(try all("mlp") == [1])
  }

  private static func index(
    _ panel: Panel, _ configuration: ForecasterConfiguration
  ) -> WindowIndex {
    WindowIndex(
      panel, horizon: configuration.horizon, contextLength: configuration.contextLength,
      validationWindows: 0, minimumContext: 1)
  }

  @Test(
    "the fewer windows reach so far back, the rarer are steps that do, and only such windows are in them"
  )
  func reach() throws {
    // Of 40 series, 39 do not reach beyond one context.
    let configuration = Sample.configuration
    let context = configuration.contextLength
    let lengths = (0..<80).map { $0 % 40 == 0 ? 6 * context : context }
    let panel = Sample.panel(lengths.map { [Double](repeating: 1, count: $0) })
    let index = Self.index(panel, configuration)
    let windows = (0..<index.count).map { index.window($0) }
    for contexts in [1, 2, 4, 8] {
      let counted = windows.count { $0.end >= contexts * context }
      #expect(
        index.share(reaching: contexts * context) == Double(counted) / Double(windows.count))
    }
    let schedule = TrainingConfiguration(steps: 40_000, batch: 64, longContexts: 0.25).contexts(
      try ForecastNetwork<Float>(configuration), threads: 1, index)
    #expect(schedule.all == [1, 2, 4])
    let drawn = (0..<40_000).map { schedule.contexts(at: $0) }
    for contexts in [2, 4] {
      let share = index.share(reaching: contexts * context)
      #expect(Double(contexts) * share < 1)
      let expected = 40_000 * 0.25 / 2 * Double(contexts) * share
      #expect(
        abs(Double(drawn.count { $0 == contexts }) - expected) < 5 * expected.squareRoot())
    }

    var sampler = WindowSampler(seed: 7)
    sampler.draw(500, from: index, reaching: 4 * context)
    #expect(sampler.windows.count == 500)
    #expect(sampler.windows.allSatisfy { $0.end >= 4 * context })
    #expect(Set(sampler.windows.map(\.series)) == [0, 40])
  }

  @Test("no step takes more memory than was planned", arguments: ["lstm", "s4d", "mlstm"])
  func memory(kind: String) throws {
    var configuration = Sample.configuration
    configuration.kind = kind
    let network = try ForecastNetwork<Float>(configuration)
    let trainer = Trainer(TrainingConfiguration(batch: 32))
    let planned = try trainer.plannedBytes(configuration)
    for contexts in [1, 2, 4, 8, 16] {
      #expect(network.trainingBytes(32 / contexts, contexts: contexts) <= planned)
    }
  }

  /// Waves of different lengths with some noise; phases are not told.
  private static func waves(_ count: Int, length: Int, seed: UInt64) -> Panel {
    var random = SeededGenerator(seed: seed)
    return Sample.panel(
      (0..<count).map { _ in
        let (period, phase) = (6 + 6 * random.uniform(), random.uniform())
        return (0..<length).map {
          sin(2 * .pi * (Double($0) / period + phase)) + 0.1 * random.normal()
        }
      })
  }

  @Test("what a trainer fitted forecasts as well from 16 contexts as from one")
  func holds() throws {
    let configuration = ForecasterConfiguration(
      kind: "lstm", hidden: 16, contextLength: 20, horizon: 2, quantiles: [0.1, 0.5, 0.9])
    let fresh = Self.waves(128, length: 322, seed: 5)
    func losses(_ longContexts: Double) throws -> (one: Double, sixteen: Double) {
      let result = try Sample.fit(
        Self.waves(64, length: 340, seed: 4),
        TrainingConfiguration(
          steps: 1500, batch: 32, longContexts: longContexts, learningRate: 1e-2,
          validationWindows: 0), configuration)
      let network = try ForecastNetwork<Float>(configuration)
      let workspace = network.makeWorkspace(training: false)
      func loss(_ contexts: Int) -> Double {
        let batch = workspace.prepare(fresh.count, training: false, contexts: contexts)
        fresh.values.withUnsafeBufferPointer { values in
          for series in 0..<fresh.count {
            network.features.fill(
              batch, row: series,
              values: UnsafeBufferPointer(rebasing: values[fresh.range(of: series)]),
              firstOrdinal: 0, end: 320)
          }
        }
        return network.loss(parameters: Buffer(result.forecaster.parameters), workspace).sum
      }
      return (loss(1), loss(16))
    }
    let standard = try losses(TrainingConfiguration().longContexts)
    let without = try losses(0)
    #expect(standard.sixteen < 1.05 * standard.one, "\(standard)")
    #expect(without.sixteen > 1.05 * without.one, "\(without)")
  }
}
