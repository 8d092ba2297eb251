import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Selective state spaces")
struct MambaTests {
  static let scans = try? LayerFixture.all { $0.inputs["delta_raw"] != nil }
  static let blocks = try? LayerFixture.all { $0.weights["x_proj_weight"] != nil }

  @Test("there are files to check")
  func present() {
    #expect(
      LayerFixture.isElsewhere || (!(Self.scans ?? []).isEmpty && !(Self.blocks ?? []).isEmpty))
  }

  @Test("golden: the scan, its last state and gradients", arguments: scans ?? [])
  func scan(fixture: LayerFixture) throws {
    try checkScan(fixture, Double.self)
    try checkScan(fixture, Float.self)
  }

  private func checkScan<Element: Real>(_ fixture: LayerFixture, _ type: Element.Type) throws {
    let layer = FixtureGraph<Element>(fixture)
    let (y, h) = try layer.timeMajor("x").selectiveScan(
      delta: try layer.timeMajor("delta_raw"),
      bc: .joined([try layer.timeMajor("B"), try layer.timeMajor("C")], axis: 2),
      logDecay: try layer.tensor("A_log"), skip: try layer.tensor("D"))
    layer.result("y", y.exchanged(axis: 0))
    layer.result("h", h)
    layer.check(main: y)
  }

  @Test("golden: the block and its gradients", arguments: blocks ?? [])
  func block(fixture: LayerFixture) throws {
    try checkBlock(fixture, Double.self)
    try checkBlock(fixture, Float.self)
  }

  private func checkBlock<Element: Real>(_ fixture: LayerFixture, _ type: Element.Type) throws {
    let layer = FixtureGraph<Element>(fixture)
    func transposed(_ name: String, _ rows: Range<Int>? = nil) throws -> Tensor<Element> {
      let whole = try layer.tensor(name)
      return (rows.map { whole.slice(axis: 0, $0) } ?? whole).exchanged(axis: 0)
    }
    let decay = try layer.tensor("A_log")
    let (E, N) = (decay.shape[0], decay.shape[1])
    let rank = try layer.tensor("dt_proj_weight").shape[1]
    let taps = try layer.tensor("conv1d_weight").shape[2]
    let kernel = try layer.tensor("conv1d_weight").reshaped([E, taps]).exchanged(axis: 0)
    // In the file the last tap meets the current step.
    let newestFirst = Tensor.joined(
      (0..<taps).reversed().map { kernel.slice(axis: 0, $0..<($0 + 1)) }, axis: 0)
    let y = try layer.timeMajor("x").mamba(
      MambaWeights(
        input: transposed("in_proj_weight", 0..<E), gate: transposed("in_proj_weight", E..<(2 * E)),
        kernel: newestFirst, kernelBias: layer.tensor("conv1d_bias"),
        stepDown: transposed("x_proj_weight", 0..<rank), stepUp: transposed("dt_proj_weight"),
        stepBias: layer.tensor("dt_proj_bias"),
        selection: transposed("x_proj_weight", rank..<(rank + 2 * N)), logDecay: decay,
        skip: layer.tensor("D"), output: transposed("out_proj_weight")))
    layer.result("y", y.exchanged(axis: 0))
    layer.check(main: y)
  }

  struct Box: Sendable, CustomStringConvertible {
    let steps: Int
    let batch: Int
    let width: Int
    let states: Int
    var description: String { "T \(steps) B \(batch) E \(width) N \(states)" }
  }

  /// Less than a chunk, whole chunks and a rest; narrower and wider than a vector.
  static let boxes = [
    Box(steps: 1, batch: 1, width: 1, states: 1), Box(steps: 3, batch: 2, width: 5, states: 2),
    Box(steps: 16, batch: 1, width: 16, states: 3), Box(steps: 21, batch: 2, width: 3, states: 5),
    Box(steps: 9, batch: 1, width: 35, states: 1),
  ]

  private func values(_ box: Box) -> [[Double]] {
    var random = SeededGenerator(seed: 21)
    let (T, B, E, N) = (box.steps, box.batch, box.width, box.states)
    return [T * B * E, T * B * E, T * B * 2 * N, E * N, E].map { random.normals($0) }
  }

  private func shapes(_ box: Box) -> [Shape] {
    let (T, B, E, N) = (box.steps, box.batch, box.width, box.states)
    return [[T, B, E], [T, B, E], [T, B, 2 * N], [E, N], [E]]
  }

  @Test("results are those of the equations, and steps give them too", arguments: boxes)
  func forward(box: Box) {
    checkForward(box, tolerance: 1e-14, Double.self)
    checkForward(box, tolerance: 2e-6, Float.self)
  }

  private func checkForward<Element: Real>(_ box: Box, tolerance: Double, _ type: Element.Type) {
    let v = values(box)
    let (T, B, E, N) = (box.steps, box.batch, box.width, box.states)
    var h = [Double](repeating: 0, count: B * E * N)
    var expected = [Double](repeating: 0, count: T * B * E)
    for t in 0..<T {
      for b in 0..<B {
        for e in 0..<E {
          let at = (t * B + b) * E + e
          let dt = log1p(exp(v[1][at]))
          expected[at] = v[4][e] * v[0][at]
          for n in 0..<N {
            let (place, bc) = ((b * E + e) * N + n, (t * B + b) * 2 * N + n)
            h[place] =
              exp(-dt * exp(v[3][e * N + n])) * h[place] + dt * v[2][bc] * v[0][at]
            expected[at] += v[2][bc + N] * h[place]
          }
        }
      }
    }
    let graph = Graph<Element>()
    let tensors = zip(v, shapes(box)).map { values, shape in
      graph.constant(values.map { Element($0) }, shape)
    }
    let (y, state) = tensors[0].selectiveScan(
      delta: tensors[1], bc: tensors[2], logDecay: tensors[3], skip: tensors[4])
    graph.keep(y)
    graph.keep(state)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Element>(1).base)
    let largest = expected.reduce(1) { max($0, abs($1)) }
    expectClose(
      (0..<expected.count).map { Double(execution.value(y)[$0]) }, expected,
      absolute: tolerance * largest, "\(type) \(box)")
    expectClose(
      (0..<h.count).map { Double(execution.value(state)[$0]) }, h,
      absolute: tolerance * largest, "\(type) \(box): last state")

    let steps = Graph<Element>()
    let inputs = shapes(box).prefix(3).map { steps.input(Shape([1] + $0.axes.dropFirst())) }
    let stepper = SelectiveStepper<Element>(
      width: E, states: N, batch: B, logDecay: v[3].map { Element($0) },
      skip: v[4].map { Element($0) })
    let out = inputs[0].stepped(stepper, with: Array(inputs[1...]))
    steps.keep(out)
    let run = Execution(Plan(steps))
    for t in 0..<T {
      for (input, numbers) in zip(inputs, v) {
        let count = input.shape.count
        for k in 0..<count { run.input(input)[k] = Element(numbers[t * count + k]) }
      }
      run.forward(parameters: Buffer<Element>(1).base)
      expectClose(
        (0..<(B * E)).map { Double(run.value(out)[$0]) },
        Array(expected[(t * B * E)..<((t + 1) * B * E)]), absolute: tolerance * largest)
    }
  }

  @Test("gradients agree with differences, that of the last state too", arguments: boxes)
  func gradients(box: Box) {
    GraphCase("\(box)", shapes(box)) {
      let (y, state) = $0[0].selectiveScan(
        delta: $0[1], bc: $0[2], logDecay: $0[3], skip: $0[4])
      return .joined(
        [y.reshaped([y.shape.count]), state.reshaped([state.shape.count])], axis: 0)
    }.checkGradients(values: values(box))
    GraphCase("\(box): last state alone", shapes(box)) {
      $0[0].selectiveScan(delta: $0[1], bc: $0[2], logDecay: $0[3], skip: $0[4]).state
    }.checkGradients(values: values(box))
  }

  @Test("gradients that are added to others are right as well")
  func added() {
    let box = Box(steps: 11, batch: 2, width: 6, states: 2)
    GraphCase("added", shapes(box)) {
      let (x, delta, bc) = ($0[0], $0[1], $0[2])
      let y = x.selectiveScan(delta: delta, bc: bc, logDecay: $0[3], skip: $0[4]).outputs
      return .joined(
        [(y + x * delta).reshaped([y.shape.count]), bc.map(.square).reshaped([bc.shape.count])],
        axis: 0)
    }.checkGradients(values: values(box))
  }

  @Test("the short convolution and the gates", arguments: [1, 2, 4])
  func pieces(taps: Int) {
    // More than the tile of steps that four taps are computed in.
    for steps in [1, 3, 9] + (taps == 4 ? [37] : []) {
      GraphCase("short \(steps) \(taps)", [[steps, 2, 19], [taps, 19], [19]]) {
        $0[0].shortConvolution($0[1], bias: $0[2]) + $0[0]
      }.checkGradients()
    }
    for function in [GateFunction.sigmoid, .silu] {
      GraphCase("gate \(function)", [[3, 7], [3, 7]]) {
        $0[0].gated(by: $0[1], function) + $0[0] * $0[1]
      }.checkGradients()
    }
    var random = SeededGenerator(seed: 4)
    let (x, w, b) = (random.normals(5 * 19), random.normals(taps * 19), random.normals(19))
    let graph = Graph<Double>()
    let tensor = graph.constant(x, [5, 1, 19])
    let kernel = graph.constant(w, [taps, 19])
    let bias = graph.constant(b, [19])
    let fused = tensor.shortConvolution(kernel, bias: bias)
    let plain = (tensor.depthwiseConvolved(kernel) + bias).map(.silu)
    let (gated, product) = (
      tensor.gated(by: fused, .sigmoid), tensor * fused.map(.sigmoid)
    )
    for tensor in [fused, plain, gated, product] { graph.keep(tensor) }
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Double>(1).base)
    for (one, other) in [(fused, plain), (gated, product)] {
      expectClose(
        (0..<95).map { execution.value(one)[$0] }, (0..<95).map { execution.value(other)[$0] },
        absolute: 1e-14)
    }
  }
}
