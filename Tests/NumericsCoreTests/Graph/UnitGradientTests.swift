import NumericsCore
import TestSupport
import Testing

/// Gradients of units against the same graph for one row at a time, in double precision.
@Suite("Gradients of units")
struct UnitGradientTests {
  /// A graph for a number of rows.
  struct Case: Sendable, CustomStringConvertible {
    let description: String
    /// For one row; the second axis of a rank above 2, else the first, is that of the rows.
    let input: [Int]
    let parameters: [[Int]]
    let build: @Sendable (Tensor<Double>, [Tensor<Double>]) -> Tensor<Double>

    init(
      _ description: String, input: [Int], _ parameters: [[Int]],
      _ build: @escaping @Sendable (Tensor<Double>, [Tensor<Double>]) -> Tensor<Double>
    ) {
      self.description = description
      self.input = input
      self.parameters = parameters
      self.build = build
    }

    var axis: Int { input.count > 2 ? 1 : 0 }

    func graph(_ rows: Int) -> (Graph<Double>, x: Tensor<Double>, loss: Tensor<Double>, Int) {
      let graph = Graph<Double>()
      var layout = ParameterLayout()
      let tensors = parameters.enumerated().map { layout.add("\($0)", $1) }
      var shape = input
      shape[axis] = rows
      let x = graph.input(Shape(shape))
      let y = build(x, tensors.map { graph.parameter($0) })
      // Every number of a row has a slope of its own.
      let loss = (y + y.map(.square).scaled(by: 0.3)).map(.tanh).sum()
      graph.keep(loss)
      return (graph, x, loss, layout.count)
    }
  }

  private static func cell(
    _ kind: RecurrentCell.Kind, _ width: Int, inputs: Int = 3, steps: Int = 7, heads: Int = 1,
    masked: Bool = false, starts: Bool = false, reverse: Bool = false
  ) -> Case {
    let cell = RecurrentCell(kind, inputs: inputs, width: width, heads: heads)
    let parameters =
      [cell.inputShape.axes, cell.recurrentShape.axes, cell.biasShape.axes, [inputs, width]]
      + (cell.hasCandidateBias ? [[width]] : [])
    let what =
      "\(masked ? ", ragged" : "")\(starts ? ", from a state" : "")\(reverse ? ", reverse" : "")"
    return Case(
      "\(kind) of \(width) units, \(heads) heads, \(inputs) inputs, \(steps) steps\(what)",
      input: [steps, 1, inputs], parameters
    ) { x, p in
      let rows = x.shape[1]
      let mask =
        masked
        ? x.graph.constant(
          (0..<steps * rows).map { $0 / rows >= steps - 2 ? 0 : 1 }, [steps, rows]) : nil
      let h = starts ? x[0].linear(p[3]) : nil
      let weights = RecurrentWeights(
        input: p[0], recurrent: p[1], bias: p[2], candidateBias: cell.hasCandidateBias ? p[4] : nil)
      return x.recurrent(
        cell, weights, mask: mask,
        initial: h.map { RecurrentState(h: $0, c: cell.memories == 1 ? $0 : nil) },
        reverse: reverse
      ).outputs
    }
  }

  static let recurrent: [Case] =
    RecurrentCell.Kind.allCases.flatMap { kind in
      [
        cell(kind, 5), cell(kind, 16), cell(kind, 32, heads: 2), cell(kind, 12, heads: 3),
        cell(kind, 16, inputs: 1), cell(kind, 5, inputs: 1),
      ]
    } + [
      cell(.lstm, 16, steps: 300), cell(.gru, 32, inputs: 1, steps: 140), cell(.gru, 7, steps: 300),
      cell(.gruResetBefore, 24, steps: 130),
      cell(.lstm, 16, masked: true), cell(.gru, 9, masked: true), cell(.slstm, 16, masked: true),
      cell(.lstm, 16, starts: true), cell(.gru, 16, starts: true), cell(.elman, 5, starts: true),
      cell(.lstm, 5, starts: true, reverse: true), cell(.gruResetBefore, 16, reverse: true),
      cell(.slstm, 16, reverse: true),
    ]

  static let cases: [Case] =
    recurrent + [
      Case("product over time", input: [5, 1, 3], [[3, 4], [4]]) { x, p in
        x.linear(p[0], bias: p[1])
      },
      Case("product over time, rows first", input: [1, 15], [[3, 4], [4]]) { x, p in
        x.reshaped([x.shape[0], 5, 3]).linear(p[0], bias: p[1])
      },
      Case("product over many steps", input: [150, 1, 3], [[3, 21], [21]]) { x, p in
        x.linear(p[0], bias: p[1])
      },
      Case("product over time, rows with several steps", input: [3, 1, 6], [[2, 20], [20]]) {
        x, p in
        x.reshaped([3, x.shape[1], 3, 2]).linear(p[0], bias: p[1])
      },
      Case("bias of a product with what is no parameter", input: [5, 1, 3], [[4]]) { x, p in
        x.linear(x.graph.constant((0..<12).map { Double($0) / 7 - 1 }, [3, 4]), bias: p[0])
      },
      Case("product of few numbers", input: [1, 3], [[3, 40], [40]]) { x, p in
        x.linear(p[0], bias: p[1])
      },
      // What two uses of one parameter contribute is to be added before it is squared.
      Case("a parameter used twice", input: [5, 1, 4], [[4, 4], [4]]) { x, p in
        x.linear(p[0], bias: p[1]).map(.tanh).linear(p[0], bias: p[1])
      },
      Case("a parameter used twice in one operation", input: [5, 1, 4], [[4, 4], [4]]) { x, p in
        (x + p[1]) * p[1] + x.linear(p[0])
      },
      Case("computed from parameters alone", input: [5, 1, 4], [[4, 4], [4, 4], [4]]) { x, p in
        x.linear(p[0].map(.tanh) + p[1].map(.exp) * p[0]) + p[2].map(.softplus)
      },
      Case("part of a parameter", input: [5, 1, 4], [[2, 4, 4]]) { x, p in
        x.linear(p[0][0]) + x.linear(p[0][1])
      },
      Case("norms", input: [5, 1, 6], [[6], [6], [6], [6]]) { x, p in
        x.layerNormalised(gain: p[0], bias: p[1]).groupNormalised(gain: p[2], groups: 2)
          .rmsNormalised(gain: p[3])
      },
      Case("convolutions", input: [9, 1, 4], [[3, 4], [2, 4, 4], [9, 4]]) { x, p in
        x.depthwiseConvolved(p[0]).causallyConvolved(p[1], dilation: 2).fftConvolution(p[2])
      },
      Case("rows of a table", input: [1, 3], [[4, 2]]) { x, p in
        p[0].rows(x.map(.absolute).scaled(by: 0.3).map(.relu).scaled(by: 0))
          .reshaped([x.shape[0], 6])
      },
      Case("broadcast over an inner axis", input: [1, 6], [[2, 1], [3]]) { x, p in
        let x = x.reshaped([x.shape[0], 2, 3])
        return (x / (p[0].map(.exp)) - p[1]).combined(.maximum, with: p[1])
      },
      // Attention: rows and heads in one axis.
      Case("heads beside rows", input: [5, 1, 4], [[4, 12], [4, 4], [2]]) { x, p in
        let rows = x.shape[1]
        let parts = x.linear(p[0]).reshaped([5, rows, 3, 4])
        func part(_ index: Int) -> Tensor<Double> {
          // [rows, heads, T, D], then rows and heads in one.
          parts.slice(axis: 2, index..<index + 1).reshaped([5, rows, 2, 2])
            .exchanged(axis: 0).exchanged(axis: 1).reshaped([rows * 2, 5, 2])
        }
        let scores = part(0).product(part(1), otherTransposed: true).softmax()
        let mixed = (scores.product(part(2)) * p[2]).map(.tanh)
        return mixed.reshaped([rows, 2, 5, 2]).exchanged(axis: 1).reshaped([rows, 5, 4])
          .linear(p[1])
      },
      Case("rows exchanged with time", input: [5, 1, 4], [[4], [4, 3]]) { x, p in
        (x.exchanged(axis: 0) * p[0]).linear(p[1])
      },
    ]

  private static func numbers(_ count: Int, _ seed: UInt64, _ scale: Double = 0.5) -> [Double] {
    var random = SeededGenerator(seed: seed)
    return random.normals(count).map { $0 * scale }
  }

  /// The rows of `x`, `[outer, rows, inner]`.
  private static func row(_ x: [Double], _ row: Int, of rows: Int, outer: Int) -> [Double] {
    let inner = x.count / rows / outer
    return (0..<outer).flatMap { o in x[((o * rows + row) * inner)...].prefix(inner) }
  }

  @Test("are those of single rows, summed", arguments: cases)
  func loop(_ one: Case) throws {
    let rows = 6
    let (graph, x, loss, count) = one.graph(rows)
    let (single, singleX, singleLoss, _) = one.graph(1)
    let values = Self.numbers(x.shape.count, 3)
    let parameters = Buffer(Self.numbers(count, 4))
    let gradient = Buffer<Double>(count)

    let alone = Execution(Plan(single, loss: singleLoss))
    let ofRows = (0..<rows).map { row -> [Double] in
      let own = Self.row(values, row, of: rows, outer: one.axis == 1 ? one.input[0] : 1)
      alone.input(singleX).update(from: own, count: own.count)
      gradient.zero()
      alone.forward(parameters: parameters.base, training: true)
      alone.backward(into: gradient.base, scale: 0.7)
      return gradient.array
    }
    let plan = try #require(Plan(graph, loss: loss, rows: rows, single: single))
    let execution = Execution(plan)
    for units in [[0..<1, 1..<2, 5..<6], [0..<4, 4..<6], [0..<6], [2..<3], []] {
      execution.input(x).update(from: values, count: values.count)
      execution.forward(parameters: parameters.base, training: true)
      var done = 0
      execution.backward(
        units: units, scale: 0.7,
        into: UnsafeMutableBufferPointer(start: gradient.base, count: count)
      ) { unit in
        #expect(unit == done)
        done += 1
        let expected = (0..<count).map { k in units[unit].reduce(0) { $0 + ofRows[$1][k] } }
        #expect(expected.contains { abs($0) > 1e-4 })
        expectClose(gradient.array, expected, absolute: 1e-11, "rows \(units[unit])")
      }
      #expect(done == units.count)
    }
  }

  @Test("rows that are mixed before the loss, and recomputed parts, are refused")
  func refused() {
    func plan(_ build: @escaping @Sendable (Tensor<Double>, [Tensor<Double>]) -> Tensor<Double>)
      -> Bool
    {
      let one = Case("", input: [5, 1, 4], [[4, 4]], build)
      let (graph, _, loss, _) = one.graph(3)
      return Plan(graph, loss: loss, rows: 3, single: one.graph(1).0) != nil
    }
    #expect(plan { x, p in x.linear(p[0]) })
    // Where the rows are after an exchange of an axis that has them and something else is not known.
    #expect(
      !plan { x, p in
        x.reshaped([5, x.shape[1] * 2, 2]).exchanged(axis: 0).reshaped([x.shape[1], 5, 4])
          .linear(p[0])
      })
    // A mean over the batch.
    #expect(!plan { x, p in x.linear(p[0]) - x.linear(p[0]).mean(axis: 1).mean(axis: 0) })
    #expect(
      !plan { x, p in
        x.graph.recomputed([x]) { graph, x in
          [x[0].linear(graph.parameter(Self.layout))]
        }[0]
      })
  }

  private static let layout: ParameterLayout.Tensor = {
    var layout = ParameterLayout()
    return layout.add("w", [4, 4])
  }()

  @Test("memory does not grow with the number of rows times that of parameters")
  func memory() throws {
    // A wide product of few steps: gradients of all rows would be 4 MB.
    let one = Case("", input: [2, 1, 64], [[64, 128]]) { x, p in x.linear(p[0]) }
    let (graph, _, loss, _) = one.graph(64)
    let plan = try #require(Plan(graph, loss: loss, rows: 64, single: one.graph(1).0))
    #expect(plan.peakBytes < 2 * Plan(graph, loss: loss).peakBytes)
  }
}
