/// Leaky integrator units over a whole sequence, the reservoir of an echo state network (Jaeger 2001; Lukoševičius
/// 2012, equations 2 and 3): `x_t = (1 - a) x_{t-1} + a tanh(d_t + x_{t-1} R)` from `x = 0`.
///
/// Inputs: what drives the units `[T, B, D]`, `R` `[D, D]`. Result: all states `[T, B, D]`. Bound by the product
/// with `R`, `2 D²` operations for each step and sequence, in rows of the whole batch.
struct LeakyIntegrator<Element: Real>: Operation {
  let steps: Int
  let batch: Int
  let width: Int
  let leak: Element

  var outputs: [Shape] { [[steps, batch, width]] }
  /// The hyperbolic tangents.
  var tapeCount: Int { steps * batch * width }
  /// Gradients of what is inside the tangent at all steps, and of the state.
  var scratchCount: Int { (steps + 1) * batch * width }
  func backwardReads(input: Int) -> Bool { input == 1 }
  var backwardReadsOutputs: Bool { true }

  /// Rows below which the product of few rows is faster than BLAS.
  private var isFew: Bool { batch <= 8 }

  func forward(_ context: OperationContext<Element>) {
    let (drive, weight) = (context.input(0), context.input(1))
    let (states, tangents) = (context.output(), context.tape)
    let count = batch * width
    for t in 0..<steps {
      let (state, tangent) = (states + t * count, tangents + t * count)
      tangent.update(from: drive + t * count, count: count)
      if t > 0 {
        if isFew {
          Element.multiplyFew(
            rows: batch, inner: width, columns: width, state - count, weight, tangent, adds: true)
        } else {
          Element.multiply(
            batch, width, width, alpha: 1, state - count, .plain, lda: width, weight, .plain,
            ldb: width, beta: 1, tangent, ldc: width)
        }
      }
      Element.unary(.tanh, count, tangent, tangent)
      Element.scale(count, leak, tangent, state, adds: false)
      if t > 0 { Element.scale(count, 1 - leak, state - count, state, adds: true) }
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dStates = context.outputGradient() else { return }
    let weight = context.input(1)
    let (states, tangents) = (context.output(), context.tape)
    let count = batch * width
    let inside = context.scratch
    let dState = inside + steps * count
    dState.clear(count)
    for t in stride(from: steps - 1, through: 0, by: -1) {
      // dState holds what later steps give; this step's own is added, and what is handed on remains.
      Element.add(count, dStates + t * count, to: dState)
      let d = inside + t * count
      Element.unaryGradient(
        .tanh, count, tangents + t * count, tangents + t * count, dState, d, adds: false)
      Element.scale(count, leak, d, d, adds: false)
      Element.scale(count, 1 - leak, dState, dState, adds: false)
      if t > 0 {
        Element.multiply(
          batch, width, width, alpha: 1, d, .plain, lda: width, weight, .transposed, ldb: width,
          beta: 1, dState, ldc: width)
      }
    }
    if let dDrive = context.inputGradient(0) {
      Element.scale(steps * count, 1, inside, dDrive.base, adds: dDrive.adds)
    }
    if let dWeight = context.inputGradient(1) {
      if steps > 1 {
        Element.multiply(
          width, width, (steps - 1) * batch, alpha: 1, states, .transposed, lda: width,
          inside + count, .plain, ldb: width, beta: dWeight.beta, dWeight.base, ldc: width)
      } else if !dWeight.adds {
        dWeight.base.clear(width * width)
      }
    }
  }
}

extension Tensor {
  /// Leaky integrator units driven by this `[T, B, D]`, from the zero state.
  ///
  /// - Parameters:
  ///   - recurrent: `[D, D]`, from row to column.
  ///   - leak: the part of a state that is new at every step, above 0, at most 1.
  /// - Returns: all states `[T, B, D]`.
  public func leakyIntegrator(_ recurrent: Tensor, leak: Double) -> Tensor {
    precondition(shape.rank == 3 && recurrent.shape == [shape[2], shape[2]])
    precondition(leak > 0 && leak <= 1)
    let operation = LeakyIntegrator<Element>(
      steps: shape[0], batch: shape[1], width: shape[2], leak: Element(leak))
    return graph.apply(operation, to: [self, recurrent])[0]
  }
}
