import CKernels

/// The trained tensors of state spaces whose matrix is normal plus low rank, `A = diag(lambda) - P P^*`, one of `N`
/// modes for each of `D` channels (S4; Gu et al. 2022, arXiv 2111.00396). Only one mode of each conjugate pair is
/// stored, so `N` is half the size of the state.
public struct S4Weights<Element: Real> {
  /// `log dt` `[D]`.
  public let logStep: Tensor<Element>
  /// `log(-Re lambda)` `[D, N]`.
  public let logDecay: Tensor<Element>
  /// `Im lambda` `[D, N]`.
  public let frequency: Tensor<Element>
  /// `P`, `B` and `C' = C (1 - A_bar^n)` for a kernel of `n` taps, each `[D, N, 2]`, real and imaginary part.
  public let lowRank: Tensor<Element>
  public let input: Tensor<Element>
  public let output: Tensor<Element>

  public init(
    logStep: Tensor<Element>, logDecay: Tensor<Element>, frequency: Tensor<Element>,
    lowRank: Tensor<Element>, input: Tensor<Element>, output: Tensor<Element>
  ) {
    let count = logDecay.shape.count
    precondition(logDecay.shape.rank == 2 && logStep.shape.count == logDecay.shape[0])
    precondition(frequency.shape.count == count)
    precondition([lowRank, input, output].allSatisfy { $0.shape.count == 2 * count })
    self.logStep = logStep
    self.logDecay = logDecay
    self.frequency = frequency
    self.lowRank = lowRank
    self.input = input
    self.output = output
  }

  var tensors: [Tensor<Element>] { [logStep, logDecay, frequency, lowRank, input, output] }
}

/// The transform of the kernel that such a state space is, from the weights: real and imaginary parts, each
/// `[n / 2 + 1, D]`.
///
/// Cauchy sums and Woodbury's identity: about 40 operations in double for each frequency, channel and mode forward, 120
/// backward, which computes the sums again. See `s4.inc`.
struct S4Spectrum<Element: Real>: Operation {
  private let layer: ck_s4

  init(size: Int, width: Int, modes: Int) {
    layer = ck_s4(size: size, width: width, modes: modes)
  }

  var outputs: [Shape] {
    let shape: Shape = [layer.size / 2 + 1, layer.width]
    return [shape, shape]
  }
  var scratchCount: Int { withUnsafePointer(to: layer) { ck_s4_scratch(Element.kernelType, $0) } }

  private func weights(_ context: OperationContext<Element>) -> ck_s4_pointers {
    ck_s4_pointers(
      log_dt: context.input(0), log_re: context.input(1), im: context.input(2),
      p: context.input(3), b: context.input(4), c: context.input(5))
  }

  func forward(_ context: OperationContext<Element>) {
    var (layer, weights) = (layer, weights(context))
    ck_s4_spectrum(
      Element.kernelType, &layer, &weights, context.output(0), context.output(1), context.scratch)
  }

  func backward(_ context: OperationContext<Element>) {
    let (width, modes) = (layer.width, layer.modes)
    let counts = [
      width, width * modes, width * modes, 2 * width * modes, 2 * width * modes, 2 * width * modes,
    ]
    let given = counts.enumerated().compactMap { context.inputGradient($0)?.cleared($1) }
    precondition(
      given.count == counts.count, "the weights of a state space are differentiated together")
    var (layer, weights) = (layer, weights(context))
    var gradients = ck_s4_pointers(
      log_dt: given[0], log_re: given[1], im: given[2], p: given[3], b: given[4], c: given[5])
    ck_s4_gradient(
      Element.kernelType, &layer, &weights, context.outputGradient(0), context.outputGradient(1),
      &gradients, context.scratch)
  }
}

extension S4Weights {
  /// The response `[size, D]` to a unit input at the first step.
  ///
  /// - Parameter size: the `n` of the weights; `RealTransformPlan.supports(size)`.
  public func kernel(size: Int) -> Tensor<Element> {
    precondition(RealTransformPlan<Element>.supports(size), "\(size) taps have no transform")
    let operation = S4Spectrum<Element>(
      size: size, width: logDecay.shape[0], modes: logDecay.shape[1])
    let parts = logStep.graph.apply(operation, to: tensors)
    return .inverseRealTransform(real: parts[0], imaginary: parts[1])
  }
}

extension Tensor {
  /// Each channel of `[T, B, D]` through a state space of its own, from the zero state, as a convolution.
  ///
  /// - Parameter size: the `n` of the weights; sequences of more steps cost `12 n N D` operations more for each
  ///   `n` of them.
  public func s4(_ weights: S4Weights<Element>, size: Int) -> Tensor {
    precondition(shape.rank == 3 && shape[2] == weights.logDecay.shape[0])
    return fftConvolution(weights.kernel(steps: shape[0], size: size))
  }
}

/// One channel's state space in double, with real numbers: a mode is two, its real and imaginary part.
struct DenseStateSpace {
  /// `A_bar` `[2 N, 2 N]` and `B_bar` `[2 N]` under the bilinear rule.
  let transition: [Double]
  let input: [Double]
  private let size: Int

  /// - Parameters: `lambda`, `P` and `B` by modes, real and imaginary parts side by side.
  init(step: Double, lambda: [Double], lowRank: [Double], input b: [Double]) {
    let size = lambda.count
    self.size = size
    var (left, right) = (
      [Double](repeating: 0, count: size * size), [Double](repeating: 0, count: size * (size + 1))
    )
    for i in 0..<size {
      for j in 0..<size {
        // P (P^* s), where conjugates make twice the real part of the product.
        var a = -lowRank[i] * 2 * lowRank[j]
        if i / 2 == j / 2 {
          let (re, im) = (lambda[i / 2 * 2], lambda[i / 2 * 2 + 1])
          a += i == j ? re : i % 2 == 0 ? -im : im
        }
        left[i * size + j] = (i == j ? 1 : 0) - step / 2 * a
        right[i * (size + 1) + j] = (i == j ? 1 : 0) + step / 2 * a
      }
      right[i * (size + 1) + size] = step * b[i]
    }
    LinearSystem.solve(&left, size, &right, columns: size + 1)
    let solution = right
    transition = (0..<(size * size)).map { solution[$0 / size * (size + 1) + $0 % size] }
    input = (0..<size).map { solution[$0 * (size + 1) + size] }
  }

  /// `1 - A_bar^n`, transposed.
  private func rest(of n: Int) -> [Double] {
    var power: [Double]?
    var (square, left) = (transition, n)
    while left > 0 {
      if left & 1 == 1 { power = power.map { product($0, square) } ?? square }
      left >>= 1
      if left > 0 { square = product(square, square) }
    }
    let total = power!
    return (0..<(size * size)).map {
      ($0 / size == $0 % size ? 1 : 0) - total[$0 % size * size + $0 / size]
    }
  }

  private func product(_ a: [Double], _ b: [Double]) -> [Double] {
    var c = [Double](repeating: 0, count: size * size)
    Double.multiply(
      size, size, size, alpha: 1, a, .plain, lda: size, b, .plain, ldb: size, beta: 0, &c,
      ldc: size)
    return c
  }

  // An output 2 Re(C s) is the row (2 Re C, -2 Im C).
  private func row(_ c: [Double]) -> [Double] { (0..<size).map { $0 % 2 == 0 ? c[$0] : -c[$0] } }

  /// `C (1 - A_bar^n)` of `C`.
  func truncated(_ c: [Double], taps n: Int) -> [Double] {
    let (matrix, given) = (rest(of: n), row(c))
    return row(
      (0..<size).map { i in (0..<size).reduce(0) { $0 + matrix[i * size + $1] * given[$1] } })
  }

  /// The `C` of which `c` is `C (1 - A_bar^n)`.
  func untruncated(_ c: [Double], taps n: Int) -> [Double] {
    var (matrix, result) = (rest(of: n), row(c))
    LinearSystem.solve(&matrix, size, &result, columns: 1)
    return row(result)
  }
}

/// Gauss's elimination with row pivots, for small systems.
enum LinearSystem {
  /// - Parameters:
  ///   - a: `[n, n]`; used up.
  ///   - b: `[n, columns]`; becomes the solution of `a x = b`.
  static func solve(_ a: inout [Double], _ n: Int, _ b: inout [Double], columns: Int) {
    a.withUnsafeMutableBufferPointer { a in
      b.withUnsafeMutableBufferPointer { b in
        for k in 0..<n {
          let pivot = (k..<n).max { abs(a[$0 * n + k]) < abs(a[$1 * n + k]) }!
          if pivot != k {
            for j in 0..<n { a.swapAt(k * n + j, pivot * n + j) }
            for j in 0..<columns { b.swapAt(k * columns + j, pivot * columns + j) }
          }
          for i in (k + 1)..<max(n, k + 1) where a[i * n + k] != 0 {
            let factor = a[i * n + k] / a[k * n + k]
            for j in k..<n { a[i * n + j] -= factor * a[k * n + j] }
            for j in 0..<columns { b[i * columns + j] -= factor * b[k * columns + j] }
          }
        }
        for k in stride(from: n - 1, through: 0, by: -1) {
          for j in 0..<columns { b[k * columns + j] /= a[k * n + k] }
          for i in 0..<k {
            for j in 0..<columns { b[i * columns + j] -= a[i * n + k] * b[k * columns + j] }
          }
        }
      }
    }
  }
}

/// Where the numbers of ``S4Weights`` lie.
public struct S4Pointers<Element: Real> {
  let logStep: UnsafePointer<Element>
  let logDecay: UnsafePointer<Element>
  let frequency: UnsafePointer<Element>
  let lowRank: UnsafePointer<Element>
  let input: UnsafePointer<Element>
  let output: UnsafePointer<Element>

  public init(
    logStep: UnsafePointer<Element>, logDecay: UnsafePointer<Element>,
    frequency: UnsafePointer<Element>, lowRank: UnsafePointer<Element>,
    input: UnsafePointer<Element>, output: UnsafePointer<Element>
  ) {
    self.logStep = logStep
    self.logDecay = logDecay
    self.frequency = frequency
    self.lowRank = lowRank
    self.input = input
    self.output = output
  }

  private func dense(_ channel: Int, modes: Int) -> DenseStateSpace {
    func numbers(_ from: UnsafePointer<Element>) -> [Double] {
      (0..<(2 * modes)).map { Double(from[channel * 2 * modes + $0]) }
    }
    let lambda = (0..<modes).flatMap { mode in
      let at = channel * modes + mode
      return [-Exponential.of(Double(logDecay[at])), Double(frequency[at])]
    }
    return DenseStateSpace(
      step: Exponential.of(Double(logStep[channel])), lambda: lambda, lowRank: numbers(lowRank),
      input: numbers(input))
  }

  /// `C' = C (1 - A_bar^n)` of the `C` given, `[D, N, 2]`, with all else from here. Takes `N^3` operations for each
  /// channel.
  public func truncated(
    _ c: [Double], width: Int, modes: Int, size: Int
  ) -> [Double] {
    (0..<width).flatMap { channel in
      dense(channel, modes: modes).truncated(
        Array(c[(2 * channel * modes)..<(2 * (channel + 1) * modes)]), taps: size)
    }
  }

  /// The `C` of the recurrence, from `output`.
  func untruncated(width: Int, modes: Int, size: Int) -> [Double] {
    (0..<width).flatMap { channel in
      dense(channel, modes: modes).untruncated(
        (0..<(2 * modes)).map { Double(output[channel * 2 * modes + $0]) }, taps: size)
    }
  }
}

/// The exponential of one number.
enum Exponential {
  static func of(_ x: Double) -> Double {
    var (from, to) = (x, 0.0)
    Double.unary(.exp, 1, &from, &to)
    return to
  }
}

/// ``Tensor/s4(_:size:)`` one step at a time, in constant memory: the recurrence, in `O(N)` for each channel. Making it
/// takes `O(N^3 log n)` for each channel. Weights are copied. Not synchronised.
public final class S4Stepper<Element: Real>: LayerStepper {
  private var layer: ck_s4
  private let batch: Int
  private let constants: Buffer<Element>
  private let states: Buffer<Element>

  public init(
    width: Int, modes: Int, size: Int, batch: Int, weights: S4Pointers<Element>
  ) {
    layer = ck_s4(size: size, width: width, modes: modes)
    self.batch = batch
    let padded = ck_padded(Element.kernelType, width)
    constants = Buffer((3 + 10 * modes) * padded)
    states = Buffer(batch * modes * 2 * padded)
    let c = weights.untruncated(width: width, modes: modes, size: size).map { Element($0) }
    c.withUnsafeBufferPointer {
      var pointers = ck_s4_pointers(
        log_dt: weights.logStep, log_re: weights.logDecay, im: weights.frequency,
        p: weights.lowRank, b: weights.input, c: $0.baseAddress)
      ck_s4_pack(Element.kernelType, &layer, &pointers, constants.base)
    }
  }

  /// Reads `x` `[B, D]` and writes `y` `[B, D]`.
  public func step(_ x: UnsafePointer<Element>, _ y: UnsafeMutablePointer<Element>) {
    ck_s4_step(Element.kernelType, &layer, constants.base, nil, batch, x, states.base, y)
  }

  public func run(_ context: OperationContext<Element>) { step(context.input(0), context.output()) }

  public func reset() { states.zero() }
}
