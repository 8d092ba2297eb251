/// Causal convolution of every channel with a short kernel of its own: `x` `[T, B, D]`, `w` `[K, D]`,
/// `y[t] = sum over k of w[k] x[t - k]`. What lies before the first step counts as 0.
struct DepthwiseConvolution<Element: Real>: Operation {
  let steps: Int
  let batch: Int
  let width: Int
  let kernel: Int

  var outputs: [Shape] { [[steps, batch, width]] }
  var gradientsAreSeparate: Bool { true }
  private var row: Int { batch * width }

  func forward(_ context: OperationContext<Element>) {
    let (x, w, y) = (context.input(0), context.input(1), context.output())
    y.clear(steps * row)
    for k in 0..<min(kernel, steps) {
      Element.multiplyAdd(
        rows: (steps - k) * batch, width: width, x, w + k * width, to: y + k * row)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let (x, w) = (context.input(0), context.input(1))
    if let dx = context.inputGradient(0) {
      let to = dx.cleared(steps * row)
      for k in 0..<min(kernel, steps) {
        Element.multiplyAdd(
          rows: (steps - k) * batch, width: width, dy + k * row, w + k * width, to: to)
      }
    }
    if let dw = context.inputGradient(1) {
      let to = dw.cleared(kernel * width)
      for k in 0..<min(kernel, steps) {
        Element.multiplySum(
          rows: (steps - k) * batch, width: width, x, dy + k * row, to: to + k * width)
      }
    }
  }
}

/// Causal convolution over all channels: `x` `[T, B, D]`, `w` `[K, D, E]`,
/// `y[t] = sum over k of x[t - k dilation] w[k]`. One product of all steps for each tap.
struct CausalConvolution<Element: Real>: Operation {
  let steps: Int
  let batch: Int
  let inputs: Int
  let width: Int
  let kernel: Int
  let dilation: Int

  var outputs: [Shape] { [[steps, batch, width]] }
  var gradientsAreSeparate: Bool { true }

  private func taps(_ body: (_ tap: Int, _ rows: Int, _ shift: Int) -> Void) {
    for tap in 0..<kernel where tap * dilation < steps {
      body(tap, (steps - tap * dilation) * batch, tap * dilation * batch)
    }
  }

  func forward(_ context: OperationContext<Element>) {
    let (x, w, y) = (context.input(0), context.input(1), context.output())
    taps { tap, rows, shift in
      Element.multiply(
        rows, width, inputs, alpha: 1, x, .plain, lda: inputs, w + tap * inputs * width, .plain,
        ldb: width, beta: tap == 0 ? 0 : 1, y + shift * width, ldc: width)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let (x, w) = (context.input(0), context.input(1))
    if let dx = context.inputGradient(0) {
      taps { tap, rows, shift in
        Element.multiply(
          rows, inputs, width, alpha: 1, dy + shift * width, .plain, lda: width,
          w + tap * inputs * width, .transposed, ldb: width, beta: tap == 0 ? dx.beta : 1, dx.base,
          ldc: inputs)
      }
    }
    if let dw = context.inputGradient(1) {
      let to = dw.cleared(kernel * inputs * width)
      taps { tap, rows, shift in
        Element.multiply(
          inputs, width, rows, alpha: 1, x, .transposed, lda: inputs, dy + shift * width, .plain,
          ldb: width, beta: 1, to + tap * inputs * width, ldc: width)
      }
    }
  }
}

extension Tensor {
  /// Causal convolution of each channel of `[T, B, D]` with its own kernel, `[K, D]`; tap 0 is the newest.
  public func depthwiseConvolved(_ kernel: Tensor) -> Tensor {
    precondition(shape.rank == 3 && kernel.shape.rank == 2 && kernel.shape[1] == shape[2])
    let operation = DepthwiseConvolution<Element>(
      steps: shape[0], batch: shape[1], width: shape[2], kernel: kernel.shape[0])
    return graph.apply(operation, to: [self, kernel])[0]
  }

  /// Causal convolution of `[T, B, D]` with `[K, D, E]`; tap 0 is the newest step.
  public func causallyConvolved(_ kernel: Tensor, dilation: Int = 1) -> Tensor {
    precondition(shape.rank == 3 && kernel.shape.rank == 3 && kernel.shape[1] == shape[2])
    let operation = CausalConvolution<Element>(
      steps: shape[0], batch: shape[1], inputs: shape[2], width: kernel.shape[2],
      kernel: kernel.shape[0], dilation: dilation)
    return graph.apply(operation, to: [self, kernel])[0]
  }
}
