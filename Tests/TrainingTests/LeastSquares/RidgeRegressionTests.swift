import Foundation
import NumericsCore
import TestSupport
import Testing
import Training

@Suite("Ridge regression")
struct RidgeRegressionTests {
  /// Random features with some structure, and targets of which some are missing.
  private func sample(
    rows: Int, width: Int, steps: Int, series: Int, missing: Double, seed: UInt64 = 1
  ) -> RegressionData {
    var random = SeededGenerator(seed: seed)
    let data = RegressionData(
      places: (0..<rows).map { .init(series: $0 * series / rows, position: $0) }, width: width,
      steps: steps)
    for row in 0..<rows {
      for k in 0..<width {
        data.features[row * width + k] = Float(random.normal() * (1 + Double(k)) + 3 * Double(k))
      }
      for h in 0..<steps {
        let signal = (0..<width).reduce(1.0 + Double(h)) {
          $0 + Double(data.features[row * width + $1]) * Double(($1 + h) % 3 - 1)
        }
        data.targets[row * steps + h] =
          random.uniform() < missing ? .nan : Float(signal + random.normal())
      }
    }
    return data
  }

  /// The minimum by Gaussian elimination, in the definition's own units, of some rows.
  private func naive(
    _ data: RegressionData, step: Int, penalty: Double, rows: [Int]
  ) -> [Double] {
    let (D, N) = (data.width, data.rows)
    var variances = 0.0
    for k in 0..<D {
      let column = (0..<N).map { Double(data.features[$0 * D + k]) }
      let mean = column.reduce(0, +) / Double(N)
      variances += column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(N * D)
    }
    let seen = rows.filter { !data.targets[$0 * data.steps + step].isNaN }
    var system = [[Double]](repeating: [Double](repeating: 0, count: D + 2), count: D + 1)
    for row in seen {
      let x = (0..<D).map { Double(data.features[row * D + $0]) } + [1]
      let y = Double(data.targets[row * data.steps + step])
      for i in 0...D {
        for j in 0...D { system[i][j] += x[i] * x[j] }
        system[i][D + 1] += x[i] * y
      }
    }
    for k in 0..<D { system[k][k] += penalty * variances * Double(seen.count) }
    for pivot in 0...D {
      let best = (pivot...D).max { abs(system[$0][pivot]) < abs(system[$1][pivot]) }!
      system.swapAt(pivot, best)
      for row in 0...D where row != pivot {
        let factor = system[row][pivot] / system[pivot][pivot]
        for k in pivot..<(D + 2) { system[row][k] -= factor * system[pivot][k] }
      }
    }
    return (0...D).map { system[$0][D + 1] / system[$0][$0] }
  }

  @Test(
    "coefficients are those of a naive solution, step by step, whatever is missing",
    arguments: [(300, 4, 3, 0.0), (300, 4, 3, 0.3), (700, 7, 5, 0.05), (40, 1, 1, 0.2)],
    [1e-6, 0.3])
  func coefficients(size: (rows: Int, width: Int, steps: Int, missing: Double), penalty: Double)
    throws
  {
    let data = sample(
      rows: size.rows, width: size.width, steps: size.steps, series: 5, missing: size.missing)
    for threads in [1, 3] {
      let found = try RidgeRegression(data, threads: threads).solution(penalty)
      for h in 0..<size.steps {
        let expected = naive(data, step: h, penalty: penalty, rows: Array(0..<size.rows))
        expectClose(
          (0..<size.width).map { found.coefficients[$0 * size.steps + h] } + [found.constants[h]],
          expected, absolute: 1e-8)
      }
    }
  }

  @Test("residuals are those of predictions from the other folds, neighbours apart")
  func residuals() throws {
    // Ten series, so folds are whole series; then one, whose folds are purged at their edges.
    for (series, folds) in [(10, 5), (1, 4)] {
      let data = sample(rows: 200, width: 3, steps: 4, series: series, missing: 0.1)
      let found = try RidgeRegression(data, folds: folds, threads: 2).residuals(0.01)
      for fold in 0..<folds {
        let own = (fold * 200 / folds)..<((fold + 1) * 200 / folds)
        let others = (0..<200).filter { row in
          if own.contains(row) { return false }
          let near = row >= own.lowerBound - 3 && row <= own.upperBound + 2
          return !(near && data.places[row].series == data.places[own.lowerBound].series)
        }
        for h in 0..<4 {
          let w = naive(data, step: h, penalty: 0.01, rows: others)
          for row in own {
            let target = Double(data.targets[row * 4 + h])
            let expected = (0..<3).reduce(target - w[3]) {
              $0 - w[$1] * Double(data.features[row * 3 + $1])
            }
            expectClose(Double(found[row * 4 + h]), expected, absolute: 1e-4)
          }
        }
      }
    }
  }

  @Test("errors of validation are the means of the residuals, and any number of threads agrees")
  func errors() throws {
    for missing in [0.0, 0.2] {
      let data = sample(rows: 150, width: 5, steps: 3, series: 30, missing: missing)
      let penalties = [1e-4, 1e-2, 1]
      let one = try RidgeRegression(data, threads: 1)
      let errors = try one.validationErrors(penalties)
      for (penalty, error) in zip(penalties, errors) {
        let residuals = try one.residuals(penalty).array.filter { !$0.isNaN }.map {
          Double(abs($0))
        }
        expectClose(error, residuals.reduce(0, +) / Double(residuals.count), relative: 1e-5)
      }
      let three = try RidgeRegression(data, threads: 3)
      #expect(try three.validationErrors(penalties) == errors)
      #expect(
        try three.residuals(1).array.map(\.bitPattern) == one.residuals(1).array.map(\.bitPattern))
      #expect(try three.solution(1).coefficients == one.solution(1).coefficients)
    }
  }

  @Test("features that hang together, do not change or are more than rows have an answer")
  func degenerate() throws {
    var random = SeededGenerator(seed: 4)
    let data = RegressionData(
      places: (0..<12).map { .init(series: $0, position: 0) }, width: 20, steps: 2)
    for row in 0..<12 {
      for k in 0..<20 {
        data.features[row * 20 + k] = k < 2 ? 1 : k < 4 ? Float(row) : Float(random.normal())
      }
      for h in 0..<2 { data.targets[row * 2 + h] = Float(row) + (h == 0 ? 0 : .nan) }
    }
    let regression = try RidgeRegression(data, threads: 2)
    for penalty in [0, 1e-9, 1.0] {
      let found = try regression.solution(penalty)
      #expect((found.coefficients + found.constants).allSatisfy { $0.isFinite })
      // A step that was never observed has no coefficients.
      #expect((0..<20).allSatisfy { found.coefficients[$0 * 2 + 1] == 0 })
      let residuals = try regression.residuals(penalty)
      for k in 0..<24 { #expect(k % 2 == 0 ? residuals[k].isFinite : residuals[k].isNaN) }
    }
    let alone = RegressionData(places: [.init(series: 0, position: 3)], width: 2, steps: 1)
    alone.targets[0] = 5
    expectClose(
      try RidgeRegression(alone, threads: 1).solution(1e-3).constants, [5], absolute: 1e-6)
  }

  @Test("what a check throws ends the computation")
  func cancelled() throws {
    let data = sample(rows: 100, width: 3, steps: 2, series: 10, missing: 0)
    struct Stop: Error {}
    #expect(throws: Stop.self) { _ = try RidgeRegression(data, threads: 1) { throw Stop() } }
    let regression = try RidgeRegression(data, threads: 1)
    #expect(throws: Stop.self) { _ = try regression.residuals(1) { throw Stop() } }
    #expect(throws: Stop.self) { _ = try regression.validationErrors([1]) { throw Stop() } }
    #expect(throws: Stop.self) { _ = try regression.solution(1) { throw Stop() } }
  }
}
