import NumericsCore
import TestSupport
import Testing
import Training

@Suite("Echo states: golden values")
struct ReservoirGoldenTests {
  static let fixtures = try? LayerFixture.all {
    $0.outputs["W_out"] != nil && $0.outputs["free_run"] != nil
  }

  @Test("there are files to check")
  func present() { #expect(LayerFixture.isElsewhere || !(Self.fixtures ?? []).isEmpty) }

  @Test("golden: states, readout by ridge regression and a free run", arguments: fixtures ?? [])
  func golden(fixture: LayerFixture) throws {
    try check(fixture, Double.self, states: 1e-12)
    try check(fixture, Float.self, states: 1e-5)
  }

  /// A graph of the reservoir over some steps, from a state.
  private final class Run<Element: Real> {
    let inputs: Tensor<Element>
    let states: Tensor<Element>
    let execution: Execution<Element>

    init(_ fixture: LayerFixture, steps: Int) throws {
      let (n, d) = (try #require(fixture.sizes["N"]), try #require(fixture.sizes["D"]))
      let graph = Graph<Element>()
      inputs = graph.input([steps, 1, d])
      func constant(_ name: String, _ shape: Shape) throws -> Tensor<Element> {
        graph.constant(try #require(fixture.weights[name]).data.map { Element($0) }, shape)
      }
      states = inputs.linear(
        try constant("W_in", [n, d]).exchanged(axis: 0), bias: try constant("b", [n])
      ).leakyIntegrator(
        try constant("W", [n, n]).exchanged(axis: 0),
        leak: try #require(fixture.settings["leak"]))
      graph.keep(states)
      execution = Execution(Plan(graph))
    }

    func run(_ u: [Double]) -> [Double] {
      for (k, number) in u.enumerated() { execution.input(inputs)[k] = Element(number) }
      execution.forward(parameters: Buffer<Element>(1).base)
      return (0..<states.shape.count).map { Double(execution.value(states)[$0]) }
    }
  }

  private func check<Element: Real>(
    _ fixture: LayerFixture, _ type: Element.Type, states relative: Double
  ) throws {
    let bound = type == Double.self ? fixture.tolerance.f64 : fixture.tolerance.f32
    let (n, T) = (try #require(fixture.sizes["N"]), try #require(fixture.sizes["T"]))
    let (d, washout) = (try #require(fixture.sizes["D"]), try #require(fixture.sizes["washout"]))
    let u = try #require(fixture.inputs["u"]).data
    let states = try Run<Element>(fixture, steps: T).run(Array(u.prefix(T * d)))
    let expected = try #require(fixture.outputs["states"])
    fixture.compare(states, expected, .init(rel: relative, abs: 1e-15), "states")
    guard type == Double.self else { return }

    // The readout in the units of the file: features as they are, a penalty on their sum.
    let ridge = try #require(fixture.settings["ridge"])
    var gram = [Double](repeating: 0, count: (n + 1) * (n + 1))
    var products = [Double](repeating: 0, count: (n + 1) * d)
    for t in washout..<T {
      let row = Array(states[(t * n)..<((t + 1) * n)]) + [1]
      Cholesky.addGram(rows: 1, n + 1, row, to: &gram)
      for k in 0...n { for j in 0..<d { products[k * d + j] += row[k] * u[(t + 1) * d + j] } }
    }
    for k in 0..<n { gram[k * (n + 1) + k] += ridge }
    #expect(Cholesky.factor(&gram, n + 1))
    Cholesky.solve(gram, n + 1, &products, columns: d)
    let readout = try #require(fixture.outputs["W_out"])
    fixture.compare(
      (0..<(d * (n + 1))).map { products[$0 % (n + 1) * d + $0 / (n + 1)] }, readout,
      bound.forward, "readout")

    // The same by the regression that fits models, which centres, scales and reads single precision.
    let data = RegressionData(
      places: (washout..<T).map { .init(series: 0, position: $0) }, width: n, steps: d)
    for k in 0..<(data.rows * n) { data.features[k] = Float(states[washout * n + k]) }
    for k in 0..<(data.rows * d) { data.targets[k] = Float(u[(washout + 1) * d + k]) }
    var variance = 0.0
    for k in 0..<n {
      let column = (0..<data.rows).map { Double(data.features[$0 * n + k]) }
      let mean = column.reduce(0, +) / Double(data.rows)
      variance += column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(data.rows * n)
    }
    let solution = try RidgeRegression(data, threads: 1)
      .solution(ridge / Double(data.rows) / variance)
    fixture.compare(
      (0..<(d * (n + 1))).map { place in
        let (j, k) = (place / (n + 1), place % (n + 1))
        return k < n ? solution.coefficients[k * d + j] : solution.constants[j]
      }, readout, fixture.tolerance.f32.forward, "regression")

    // Predictions are fed back.
    let free = try #require(fixture.outputs["free_run"])
    var fed = Array(u.prefix((T + 1) * d))
    while fed.count < (T + 1) * d + free.data.count {
      let last = Array(try Run<Element>(fixture, steps: fed.count / d).run(fed).suffix(n))
      fed += (0..<d).map { j in
        (0..<n).reduce(readout.data[j * (n + 1) + n]) {
          $0 + last[$1] * readout.data[j * (n + 1) + $1]
        }
      }
    }
    fixture.compare(Array(fed.dropFirst((T + 1) * d)), free, bound.forward, "free run")
  }
}
