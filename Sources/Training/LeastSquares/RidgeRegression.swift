// Names: shape letters N, D, H, and P for D and the constant.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

package import NumericsCore

/// Linear regression of the targets of all steps ahead on shared features, with a penalty on the coefficients
/// (Hoerl & Kennard 1970) and, if wanted, the sparsity of AR-Net.
///
/// Minimises for every step the mean squared error over the rows in which it is observed, plus `lambda` times the
/// sum of squared coefficients in units of the features' mean variance; the constant is free. Solved exactly, by
/// normal equations in double precision of features that were centred: the Gram matrix of the complete rows is
/// computed once for all steps and penalties, and steps that other rows know too get theirs added.
///
/// Equal results for any number of threads: what is summed is divided in the same way.
package final class RidgeRegression: Sendable {
  let data: RegressionData
  let threads: Int
  private let folds: Folds
  private let complete: [Bool]
  private let groups: [RegressionData.Group]
  /// Features and constant `P`.
  private let P: Int
  private let means: [Double]
  /// One over the root of the mean variance of the features.
  private let scale: Double
  private let parts: Parts
  /// Weight of AR-Net's regulariser; 0 for none.
  private let sparsity: Double

  /// Normal equations of the complete rows of every fold.
  private struct Parts: Sendable {
    let grams: [Buffer<Double>]
    let products: [Buffer<Double>]
    let counts: Buffer<Double>
  }

  /// Rows of a block: of the length that keeps a block and the Gram matrix's part in cache.
  private static let block = 256

  /// - Parameters:
  ///   - folds: parts for cross-validation.
  ///   - check: called now and then; what it throws ends the computation.
  package init(
    _ data: RegressionData, folds wanted: Int = 8, sparsity: Double = 0, threads: Int,
    check: () throws -> Void = {}
  ) throws {
    self.data = data
    self.threads = threads
    self.sparsity = sparsity
    let P = data.width + 1
    self.P = P
    folds = Folds(data.places, count: wanted, reach: data.steps)
    let (complete, groups) = data.groups()
    self.complete = complete
    self.groups = groups
    (means, scale) = Self.moments(data)
    parts = Parts(
      grams: (0..<folds.count).map { _ in Buffer(P * P) },
      products: (0..<folds.count).map { _ in Buffer(P * data.steps) },
      counts: Buffer(folds.count))
    try read(grams: true, check)
  }

  /// Takes note of targets that have changed, missing ones apart.
  package func readTargets(check: () throws -> Void = {}) throws {
    for products in parts.products { products.zero() }
    try read(grams: false, check)
  }

  private func read(grams: Bool, _ check: () throws -> Void) throws {
    let blocks = Blocks(data, means: means, scale: scale)
    let all = (0..<data.steps).map { $0 }
    try inWaves(folds.count, check) { fold in
      let rows = completeRows(of: fold)
      parts.counts[fold] = Double(rows.count)
      blocks.add(
        rows, steps: all, sign: 1, to: grams ? parts.grams[fold].base : nil,
        parts.products[fold].base)
    }
  }

  private func completeRows(of fold: Int) -> [Int32] {
    (0..<data.rows).filter { complete[$0] && Int(folds.parts[$0]) == fold }.map { Int32($0) }
  }

  /// Means of the features and one over the root of their mean variance.
  private static func moments(_ data: RegressionData) -> (means: [Double], scale: Double) {
    let (N, D) = (data.rows, data.width)
    var sums = [Double](repeating: 0, count: D)
    var squares = sums
    for row in 0..<N {
      let x = data.features.base + row * D
      for k in 0..<D { sums[k] += Double(x[k]) }
    }
    let means = sums.map { $0 / Double(max(N, 1)) }
    for row in 0..<N {
      let x = data.features.base + row * D
      for k in 0..<D {
        let distance = Double(x[k]) - means[k]
        squares[k] += distance * distance
      }
    }
    let moving = squares.filter { $0 > 0 }
    let variance = moving.reduce(0, +) / Double(max(N * moving.count, 1))
    return (means, variance > 0 ? 1 / variance.squareRoot() : 1)
  }

  /// Runs `body(0) ... body(count - 1)` on the threads, with a check after each round.
  private func inWaves(
    _ count: Int, _ check: () throws -> Void, _ body: @Sendable (Int) -> Void
  ) throws {
    for start in stride(from: 0, to: count, by: threads) {
      parallel(count: min(threads, count - start)) { body(start + $0) }
      try check()
    }
  }

  /// Rows as double precision, centred and scaled, the constant last, with the targets of some steps.
  private struct Blocks: Sendable {
    let data: RegressionData
    let means: [Double]
    let scale: Double

    init(_ data: RegressionData, means: [Double], scale: Double) {
      self.data = data
      self.means = means
      self.scale = scale
    }

    /// Calls `body` with the places of a block in `rows`, its features `[rows, P]` and its targets
    /// `[rows, steps]`.
    func forEach(
      _ rows: [Int32], steps: [Int],
      _ body: (Range<Int>, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>) -> Void
    ) {
      let (D, H) = (data.width, data.steps)
      let P = D + 1
      let x = Buffer<Double>(RidgeRegression.block * P)
      let y = Buffer<Double>(RidgeRegression.block * steps.count)
      for start in stride(from: 0, to: rows.count, by: RidgeRegression.block) {
        let part = start..<min(start + RidgeRegression.block, rows.count)
        for (place, number) in part.enumerated() {
          let row = Int(rows[number])
          let source = data.features.base + row * D
          let to = x.base + place * P
          means.withUnsafeBufferPointer { means in
            for k in 0..<D { to[k] = (Double(source[k]) - means[k]) * scale }
          }
          to[D] = 1
          let targets = data.targets.base + row * H
          for (k, step) in steps.enumerated() {
            y[place * steps.count + k] = Double(targets[step])
          }
        }
        body(part, x.base, y.base)
      }
    }

    /// Adds or subtracts the normal equations of rows in which all of `steps` are observed.
    func add(
      _ rows: [Int32], steps: [Int], sign: Double, to gram: UnsafeMutablePointer<Double>?,
      _ products: UnsafeMutablePointer<Double>
    ) {
      let P = data.width + 1
      forEach(rows, steps: steps) { part, x, y in
        if let gram { Cholesky.addGram(rows: part.count, P, x, to: gram, scale: sign) }
        Double.multiply(
          P, steps.count, part.count, alpha: sign, x, .transposed, lda: P, y, .plain,
          ldb: steps.count, beta: 1, products, ldc: steps.count)
      }
    }
  }

  // MARK: Solutions

  /// Normal equations of the rows that only one group of steps knows, added up once for all folds.
  private struct Partial {
    let gram: Buffer<Double>
    let products: Buffer<Double>
    let count: Double
  }

  private func partial(_ number: Int, _ blocks: Blocks) -> Partial? {
    let group = groups[number]
    guard !group.partial.isEmpty else { return nil }
    let (gram, products) = (Buffer<Double>(P * P), Buffer<Double>(P * group.steps.count))
    blocks.add(group.partial, steps: group.steps, sign: 1, to: gram.base, products.base)
    return Partial(gram: gram, products: products, count: Double(group.partial.count))
  }

  /// Solves the normal equations of one group of steps without one fold, for several penalties.
  ///
  /// - Parameter body: receives the number of the penalty and the coefficients `[P, steps]`.
  private func solve(
    _ group: RegressionData.Group, _ partial: Partial?, without fold: Int?, _ penalties: [Double],
    _ blocks: Blocks, _ body: (Int, UnsafeMutablePointer<Double>) -> Void
  ) {
    let (P, H, K) = (P, data.steps, group.steps.count)
    let gram = Buffer<Double>(P * P)
    let products = Buffer<Double>(P * K)
    var count = 0.0
    for part in 0..<folds.count where part != fold {
      Double.add(P * P, parts.grams[part].base, to: gram.base)
      for row in 0..<P {
        for (k, step) in group.steps.enumerated() {
          products[row * K + k] += parts.products[part][row * H + step]
        }
      }
      count += parts.counts[part]
    }
    if let partial {
      Double.add(P * P, partial.gram.base, to: gram.base)
      Double.add(P * K, partial.products.base, to: products.base)
      count += partial.count
    }
    if let fold {
      let own = group.partial.filter { Int(folds.parts[Int($0)]) == fold }
      blocks.add(own, steps: group.steps, sign: -1, to: gram.base, products.base)
      count -= Double(own.count)
      let isPartial = Set(group.partial)
      let purged = folds.purged[fold].filter { complete[Int($0)] || isPartial.contains($0) }
      // Nothing would be left of a series that is little longer than its horizon.
      if Double(purged.count) < count / 2 {
        blocks.add(purged, steps: group.steps, sign: -1, to: gram.base, products.base)
        count -= Double(purged.count)
      }
    }
    guard count > 0 else {
      products.zero()
      for k in penalties.indices { body(k, products.base) }
      return
    }
    let system = Buffer<Double>(P * P)
    let solution = Buffer<Double>(P * K)
    for (number, penalty) in penalties.enumerated() {
      // Features that hang together to the last digit need some penalty to have an answer.
      var weight = max(penalty, 1e-12) * count
      repeat {
        system.copy(from: gram)
        for k in 0..<(P - 1) { system[k * P + k] += weight }
        weight *= 10
      } while !Cholesky.factor(system.base, P) && weight.isFinite
      solution.copy(from: products)
      Cholesky.solve(system.base, P, solution.base, columns: K)
      if sparsity > 0 {
        SparseRegression(
          gram: gram, products: products, columns: K, count: count, penalty: max(penalty, 1e-12),
          sparsity: sparsity, unit: scale
        ).refine(solution.base)
      }
      body(number, solution.base)
    }
  }

  /// What can be done at once: a group of steps and some folds.
  private func items(_ groups: [Int]) -> [(group: Int, folds: Range<Int>)] {
    guard groups.count < threads else { return groups.map { ($0, 0..<folds.count) } }
    return groups.flatMap { group in (0..<folds.count).map { (group, $0..<($0 + 1)) } }
  }

  /// Mean absolute errors of the rows of every fold, predicted from the others, for several penalties.
  ///
  /// Steps that few rows distinguish from their neighbours err alike: of many groups, some speak for all.
  package func validationErrors(
    _ penalties: [Double], check: () throws -> Void = {}
  ) throws -> [Double] {
    let spread = min(4, groups.count)
    let chosen = (0..<spread).map { spread == 1 ? 0 : $0 * (groups.count - 1) / (spread - 1) }
    let items = items(chosen)
    // For each group and fold, so that what is summed does not depend on what a thread does in one go.
    let sums = Buffer<Double>(groups.count * folds.count * (penalties.count + 1))
    let blocks = Blocks(data, means: means, scale: scale)
    try inWaves(items.count, check) { number in
      let partial = partial(items[number].group, blocks)
      for fold in items[number].folds {
        let place = items[number].group * folds.count + fold
        let out = sums.base + place * (penalties.count + 1)
        predict(
          items[number].group, partial, fold, penalties, blocks
        ) { penalty, _, predictions, targets in
          for (prediction, target) in zip(predictions, targets) where !target.isNaN {
            out[penalty] += abs(prediction - target)
            if penalty == 0 { out[penalties.count] += 1 }
          }
        }
      }
    }
    func total(_ column: Int) -> Double {
      (0..<(groups.count * folds.count)).reduce(0) {
        $0 + sums[$1 * (penalties.count + 1) + column]
      }
    }
    let count = max(total(penalties.count), 1)
    return penalties.indices.map { total($0) / count }
  }

  /// What is left `[N, H]` of the targets of every fold after prediction from the others; NaN where missing.
  package func residuals(
    _ penalty: Double, check: () throws -> Void = {}
  ) throws -> Buffer<Float> {
    let H = data.steps
    let items = items(Array(groups.indices))
    let residuals = Buffer<Float>(data.rows * H)
    for k in 0..<(data.rows * H) { residuals[k] = .nan }
    let blocks = Blocks(data, means: means, scale: scale)
    try inWaves(items.count, check) { number in
      let partial = partial(items[number].group, blocks)
      let steps = groups[items[number].group].steps
      for fold in items[number].folds {
        predict(
          items[number].group, partial, fold, [penalty], blocks
        ) { _, rows, predictions, targets in
          for (place, row) in rows.enumerated() {
            for (k, step) in steps.enumerated() {
              let at = place * steps.count + k
              residuals[Int(row) * H + step] = Float(targets[at] - predictions[at])
            }
          }
        }
      }
    }
    return residuals
  }

  /// Predicts the rows of one fold from the others.
  ///
  /// - Parameter body: receives, block after block, the number of the penalty, the rows, and their predictions and
  ///   targets `[rows, steps of the group]`.
  private func predict(
    _ number: Int, _ partial: Partial?, _ fold: Int, _ penalties: [Double], _ blocks: Blocks,
    _ body: (Int, ArraySlice<Int32>, UnsafeBufferPointer<Double>, UnsafeBufferPointer<Double>) ->
      Void
  ) {
    let group = groups[number]
    let K = group.steps.count
    let rows =
      completeRows(of: fold) + group.partial.filter { Int(folds.parts[Int($0)]) == fold }
    let predictions = Buffer<Double>(Self.block * K)
    solve(group, partial, without: folds.count > 1 ? fold : nil, penalties, blocks) {
      penalty, solution in
      blocks.forEach(rows, steps: group.steps) { part, x, y in
        Double.multiply(
          part.count, K, P, alpha: 1, x, .plain, lda: P, solution, .plain, ldb: K, beta: 0,
          predictions.base, ldc: K)
        body(
          penalty, rows[part], UnsafeBufferPointer(start: predictions.base, count: part.count * K),
          UnsafeBufferPointer(start: y, count: part.count * K))
      }
    }
  }

  /// Coefficients of the features as they came.
  package struct Solution {
    /// `[D, H]`.
    package let coefficients: [Double]
    /// `[H]`.
    package let constants: [Double]
  }

  /// Fits all rows.
  package func solution(_ penalty: Double, check: () throws -> Void = {}) throws -> Solution {
    let (D, H) = (data.width, data.steps)
    let found = Buffer<Double>(P * H)
    let blocks = Blocks(data, means: means, scale: scale)
    try inWaves(groups.count, check) { number in
      let group = groups[number]
      solve(group, partial(number, blocks), without: nil, [penalty], blocks) { _, solution in
        for row in 0..<P {
          for (k, step) in group.steps.enumerated() {
            found[row * H + step] = solution[row * group.steps.count + k]
          }
        }
      }
    }
    let coefficients = (0..<(D * H)).map { found[$0] * scale }
    return Solution(
      coefficients: coefficients,
      constants: (0..<H).map { h in
        (0..<D).reduce(found[D * H + h]) { $0 - means[$1] * coefficients[$1 * H + h] }
      })
  }
}
