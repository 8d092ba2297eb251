// Kernels of S4 that are longer than the taps that its weights are for.

import CKernels

/// `C' A_bar^n` of the `C'` of ``S4Weights``: what makes their kernel of `n` taps the next `n` of it, since
/// `C A_bar^(n + t) B = C' A_bar^n (1 - A_bar^n)^-1 A_bar^t B`.
///
/// `n` steps of the transposed recurrence, in double. With `r = 1 / (1 - dt lambda / 2)`, Woodbury's identity makes a step
/// `c <- g c - f Re(sum e c)` with `g = 2 r - 1`, `f = dt r conj(P)`, `e = 2 r P / (1 + dt Re(sum |P|^2 r))`.
///
/// Inputs: the weights but for `B`. `12 n N` operations for each channel forward, three times that backward.
struct S4Continuation<Element: Real>: Operation {
  let size: Int
  let width: Int
  let modes: Int

  var outputs: [Shape] { [[width, modes, 2]] }

  func forward(_ context: OperationContext<Element>) {
    let y = context.output()
    for channel in 0..<width {
      var c = S4Channel(context, channel, modes)
      for _ in 0..<size { c.advance() }
      for mode in 0..<modes {
        let at = 2 * (channel * modes + mode)
        (y[at], y[at + 1]) = (Element(c.output[mode].x), Element(c.output[mode].y))
      }
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let counts = [width, width * modes, width * modes, 2 * width * modes, 2 * width * modes]
    let d = counts.enumerated().compactMap { context.inputGradient($0)?.cleared($1) }
    precondition(
      d.count == counts.count, "the weights of a state space are differentiated together")
    for channel in 0..<width {
      var c = S4Channel(context, channel, modes)
      var before: [[SIMD2<Double>]] = []
      for _ in 0..<size {
        before.append(c.output)
        c.advance()
      }
      let first = channel * modes
      var dOutput = (0..<modes).map { mode in
        let at = 2 * (first + mode)
        return SIMD2(Double(dy[at]), Double(dy[at + 1]))
      }
      var gradient = S4Channel.Gradient(modes: modes)
      for output in before.reversed() { c.retreat(output, &dOutput, &gradient) }
      let result = c.weights(gradient)
      d[0][channel] += Element(result.logStep)
      for mode in 0..<modes {
        let at = first + mode
        d[1][at] += Element(result.logDecay[mode])
        d[2][at] += Element(result.frequency[mode])
        for part in 0..<2 {
          d[3][2 * at + part] += Element(result.lowRank[mode][part])
          d[4][2 * at + part] += Element(dOutput[mode][part])
        }
      }
    }
  }
}

/// One channel's row vector `c` on its way through powers of `A_bar`. Complex numbers are pairs.
private struct S4Channel {
  /// `c`.
  var output: [SIMD2<Double>]
  private let half: Double  // dt / 2
  private let lambda: [SIMD2<Double>]
  private let lowRank: [SIMD2<Double>]
  private let r: [SIMD2<Double>]
  private let g: [SIMD2<Double>]
  private let f: [SIMD2<Double>]
  private let e: [SIMD2<Double>]
  /// `2 Re(sum |P|^2 r)`.
  private let product: Double

  init<Element: Real>(_ context: OperationContext<Element>, _ channel: Int, _ modes: Int) {
    let (decay, frequency) = (context.input(1), context.input(2))
    let places = (channel * modes)..<((channel + 1) * modes)
    func pairs(_ input: Int) -> [SIMD2<Double>] {
      let from = context.input(input)
      return places.map { SIMD2(Double(from[2 * $0]), Double(from[2 * $0 + 1])) }
    }
    let half = Exponential.of(Double(context.input(0)[channel])) / 2
    lambda = places.map { SIMD2(-Exponential.of(Double(decay[$0])), Double(frequency[$0])) }
    let p = pairs(3)
    let r = lambda.map { inverse(SIMD2(1, 0) - half * $0) }
    let product = zip(p, r).reduce(0) { $0 + 2 * ($1.0 * $1.0).sum() * $1.1.x }
    output = pairs(4)
    g = r.map { 2 * $0 - SIMD2(1, 0) }
    f = zip(p, r).map { 2 * half * times($1, conjugate($0)) }
    e = zip(p, r).map { 2 / (1 + half * product) * times($1, $0) }
    (self.half, lowRank, self.r, self.product) = (half, p, r, product)
  }

  mutating func advance() {
    let sum = zip(e, output).reduce(0) { $0 + times($1.0, $1.1).x }
    for n in output.indices { output[n] = times(g[n], output[n]) - sum * f[n] }
  }

  /// With respect to `g`, `f` and `e`, each a pair of derivatives by the real and the imaginary part.
  struct Gradient {
    var g: [SIMD2<Double>]
    var f: [SIMD2<Double>]
    var e: [SIMD2<Double>]

    init(modes: Int) {
      g = [SIMD2](repeating: .zero, count: modes)
      (f, e) = (g, g)
    }
  }

  /// The gradient of ``advance()``: `d` that of its result, and then of what it began with, `before`.
  func retreat(_ before: [SIMD2<Double>], _ d: inout [SIMD2<Double>], _ to: inout Gradient) {
    let sum = zip(e, before).reduce(0) { $0 + times($1.0, $1.1).x }
    let dSum = -zip(d, f).reduce(0) { $0 + ($1.0 * $1.1).sum() }
    for n in d.indices {
      to.g[n] += times(d[n], conjugate(before[n]))
      to.f[n] -= sum * d[n]
      to.e[n] += dSum * conjugate(before[n])
      d[n] = times(conjugate(g[n]), d[n]) + dSum * conjugate(e[n])
    }
  }

  /// Gradients of the weights from those of `g`, `f` and `e`.
  func weights(_ d: Gradient) -> (
    logStep: Double, logDecay: [Double], frequency: [Double], lowRank: [SIMD2<Double>]
  ) {
    let below = 1 + half * product
    let dBelow = -zip(d.e, e).reduce(0) { $0 + ($1.0 * $1.1).sum() } / below
    let dProduct = half * dBelow
    var dHalf = product * dBelow
    var (dDecay, dFrequency, dLowRank) = ([Double](), [Double](), [SIMD2<Double>]())
    for n in r.indices {
      let (p, r) = (lowRank[n], r[n])
      let dRP = 2 / below * d.e[n]
      var dR = times(conjugate(p), dRP) + 2 * half * times(p, d.f[n]) + 2 * d.g[n]
      var dP = times(conjugate(r), dRP) + 2 * half * times(r, conjugate(d.f[n]))
      dHalf += (d.f[n] * f[n]).sum() / half
      dR.x += 2 * (p * p).sum() * dProduct
      dP += 4 * r.x * dProduct * p
      let dInverse = -times(conjugate(times(r, r)), dR)
      dHalf -= (dInverse * lambda[n]).sum()
      let dLambda = -half * dInverse
      dDecay.append(dLambda.x * lambda[n].x)
      dFrequency.append(dLambda.y)
      dLowRank.append(dP)
    }
    return (dHalf * half, dDecay, dFrequency, dLowRank)
  }
}

private func times(_ a: SIMD2<Double>, _ b: SIMD2<Double>) -> SIMD2<Double> {
  SIMD2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x)
}

private func conjugate(_ a: SIMD2<Double>) -> SIMD2<Double> { SIMD2(a.x, -a.y) }

private func inverse(_ a: SIMD2<Double>) -> SIMD2<Double> { conjugate(a) / (a * a).sum() }

extension S4Weights {
  /// The first `steps` taps of the kernel, any number of them.
  ///
  /// - Parameter size: the `n` of the weights; `RealTransformPlan.supports(size)`.
  public func kernel(steps: Int, size: Int) -> Tensor<Element> {
    var blocks = [kernel(size: size)]
    var next = self
    let operation = S4Continuation<Element>(
      size: size, width: logDecay.shape[0], modes: logDecay.shape[1])
    while blocks.count * size < steps {
      let output = logStep.graph.apply(
        operation, to: [logStep, logDecay, frequency, lowRank, next.output])[0]
      next = S4Weights(
        logStep: logStep, logDecay: logDecay, frequency: frequency, lowRank: lowRank, input: input,
        output: output)
      blocks.append(next.kernel(size: size))
    }
    let all = blocks.count == 1 ? blocks[0] : Tensor.joined(blocks, axis: 0)
    return all.slice(axis: 0, 0..<steps)
  }
}
