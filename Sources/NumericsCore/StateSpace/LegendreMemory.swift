/// The memory of a Legendre Memory Unit (Voelker, Kajić & Eliasmith 2019): a fixed linear system of `q` numbers
/// that holds a sliding window of `theta` steps as coefficients of shifted Legendre polynomials.
///
/// `theta m' = A m + B u` with `A_ij = (2i + 1) (-1 if i < j else (-1)^(i - j + 1))` and `B_i = (2i + 1) (-1)^i`,
/// discretised by a zero-order hold of one step.
public struct LegendreMemory: Sendable {
  /// `q`.
  public let order: Int
  /// Steps in the window.
  public let theta: Double
  /// `A_bar` `[q, q]` and `B_bar` `[q]`: `m_t = A_bar m_{t-1} + B_bar u_t`.
  public let transition: [Double]
  public let input: [Double]

  /// - Precondition: `order >= 1`, `theta > 0`.
  public init(order: Int, theta: Double) {
    precondition(order >= 1 && theta > 0)
    self.order = order
    self.theta = theta
    // The exponential of [[A, B], [0, 0]] is [[A_bar, B_bar], [0, 1]].
    let n = order + 1
    var generator = [Double](repeating: 0, count: n * n)
    for i in 0..<order {
      let scale = Double(2 * i + 1) / theta
      for j in 0..<order {
        generator[i * n + j] = scale * (i < j || (i - j) % 2 == 0 ? -1 : 1)
      }
      generator[i * n + order] = scale * (i % 2 == 0 ? 1 : -1)
    }
    let exponential = MatrixExponential.of(generator, n)
    transition = (0..<(order * order)).map { exponential[$0 / order * n + $0 % order] }
    input = (0..<order).map { exponential[$0 * n + order] }
  }

  /// `m` after a unit input and `t` further steps, `[T, q]`.
  public func impulseResponse(steps: Int) -> [Double] {
    var m = input
    var response: [Double] = []
    response.reserveCapacity(steps * order)
    for _ in 0..<steps {
      response += m
      m = (0..<order).map { i in
        (0..<order).reduce(0) { $0 + transition[i * order + $1] * m[$1] }
      }
    }
    return response
  }

  /// Weights `[q]` that read off a memory what the input was `delay` steps ago: `P_k(2 delay / theta - 1)`.
  public func decoder(delay: Double) -> [Double] {
    let x = 2 * delay / theta - 1
    var values = [1.0, x]
    for k in 1..<max(order, 2) {
      values.append((Double(2 * k + 1) * x * values[k] - Double(k) * values[k - 1]) / Double(k + 1))
    }
    return Array(values.prefix(order))
  }
}

/// The exponential of a small matrix, by scaling, a Taylor series and squaring.
enum MatrixExponential {
  static func of(_ a: [Double], _ n: Int) -> [Double] {
    let norm = (0..<n).map { row in (0..<n).reduce(0) { $0 + abs(a[row * n + $1]) } }.max() ?? 0
    var squarings = 0
    while norm / Double(1 << squarings) > 0.5 { squarings += 1 }
    let scaled = a.map { $0 / Double(1 << squarings) }
    var sum = (0..<(n * n)).map { $0 / n == $0 % n ? 1.0 : 0 }
    var term = sum
    for k in 1...18 {
      term = product(term, scaled, n).map { $0 / Double(k) }
      for place in sum.indices { sum[place] += term[place] }
    }
    for _ in 0..<squarings { sum = product(sum, sum, n) }
    return sum
  }

  private static func product(_ a: [Double], _ b: [Double], _ n: Int) -> [Double] {
    var c = [Double](repeating: 0, count: n * n)
    Double.multiply(n, n, n, alpha: 1, a, .plain, lda: n, b, .plain, ldb: n, beta: 0, &c, ldc: n)
    return c
  }
}

extension Tensor {
  /// Each channel of `[T, B, C]` as the memory of its past, `[T, B, C q]`: a fixed linear map, computed as a long
  /// convolution for all steps at once.
  public func legendreMemory(_ memory: LegendreMemory) -> Tensor {
    precondition(shape.rank == 3)
    let (steps, batch, channels) = (shape[0], shape[1], shape[2])
    let q = memory.order
    let response = memory.impulseResponse(steps: steps)
    let kernel = (0..<steps).flatMap { t in
      (0..<(channels * q)).map { Element(response[t * q + $0 % q]) }
    }
    let ones = graph.constant([Element](repeating: 1, count: q), [q])
    let repeated = reshaped([steps, batch, channels, 1]) * ones
    return repeated.reshaped([steps, batch, channels * q])
      .fftConvolution(graph.constant(kernel, [steps, channels * q]))
  }
}
