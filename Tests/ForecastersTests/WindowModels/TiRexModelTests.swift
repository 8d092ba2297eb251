// Names: shape letters B, F, H, K, P, T; n for patches.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

@Suite("TiRex, trained")
struct TiRexModelTests {
  private func mask(
    patches: Int, rows: Int, share: Double, training: Bool = true, run: Int = 0
  ) -> [Float] {
    let graph = Graph<Float>()
    let mask = graph.apply(
      PatchMask<Float>(patches: patches, batch: rows, share: share), to: [])[0]
    graph.keep(mask)
    let execution = Execution(Plan(graph))
    let nothing = Buffer<Float>(1)
    execution.forward(parameters: nothing.base, training: training, seed: 5, run: run)
    return (0..<(patches * rows)).map { execution.value(mask)[$0] }
  }

  @Test("training hides runs of patches, never the last one; nothing is hidden otherwise")
  func masking() {
    let (n, rows) = (40, 300)
    #expect(mask(patches: n, rows: rows, share: 0.5, training: false).allSatisfy { $0 == 1 })
    #expect(mask(patches: n, rows: rows, share: 0).allSatisfy { $0 == 1 })
    let hidden = mask(patches: n, rows: rows, share: 0.5)
    #expect(hidden == mask(patches: n, rows: rows, share: 0.5))
    #expect(hidden != mask(patches: n, rows: rows, share: 0.5, run: 1))
    #expect(hidden.allSatisfy { $0 == 0 || $0 == 1 })
    #expect((0..<rows).allSatisfy { hidden[(n - 1) * rows + $0] == 1 })
    // A share p of runs of length c hides c p / (1 + (c - 1) p) of the patches; p is uniform up to 0.5 and c
    // from 1 to 5, which makes 0.43 on average. 300 windows have a standard error of 0.015.
    let share = hidden.reduce(0) { $0 + (1 - Double($1)) } / Double((n - 1) * rows)
    #expect(abs(share - 0.43) < 0.06, "\(share)")
  }

  /// Ten steps `0 ... 9` in patches of three, so that the first patch begins two steps before the window.
  private func origins(
    hidden: Set<Int>, missing: Set<Int> = [], ahead: Int, horizon: Int, seasons: [Int] = []
  ) -> (targets: [Double], starts: [Double], ahead: [Double]) {
    let graph = Graph<Double>()
    let x = graph.input([10, 1, 2])
    let mask = graph.input([4, 1])
    let results = graph.apply(
      PatchOrigins<Double>(
        steps: 10, batch: 1, features: 2, patch: 3, patches: 4, ahead: ahead, horizon: horizon,
        seasons: seasons), to: [x, mask])
    for result in results { graph.keep(result) }
    let execution = Execution(Plan(graph))
    for t in 0..<10 {
      execution.input(x)[t * 2] = missing.contains(t) ? 0 : Double(t)
      execution.input(x)[t * 2 + 1] = missing.contains(t) ? 0 : 1
    }
    for k in 0..<4 { execution.input(mask)[k] = hidden.contains(k) ? 0 : 1 }
    let nothing = Buffer<Double>(1)
    execution.forward(parameters: nothing.base, training: true)
    func numbers(_ index: Int) -> [Double] {
      (0..<results[index].shape.count).map { execution.value(results[index])[$0] }
    }
    return (numbers(0), numbers(1), numbers(2))
  }

  @Test("every patch is a target of what was visible before it")
  func targets() {
    // Patches: (-, -, 0), (1, 2, 3), (4, 5, 6), (7, 8, 9).
    let all = origins(hidden: [], ahead: 2, horizon: 6)
    #expect(all.targets == [1, 2, 3, 4, 5, 6, 7, 8, 9])
    #expect(all.starts == [0, 0, 0, 3, 3, 3, 6, 6, 6])
    #expect(all.ahead == [0, 0, 0])
    // The second patch is hidden: the third starts from the first, one patch further ahead.
    let one = origins(hidden: [1], ahead: 2, horizon: 6)
    #expect(one.targets == [1, 2, 3, 4, 5, 6, 7, 8, 9])
    #expect(one.starts == [0, 0, 0, 0, 0, 0, 6, 6, 6])
    #expect(one.ahead == [0, 1, 0])
  }

  @Test("what no forecast reaches, and what nothing was seen before, is no target")
  func unreachable() {
    func known(_ values: [Double]) -> [Double] { values.map { $0.isNaN ? -1 : $0 } }
    let far = origins(hidden: [1, 2], ahead: 2, horizon: 5)
    // Two patches of five steps: the last step of the second is beyond, the third altogether.
    #expect(known(far.targets) == [1, 2, 3, 4, 5, -1, -1, -1, -1])
    #expect(far.ahead == [0, 1, 0])
    let blind = origins(hidden: [0], ahead: 1, horizon: 3)
    #expect(known(blind.targets) == [-1, -1, -1, 4, 5, 6, 7, 8, 9])
    let gaps = origins(hidden: [], missing: [0, 3, 5], ahead: 1, horizon: 2)
    #expect(known(gaps.targets) == [-1, -1, -1, 4, -1, -1, 7, 8, -1])
    #expect(Array(gaps.starts[3...]) == [2, 2, 2, 6, 6, 6])
  }

  @Test("seasonal candidates come from visible seasons alone")
  func seasons() {
    let q = origins(hidden: [2], ahead: 2, horizon: 6, seasons: [3])
    // After the first patch nothing has this phase but the last; then 3 steps before; then 6.
    let plain = stride(from: 1, to: q.starts.count, by: 3).map { q.starts[$0] }
    #expect(plain == [0, 0, 0, 1, 2, 3, 1, 2, 3])
    #expect(q.ahead == [0, 0, 1])
  }

  private func configuration(_ change: (inout ForecasterConfiguration) -> Void = { _ in })
    -> ForecasterConfiguration
  {
    var configuration = ForecasterConfiguration(
      kind: "tirex", hidden: 4, layers: 2,
      options: ["patch": .integer(3), "heads": .integer(2), "masking": .number(0.6)],
      contextLength: 26, horizon: 7, quantiles: [0.2, 0.5, 0.9], seasonality: [4])
    change(&configuration)
    return configuration
  }

  @Test("the gradient of a training step, hidden patches and inner targets included, is exact")
  func gradient() throws {
    let shorter = configuration { $0.horizon = 2 }
    for configuration in [configuration(), shorter] {
      let network = try ForecastNetwork<Double>(configuration)
      let parameters = network.initialParameters(seed: 2)
      var random = SeededGenerator(seed: 3)
      for k in 0..<parameters.count { parameters[k] += random.normal() * 0.2 }
      let series = (0..<4).map { number in
        (0..<40).map { t in
          random.uniform() < 0.1
            ? Double.nan : Double(t % 4) * 3 + random.normal() + Double(number)
        }
      }
      func losses(recompute: Bool) -> (loss: Double, gradient: [Double], again: () -> Double) {
        let workspace = network.makeWorkspace(training: true, recompute: recompute)
        let batch = workspace.prepare(4, training: true)
        for (row, values) in series.enumerated() {
          values.withUnsafeBufferPointer {
            network.features.fill(batch, row: row, values: $0, firstOrdinal: 1, end: 20 + 4 * row)
          }
        }
        func loss() -> Double {
          network.lossAndGradient(
            weightOfRow: 0.25, parameters: parameters, workspace, seed: 9, run: 1)
        }
        let value = loss()
        return (value, workspace.gradient.array, loss)
      }
      let kept = losses(recompute: false)
      expectClose(
        kept.gradient, centralDifferences(parameters, kept.again), absolute: 1e-7, relative: 1e-5)
      let again = losses(recompute: true)
      expectClose(again.loss, kept.loss, relative: 1e-12)
      expectClose(again.gradient, kept.gradient, absolute: 1e-11)
    }
  }

  @Test("patches are as long as asked for, and shorter in short windows")
  func patches() throws {
    func tensor(_ change: (inout ForecasterConfiguration) -> Void) throws -> [Int] {
      let network = try ForecastNetwork<Float>(configuration(change))
      return try #require(network.layout.tensors.first { $0.name == "input.hidden_weight" }).shape
    }
    #expect(try tensor { _ in }[0] == 6)
    #expect(try tensor { $0.contextLength = 16 }[0] == 4)
    #expect(try tensor { $0.contextLength = 3 }[0] == 2)
    #expect(
      try tensor {
        $0.contextLength = 2048
        $0.options = [:]
      }[0] == 64)
  }
}
