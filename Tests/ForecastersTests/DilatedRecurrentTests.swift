// Names: shape letters B, T, F, D.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore
import TestSupport
import Testing

@Suite("Dilated and residual stacks")
struct DilatedRecurrentTests {
  struct Box: Sendable, CustomStringConvertible {
    let kind: RecurrentCell.Kind
    let steps: Int
    let dilations: [Int]
    let block: Int?
    var description: String { "\(kind) T \(steps) \(dilations) block \(block ?? 0)" }
  }

  /// Lengths that a dilation divides, does not, and is larger than.
  static let boxes = [
    Box(kind: .lstm, steps: 12, dilations: [1, 2, 4], block: nil),
    Box(kind: .gru, steps: 13, dilations: [3, 5], block: 1),
    Box(kind: .lstm, steps: 7, dilations: [2, 3, 9, 7], block: 2),
    Box(kind: .gruResetBefore, steps: 5, dilations: [4, 1, 6], block: 2),
    Box(kind: .elman, steps: 1, dilations: [2], block: 2),
  ]
  private let B = 3
  private let F = 2
  private let D = 5

  private func make<Element: Real>(
    _ box: Box, _ type: Element.Type = Element.self
  ) -> (stack: DilatedRecurrent<Element>, layout: ParameterLayout, parameters: Buffer<Element>) {
    var layout = ParameterLayout()
    let stack = DilatedRecurrent<Element>(
      box.kind, inputs: F, hidden: D, dilations: box.dilations, block: box.block, dropout: 0,
      layout: &layout)
    let parameters = Buffer<Element>(layout.count)
    var stream = RandomStream(seed: 5, purpose: "initialisation")
    stack.initialize(parameters, using: &stream)
    var random = SeededGenerator(seed: 8)
    for k in 0..<parameters.count { parameters[k] += Element(random.normal() * 0.1) }
    return (stack, layout, parameters)
  }

  /// Every layer step by step, each from the state that many steps back; blocks add their inputs.
  private func naive(
    _ box: Box, _ layout: ParameterLayout, _ parameters: Buffer<Double>, _ inputs: [Double]
  ) -> [Double] {
    func tensor(_ layer: Int, _ name: String) -> UnsafePointer<Double>? {
      layout.tensors.first { $0.name == "backbone.\(layer).\(name)" }
        .map { UnsafePointer(parameters.base + $0.offset) }
    }
    let size = box.block ?? box.dilations.count
    var x = inputs
    var before: [Double] = []
    for (layer, dilation) in box.dilations.enumerated() {
      if layer % size == 0 { before = x }
      let cell = RecurrentCell(box.kind, inputs: layer == 0 ? F : D, width: D)
      let row = B * cell.inputs
      var outputs = [Double](repeating: 0, count: box.steps * B * D)
      // Each chain by itself.
      for chain in 0..<min(dilation, box.steps) {
        let stepper = RecurrentStepper<Double>(
          cell, batch: B, input: tensor(layer, "input_weight"),
          recurrent: tensor(layer, "recurrent_weight")!, bias: tensor(layer, "bias")!,
          candidateBias: tensor(layer, "candidate_bias"))
        for t in stride(from: chain, to: box.steps, by: dilation) {
          let h = stepper.step(Array(x[(t * row)..<((t + 1) * row)]))
          for b in 0..<B {
            for d in 0..<D { outputs[(t * B + b) * D + d] = h[b * stepper.rowLength + d] }
          }
        }
      }
      x = outputs
      let ends = layer % size == size - 1 || layer == box.dilations.count - 1
      if ends && layer >= size { x = zip(x, before).map(+) }
    }
    return x
  }

  private func inputs(_ box: Box) -> [Double] {
    var random = SeededGenerator(seed: 9)
    return random.normals(box.steps * B * F)
  }

  private func run<Element: Real>(
    _ box: Box, _ stack: DilatedRecurrent<Element>, _ parameters: Buffer<Element>
  ) -> (all: [Double], last: [Double]) {
    let graph = Graph<Element>()
    let x = graph.input([box.steps, B, F])
    let output = stack.apply(to: x)
    graph.keep(output.all)
    graph.keep(output.last)
    let execution = Execution(Plan(graph))
    for (k, number) in inputs(box).enumerated() { execution.input(x)[k] = Element(number) }
    execution.forward(parameters: parameters.base)
    func numbers(_ tensor: Tensor<Element>) -> [Double] {
      (0..<tensor.shape.count).map { Double(execution.value(tensor)[$0]) }
    }
    return (numbers(output.all), numbers(output.last))
  }

  @Test("results are those of the chains one by one", arguments: boxes)
  func chains(box: Box) {
    let (stack, layout, parameters) = make(box, Double.self)
    let expected = naive(box, layout, parameters, inputs(box))
    let found = run(box, stack, parameters)
    expectClose(found.all, expected, absolute: 1e-13)
    expectClose(found.last, Array(expected.suffix(B * D)), absolute: 1e-13)
    let single = make(box, Float.self)
    expectClose(run(box, single.stack, single.parameters).all, expected, absolute: 2e-5)
  }

  @Test("a stream keeps as many states as the dilation", arguments: boxes)
  func stream(box: Box) {
    let (stack, _, parameters) = make(box, Double.self)
    let expected = run(box, stack, parameters).all
    let stepper = stack.makeStepper(parameters.base, batch: B)
    let inputs = inputs(box)
    var output = [Double](repeating: 0, count: B * D)
    for t in 0..<box.steps {
      stepper.step(Array(inputs[(t * B * F)..<((t + 1) * B * F)]), &output)
      expectClose(output, Array(expected[(t * B * D)..<((t + 1) * B * D)]), absolute: 1e-13)
    }
  }

  @Test("gradients agree with differences, recomputed or not", arguments: boxes)
  func gradients(box: Box) {
    let (stack, layout, parameters) = make(box, Double.self)
    func run(_ apply: (Tensor<Double>) -> BackboneOutput<Double>) -> (
      loss: () -> Double, gradient: () -> [Double]
    ) {
      let graph = Graph<Double>()
      let x = graph.input([box.steps, B, F])
      let output = apply(x)
      let loss = output.all.map(.square).mean() + output.last.map(.square).sum()
      let execution = Execution(Plan(graph, loss: loss))
      for (k, number) in inputs(box).enumerated() { execution.input(x)[k] = number }
      return (
        {
          execution.forward(parameters: parameters.base)
          return execution.value(loss)[0]
        },
        {
          let gradient = Buffer<Double>(layout.count)
          execution.backward(into: gradient.base)
          return gradient.array
        }
      )
    }
    let kept = run(stack.apply)
    let again = run(stack.applyRecomputed)
    let loss = kept.loss()
    let gradient = kept.gradient()
    expectClose(again.loss(), loss, absolute: 1e-14)
    expectClose(again.gradient(), gradient, absolute: 1e-13)
    var random = SeededGenerator(seed: 3)
    let direction = random.normals(layout.count)
    let start = parameters.array
    func moved(_ step: Double) -> Double {
      for k in start.indices { parameters[k] = start[k] + step * direction[k] }
      return kept.loss()
    }
    let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6
    expectClose(zip(gradient, direction).map(*).reduce(0, +), slope, absolute: 1e-7, relative: 1e-7)
  }

  @Test("a stack with residual connections is a dilated one that looks back one step")
  func residual() {
    for kind in [RecurrentCell.Kind.lstm, .gru, .elman] {
      let box = Box(kind: kind, steps: 9, dilations: [1, 1, 1], block: 1)
      let (stack, _, parameters) = make(box, Double.self)
      var layout = ParameterLayout()
      let plain = StackedRecurrent<Double>(
        kind, inputs: F, hidden: D, layers: 3, residual: true, dropout: 0, layout: &layout)
      let graph = Graph<Double>()
      let x = graph.input([9, B, F])
      let (output, again) = (plain.apply(to: x), plain.applyRecomputed(to: x))
      for tensor in [output.all, output.last, again.all, again.last] { graph.keep(tensor) }
      let execution = Execution(Plan(graph))
      for (k, number) in inputs(box).enumerated() { execution.input(x)[k] = number }
      execution.forward(parameters: parameters.base)
      let expected = run(box, stack, parameters)
      for (all, last) in [(output.all, output.last), (again.all, again.last)] {
        expectClose(
          (0..<expected.all.count).map { execution.value(all)[$0] }, expected.all, absolute: 1e-14)
        expectClose(
          (0..<expected.last.count).map { execution.value(last)[$0] }, expected.last,
          absolute: 1e-14)
      }
    }
  }

  @Test("recomputation keeps the outputs of the layers only")
  func memory() {
    var layout = ParameterLayout()
    let stack = DilatedRecurrent<Float>(
      .lstm, inputs: 4, hidden: 32, dilations: [1, 2, 4, 8, 16, 32], block: 2, dropout: 0,
      layout: &layout)
    func bytes(_ apply: (Tensor<Float>) -> BackboneOutput<Float>) -> Int {
      let graph = Graph<Float>()
      return Plan(graph, loss: apply(graph.input([512, 8, 4])).last.map(.square).mean()).peakBytes
    }
    #expect(bytes(stack.applyRecomputed) * 2 < bytes(stack.apply))
  }

  private func dilations(
    _ layers: Int, seasonality: [Int], options: [String: ModelOption.Value]
  ) throws -> [Int] {
    let configuration = ForecasterConfiguration(
      kind: "dilated", layers: layers, options: options, contextLength: 336, horizon: 4,
      seasonality: seasonality)
    try configuration.validate()
    return DilatedArchitecture.dilations(configuration)
  }

  @Test("dilations double, follow the seasons, or are given")
  func spacing() throws {
    let seasonal: [String: ModelOption.Value] = ["spacing": .text("seasonal")]
    #expect(try dilations(4, seasonality: [24], options: [:]) == [1, 2, 4, 8])
    // Smyl's for hourly and weekly data of the M4.
    #expect(try dilations(4, seasonality: [24, 168], options: seasonal) == [1, 4, 24, 168])
    #expect(try dilations(2, seasonality: [52], options: seasonal) == [1, 52])
    #expect(try dilations(4, seasonality: [12], options: seasonal) == [1, 2, 6, 12])
    // One layer that looks back one step would be no dilated network.
    #expect(try dilations(1, seasonality: [12], options: seasonal) == [1, 12])
    #expect(try dilations(1, seasonality: [12], options: [:]) == [1, 2])
    #expect(try dilations(1, seasonality: [12], options: ["dilations": .integers([3])]) == [3])
    #expect(try dilations(3, seasonality: [1], options: seasonal) == [1, 2, 4])
    // A season that the context cannot hold is none.
    #expect(try dilations(2, seasonality: [7, 1000], options: seasonal) == [1, 7])
    #expect(
      try dilations(2, seasonality: [1], options: ["dilations": .integers([3, 5])]) == [3, 5])
    let error = #expect(throws: ForecasterError.self) {
      try dilations(3, seasonality: [1], options: ["dilations": .integers([3, 5])])
    }
    #expect(error?.message.contains("3 layers") == true)
  }
}
