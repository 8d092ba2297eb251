import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Elementwise kernels")
struct KernelTests {
  /// Every 977th of the floats from 2^-40 to `limit`, both signs.
  private func range(to limit: Float) -> [Float] {
    var values: [Float] = [0]
    var bits = Float(0x1p-40).bitPattern
    while Float(bitPattern: bits) < limit {
      values.append(Float(bitPattern: bits))
      values.append(-Float(bitPattern: bits))
      bits += 977
    }
    return values + [limit, -limit]
  }

  /// The largest errors of a Float kernel against the mathematical library in Double.
  private func errors(
    _ inputs: [Float], _ kernel: (Int, UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void,
    _ exact: @escaping (Double) -> Double
  ) -> (relative: Double, absolute: Double) {
    var outputs = [Float](repeating: .nan, count: inputs.count)
    kernel(inputs.count, inputs, &outputs)
    var worst = (relative: 0.0, absolute: 0.0)
    for (input, output) in zip(inputs, outputs) {
      let expected = exact(Double(input))
      let error = abs(Double(output) - expected)
      #expect(output.isFinite)
      worst.absolute = max(worst.absolute, error)
      if expected != 0 { worst.relative = max(worst.relative, error / abs(expected)) }
    }
    return worst
  }

  @Test("exp of Float errs by 1e-7 of its value at most")
  func exp() {
    let worst = errors(range(to: 87.3), { Float.exp($0, $1, $2) }, { Foundation.exp($0) })
    #expect(worst.relative < 1e-7)
  }

  @Test("tanh of Float errs by 3e-7 of its value at most")
  func tanh() {
    let worst = errors(range(to: 200), { Float.tanh($0, $1, $2) }, { Foundation.tanh($0) })
    #expect(worst.relative < 3e-7)
    #expect(worst.absolute < 2e-7)
  }

  @Test("sigmoid of Float errs by 2e-7 of its value at most, down to exp(-87)")
  func sigmoid() {
    let exact: (Double) -> Double = { 1 / (1 + Foundation.exp(-$0)) }
    let worst = errors(range(to: 87), { Float.sigmoid($0, $1, $2) }, exact)
    #expect(worst.relative < 2e-7)
    #expect(worst.absolute < 1e-7)
    let far = errors(range(to: 1000), { Float.sigmoid($0, $1, $2) }, exact)
    #expect(far.absolute < 1e-7)
  }

  @Test("saturated and undefined arguments stay saturated and undefined")
  func extremes() {
    let inputs: [Float] = [-.infinity, -1e30, -1000, 1000, 1e30, .infinity, .nan]
    var out = [Float](repeating: 0, count: inputs.count)
    Float.tanh(inputs.count, inputs, &out)
    #expect(out[0...5].elementsEqual([-1, -1, -1, 1, 1, 1]) && out[6].isNaN)
    Float.sigmoid(inputs.count, inputs, &out)
    #expect(out[0..<3].allSatisfy { $0 >= 0 && $0 < 1e-37 } && out[3...5].elementsEqual([1, 1, 1]))
    #expect(out[6].isNaN)
    Float.exp(inputs.count, inputs, &out)
    #expect(out[0..<3].allSatisfy { $0 >= 0 && $0 < 1.2e-38 })
    #expect(out[3...5].allSatisfy { $0.isFinite && $0 > 1e38 } && out[6].isNaN)
  }

  @Test("kernels of Double are the mathematical library's")
  func double() {
    let inputs = (-400...400).map { Double($0) / 7 }
    var out = inputs
    Double.exp(inputs.count, inputs, &out)
    expectClose(out, inputs.map { Foundation.exp($0) }, relative: 1e-15)
    Double.tanh(inputs.count, inputs, &out)
    expectClose(out, inputs.map { Foundation.tanh($0) }, relative: 1e-15)
    Double.sigmoid(inputs.count, inputs, &out)
    expectClose(out, inputs.map { 1 / (1 + Foundation.exp(-$0)) }, relative: 1e-15)
  }

  private func checkSums<Element: Real>(_ rows: Int, _ width: Int, _ type: Element.Type) {
    var random = SeededGenerator(seed: 5)
    let matrix = random.normals(rows * width).map { Element($0) }
    let row = random.normals(width).map { Element($0) }
    var copies = [Element](repeating: .nan, count: rows * width)
    Element.broadcast(rows: rows, width: width, row, to: &copies)
    #expect(copies == (0..<rows).flatMap { _ in row })

    var sums = row
    Element.addColumnSums(rows: rows, width: width, matrix, to: &sums)
    var expected = row
    for r in 0..<rows { for k in 0..<width { expected[k] += matrix[r * width + k] } }
    #expect(sums == expected)

    var added = copies
    Element.add(rows * width, matrix, to: &added)
    #expect(added == zip(copies, matrix).map(+))

    let squares = matrix.reduce(0.0) { $0 + Double($1) * Double($1) }
    expectClose(Element.sumOfSquares(rows * width, matrix), squares, relative: 1e-14)
  }

  @Test("broadcast, sums and squares equal plain loops", arguments: [1, 2, 5, 33], [1, 3, 16, 67])
  func sums(rows: Int, width: Int) {
    checkSums(rows, width, Float.self)
    checkSums(rows, width, Double.self)
  }

  private func checkAdam<Element: Real>(tolerance: Element, _ type: Element.Type) {
    let count = 37
    var random = SeededGenerator(seed: 6)
    var p = random.normals(count).map { Element($0) }
    var m = [Element](repeating: 0, count: count)
    var v = m
    var q = p.map { Double($0) }
    var qm = [Double](repeating: 0, count: count)
    var qv = qm
    for step in 1...20 {
      let g = random.normals(count).map { Element($0) }
      let (b1, b2) = (1 - pow(0.9, Double(step)), 1 - pow(0.999, Double(step)))
      Element.adam(
        count, &p, g, &m, &v, scale: 0.5, beta1: 0.9, beta2: 0.999, rate: Element(0.01 / b1),
        secondCorrection: Element(1 / b2), epsilon: 1e-8)
      // Algorithm 1 of Kingma & Ba 2015, as it is written there.
      for k in 0..<count {
        let gradient = Double(g[k]) * 0.5
        qm[k] = 0.9 * qm[k] + 0.1 * gradient
        qv[k] = 0.999 * qv[k] + 0.001 * gradient * gradient
        q[k] -= 0.01 * (qm[k] / b1) / ((qv[k] / b2).squareRoot() + 1e-8)
      }
    }
    expectClose(p, q.map { Element($0) }, absolute: tolerance, "\(type)")
  }

  @Test("twenty steps of Adam follow its published algorithm")
  func adam() {
    checkAdam(tolerance: 1e-12, Double.self)
    checkAdam(tolerance: 1e-4, Float.self)
  }

  @Test(
    "parallel work runs once each and leaves the caller's arithmetic alone", arguments: [1, 2, 5])
  func parallelWork(count: Int) {
    let sums = Buffer<Double>(count)
    parallel(count: count) { worker in sums[worker] += Double(worker + 1) }
    #expect(sums.array == (1...count).map { Double($0) })
    // A denormal would be zero under the flush-to-zero mode that workers use.
    let divisor = Double(count + 1)  // not known to the compiler
    #expect(Double.leastNormalMagnitude / divisor > 0)
  }

  @Test("a buffer is zero at first, aligned, and grows")
  func buffer() {
    let buffer = Buffer<Float>(5)
    #expect(buffer.array == [0, 0, 0, 0, 0])
    buffer[2] = 3
    buffer.reserve(4)
    #expect(buffer[2] == 3 && buffer.count == 5)
    buffer.reserve(100)
    #expect(buffer.count == 100 && buffer.array.allSatisfy { $0 == 0 })
    #expect(UInt(bitPattern: buffer.base) % 64 == 0)
    #expect(Buffer<Double>([1, 2]).array == [1, 2])
  }
}
