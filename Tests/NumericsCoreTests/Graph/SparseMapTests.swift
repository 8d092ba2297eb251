import NumericsCore
import TestSupport
import Testing

@Suite("Maps along time")
struct SparseMapTests {
  private func run(
    _ numbers: [Double], width: Int = 1, _ map: (Tensor<Double>) -> Tensor<Double>
  ) -> [Double] {
    let graph = Graph<Double>()
    let x = graph.input([numbers.count / width, width])
    let y = map(x)
    graph.keep(y)
    let execution = Execution(Plan(graph))
    execution.input(x).update(from: numbers, count: numbers.count)
    execution.forward(parameters: Buffer<Double>(1).base)
    return (0..<y.shape.count).map { execution.value(y)[$0] }
  }

  @Test("interpolation: halves, the same places, one knot, and straight lines inside")
  func interpolation() {
    expectClose(run([1, 3]) { $0.interpolated(to: 4) }, [1, 1.5, 2.5, 3], absolute: 1e-15)
    expectClose(run([4, 1, 7]) { $0.interpolated(to: 3) }, [4, 1, 7], absolute: 1e-15)
    expectClose(run([5, 6], width: 2) { $0.interpolated(to: 3) }, [5, 6, 5, 6, 5, 6])
    expectClose(
      run([0, 1, 2, 3, 4, 5]) { $0.interpolated(to: 3) }, [0.5, 2.5, 4.5], absolute: 1e-15)
    // Knots of a line at the middles of 5 parts of 35 steps: the line between the first and last.
    let knots = (0..<5).map { 3 + 2 * (Double($0) * 7 + 3) }
    let line = run(knots) { $0.interpolated(to: 35) }
    for t in 3...31 { expectClose(line[t], 3 + 2 * Double(t), absolute: 1e-12) }
  }

  @Test("moving averages repeat the ends", arguments: [1, 3, 5, 25])
  func movingAverage(window: Int) {
    for count in [1, 2, 7, 40] {
      var random = SeededGenerator(seed: 4)
      let x = random.normals(count * 3)
      let y = run(x, width: 3) { $0.movingAverage(window: window) }
      for t in 0..<count {
        for b in 0..<3 {
          let sum = (-(window / 2)...(window / 2)).reduce(0.0) {
            $0 + x[min(max(t + $1, 0), count - 1) * 3 + b]
          }
          expectClose(y[t * 3 + b], sum / Double(window), absolute: 1e-14)
        }
      }
    }
  }

  @Test(
    "gradients",
    arguments: [
      GraphCase("interpolation up", [[3, 2]]) { $0[0].interpolated(to: 11) },
      GraphCase("interpolation down", [[11, 2, 3]]) { $0[0].interpolated(to: 4) },
      GraphCase("one knot, twice", [[1, 2]]) {
        $0[0].interpolated(to: 5) + $0[0].interpolated(to: 5).map(.square)
      },
      GraphCase("moving average", [[7, 2]]) { $0[0].movingAverage(window: 5) },
      GraphCase("moving average over more than there is", [[3, 2]]) {
        $0[0].movingAverage(window: 9)
      },
    ])
  func gradients(_ graph: GraphCase) { graph.checkGradients() }
}
