import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Elementwise kernels")
struct KernelTests {
  /// A vector function, the mathematical library's in double (for the double kernels: the same, so that
  /// bounds include its own half unit), and the errors allowed in units in the last place.
  struct Function: Sendable, CustomStringConvertible {
    let kernel: UnaryFunction
    let single: Double
    let double: Double
    let exact: @Sendable (Double) -> Double
    var description: String { "\(kernel)" }
  }

  static let functions: [Function] = [
    Function(kernel: .exp, single: 2, double: 3, exact: { Foundation.exp($0) }),
    Function(kernel: .expm1, single: 3, double: 4, exact: { Foundation.expm1($0) }),
    Function(kernel: .log, single: 2, double: 3, exact: { Foundation.log($0) }),
    Function(kernel: .log1p, single: 3, double: 4, exact: { Foundation.log1p($0) }),
    Function(kernel: .tanh, single: 3, double: 4, exact: { Foundation.tanh($0) }),
    Function(kernel: .sigmoid, single: 3, double: 4, exact: { 1 / (1 + Foundation.exp(-$0)) }),
    Function(
      kernel: .softplus, single: 3, double: 4,
      exact: { max($0, 0) + Foundation.log1p(Foundation.exp(-abs($0))) }),
    Function(
      kernel: .logSigmoid, single: 3, double: 4,
      exact: { min($0, 0) - Foundation.log1p(Foundation.exp(-abs($0))) }),
    Function(kernel: .silu, single: 3, double: 5, exact: silu),
    Function(
      kernel: .gelu, single: 4, double: 8,
      exact: gelu),
    Function(kernel: .erf, single: 3, double: 5, exact: { Foundation.erf($0) }),
    // Arguments in turns are reduced exactly first, which the library's functions of radians cannot.
    Function(kernel: .sin2pi, single: 3, double: 5, exact: { turn($0) { Foundation.sin($0) } }),
    Function(kernel: .cos2pi, single: 3, double: 5, exact: { turn($0) { Foundation.cos($0) } }),
  ]

  private static func silu(_ x: Double) -> Double {
    if x == -.infinity { return 0 }
    // In two halves, for exp(x) alone would be denormal where the result is not.
    let half = Foundation.exp(-abs(x) / 2)
    return x < 0 ? x * half / (1 + half * half) * half : x / (1 + half * half)
  }

  private static func gelu(_ x: Double) -> Double {
    x == -.infinity ? 0 : 0.5 * x * Foundation.erfc(-x * 0.5.squareRoot())
  }

  /// `function` of `2 pi x`; beside its zeros an error of `2 pi` in the last place is allowed for by `absolute`.
  private static func turn(_ x: Double, _ function: (Double) -> Double) -> Double {
    function(2 * .pi * (x - x.rounded()))
  }

  /// The largest distance from the exact value, in units in the last place of the type.
  private func worst<Element: Real>(
    _ function: Function, _ inputs: [Element], absolute: Double
  ) -> (ulps: Double, at: Element) where Element: BinaryFloatingPoint {
    var outputs = [Element](repeating: .nan, count: inputs.count)
    Element.unary(function.kernel, inputs.count, inputs, &outputs)
    var worst = (ulps: 0.0, at: Element(0))
    for (input, output) in zip(inputs, outputs) {
      let expected = function.exact(Double(input))
      let limit = Double(Element.greatestFiniteMagnitude)
      if expected.isNaN || abs(expected) > limit {
        // Overflow, or no value: so it must be here.
        if output.isFinite { worst = (.infinity, input) }
        continue
      }
      // Results below the smallest normal number may be flushed to zero.
      if abs(expected) < Double(Element.leastNormalMagnitude) {
        if abs(Double(output)) > 2 * Double(Element.leastNormalMagnitude) {
          worst = (.infinity, input)
        }
        continue
      }
      let error = abs(Double(output) - expected)
      if error <= absolute { continue }
      let ulps = error / Double(Element(expected).ulp)
      if !(ulps <= worst.ulps) { worst = (ulps, input) }
    }
    return worst
  }

  /// Every 40009th of all 2^32 floats, infinities, NaN and zeros among them.
  private static let floats: [Float] =
    stride(from: UInt64(0), to: 1 << 32, by: 40_009).map {
      Float(bitPattern: UInt32($0))
    } + [0, -0.0, 1, -1, .infinity, -.infinity, .nan, 0x1p-126, 87.3, -87.3, 88.72, 0.625, -0.625]

  @Test("functions of Float keep their bounds over all floats", arguments: functions)
  func single(function: Function) {
    let isTurn = function.kernel == .sin2pi || function.kernel == .cos2pi
    let worst = worst(function, Self.floats, absolute: isTurn ? 1e-14 : 0)
    #expect(worst.ulps <= function.single, "\(worst.ulps) ulp at \(worst.at)")
  }

  @Test("functions of Double keep their bounds", arguments: functions)
  func double(function: Function) {
    var random = SeededGenerator(seed: 11)
    let inputs = (0..<100_000).map { k -> Double in
      let magnitude = Foundation.exp((random.uniform() * 2 - 1) * (k % 2 == 0 ? 6.6 : 2))
      return random.uniform() < 0.5 ? magnitude : -magnitude
    }
    let isTurn = function.kernel == .sin2pi || function.kernel == .cos2pi
    // The reference itself loses digits of x^2 in the far left of gelu.
    let absolute = isTurn ? 2e-15 : function.kernel == .gelu ? 1e-16 : 0
    let worst = worst(function, inputs, absolute: absolute)
    #expect(worst.ulps <= function.double, "\(worst.ulps) ulp at \(worst.at)")
  }

  @Test(
    "functions of short arrays touch nothing beyond them and agree with long ones",
    arguments: functions)
  func tails(function: Function) {
    let inputs = (0..<67).map { Float($0) / 9 - 3 }
    var whole = inputs
    Float.unary(function.kernel, 67, inputs, &whole)
    for count in 0...67 {
      var out = [Float](repeating: 77, count: 80)
      Float.unary(function.kernel, count, inputs, &out)
      #expect(out[..<count].map(\.bitPattern) == whole[..<count].map(\.bitPattern))
      #expect(out[count...].allSatisfy { $0 == 77 })
      var inPlace = inputs
      inPlace.withUnsafeMutableBufferPointer {
        Float.unary(function.kernel, count, UnsafePointer($0.baseAddress!), $0.baseAddress!)
      }
      #expect(inPlace[..<count].map(\.bitPattern) == whole[..<count].map(\.bitPattern))
    }
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
      var rule = OptimiserStep(.adam, rate: 0.01 / b1)
      (rule.scale, rule.beta1, rule.beta2) = (0.5, 0.9, 0.999)
      (rule.correction, rule.epsilon) = (1 / b2, 1e-8)
      Element.optimise(rule, count, &p, g, &m, &v)
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

  private func checkClipping<Element: Real>(_ type: Element.Type) {
    for count in [1, 3, 16, 17, 37, 64] {
      var random = SeededGenerator(seed: UInt64(count))
      var values = random.normals(count).map { Element($0) * 2 }
      let expected = values.map { min(max($0, -1.5), 1.5) }
      let squares = Element.clip(count, to: 1.5, &values)
      #expect(values == expected)
      expectClose(
        squares, expected.reduce(0) { $0 + Double($1) * Double($1) }, relative: 1e-14)
      for bad in [Element.nan, .infinity, -.infinity] {
        for place in [0, count / 2, count - 1] {
          var poisoned = expected
          poisoned[place] = bad
          #expect(Element.clip(count, to: 1.5, &poisoned).isNaN)
        }
      }
    }
  }

  @Test(
    "clipping by value limits each number, sums their squares, and does not hide what is not finite"
  )
  func clipping() {
    checkClipping(Float.self)
    checkClipping(Double.self)
  }

  private func checkNoise<Element: Real>(tolerance: Element, _ type: Element.Type) {
    let seed: UInt64 = 0x1234_5678_9abc_def0
    let stream = RandomStream(seed: seed, purpose: "gradient noise 3")
    // The definition: blocks of the stream's words, in groups of 16 blocks to 64 numbers.
    func expected(_ count: Int) -> [Double] {
      var words = RandomStream(seed: seed, purpose: "gradient noise 3")
      var all: [Double] = []
      while all.count < count {
        var parts = [[Double]](repeating: [], count: 4)
        for _ in 0..<16 {
          for half in 0..<2 {
            let radius = (-2 * log((Double(words.nextWord() >> 8) + 0.5) * 0x1p-24)).squareRoot()
            let angle = 2 * Double.pi * Double(words.nextWord() >> 8) * 0x1p-24
            parts[2 * half].append(radius * cos(angle))
            parts[2 * half + 1].append(radius * sin(angle))
          }
        }
        all += parts.flatMap { $0 }
      }
      return Array(all.prefix(count))
    }
    for count in [1, 5, 64, 65, 200] {
      var values = (0..<count).map { Element($0) }
      Element.addNoise(count, scale: 0.25, deviation: 2, of: stream, to: &values)
      let wanted = expected(count).enumerated().map { Element(0.25 * Double($0) + 2 * $1) }
      expectClose(values, wanted, absolute: tolerance, relative: tolerance)
    }
  }

  @Test("noise is that of the named stream, the same at every level")
  func noise() {
    checkNoise(tolerance: 1e-13, Double.self)
    checkNoise(tolerance: 3e-6, Float.self)
  }

  @Test("noise has the moments of a normal distribution")
  func noiseMoments() {
    let count = 1 << 18
    var values = [Float](repeating: 0, count: count)
    Float.addNoise(
      count, scale: 1, deviation: 1, of: RandomStream(seed: 7, purpose: "moments"), to: &values)
    let x = values.map(Double.init)
    let n = Double(count)
    func moment(_ power: Double) -> Double { x.reduce(0) { $0 + pow($1, power) } / n }
    // Six standard errors of each moment: a false alarm in 10^8.
    expectClose(moment(1), 0, absolute: 6 / n.squareRoot())
    expectClose(moment(2), 1, absolute: 6 * (2 / n).squareRoot())
    expectClose(moment(3), 0, absolute: 6 * (15 / n).squareRoot())
    expectClose(moment(4), 3, absolute: 6 * (96 / n).squareRoot())
    // Neighbours, and numbers a group of 16 or 64 apart, have nothing to do with each other.
    for distance in [1, 16, 64] {
      let product = zip(x, x.dropFirst(distance)).reduce(0) { $0 + $1.0 * $1.1 } / n
      expectClose(product, 0, absolute: 6 / n.squareRoot(), "at a distance of \(distance)")
    }
    #expect(x.max()! > 4 && x.min()! < -4)
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
