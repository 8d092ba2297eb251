import CKernels

/// Causal convolution of every channel with a long kernel of its own: `x` `[T, B, D]`, `kernel` `[L, D]`,
/// `y[t] = sum over k of kernel[k] x[t - k]`. What lies before the first step counts as 0.
///
/// By transforms of length `n`, the least 2^k or 3 * 2^k not below `T`: about `8.5 n log2 n` operations for each
/// channel and sequence forward, twice that backward, plus half a convolution for each channel. Scratch memory
/// is eight numbers for each point of the transform and vector lane; nothing is kept for backward, which
/// transforms the inputs again. Errors are those of transforms: about `1e-7 sqrt(log n)` of the largest result
/// in single precision, at every step, so an output depends on later inputs by rounding.
struct LongConvolution<Element: Real>: Operation {
  private let shape: ck_long_convolution
  private let plan: ConvolutionPlan<Element>?

  init(steps: Int, batch: Int, width: Int, taps: Int, method: ConvolutionMethod) {
    plan = method == .transform ? ConvolutionPlan(steps: steps) : nil
    shape = ck_long_convolution(
      steps: steps, batch: batch, width: width, taps: taps, size: plan?.size ?? 0)
  }

  var outputs: [Shape] { [[shape.steps, shape.batch, shape.width]] }
  var gradientsAreSeparate: Bool { true }
  var scratchCount: Int {
    withUnsafePointer(to: shape) { ck_long_scratch(Element.kernelType, $0) }
  }

  func forward(_ context: OperationContext<Element>) {
    withUnsafePointer(to: shape) {
      ck_long_forward(
        Element.kernelType, $0, plan?.table.base, context.input(0), context.input(1),
        context.output(), context.scratch)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let dx = context.inputGradient(0)
    let dKernel = context.inputGradient(1)?.cleared(shape.taps * shape.width)
    withUnsafePointer(to: shape) {
      ck_long_backward(
        Element.kernelType, $0, plan?.table.base, context.input(0), context.input(1), dy, dx?.base,
        dx?.adds ?? false ? 1 : 0, dKernel, context.scratch)
    }
  }
}

extension Tensor {
  /// Causal convolution of each channel of `[T, B, D]` with its own kernel `[L, D]`, by Fourier transforms
  /// where that is faster; tap 0 is the newest. For kernels of a few taps see ``depthwiseConvolved(_:)``.
  ///
  /// - Parameters:
  ///   - kernel: taps beyond the length of the sequence have no influence.
  ///   - method: nil for the faster one.
  public func fftConvolution(_ kernel: Tensor, method: ConvolutionMethod? = nil) -> Tensor {
    precondition(
      shape.rank == 3 && kernel.shape.rank == 2 && kernel.shape[1] == shape[2],
      "\(shape) with kernel \(kernel.shape)")
    let operation = LongConvolution<Element>(
      steps: shape[0], batch: shape[1], width: shape[2], taps: kernel.shape[0],
      method: method ?? .fastest(steps: shape[0]))
    return graph.apply(operation, to: [self, kernel])[0]
  }
}
