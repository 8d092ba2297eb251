import Forecasters
import Foundation
import NumericsCore
import TestSupport
import Testing

/// Gradients of units, for every registered model, against a loop over windows, each alone, in double precision.
@Suite("Gradients of units")
struct UnitGradientTests {
  /// Networks that are fitted by their gradient.
  static let kinds = Registry.entries.compactMap { $0 as? any NetworkArchitecture.Type }
    .map { $0.kind }

  /// A network with a few windows; some values and targets are missing.
  private struct Setup {
    let network: ForecastNetwork<Double>
    let parameters: Buffer<Double>
    let series: [[Double]]

    init(_ kind: String, contextLength: Int = 9, windows: Int = 6) throws {
      network = try ForecastNetwork(
        ForecasterConfiguration(
          kind: kind, hidden: 8, layers: 2, contextLength: contextLength, horizon: 3,
          quantiles: [0.1, 0.5, 0.9], seasonality: [4]))
      parameters = network.initialParameters(seed: 3)
      var random = SeededGenerator(seed: 8)
      for k in 0..<parameters.count { parameters[k] += random.normal() * 0.1 }
      series = (0..<windows).map { _ in
        var values = random.normals(contextLength + 3)
        values[2] = .nan
        values[contextLength + 1] = .nan
        return values
      }
    }

    func fill(_ batch: WindowFeatures.Batch<Double>, _ rows: [Int]) {
      for (row, number) in rows.enumerated() {
        series[number].withUnsafeBufferPointer {
          network.features.fill(
            batch, row: row, values: $0, firstOrdinal: number, end: series[number].count - 3)
        }
      }
    }

    /// One window at a time; the mean of each unit.
    func loop(windows: Int) -> [[Double]] {
      let workspace = network.makeWorkspace(training: true)
      return stride(from: 0, to: series.count, by: windows).map { first in
        var sum = [Double](repeating: 0, count: parameters.count)
        for row in first..<(first + windows) {
          fill(workspace.prepare(1, training: true), [row])
          _ = network.lossAndGradient(weightOfRow: 1, parameters: parameters, workspace)
          for k in sum.indices { sum[k] += workspace.gradient[k] / Double(windows) }
        }
        return sum
      }
    }

    func units(windows: Int, workspace: ForecastNetwork<Double>.Workspace) -> [[Double]] {
      fill(
        workspace.prepare(units: series.count / windows, windows: windows), Array(series.indices))
      var result: [[Double]] = []
      network.unitGradients(parameters: parameters, workspace) { number in
        #expect(number == result.count)
        result.append(workspace.gradient.array)
      }
      return result
    }
  }

  /// Models that mix the axes of time and rows, or write another graph for one row: private training takes
  /// their units one by one, each as a batch of its own.
  private static let oneByOne: Set = [
    "dilated", "reverso", "nhits", "dlinear", "nlinear", "mlp", "tirex", "xlstm-mixer",
  ]

  @Test("are those of single windows, summed", arguments: kinds)
  func registry(kind: String) throws {
    let setup = try Setup(kind)
    guard setup.network.separatesUnits else {
      #expect(Self.oneByOne.contains(kind))
      return
    }
    #expect(!Self.oneByOne.contains(kind))
    let workspace = setup.network.makeWorkspace(training: true)
    for windows in [1, 2, 3, 6] {
      let expected = setup.loop(windows: windows)
      // Twice: nothing is left behind by the first run.
      for _ in 0..<2 {
        let found = setup.units(windows: windows, workspace: workspace)
        #expect(found.count == expected.count)
        for (unit, (found, expected)) in zip(found, expected).enumerated() {
          let norm = sqrt(expected.reduce(0) { $0 + $1 * $1 })
          #expect(norm > 0.01)
          expectClose(
            sqrt(found.reduce(0) { $0 + $1 * $1 }), norm, absolute: 1e-10,
            "norm of unit \(unit) of \(windows) windows")
          expectClose(found, expected, absolute: 1e-11, "unit \(unit) of \(windows) windows")
        }
      }
    }
  }
}
