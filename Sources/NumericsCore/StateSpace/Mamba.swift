/// The trained tensors of a Mamba mixer (Gu & Dao 2023, arXiv 2312.00752, section 3.4): width `D` outside, `E`
/// inside, `N` states for each channel, steps of rank `R`, `K` taps.
public struct MambaWeights<Element: Real> {
  /// `[D, E]`: what is mixed.
  public let input: Tensor<Element>
  /// `[D, E]`: what gates the result.
  public let gate: Tensor<Element>
  /// `[K, E]`, tap 0 the newest, and bias `[E]`.
  public let kernel: Tensor<Element>
  public let kernelBias: Tensor<Element>
  /// `[E, R]` and `[R, E]` with bias `[E]`: the step in two factors.
  public let stepDown: Tensor<Element>
  public let stepUp: Tensor<Element>
  public let stepBias: Tensor<Element>
  /// `[E, 2 N]`: `B` and `C`.
  public let selection: Tensor<Element>
  /// `log(-A)` `[E, N]`.
  public let logDecay: Tensor<Element>
  /// `[E]`.
  public let skip: Tensor<Element>
  /// `[E, D]`.
  public let output: Tensor<Element>

  public init(
    input: Tensor<Element>, gate: Tensor<Element>, kernel: Tensor<Element>,
    kernelBias: Tensor<Element>, stepDown: Tensor<Element>, stepUp: Tensor<Element>,
    stepBias: Tensor<Element>, selection: Tensor<Element>, logDecay: Tensor<Element>,
    skip: Tensor<Element>, output: Tensor<Element>
  ) {
    self.input = input
    self.gate = gate
    self.kernel = kernel
    self.kernelBias = kernelBias
    self.stepDown = stepDown
    self.stepUp = stepUp
    self.stepBias = stepBias
    self.selection = selection
    self.logDecay = logDecay
    self.skip = skip
    self.output = output
  }
}

/// The layers of a Mamba mixer that keep a state between steps.
public struct MambaSteppers<Element: Real> {
  let convolution: ShortConvolutionStepper<Element>
  let scan: SelectiveStepper<Element>

  public init(convolution: ShortConvolutionStepper<Element>, scan: SelectiveStepper<Element>) {
    self.convolution = convolution
    self.scan = scan
  }
}

extension Tensor {
  /// `[T, B, D]` through a Mamba mixer, without norm and residual.
  ///
  /// - Parameters:
  ///   - steppers: for a sequence of length 1 that goes on from their state.
  ///   - gaps: as in ``selectiveScan(delta:bc:logDecay:skip:gaps:initial:)``.
  ///   - carried: the states of a segment.
  public func mamba(
    _ weights: MambaWeights<Element>, steppers: MambaSteppers<Element>? = nil,
    gaps: Tensor? = nil, carried: CarriedStates<Element> = .none
  ) -> Tensor {
    let x = linear(weights.input)
    let u =
      steppers.map { x.stepped($0.convolution) }
      ?? x.shortConvolution(weights.kernel, bias: weights.kernelBias, carried)
    let delta = u.linear(weights.stepDown).linear(weights.stepUp, bias: weights.stepBias)
    let bc = u.linear(weights.selection)
    let y =
      steppers.map { u.stepped($0.scan, with: [delta, bc]) }
      ?? carried.layer([[shape[1], u.shape[2], weights.logDecay.shape.last]]) {
        let (y, state) = u.selectiveScan(
          delta: delta, bc: bc, logDecay: weights.logDecay, skip: weights.skip, gaps: gaps,
          initial: $0?[0])
        return (y, [state])
      }
    return y.gated(by: linear(weights.gate), .silu).linear(weights.output)
  }
}
