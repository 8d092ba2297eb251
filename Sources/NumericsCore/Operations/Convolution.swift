import CKernels

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

  func rowForm(_ operands: UnitOperands) -> RowForm? {
    guard operands.inputs[1] == nil, operands.outputs[0] == RowLayout(outer: steps, inner: width)
    else { return nil }
    return RowForm([1: RowLayout(outer: kernel, inner: width)])
  }

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
    if let each = context.rowGradient(1) {
      each.base.clear(kernel * row)
      for k in 0..<min(kernel, steps) {
        Element.multiplySum(
          rows: steps - k, width: row, x, dy + k * row, to: each.base + k * row)
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

/// Causal convolution over all channels: `x` `[T, B, D]`, `w` `[K, D, E]`, bias `[E]` or none,
/// `y[t] = b + sum over k of x[t - k dilation] w[k]`, at the last step and every `stride`-th before it: see
/// `convolution.inc`.
struct CausalConvolution<Element: Real>: Operation {
  let kernel: ck_convolution
  let hasBias: Bool

  private var count: Int { (kernel.steps + kernel.stride - 1) / kernel.stride }
  var outputs: [Shape] { [[count, kernel.batch, kernel.outputs]] }
  var gradientsAreSeparate: Bool { true }
  func backwardReads(input: Int) -> Bool { input < 2 }
  var scratchCount: Int {
    withUnsafePointer(to: kernel) { ck_convolution_scratch(Element.kernelType, $0) }
  }

  func forward(_ context: OperationContext<Element>) {
    var kernel = kernel
    ck_convolution_forward(
      Element.kernelType, &kernel, context.input(0), context.input(1),
      hasBias ? UnsafeRawPointer(context.input(2)) : nil, context.output(), context.scratch)
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    var kernel = kernel
    if let dx = context.inputGradient(0) {
      ck_convolution_inputs(
        Element.kernelType, &kernel, context.input(1), dy, dx.base, dx.adds ? 1 : 0,
        context.scratch)
    }
    if let dw = context.inputGradient(1) {
      ck_convolution_weights(
        Element.kernelType, &kernel, context.input(0), dy,
        dw.cleared(kernel.taps * kernel.inputs * kernel.outputs), context.scratch)
    }
    if hasBias, let db = context.inputGradient(2) {
      Element.addColumnSums(
        rows: count * kernel.batch, width: kernel.outputs, dy, to: db.cleared(kernel.outputs))
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

  /// Causal convolution of `[T, B, D]` with `[K, D, E]`, plus a bias `[E]`; tap 0 is the newest step.
  ///
  /// - Parameters:
  ///   - dilation: steps from one tap to the next.
  ///   - stride: results are wanted at the last step and every `stride`-th before it; 1, or dilation is 1.
  /// - Returns: `[T / stride, B, E]`, rounded up.
  public func causallyConvolved(
    _ kernel: Tensor, bias: Tensor? = nil, dilation: Int = 1, stride: Int = 1
  ) -> Tensor {
    precondition(shape.rank == 3 && kernel.shape.rank == 3 && kernel.shape[1] == shape[2])
    precondition(dilation >= 1 && stride >= 1 && (dilation == 1 || stride == 1))
    precondition(bias.map { $0.shape.count == kernel.shape[2] } ?? true)
    let operation = CausalConvolution<Element>(
      kernel: ck_convolution(
        steps: shape[0], batch: shape[1], inputs: shape[2], outputs: kernel.shape[2],
        taps: kernel.shape[0], dilation: dilation, stride: stride), hasBias: bias != nil)
    return graph.apply(operation, to: [self, kernel] + (bias.map { [$0] } ?? []))[0]
  }
}

/// A causal convolution over all channels one step at a time: as many steps are kept as lie between its taps. Not
/// synchronised.
public final class CausalConvolutionStepper<Element: Real>: LayerStepper {
  private let kernel: Buffer<Element>
  private let bias: Buffer<Element>
  private let past: Buffer<Element>
  private let (batch, inputs, outputs): (Int, Int, Int)
  private let (taps, dilation): (Int, Int)
  private var position = 0

  /// - Parameters: `kernel` `[K, D, E]` and `bias` `[E]`; they are copied.
  public init(
    taps: Int, dilation: Int, inputs: Int, outputs: Int, batch: Int,
    kernel: UnsafePointer<Element>, bias: UnsafePointer<Element>
  ) {
    (self.taps, self.dilation) = (taps, dilation)
    (self.batch, self.inputs, self.outputs) = (batch, inputs, outputs)
    self.kernel = Buffer(taps * inputs * outputs)
    self.kernel.base.update(from: kernel, count: self.kernel.count)
    self.bias = Buffer(outputs)
    self.bias.base.update(from: bias, count: outputs)
    past = Buffer(((taps - 1) * dilation + 1) * batch * inputs)
  }

  /// Reads `[B, D]` and writes `[B, E]`.
  public func step(_ x: UnsafePointer<Element>, _ y: UnsafeMutablePointer<Element>) {
    let (row, length) = (batch * inputs, (taps - 1) * dilation + 1)
    (past.base + position % length * row).update(from: x, count: row)
    Element.broadcast(rows: batch, width: outputs, bias.base, to: y)
    for tap in 0..<taps {
      let place = (position + length - tap * dilation) % length
      Element.multiplyFew(
        rows: batch, inner: inputs, columns: outputs, past.base + place * row,
        kernel.base + tap * inputs * outputs, y, adds: true)
    }
    position = (position + 1) % length
  }

  public func run(_ context: OperationContext<Element>) { step(context.input(0), context.output()) }

  public func reset() {
    past.zero()
    position = 0
  }
}
