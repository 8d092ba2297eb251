// Names: shape letters B, D, F, H, K, N, Q, T.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import Foundation
import NumericsCore

/// Fits the map from the state of a frozen encoder in closed form.
///
/// All windows are encoded once, or as many as ``LeastSquaresLimits`` allow, drawn evenly. The linear start becomes
/// the mixture of its candidates that errs least, and a ridge regression explains what it leaves. The penalty is
/// the one of a grid with the least absolute error in cross-validation, residuals beyond the common measure pull no
/// harder than at it (``WinsorisedTargets``), and quantiles are those of the residuals in cross-validation, so that
/// intervals are as wide as for windows that were not seen.
final class LeastSquaresFit {
  private let memory: TrainingMemory
  private let panel: Panel
  private let configuration: TrainingConfiguration
  private let began = Date()
  private var outOfTime = false
  private var solutions = 0

  init(memory: TrainingMemory, panel: Panel, configuration: TrainingConfiguration) {
    self.memory = memory
    self.panel = panel
    self.configuration = configuration
  }

  /// Bytes that a fit takes at most, the panel apart.
  static func plannedBytes(_ network: ForecastNetwork<Float>, threads: Int) -> Int {
    let none = Panel(keys: [], offsets: [0], values: [], firstOrdinals: [])
    let encoding = WindowEncoding(network, network.initialParameters(seed: 1), none)
    let P = encoding.width + 1
    let folds = self.folds(encoding.width)
    let matrices = (folds + 2 * threads) * P * (P + network.configuration.horizon)
    return LeastSquaresLimits.bytes + threads * encoding.workspaceBytes
      + matrices * MemoryLayout<Double>.stride
  }

  private static func folds(_ width: Int) -> Int { width > 1024 ? 4 : 8 }

  /// Part of its series that a window's context covers at least. What is forecast has seen all of its series:
  /// windows of a few steps at the start err more, and would widen its intervals.
  private static let contextShare = 0.5

  private struct Model {
    let parameters: Buffer<Float>
    /// Mean quantile loss in cross-validation.
    let loss: Double
    let windows: Int
  }

  func fit(_ progress: (TrainingProgress) throws -> Void) throws -> TrainingResult {
    let c = memory.network.configuration
    let held = try WindowIndex(
      panel, c, validationWindows: configuration.validationWindows,
      contextShare: Self.contextShare)
    let validates = !held.validation.isEmpty
    let refits = validates && configuration.refitOnAll
    let share = refits ? 0.5 : 1.0
    var model = try solve(held, .fit, (0, share), progress)
    var validationLoss: Double?
    if validates {
      let loss = Validation(memory: memory, panel: panel).loss(held.validation, model.parameters)
      validationLoss = loss.isFinite ? loss : nil
    }
    if refits, !outOfTime {
      let all = try WindowIndex(panel, c, validationWindows: 0, contextShare: Self.contextShare)
      let second = try solve(all, .refit, (share, 1), progress)
      // What ran out of time has seen less than what was validated.
      if !outOfTime { model = second }
    }
    return TrainingResult(
      forecaster: TrainedForecaster(configuration: c, parameters: model.parameters.array),
      bestStep: solutions, steps: solutions, validationLoss: validationLoss,
      trainingLoss: model.loss, windows: model.windows, retries: 0,
      seconds: Date().timeIntervalSince(began), stoppedByTimeBudget: outOfTime)
  }

  // MARK: One solution

  private func solve(
    _ index: WindowIndex, _ phase: TrainingProgress.Phase, _ fractions: (Double, Double),
    _ progress: (TrainingProgress) throws -> Void
  ) throws -> Model {
    let network = memory.network
    let c = network.configuration
    let (H, K) = (c.horizon, c.skipCount)
    let parameters = network.initialParameters(seed: configuration.seed)
    var startLoss = 0.0
    var reached = 0.0
    func report(_ part: Double, step: Int = 0, loss: Double? = nil) throws {
      // Work whose length is not known beforehand comes nearer and nearer to the end.
      reached = max(reached, min(part, 1))
      try progress(
        TrainingProgress(
          phase: phase, step: step, steps: 1, trainingLoss: loss ?? startLoss, validationLoss: nil,
          fraction: fractions.0 + (fractions.1 - fractions.0) * reached))
    }
    func check() throws { try report(reached + 0.02 * (0.99 - reached)) }

    let encoding = WindowEncoding(network, parameters, panel)
    let encoded = try encode(index, encoding) { part, loss in
      startLoss = loss
      try report(0.6 * part)
    }
    let data = encoded.data
    let start = LinearStart(
      encoded.starts.base, data.targets.base, rows: data.rows, steps: H, candidates: K)
    for row in 0..<data.rows {
      for h in 0..<H {
        data.targets[row * H + h] -= Float(start.value(encoded.starts.base, row: row, step: h))
      }
    }
    try check()

    let sparsity =
      c.kind == ARNetArchitecture.kind ? c.number(ARNetArchitecture.sparsity) : 0
    let regression = try RidgeRegression(
      data, folds: Self.folds(data.width), sparsity: sparsity, threads: memory.threads,
      check: check)
    let penalty = try self.penalty(c, regression, check)
    var residuals = try regression.residuals(penalty, check: check)
    if c.flag(RidgeOptions.robust.name) {
      let winsorised = WinsorisedTargets(data)
      for _ in 0..<WinsorisedTargets.rounds {
        winsorised.limit(residuals)
        try regression.readTargets(check: check)
        residuals = try regression.residuals(penalty, check: check)
        winsorised.restore(residuals)
      }
    }
    let solution = try regression.solution(penalty, check: check)
    let quantiles = ResidualQuantiles(residuals, steps: H, levels: c.quantiles)
    write(start, solution, quantiles, width: data.width, to: parameters)
    solutions += 1
    try report(1, step: 1, loss: quantiles.loss)
    return Model(parameters: parameters, loss: quantiles.loss, windows: data.rows)
  }

  /// Penalties to choose from, of features with variance 1.
  private static let grid = (0...16).map { pow(10, -6 + 0.5 * Double($0)) }

  private func penalty(
    _ c: ForecasterConfiguration, _ regression: RidgeRegression, _ check: () throws -> Void
  ) throws -> Double {
    let given = c.number(RidgeOptions.ridge.name)
    if given > 0 { return given }
    let errors = try regression.validationErrors(Self.grid, check: check)
    return Self.grid[errors.indices.min { errors[$0] < errors[$1] }!]
  }

  // MARK: Encoding

  private struct Encoded {
    let data: RegressionData
    /// `[N, H, K]`.
    let starts: Buffer<Float>
  }

  /// Encodes windows in blocks that are spread over the panel, so that when time is up every part of it was seen.
  private func encode(
    _ index: WindowIndex, _ encoding: WindowEncoding,
    _ progress: (Double, Double) throws -> Void
  ) throws -> Encoded {
    let c = memory.network.configuration
    let (D, H, K) = (encoding.width, c.horizon, c.skipCount)
    let windows = LeastSquaresLimits.windows(
      of: index, numbersPerWindow: D + H * (K + 1), seed: configuration.seed)
    let data = RegressionData(
      places: windows.map { .init(series: $0.series, position: $0.end) }, width: D, steps: H)
    let starts = Buffer<Float>(windows.count * H * K)
    let B = WindowEncoding.block
    let blocks = (windows.count + B - 1) / B
    let stride = 16
    let order = (0..<stride).flatMap { first in
      Array(Swift.stride(from: first, to: blocks, by: stride))
    }
    let threads = min(memory.threads, max(blocks, 1))
    let workspaces = EncodingWorkspaces((0..<threads).map { _ in encoding.makeWorkspace() })
    let bad = Buffer<Double>(max(threads, 1))
    var done = [Bool](repeating: false, count: blocks)
    var (loss, losses) = (0.0, 0.0)
    let box = Unchecked((features: data.features, targets: data.targets, starts: starts))
    for first in Swift.stride(from: 0, to: blocks, by: threads) {
      let wave = Array(order[first..<min(first + threads, blocks)])
      parallel(count: wave.count) { thread in
        let rows = (wave[thread] * B)..<min((wave[thread] + 1) * B, windows.count)
        let found = encoding.encode(
          windows, rows, workspaces[thread],
          states: box.value.features.base + rows.lowerBound * D,
          starts: box.value.starts.base + rows.lowerBound * H * K,
          targets: box.value.targets.base + rows.lowerBound * H)
        bad[thread] = Double(found ?? -1)
      }
      for thread in wave.indices where bad[thread] >= 0 {
        let series = panel.keys[windows[Int(bad[thread])].series]
        throw TrainingError(
          .notFinite,
          "a window of series \(series) is not finite when it is scaled: look for enormous values there"
        )
      }
      for block in wave {
        done[block] = true
        for row in (block * B)..<min((block + 1) * B, windows.count) {
          for h in 0..<H where !data.targets[row * H + h].isNaN {
            loss += Double(abs(data.targets[row * H + h] - starts[(row * H + h) * K + K - 1])) / 2
            losses += 1
          }
        }
      }
      let seconds = Date().timeIntervalSince(began)
      outOfTime = configuration.timeBudgetSeconds.map { seconds > $0 } ?? false
      try progress(Double(first + wave.count) / Double(blocks), loss / max(losses, 1))
      if outOfTime { break }
    }
    guard done.contains(false) else { return Encoded(data: data, starts: starts) }
    return Self.part(data, starts, of: windows, candidates: K) { done[$0 / B] }
  }

  /// The rows that were reached.
  private static func part(
    _ data: RegressionData, _ starts: Buffer<Float>, of windows: [WindowIndex.Window],
    candidates K: Int, _ isReached: (Int) -> Bool
  ) -> Encoded {
    let rows = windows.indices.filter(isReached)
    let (D, H) = (data.width, data.steps)
    let part = RegressionData(places: rows.map { data.places[$0] }, width: D, steps: H)
    let own = Buffer<Float>(rows.count * H * K)
    for (row, old) in rows.enumerated() {
      (part.features.base + row * D).update(from: data.features.base + old * D, count: D)
      (part.targets.base + row * H).update(from: data.targets.base + old * H, count: H)
      (own.base + row * H * K).update(from: starts.base + old * H * K, count: H * K)
    }
    return Encoded(data: part, starts: own)
  }

  // MARK: The network's parameters

  private func write(
    _ start: LinearStart, _ solution: RidgeRegression.Solution, _ residuals: ResidualQuantiles,
    width D: Int, to parameters: Buffer<Float>
  ) {
    let network = memory.network
    let (H, levels) = (network.configuration.horizon, network.configuration.quantiles)
    let Q = levels.count
    func offset(_ name: String) -> Int {
      network.layout.tensors.first { $0.name == name }!.offset
    }
    let (weight, bias, mix) = (offset("head.weight"), offset("head.bias"), offset("head.mix"))
    let median = levels.indices.min { abs(levels[$0] - 0.5) < abs(levels[$1] - 0.5) }!
    for k in 0..<(D * H * Q) { parameters[weight + k] = 0 }
    for h in 0..<H {
      for k in 0..<D {
        parameters[weight + (k * H + h) * Q + median] = Float(solution.coefficients[k * H + h])
      }
      let row = residuals.values[(h * Q)..<((h + 1) * Q)].map { $0 }
      for q in 0..<Q {
        let raw =
          q == median
          ? solution.constants[h] + row[q]
          : Self.inverseSoftplus(abs(row[q] - row[q < median ? q + 1 : q - 1]))
        parameters[bias + h * Q + q] = Float(raw)
      }
    }
    for k in 0..<(H * start.candidates) {
      parameters[mix + k] = Float(log(start.shares[k]))
    }
  }

  /// - Parameter y: a distance; the smallest that is told from 0 is 1e-7.
  private static func inverseSoftplus(_ y: Double) -> Double {
    let y = max(y, 1e-7)
    return y > 30 ? y : log(expm1(y))
  }

  private struct Unchecked<Value>: @unchecked Sendable {  // threads write to rows of their own
    let value: Value
    init(_ value: Value) { self.value = value }
  }

  private struct EncodingWorkspaces: @unchecked Sendable {  // each thread uses its own
    private let all: [WindowEncoding.Workspace]
    init(_ all: [WindowEncoding.Workspace]) { self.all = all }
    subscript(thread: Int) -> WindowEncoding.Workspace { all[thread] }
  }
}

/// What a fit by least squares reads at most.
public enum LeastSquaresLimits {
  /// Windows; of more, as many are drawn.
  public static let windows = 1 << 16
  /// Bytes that their states, starts and targets take; fewer windows are read where they would take more.
  public static let bytes = 256 << 20

  /// One window of each of as many equal parts of all windows as are allowed, in order.
  static func windows(
    of index: WindowIndex, numbersPerWindow: Int, seed: UInt64
  ) -> [WindowIndex.Window] {
    let limit = max(
      1024, min(windows, bytes / (numbersPerWindow * MemoryLayout<Float>.stride)))
    guard index.count > limit else { return (0..<index.count).map(index.window) }
    // Drawn within its part: equal distances could meet the same phase of a season every time.
    var stream = RandomStream(seed: seed, purpose: "least squares windows")
    return (0..<limit).map { number in
      let start = number * index.count / limit
      let end = (number + 1) * index.count / limit
      return index.window(start + stream.index(below: end - start))
    }
  }
}
