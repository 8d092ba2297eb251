import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("LSTM kernels")
struct LSTMKernelTests {
  private func check<Element: Real>(
    _ rows: Int, _ width: Int, state: Bool, tolerance: Element, _ type: Element.Type
  ) {
    var random = SeededGenerator(seed: UInt64(rows * 100 + width))
    func numbers(_ count: Int) -> [Element] { random.normals(count).map { Element(2 * $0) } }
    let cells = rows * width
    let raw = numbers(4 * cells)
    let previous = numbers(cells)
    let dh = numbers(cells)
    let dcIn = numbers(cells)
    var gates = raw
    var c = [Element](repeating: .nan, count: cells)
    var tanhC = c
    var h = c
    var dc = dcIn
    previous.withUnsafeBufferPointer { previous in
      let before = state ? previous.baseAddress : nil
      Element.lstmForward(
        rows: rows, width: width, gates: &gates, cPrevious: before, c: &c, tanhC: &tanhC, h: &h)
    }
    let activated = gates
    previous.withUnsafeBufferPointer { previous in
      let before = state ? previous.baseAddress : nil
      Element.lstmBackward(
        rows: rows, width: width, gates: &gates, cPrevious: before, tanhC: tanhC, dh: dh, dc: &dc)
    }

    func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    var expected = (
      active: [Double](repeating: 0, count: 4 * cells), c: [Double](), t: [Double](),
      h: [Double](), dGates: [Double](repeating: 0, count: 4 * cells), dc: [Double]()
    )
    for row in 0..<rows {
      for k in 0..<width {
        func at(_ gate: Int) -> Int { row * 4 * width + gate * width + k }
        let cell = row * width + k
        let i = sigmoid(Double(raw[at(0)]))
        let f = sigmoid(Double(raw[at(1)]))
        let g = tanh(Double(raw[at(2)]))
        let o = sigmoid(Double(raw[at(3)]))
        let before = state ? Double(previous[cell]) : 0
        let now = f * before + i * g
        let t = tanh(now)
        for (gate, value) in [i, f, g, o].enumerated() { expected.active[at(gate)] = value }
        expected.c.append(now)
        expected.t.append(t)
        expected.h.append(o * t)
        let up = Double(dh[cell])
        let d = Double(dcIn[cell]) + up * o * (1 - t * t)
        expected.dGates[at(0)] = d * g * i * (1 - i)
        expected.dGates[at(1)] = d * before * f * (1 - f)
        expected.dGates[at(2)] = d * i * (1 - g * g)
        expected.dGates[at(3)] = up * t * o * (1 - o)
        expected.dc.append(d * f)
      }
    }
    func compare(_ actual: [Element], _ wanted: [Double], _ name: String) {
      expectClose(
        actual, wanted.map { Element($0) }, absolute: tolerance, relative: tolerance,
        "\(type) \(name)")
    }
    compare(activated, expected.active, "gates")
    compare(c, expected.c, "c")
    compare(tanhC, expected.t, "tanh c")
    compare(h, expected.h, "h")
    compare(gates, expected.dGates, "gradient of the gates")
    compare(dc, expected.dc, "gradient of c")
  }

  @Test(
    "one step and its adjoint equal a plain loop", arguments: [1, 3, 8], [1, 5, 16, 33])
  func step(rows: Int, width: Int) {
    for state in [true, false] {
      check(rows, width, state: state, tolerance: 1e-14, Double.self)
      check(rows, width, state: state, tolerance: 3e-6, Float.self)
    }
  }
}
