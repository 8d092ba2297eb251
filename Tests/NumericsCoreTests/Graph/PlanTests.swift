import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Plans of memory")
struct PlanTests {
  /// A chain of `depth` layers on `[rows, width]`, and its loss.
  private func chain(
    _ depth: Int, rows: Int = 16, width: Int = 8
  ) -> (graph: Graph<Double>, loss: Tensor<Double>, layout: ParameterLayout) {
    let graph = Graph<Double>()
    var layout = ParameterLayout()
    var x = graph.constant(
      (0..<(rows * width)).map { Double($0 % 7) / 7 }, [rows, width])
    for layer in 0..<depth {
      _ = layout.add("weight \(layer)", [width, width])
      x = x.linear(graph.parameter(layout.tensors[layer])).map(.tanh)
    }
    return (graph, x.map(.square).mean(), layout)
  }

  @Test("forward alone needs no more memory for more layers; with gradients it grows with them")
  func memory() {
    func forward(_ depth: Int) -> Int {
      let (graph, loss, _) = chain(depth)
      graph.keep(loss)
      return Plan(graph).peakBytes
    }
    func both(_ depth: Int) -> Int {
      let (graph, loss, _) = chain(depth)
      return Plan(graph, loss: loss).peakBytes
    }
    #expect(forward(20) == forward(3))
    let layer = (both(20) - both(10)) / 10
    // One stored result a layer: tanh is differentiated from its result, which the next product reads.
    #expect(layer == 16 * 8 * 8)
  }

  @Test("areas in use at one time never overlap, and places are used again")
  func packing() {
    var random = SeededGenerator(seed: 3)
    var packer = ArenaPacker()
    var areas: [(count: Int, life: ClosedRange<Int>)] = []
    for _ in 0..<200 {
      let start = Int(random.uniform() * 100)
      let area = (
        count: 1 + Int(random.uniform() * 50), life: start...(start + Int(random.uniform() * 20))
      )
      areas.append(area)
      _ = packer.add(area.count, area.life)
    }
    let offsets = packer.pack(alignment: 16)
    var clashes = 0
    for a in areas.indices {
      #expect(offsets[a] % 16 == 0 && offsets[a] + areas[a].count <= packer.total)
      for b in 0..<a where areas[a].life.overlaps(areas[b].life) {
        if offsets[a] < offsets[b] + areas[b].count, offsets[b] < offsets[a] + areas[a].count {
          clashes += 1
        }
      }
    }
    #expect(clashes == 0)
    func rounded(_ count: Int) -> Int { (count + 15) / 16 * 16 }
    let all = areas.reduce(0) { $0 + rounded($1.count) }
    let atOnce =
      (0...120).map { time in
        areas.reduce(0) { $0 + ($1.life.contains(time) ? rounded($1.count) : 0) }
      }.max() ?? 0
    #expect(packer.total >= atOnce && packer.total < all / 3)
  }

  @Test("a run with shared memory gives the numbers of a run in which everything is kept")
  func sharing() {
    func gradient(keepingAll: Bool) -> [Double] {
      let (graph, loss, layout) = chain(6)
      if keepingAll { graph.keepEverything() }
      let parameters = Buffer((0..<layout.count).map { Double(($0 * 31) % 23) / 23 - 0.5 })
      let gradient = Buffer<Double>(layout.count)
      let execution = Execution(Plan(graph, loss: loss))
      for _ in 0..<2 {
        gradient.zero()
        execution.forward(parameters: parameters.base)
        execution.backward(into: gradient.base)
      }
      return gradient.array
    }
    let shared = gradient(keepingAll: false)
    #expect(shared == gradient(keepingAll: true))
    #expect(shared.contains { $0 != 0 })
  }

  @Test("gradients of parameters are added, and scaled")
  func accumulation() {
    let (graph, loss, layout) = chain(2)
    let parameters = Buffer((0..<layout.count).map { Double(($0 * 31) % 23) / 23 - 0.5 })
    let execution = Execution(Plan(graph, loss: loss))
    let once = Buffer<Double>(layout.count)
    execution.forward(parameters: parameters.base)
    execution.backward(into: once.base)
    let thrice = Buffer<Double>(layout.count)
    for _ in 0..<2 {
      execution.forward(parameters: parameters.base)
      execution.backward(into: thrice.base, scale: 1.5)
    }
    expectClose(thrice.array, once.array.map { 3 * $0 }, relative: 1e-14)
  }

  @Test("what nothing kept depends on is not computed and takes no memory")
  func unused() {
    let graph = Graph<Double>()
    let x = graph.input([8])
    let used = x.map(.exp)
    var unused = used
    for _ in 0..<9 { unused = (unused + used).map(.tanh) }
    graph.keep(used)
    let plan = Plan(graph)
    #expect(plan.peakBytes == 2 * 64)
    let execution = Execution(plan)
    for k in 0..<8 { execution.input(x)[k] = Double(k) }
    execution.forward(parameters: Buffer<Double>(1).base)
    expectClose(
      (0..<8).map { execution.value(used)[$0] }, (0..<8).map { exp(Double($0)) }, relative: 1e-14)
  }

  @Test("parts that are recomputed draw the same random numbers again, and others than their like")
  func recomputedDropout() {
    let graph = Graph<Double>()
    let x = graph.input([4, 16], differentiable: true)
    func part(_ x: Tensor<Double>) -> Tensor<Double> {
      graph.recomputed([x]) { _, copies in
        [copies[0].map(.tanh).dropout(0.4, purpose: "test").map(.square)]
      }[0]
    }
    let (first, second) = (part(x), part(x))
    let loss = (first + second.scaled(by: 2)).sum()
    for tensor in [first, second, loss] { graph.keep(tensor) }
    let execution = Execution(Plan(graph, loss: loss))
    let none = Buffer<Double>(1)
    var random = SeededGenerator(seed: 2)
    let values = random.normals(64)
    func run(_ values: [Double]) -> Double {
      execution.input(x).update(from: values, count: 64)
      execution.forward(parameters: none.base, training: true, seed: 7, run: 3)
      return execution.value(loss)[0]
    }
    _ = run(values)
    func dropped(_ tensor: Tensor<Double>) -> [Bool] {
      (0..<64).map { execution.value(tensor)[$0] == 0 }
    }
    #expect(dropped(first).contains(true) && dropped(first).contains(false))
    #expect(dropped(first) != dropped(second))
    execution.backward(into: none.base)
    let gradient = (0..<64).map { execution.gradient(x)![$0] }
    let expected = values.indices.map { k in
      var moved = values
      moved[k] += 1e-5
      let above = run(moved)
      moved[k] -= 2e-5
      return (above - run(moved)) / 2e-5
    }
    expectClose(gradient, expected, absolute: 1e-8)
  }

  @Test("recomputing deep parts takes memory for one of them")
  func recomputedMemory() {
    func bytes(_ recomputes: Bool) -> Int {
      let graph = Graph<Double>()
      var x = graph.input([32, 32], differentiable: true)
      for _ in 0..<8 {
        func part(_ x: Tensor<Double>) -> Tensor<Double> {
          (0..<8).reduce(x) { x, _ in x.map(.tanh).map(.sigmoid) }
        }
        x = recomputes ? graph.recomputed([x]) { [part($1[0])] }[0] : part(x)
      }
      return Plan(graph, loss: x.sum()).peakBytes
    }
    // 128 results of 8 KB; or 8 at the borders and the 16 of one part with their gradients.
    #expect(bytes(false) > 128 * 8192)
    #expect(bytes(true) < 40 * 8192)
  }
}
