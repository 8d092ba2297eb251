import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("S4D")
struct S4DTests {
  static let fixtures = try? LayerFixture.all {
    $0.weights["log_A_real"] != nil && $0.weights["C"] != nil && $0.outputs["kernel"] != nil
  }

  static func rule(_ fixture: LayerFixture) -> Discretisation {
    fixture.model.contains("dt A/2") ? .bilinear : .zeroOrderHold
  }

  @Test("there are files to check")
  func present() { #expect(LayerFixture.isElsewhere || ((Self.fixtures ?? []).count >= 2)) }

  @Test("golden: outputs, kernel and gradients, by both forms", arguments: fixtures ?? [])
  func golden(fixture: LayerFixture) throws {
    try check(fixture, Double.self)
    try check(fixture, Float.self)
  }

  private func check<Element: Real>(_ fixture: LayerFixture, _ type: Element.Type) throws {
    for method in [ConvolutionMethod.direct, .transform] {
      let layer = FixtureGraph<Element>(fixture)
      let plain = S4DWeights(
        logStep: try layer.tensor("log_dt"), logDecay: try layer.tensor("log_A_real"),
        frequency: try layer.tensor("A_imag"), output: try layer.tensor("C"))
      let x = try layer.timeMajor("x")
      let kernel = plain.kernel(steps: x.shape[0], rule: Self.rule(fixture))
      layer.result("kernel", kernel.exchanged(axis: 0))
      let skipping = S4DWeights(
        logStep: plain.logStep, logDecay: plain.logDecay, frequency: plain.frequency,
        output: plain.output, skip: try layer.tensor("D"))
      let y = x.fftConvolution(
        skipping.kernel(steps: x.shape[0], rule: Self.rule(fixture)), method: method)
      layer.result("y", y.exchanged(axis: 0))
      layer.check(main: y)
    }
  }

  @Test("golden: single steps give outputs and the final state", arguments: fixtures ?? [])
  func goldenSteps(fixture: LayerFixture) throws {
    try checkSteps(fixture, fixture.tolerance.f64.forward, Double.self)
    try checkSteps(fixture, fixture.tolerance.f32.forward, Float.self)
  }

  private func checkSteps<Element: Real>(
    _ fixture: LayerFixture, _ bound: LayerFixture.Bound, _ type: Element.Type
  ) throws {
    func numbers(_ name: String) throws -> [Element] {
      try #require(fixture.weights[name] ?? fixture.inputs[name]).data.map { Element($0) }
    }
    let shape = try #require(fixture.inputs["x"]).shape
    let (B, T, D) = (shape[0], shape[1], shape[2])
    let modes = try #require(fixture.weights["A_imag"]).shape[1]
    let x = try numbers("x")
    for isIrregular in [false, true] {
      let stepper = S4DStepper<Element>(
        width: D, modes: modes, rule: Self.rule(fixture), batch: B, logStep: try numbers("log_dt"),
        logDecay: try numbers("log_A_real"), frequency: try numbers("A_imag"),
        output: try numbers("C"), skip: try numbers("D"))
      let expected = try #require(fixture.outputs["y"]).data
      let largest = expected.reduce(0) { max($0, abs($1)) }
      var y = [Element](repeating: 0, count: B * D)
      for t in 0..<T {
        let row = (0..<(B * D)).map { x[($0 / D * T + t) * D + $0 % D] }
        if isIrregular {
          stepper.step(row, gaps: [Element](repeating: 1, count: B), &y)
        } else {
          stepper.step(row, &y)
        }
        let golden = (0..<(B * D)).map { expected[($0 / D * T + t) * D + $0 % D] }
        expectClose(
          y.map { Double($0) }, golden, absolute: bound.rel * largest + bound.abs, "\(type) at \(t)"
        )
      }
      let final = try #require(fixture.final["s"]).data
      let scale = final.reduce(0) { max($0, abs($1)) }
      for k in 0..<(B * D * modes) {
        let s = stepper.state(row: k / (D * modes), channel: k / modes % D, mode: k % modes)
        expectClose(Double(s.0), final[2 * k], absolute: bound.rel * scale)
        expectClose(Double(s.1), final[2 * k + 1], absolute: bound.rel * scale)
      }
    }
  }

  @Test("golden: starting values")
  func initialisation() throws {
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Golden/s4d_init.json")
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
    let outputs = try #require(object["outputs"] as? [String: [String: Any]])
    for (name, values) in outputs {
      let size = try #require(Int(name.dropFirst()))
      func data(_ key: String) throws -> [Double] {
        try #require((values[key] as? [String: Any])?["data"] as? [Double])
      }
      for (matrix, key) in [
        (StateMatrix.linear, "lin"), (.inverse, "inv"), (.legS, "legs"), (.real, "real"),
      ] {
        let expected = try data(key)
        let found = matrix.eigenvalues(size: size)
        let largest = expected.reduce(0) { max($0, abs($1)) }
        let isComplex = expected.count == size
        let flat = (0..<(size / 2)).flatMap {
          isComplex ? [found.real[$0], found.imaginary[$0]] : [found.real[$0]]
        }
        expectClose(flat, expected, absolute: 1e-13 * largest, "\(matrix)")
      }
      expectClose(StateMatrix.hippoLegS(size), try data("hippo_legs_A"), absolute: 1e-14)
    }
  }

  @Test("the frequencies of LegS of a large state are distinct and rise")
  func largeLegS() {
    let values = StateMatrix.legS.eigenvalues(size: 64).imaginary
    #expect(zip(values, values.dropFirst()).allSatisfy { $0 + 0.5 < $1 } && values[0] > 0)
  }

  struct Box: Sendable, CustomStringConvertible {
    let steps: Int
    let batch: Int
    let width: Int
    let modes: Int
    let rule: Discretisation
    var description: String { "T \(steps) B \(batch) D \(width) N \(modes) \(rule)" }
  }

  static let boxes: [Box] = Discretisation.allCases.flatMap { rule in
    [
      Box(steps: 1, batch: 2, width: 1, modes: 1, rule: rule),
      Box(steps: 7, batch: 1, width: 3, modes: 2, rule: rule),
      Box(steps: 18, batch: 2, width: 17, modes: 3, rule: rule),
      Box(steps: 70, batch: 1, width: 2, modes: 5, rule: rule),
      // Whole vectors of channels and of modes, and some beyond them.
      Box(steps: 5, batch: 1, width: 9, modes: 10, rule: rule),
    ]
  }

  private func values(_ box: Box, seed: UInt64) -> [[Double]] {
    var random = SeededGenerator(seed: seed)
    let count = box.width * box.modes
    return [
      random.normals(box.steps * box.batch * box.width),
      (0..<box.width).map { _ in -3 + 2.5 * random.uniform() },
      random.normals(count).map { $0 * 0.5 }, random.normals(count).map { $0 * 2 },
      random.normals(2 * count), random.normals(box.width),
    ]
  }

  @Test("gradients agree with differences", arguments: boxes)
  func gradients(box: Box) {
    let (D, N) = (box.width, box.modes)
    GraphCase(
      "\(box)", [[box.steps, box.batch, D], [D], [D, N], [D, N], [D, N, 2], [D]]
    ) {
      $0[0].s4d(
        S4DWeights(
          logStep: $0[1], logDecay: $0[2], frequency: $0[3], output: $0[4], skip: $0[5]),
        rule: box.rule)
    }.checkGradients(values: values(box, seed: 6))
  }

  @Test("a long sequence is the same by convolution and step by step", arguments: boxes)
  func forms(box: Box) {
    let box = Box(
      steps: 40 * box.steps + 30, batch: box.batch, width: box.width, modes: box.modes,
      rule: box.rule)
    let v = values(box, seed: 2)
    let (B, D, N) = (box.batch, box.width, box.modes)
    let graph = Graph<Double>()
    let y = graph.constant(v[0], [box.steps, B, D]).s4d(
      S4DWeights(
        logStep: graph.constant(v[1], [D]), logDecay: graph.constant(v[2], [D, N]),
        frequency: graph.constant(v[3], [D, N]), output: graph.constant(v[4], [D, N, 2]),
        skip: graph.constant(v[5], [D])), rule: box.rule)
    graph.keep(y)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Double>(1).base)
    let stepper = S4DStepper<Double>(
      width: D, modes: N, rule: box.rule, batch: B, logStep: v[1], logDecay: v[2], frequency: v[3],
      output: v[4], skip: v[5])
    var row = [Double](repeating: 0, count: B * D)
    for t in 0..<box.steps {
      stepper.step(Array(v[0][(t * B * D)..<((t + 1) * B * D)]), &row)
      let whole = (0..<(B * D)).map { execution.value(y)[t * B * D + $0] }
      expectClose(whole, row, absolute: 3e-13, "\(box) at \(t)")
    }
  }

  @Test("irregular observations of a damped oscillator give its exact response")
  func irregular() {
    // x'' + 2 d x' + (d^2 + w^2) x = u from rest, u = 1: with A = -d + i w and C = -i / (2 w),
    // 2 Re(C (exp(A t) - 1) / A) is the position.
    let (d, w) = (0.15, 2.3)
    let stepper = S4DStepper<Double>(
      width: 1, modes: 1, rule: .zeroOrderHold, batch: 2, logStep: [0], logDecay: [log(d)],
      frequency: [w], output: [0, -1 / (2 * w)])
    var random = SeededGenerator(seed: 12)
    var time = [0.0, 0.0]
    var y = [0.0, 0.0]
    for step in 0..<200 {
      // From a thousandth of a unit to several periods at once, and each sequence at times of its own.
      let gaps = time.map { _ in exp(-7 + 9 * random.uniform()) }
      stepper.step([1, 1], gaps: gaps, &y)
      for row in 0..<2 {
        time[row] += gaps[row]
        let t = time[row]
        let position =
          (1 - exp(-d * t) * (cos(w * t) + d / w * sin(w * t))) / (d * d + w * w)
        expectClose(y[row], position, absolute: 1e-12, "step \(step), time \(t)")
      }
    }
    // Nothing happens in no time.
    let before = stepper.state(row: 0, channel: 0, mode: 0)
    stepper.step([5, 5], gaps: [0, 0], &y)
    #expect(before == stepper.state(row: 0, channel: 0, mode: 0))
    stepper.reset()
    #expect(stepper.state(row: 1, channel: 0, mode: 0) == (0, 0))
  }

  @Test("a gap of several steps is as many steps with the same input", arguments: boxes)
  func gaps(box: Box) {
    guard box.rule == .zeroOrderHold else { return }
    let v = values(box, seed: 5)
    let (B, D, N) = (box.batch, box.width, box.modes)
    func make() -> S4DStepper<Double> {
      S4DStepper<Double>(
        width: D, modes: N, rule: box.rule, batch: B, logStep: v[1], logDecay: v[2],
        frequency: v[3], output: v[4], skip: v[5])
    }
    let (many, one) = (make(), make())
    var (y, z) = ([Double](repeating: 0, count: B * D), [Double](repeating: 0, count: B * D))
    for t in 0..<box.steps {
      let x = Array(v[0][(t * B * D)..<((t + 1) * B * D)])
      for _ in 0..<(1 + t % 5) { many.step(x, &y) }
      one.step(x, gaps: [Double](repeating: Double(1 + t % 5), count: B), &z)
      expectClose(z, y, absolute: 1e-13)
    }
  }
}
