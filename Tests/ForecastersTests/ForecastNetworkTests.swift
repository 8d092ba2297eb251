// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

@Suite("Forecast networks")
struct ForecastNetworkTests {
  static let shapes = [
    ForecasterConfiguration(
      hidden: 3, layers: 1, contextLength: 6, horizon: 2, quantiles: [0.1, 0.5, 0.9]),
    ForecasterConfiguration(
      hidden: 5, layers: 2, contextLength: 9, horizon: 4, quantiles: [0.2, 0.6],
      seasonality: [4]),
    ForecasterConfiguration(
      hidden: 2, layers: 3, contextLength: 7, horizon: 5, quantiles: [0.5],
      seasonality: [3, 20]),
    ForecasterConfiguration(
      kind: "gru", hidden: 4, layers: 2, contextLength: 5, horizon: 3, quantiles: [0.1, 0.5, 0.9],
      seasonality: [4]),
    ForecasterConfiguration(
      kind: "elman", hidden: 3, layers: 1, contextLength: 5, horizon: 2, quantiles: [0.3, 0.5]),
  ]

  /// A series around 100 with a season; `missing` of it are NaN.
  private func series(_ count: Int, seed: UInt64, missing: Double = 0) -> [Double] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { t in
      let value = 100 + 10 * Double(t % 4) + random.normal()
      return random.uniform() < missing ? .nan : value
    }
  }

  private func fill<Element: Real>(
    _ network: ForecastNetwork<Element>, _ workspace: ForecastNetwork<Element>.Workspace,
    _ windows: [(values: [Double], end: Int)], training: Bool = false
  ) {
    let batch = workspace.prepare(windows.count, training: training)
    for (row, window) in windows.enumerated() {
      window.values.withUnsafeBufferPointer {
        network.features.fill(
          batch, row: row, values: $0, firstOrdinal: 5, end: window.end)
      }
    }
  }

  /// Quantiles `[H, Q]` of one series from its end, in its units, with the weights of `seed`.
  private func forecast<Element: Real>(
    _ configuration: ForecasterConfiguration, _ values: [Double], seed: UInt64 = 1,
    noise: Double = 0, _ type: Element.Type = Float.self
  ) throws -> [Double] {
    let network = try ForecastNetwork<Element>(configuration)
    let parameters = network.initialParameters(seed: seed)
    var random = SeededGenerator(seed: seed)
    for k in 0..<parameters.count { parameters[k] += Element(random.normal() * noise) }
    let workspace = network.makeWorkspace(training: false)
    fill(network, workspace, [(values, values.count)])
    network.predict(parameters: parameters, workspace)
    let scaler = workspace.batch.scalers[0]
    let count = configuration.horizon * configuration.quantiles.count
    return (0..<count).map { scaler.unscaled(Double(workspace.quantiles[$0])) }
  }

  @Test("the gradient of every parameter equals central differences", arguments: shapes)
  func gradients(configuration: ForecasterConfiguration) throws {
    let network = try ForecastNetwork<Double>(configuration)
    let parameters = network.initialParameters(seed: 2)
    var random = SeededGenerator(seed: 3)
    for k in 0..<parameters.count { parameters[k] += random.normal() * 0.3 }
    let workspace = network.makeWorkspace(training: true)
    fill(
      network, workspace,
      [
        (series(30, seed: 1), 20), (series(30, seed: 2, missing: 0.3), 25),
        (series(30, seed: 3), 29), (series(4, seed: 4), 3),
      ], training: true)
    func loss() -> Double {
      network.lossAndGradient(weightOfRow: 0.25, parameters: parameters, workspace)
    }
    let value = loss()
    let gradient = workspace.gradient.array
    expectClose(
      gradient, centralDifferences(parameters, loss), absolute: 1e-8, relative: 1e-6)
    let (sum, rows) = network.loss(parameters: parameters, workspace)
    #expect(rows == 4)
    expectClose(sum / 4, value, relative: 1e-12)
  }

  @Test(
    "what comes after the end of a window changes neither inputs nor candidates", arguments: shapes)
  func lookAhead(configuration: ForecasterConfiguration) throws {
    let network = try ForecastNetwork<Float>(configuration)
    let c = configuration
    func numbers(_ base: UnsafeMutablePointer<Float>, _ count: Int) -> [Float] {
      Array(UnsafeBufferPointer(start: base, count: count))
    }
    func inputs(_ batch: WindowFeatures.Batch<Float>) -> [Float] {
      numbers(batch.inputs, c.contextLength * c.featureCount)
    }
    func candidates(_ batch: WindowFeatures.Batch<Float>) -> [Float] {
      numbers(batch.candidates, c.horizon * c.skipCount)
    }
    let past = series(40, seed: 6, missing: 0.2)
    for end in [2, 5, 13, 30] {
      var future = past
      for k in end..<40 { future[k] = k.isMultiple(of: 3) ? .nan : 1e6 * Double(k) }
      let workspaces = [past, future].map { values in
        let workspace = network.makeWorkspace(training: false)
        fill(network, workspace, [(values, end)])
        return workspace
      }
      #expect(inputs(workspaces[0].batch) == inputs(workspaces[1].batch))
      #expect(candidates(workspaces[0].batch) == candidates(workspaces[1].batch))
      #expect(workspaces[0].batch.scalers == workspaces[1].batch.scalers)
    }
  }

  @Test("inputs are value, observed, last season, phase", arguments: [3, 12])
  func features(end: Int) throws {
    let configuration = ForecasterConfiguration(
      contextLength: 6, horizon: 3, quantiles: [0.5], seasonality: [4])
    let network = try ForecastNetwork<Double>(configuration)
    #expect(configuration.featureCount == 5 && configuration.skipCount == 3)
    var values = (0..<15).map { Double($0 * $0) }
    values[1] = .nan
    let workspace = network.makeWorkspace(training: false)
    fill(network, workspace, [(values, end)])
    let scaler = workspace.batch.scalers[0]
    let from = max(0, end - 6)
    #expect(scaler == WindowScaler(values[from..<end]))
    for t in 0..<6 {
      let position = end - 6 + t
      let x = workspace.batch.inputs
      func scaled(_ position: Int) -> Double? {
        guard position >= from, !values[position].isNaN else { return nil }
        return scaler.scaled(values[position])
      }
      expectClose(x[t * 5], scaled(position) ?? 0, absolute: 1e-14)
      #expect(x[t * 5 + 1] == (scaled(position) == nil ? 0 : 1))
      expectClose(x[t * 5 + 2], scaled(position - 4) ?? 0, absolute: 1e-14)
      // The series begins at ordinal 5; sine and cosine of quarters of a turn.
      let phase = ((5 + position) % 4 + 4) % 4
      expectClose(x[t * 5 + 3], [0, 1, 0, -1][phase], absolute: 1e-14)
      expectClose(x[t * 5 + 4], [1, 0, -1, 0][phase], absolute: 1e-14)
    }
    for h in 0..<3 {
      expectClose(
        workspace.batch.candidates[h * 3], scaler.scaled(values[end - 1]), absolute: 1e-14)
      expectClose(
        workspace.batch.targets[h], scaler.scaled(values[end + h]), absolute: 1e-12)
    }
    if end == 12 {
      for h in 0..<3 {
        expectClose(
          workspace.batch.candidates[h * 3 + 1], scaler.scaled(values[8 + h]), absolute: 1e-14)
      }
    }
  }

  @Test("where a season is not there yet, the one before it stands in")
  func standIn() {
    let configuration = ForecasterConfiguration(
      kind: "lstm", contextLength: 8, horizon: 2, quantiles: [0.5], seasonality: [2, 7])
    let features = WindowFeatures(configuration)
    let values = [10.0, 20, 11, 21, 12]
    let batch = WindowFeatures.Batch<Double>(1, configuration)
    values.withUnsafeBufferPointer {
      features.fill(batch, row: 0, values: $0, firstOrdinal: 0, end: 5)
    }
    let scaler = batch.scalers[0]
    for h in 0..<2 {
      let row = (0..<5).map { scaler.unscaled(batch.candidates[h * 5 + $0]) }
      // The last value; two steps before, plain and moved by the change of level, 1; both once more.
      let season = h == 0 ? 21.0 : 12
      expectClose(row, [12, season, season + 1, season, season + 1], absolute: 1e-12)
    }
  }

  @Test("a window without observations teaches nothing")
  func blankWindow() throws {
    let network = try ForecastNetwork<Float>(Self.shapes[0])
    let workspace = network.makeWorkspace(training: true)
    let values = [1, 2] + [Double](repeating: .nan, count: 10) + [1e12, 1e12]
    fill(network, workspace, [(values, 12)])
    let targets = workspace.batch.targets
    #expect((0..<Self.shapes[0].horizon).allSatisfy { targets[$0].isNaN })
  }

  @Test("a forecast moves and stretches with its series", arguments: shapes)
  func equivariance(configuration: ForecasterConfiguration) throws {
    let y = series(30, seed: 7, missing: 0.1)
    let base = try forecast(configuration, y, noise: 0.2, Double.self)
    for (a, b) in [(2.0, 0.0), (0.001, 5), (1e6, -3e5), (1, 250)] {
      let moved = try forecast(configuration, y.map { a * $0 + b }, noise: 0.2, Double.self)
      expectClose(moved, base.map { a * $0 + b }, relative: 1e-9, "\(a) y + \(b)")
    }
  }

  private static func steps(_ factor: Double, from level: Double = 0) -> [Double] {
    (0..<30).map { level + Double($0 % 5) * factor }
  }

  static let odd: [[Double]] = [
    [Double](repeating: 7, count: 30), [Double](repeating: 0, count: 30),
    [Double](repeating: -3e-9, count: 30), [1, 2], [1, 1],
    [Double](repeating: Double.nan, count: 28) + [4, 9],
    [4, .nan, .nan, .nan, .nan, 9], [0, 0, 0, 0, 0, 1e12],
    steps(1e12), steps(1e-12), steps(1, from: 1e12), steps(1e180), steps(1e-300),
  ]

  @Test("forecasts are finite and ordered for any window", arguments: odd)
  func finite(values: [Double]) throws {
    for configuration in Self.shapes {
      for noise in [0, 1, 10.0] {
        let quantiles = try forecast(configuration, values, seed: 4, noise: noise)
        #expect(quantiles.allSatisfy { $0.isFinite }, "\(configuration.quantiles)")
        let Q = configuration.quantiles.count
        for h in 0..<configuration.horizon {
          let row = quantiles[(h * Q)..<((h + 1) * Q)]
          #expect(zip(row, row.dropFirst()).allSatisfy { $0 <= $1 })
        }
      }
    }
  }

  @Test("a forecast of a constant series stays near it, within intervals of a thousandth")
  func constant() throws {
    let quantiles = try forecast(Self.shapes[0], [Double](repeating: 50, count: 30))
    #expect(quantiles.allSatisfy { abs($0 - 50) < 0.1 })
  }

  @Test("dropout changes training and leaves prediction alone")
  func dropout() throws {
    var configuration = Self.shapes[1]
    let plain = try forecast(configuration, series(30, seed: 8))
    configuration.dropout = 0.5
    #expect(try forecast(configuration, series(30, seed: 8)) == plain)

    let network = try ForecastNetwork<Float>(configuration)
    let parameters = network.initialParameters(seed: 1)
    let workspace = network.makeWorkspace(training: true)
    fill(network, workspace, [(series(30, seed: 8), 20)], training: true)
    func loss(_ seed: UInt64, _ run: Int) -> Double {
      network.lossAndGradient(
        weightOfRow: 1, parameters: parameters, workspace, seed: seed, run: run)
    }
    #expect(loss(1, 0) == loss(1, 0))
    #expect(loss(1, 0) != loss(2, 0))
    #expect(loss(1, 0) != loss(1, 1))
    #expect(loss(1, 0) != network.loss(parameters: parameters, workspace).sum)
  }

  @Test("starting weights are a function of the seed")
  func seeds() throws {
    let network = try ForecastNetwork<Float>(Self.shapes[1])
    #expect(network.initialParameters(seed: 3).array == network.initialParameters(seed: 3).array)
    #expect(network.initialParameters(seed: 3).array != network.initialParameters(seed: 4).array)
    #expect(network.initialParameters(seed: 3).array.allSatisfy { $0.isFinite })
  }

  @Test("tensors lie one after another under names of their own")
  func layout() throws {
    let layout = try ForecastNetwork<Float>(Self.shapes[2]).layout
    var next = 0
    for tensor in layout.tensors {
      #expect(tensor.offset == next)
      #expect(tensor.count == tensor.shape.reduce(1, *))
      next += tensor.count
    }
    #expect(layout.count == next)
    #expect(Set(layout.tensors.map(\.name)).count == layout.tensors.count)
  }
}

@Suite("Window scaler")
struct WindowScalerTests {
  @Test("location and scale are mean and standard deviation of what was observed")
  func moments() {
    let scaler = WindowScaler([1, .nan, 3, 5, .nan])
    expectClose(scaler.location, 3, relative: 1e-15)
    expectClose(scaler.scale, (8.0 / 3).squareRoot(), relative: 1e-15)
    expectClose(scaler.unscaled(scaler.scaled(4.2)), 4.2, relative: 1e-15)
  }

  @Test("no digits are lost far from zero")
  func offset() {
    let scaler = WindowScaler([1e9 + 1e7, 1e9 - 1e7, 1e9 + 1e7, 1e9 - 1e7])
    expectClose(scaler.location, 1e9, relative: 1e-15)
    expectClose(scaler.scale, 1e7, relative: 1e-9)
  }

  @Test(
    "a window that hardly varies has a thousandth of its level, or 1 for zeros",
    arguments: [([5, 5], 0.005), ([-8], 0.008), ([0, 0], 1), ([], 1), ([.nan], 1), ([1e-300], 1)]
      as [([Double], Double)])
  func degenerate(window: [Double], scale: Double) {
    expectClose(WindowScaler(window).scale, scale, relative: 1e-12)
  }

  @Test("squares that overflow leave a finite scale")
  func huge() {
    let scaler = WindowScaler([1e200, -1e200])
    #expect(scaler.scale == 1e200)
  }
}

/// Central differences of `loss` with respect to every element of `values`, step 1e-6.
func centralDifferences(_ values: Buffer<Double>, _ loss: () -> Double) -> [Double] {
  (0..<values.count).map { k in
    let value = values[k]
    values[k] = value + 1e-6
    let up = loss()
    values[k] = value - 1e-6
    let down = loss()
    values[k] = value
    return (up - down) / 2e-6
  }
}
