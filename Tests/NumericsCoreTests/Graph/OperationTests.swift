import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Operations")
struct OperationTests {
  static let unary: [GraphCase] = UnaryFunction.allCases.map { function in
    let positive: Set<UnaryFunction> = [.log, .squareRoot, .reciprocal]
    let range = positive.contains(function) ? 0.3...2.5 : function == .log1p ? -0.6...2 : -2.5...2.5
    return GraphCase("\(function)", [[3, 7]], range: range) { $0[0].map(function) }
  }

  static let broadcasts: [GraphCase] = BinaryFunction.allCases.flatMap { function in
    let pairs: [(Shape, Shape)] = [
      ([2, 3], [2, 3]), ([2, 3, 5], [5]), ([4], [2, 3, 4]), ([2, 1, 3], [4, 1]), ([3, 1], [1, 7]),
      ([], [2, 3]), ([2, 3, 4], [2, 1, 4]), ([1], [1]), ([5, 1, 1], [5, 2, 3]),
    ]
    return pairs.map { a, b in
      GraphCase("\(function) of \(a) and \(b)", [a, b], range: 0.4...2.2) {
        $0[0].combined(function, with: $0[1])
      }
    }
  }

  static let others: [GraphCase] = [
    GraphCase("linear", [[3, 2, 5], [5, 4], [4]]) { $0[0].linear($0[1], bias: $0[2]) },
    GraphCase("linear without bias", [[7, 3], [3, 1]]) { $0[0].linear($0[1]) },
    GraphCase("block-diagonal products, joined blocks", [[9, 32], [9, 32], [3, 8, 4, 4]]) {
      .blockDiagonalProducts([$0[0], $0[1], $0[0]], weight: $0[2])
    },
    GraphCase("block-diagonal products, joined oblong blocks", [[9, 16], [1, 4, 4, 8]]) {
      .blockDiagonalProducts([$0[0]], weight: $0[1])
    },
    GraphCase("block-diagonal products, whole vectors", [[130, 16], [2, 1, 16, 32]]) {
      .blockDiagonalProducts([$0[0], $0[0]], weight: $0[1]).reshaped([130 * 2, 32])
    },
    GraphCase("block-diagonal products, odd blocks", [[2, 5, 9], [2, 3, 3, 2]]) {
      .blockDiagonalProducts([$0[0], $0[0].map(.square)], weight: $0[1])
    },
    GraphCase("linear of a vector", [[3], [3, 2]]) { $0[0].linear($0[1]) },
    GraphCase("product", [[2, 3, 4], [2, 4, 5]]) { $0[0].product($0[1]) },
    GraphCase("product, left transposed", [[2, 4, 3], [2, 4, 5]]) {
      $0[0].product($0[1], transposed: true)
    },
    GraphCase("product, right transposed", [[2, 3, 4], [2, 5, 4]]) {
      $0[0].product($0[1], otherTransposed: true)
    },
    GraphCase("product, both transposed", [[1, 4, 3], [1, 5, 4]]) {
      $0[0].product($0[1], transposed: true, otherTransposed: true)
    },
    GraphCase("sums", [[3, 4, 5]]) { $0[0].sum(axis: 1).sum(axis: 1) + $0[0].sum(axis: 0).sum() },
    GraphCase("means", [[3, 4, 5]]) { $0[0].mean(axis: 2).mean(axis: 0) * $0[0].mean() },
    GraphCase("softmax", [[3, 5]]) { $0[0].softmax() },
    GraphCase("log sum exp", [[3, 5]]) { $0[0].logSumExp() },
    GraphCase("slices", [[4, 3, 5]]) {
      $0[0].slice(axis: 2, 1..<4).slice(axis: 1, 1..<3)
        * $0[0].slice(axis: 0, 1..<2).slice(axis: 2, 2..<5).slice(axis: 1, 0..<2)
    },
    GraphCase("one of the first axis, twice", [[4, 3]]) { $0[0][1] * $0[0][3] + $0[0][1] },
    GraphCase("joined", [[2, 3, 2], [2, 1, 2]]) {
      Tensor.joined([$0[0], $0[1], $0[0]], axis: 1).map(.square)
    },
    GraphCase("exchanged", [[2, 3, 4, 2]]) { $0[0].exchanged(axis: 1).map(.square) },
    GraphCase("selected", [[6], [6]]) {
      $0[0].selected(
        where: $0[0].graph.constant([1, 0, 0, 1, 1, 0], [6]), otherwise: $0[1].map(.square))
    },
    GraphCase("rows of a table", [[4, 3]]) {
      $0[0].rows($0[0].graph.constant([2, 0, 2, 3, 1, 2], [2, 3])).map(.square)
    },
    GraphCase("layer normalisation", [[4, 5], [5], [5]]) {
      $0[0].layerNormalised(gain: $0[1], bias: $0[2])
    },
    GraphCase("group normalisation", [[4, 42], [42]]) {
      $0[0].groupNormalised(gain: $0[1], groups: 2)
    },
    GraphCase("RMS normalisation", [[4, 5], [5]]) { $0[0].rmsNormalised(gain: $0[1]) },
    GraphCase("depthwise convolution", [[6, 2, 3], [4, 3]]) { $0[0].depthwiseConvolved($0[1]) },
    GraphCase("depthwise convolution longer than the series", [[2, 2, 3], [4, 3]]) {
      $0[0].depthwiseConvolved($0[1])
    },
    GraphCase("causal convolution", [[7, 2, 3], [3, 3, 4]]) { $0[0].causallyConvolved($0[1]) },
    GraphCase("dilated convolution", [[7, 2, 3], [3, 3, 2]]) {
      $0[0].causallyConvolved($0[1], dilation: 2)
    },
    GraphCase("the same tensor in many places", [[3, 3]]) { inputs in
      let x = inputs[0]
      let y = x.map(.tanh) * x + x.product(x, transposed: true)
      return y.scaled(by: 0.5, plus: 2).map(.log1p) + x.reshaped([9]).sum() + y * y
    },
  ]

  @Test("gradients agree with differences", arguments: unary + broadcasts + others)
  func gradients(of `case`: GraphCase) {
    `case`.checkGradients()
  }

  @Test("a broadcast is what loops over indices give")
  func broadcastValues() throws {
    for (a, b) in [([2, 1, 3], [4, 1]), ([3, 1], [1, 7]), ([2, 3, 4], [2, 1, 4])]
      as [(Shape, Shape)]
    {
      let graph = Graph<Double>()
      let left = graph.constant((0..<a.count).map { Double($0) }, a)
      let right = graph.constant((0..<b.count).map { 100 * Double($0) }, b)
      let result = left - right
      graph.keep(result)
      let execution = Execution(Plan(graph))
      execution.forward(parameters: Buffer<Double>(1).base)
      func at(_ shape: Shape, _ index: [Int]) -> Int {
        let own = Array(index.suffix(shape.rank))
        return zip(own, shape.axes).reduce(0) { $0 * $1.1 + ($1.1 == 1 ? 0 : $1.0) }
      }
      for k in 0..<result.shape.count {
        var rest = k
        var index: [Int] = []
        for size in result.shape.axes.reversed() {
          index.insert(rest % size, at: 0)
          rest /= size
        }
        let expected = Double(at(a, index)) - 100 * Double(at(b, index))
        #expect(execution.value(result)[k] == expected)
      }
    }
  }

  @Test("a convolution looks only back, and tap 0 is the newest")
  func causality() {
    let graph = Graph<Double>()
    let x = graph.constant([1, 0, 0, 0, 0], [5, 1, 1])
    let short = x.depthwiseConvolved(graph.constant([3, 5, 7], [3, 1]))
    let dilated = x.causallyConvolved(graph.constant([3, 5, 7], [3, 1, 1]), dilation: 2)
    graph.keep(short)
    graph.keep(dilated)
    let execution = Execution(Plan(graph))
    execution.forward(parameters: Buffer<Double>(1).base)
    #expect((0..<5).map { execution.value(short)[$0] } == [3, 5, 7, 0, 0])
    #expect((0..<5).map { execution.value(dilated)[$0] } == [3, 0, 5, 0, 7])
  }

  @Test("dropout keeps the mean, repeats for a seed, and rests outside of training")
  func dropout() {
    let graph = Graph<Float>()
    let x = graph.constant([Float](repeating: 1, count: 10_000), [10_000])
    let y = x.dropout(0.3, purpose: "test")
    graph.keep(y)
    let execution = Execution(Plan(graph))
    let none = Buffer<Float>(1)
    func draw(_ training: Bool, _ seed: UInt64, _ run: Int) -> [Float] {
      execution.forward(parameters: none.base, training: training, seed: seed, run: run)
      return (0..<10_000).map { execution.value(y)[$0] }
    }
    let first = draw(true, 1, 0)
    #expect(first == draw(true, 1, 0))
    #expect(first != draw(true, 2, 0) && first != draw(true, 1, 1))
    #expect(draw(false, 1, 0).allSatisfy { $0 == 1 })
    // Five standard deviations of 10 000 draws.
    let kept = first.filter { $0 != 0 }
    let deviation = (10_000 * 0.21).squareRoot()
    let distance = abs(Double(kept.count) - 7000)
    #expect(distance < 5 * deviation)
    let factor: Float = 1 / 0.7
    #expect(kept.allSatisfy { abs($0 - factor) < 1e-6 })
  }
}
