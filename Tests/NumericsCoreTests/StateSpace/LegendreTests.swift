import NumericsCore
import TestSupport
import Testing

@Suite("Legendre memory")
struct LegendreTests {
  static let cells = try? LayerFixture.all { $0.weights["e_m"] != nil }
  static let memories = try? LayerFixture.all { $0.outputs["impulse_response"] != nil }

  @Test("there are files to check")
  func present() {
    #expect(
      LayerFixture.isElsewhere || (!(Self.cells ?? []).isEmpty && !(Self.memories ?? []).isEmpty))
  }

  private func memory(_ fixture: LayerFixture) throws -> LegendreMemory {
    LegendreMemory(
      order: try #require(fixture.sizes["order"]),
      theta: Double(try #require(fixture.sizes["theta"])))
  }

  private func expectTensor(_ found: [Double], _ expected: LayerFixture.Tensor?, relative: Double)
    throws
  {
    let expected = try #require(expected).data
    let largest = expected.reduce(0) { max($0, abs($1)) }
    expectClose(found, expected, absolute: relative * largest)
  }

  @Test("golden: the fixed memory, its response, decoder and gradient", arguments: memories ?? [])
  func fixedMemory(fixture: LayerFixture) throws {
    let memory = try memory(fixture)
    let bound = fixture.tolerance.f64.forward.rel
    try expectTensor(memory.transition, fixture.weights["A_bar"], relative: bound)
    try expectTensor(memory.input, fixture.weights["B_bar"], relative: bound)
    let steps = try #require(fixture.inputs["u"]).shape[0]
    try expectTensor(
      memory.impulseResponse(steps: steps), fixture.outputs["impulse_response"], relative: bound)
    if let decoders = fixture.weights["decoder"], decoders.shape[0] == 5 {
      let delays = (0..<5).map { memory.theta * Double($0) / 4 }
      try expectTensor(delays.flatMap { memory.decoder(delay: $0) }, decoders, relative: bound)
    }
    try checkMemory(fixture, memory, Double.self)
    try checkMemory(fixture, memory, Float.self)
  }

  private func checkMemory<Element: Real>(
    _ fixture: LayerFixture, _ memory: LegendreMemory, _ type: Element.Type
  ) throws {
    let layer = FixtureGraph<Element>(fixture)
    let u = try layer.tensor("u")
    let m = u.reshaped([u.shape.count, 1, 1]).legendreMemory(memory)
    layer.result("m", m.reshaped([u.shape.count, memory.order]))
    layer.check(main: m)
  }

  @Test("golden: the unit, its memory and gradients", arguments: cells ?? [])
  func cell(fixture: LayerFixture) throws {
    try checkCell(fixture, Double.self)
    try checkCell(fixture, Float.self)
  }

  private func checkCell<Element: Real>(_ fixture: LayerFixture, _ type: Element.Type) throws {
    let layer = FixtureGraph<Element>(fixture)
    let (h, m) = try layer.timeMajor("x").legendreUnit(
      LegendreWeights(
        inputEncoder: layer.tensor("e_x"), hiddenEncoder: layer.tensor("e_h"),
        memoryEncoder: layer.tensor("e_m"), input: layer.tensor("W_x").exchanged(axis: 0),
        hidden: layer.tensor("W_h").exchanged(axis: 0),
        memory: layer.tensor("W_m").exchanged(axis: 0)), memory: try memory(fixture))
    layer.result("h", h.exchanged(axis: 0))
    layer.result("m", m.exchanged(axis: 0))
    layer.check(main: h)
  }

  @Test(
    "gradients agree with differences, through the memory too",
    arguments: [(1, 1, 1, 2, 1), (4, 3, 2, 5, 3), (9, 2, 3, 4, 6)])
  func gradients(steps: Int, batch: Int, inputs: Int, width: Int, order: Int) {
    let memory = LegendreMemory(order: order, theta: 6)
    GraphCase(
      "T \(steps) q \(order)",
      [
        [steps, batch, inputs], [inputs], [width], [order], [inputs, width], [width, width],
        [order, width],
      ]
    ) {
      let (h, m) = $0[0].legendreUnit(
        LegendreWeights(
          inputEncoder: $0[1], hiddenEncoder: $0[2], memoryEncoder: $0[3], input: $0[4],
          hidden: $0[5], memory: $0[6]), memory: memory)
      return .joined(
        [h.reshaped([h.shape.count]), m.reshaped([m.shape.count])], axis: 0)
    }.checkGradients()
  }

  @Test("two halves with the state handed over are one run")
  func halves() {
    let (T, B, F, H, q) = (8, 2, 3, 5, 4)
    let memory = LegendreMemory(order: q, theta: 10)
    var random = SeededGenerator(seed: 3)
    let graph = Graph<Double>()
    func constant(_ shape: Shape) -> Tensor<Double> {
      graph.constant(random.normals(shape.count).map { $0 * 0.4 }, shape)
    }
    let weights = LegendreWeights(
      inputEncoder: constant([F]), hiddenEncoder: constant([H]), memoryEncoder: constant([q]),
      input: constant([F, H]), hidden: constant([H, H]), memory: constant([q, H]))
    let x = constant([T, B, F])
    let whole = x.legendreUnit(weights, memory: memory)
    let first = x.slice(axis: 0, 0..<3).legendreUnit(weights, memory: memory)
    let second = x.slice(axis: 0, 3..<T).legendreUnit(
      weights, memory: memory, initial: (first.hidden[2], first.memory[2]))
    for tensor in [whole.hidden, whole.memory, second.hidden, second.memory] { graph.keep(tensor) }
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Double>(1).base)
    func numbers(_ tensor: Tensor<Double>) -> [Double] {
      (0..<tensor.shape.count).map { execution.value(tensor)[$0] }
    }
    expectClose(
      numbers(second.hidden), Array(numbers(whole.hidden)[(3 * B * H)...]), absolute: 1e-15)
    expectClose(
      numbers(second.memory), Array(numbers(whole.memory)[(3 * B * q)...]), absolute: 1e-15)
  }

  @Test("the memory of several channels is that of each, however long the sequence")
  func channels() {
    let memory = LegendreMemory(order: 6, theta: 40)
    var random = SeededGenerator(seed: 30)
    let (T, B, C) = (150, 2, 3)
    let u = random.normals(T * B * C)
    let graph = Graph<Double>()
    let m = graph.constant(u, [T, B, C]).legendreMemory(memory)
    graph.keep(m)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Double>(1).base)
    for row in 0..<(B * C) {
      var state = [Double](repeating: 0, count: 6)
      for t in 0..<T {
        state = (0..<6).map { i in
          memory.input[i] * u[t * B * C + row]
            + (0..<6).reduce(0) { $0 + memory.transition[i * 6 + $1] * state[$1] }
        }
        let found = (0..<6).map { execution.value(m)[(t * B * C + row) * 6 + $0] }
        expectClose(found, state, absolute: 1e-13)
      }
    }
  }
}
