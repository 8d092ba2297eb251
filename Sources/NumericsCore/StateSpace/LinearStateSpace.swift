// Names: shape letters B, T, D, N, R.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

/// A fixed linear state space with a dense matrix, HiPPO-LegS, at several time scales: `x' = A x + B u` under the
/// generalised bilinear rule (LSSL; Gu et al. 2021, arXiv 2110.13985, section 3.1 and appendix B).
///
/// `A_bar = (1 - alpha dt A)^-1 (1 + (1 - alpha) dt A)`, `B_bar = (1 - alpha dt A)^-1 dt B`: `alpha` 1/2 is the
/// bilinear rule, 1 the implicit one of Euler.
public struct LinearStateSpace: Sendable {
  /// `N`.
  public let order: Int
  /// `dt` of the `R` time scales.
  public let steps: [Double]
  /// `A_bar` `[N, N]` and `B_bar` `[N]` of every time scale.
  public let transitions: [[Double]]
  public let inputs: [[Double]]

  /// - Parameters:
  ///   - blend: `alpha`, 1/2 to 1: the rule is stable for every step there.
  public init(order N: Int, steps: [Double], blend: Double = 0.5) {
    precondition(N >= 1 && !steps.isEmpty && blend >= 0.5 && blend <= 1)
    order = N
    self.steps = steps
    let a = StateMatrix.hippoLegS(N)
    var (transitions, inputs): ([[Double]], [[Double]]) = ([], [])
    for dt in steps {
      var left = (0..<(N * N)).map { ($0 / N == $0 % N ? 1 : 0) - blend * dt * a[$0] }
      var right = [Double](repeating: 0, count: N * (N + 1))
      for i in 0..<N {
        for j in 0..<N {
          right[i * (N + 1) + j] = (i == j ? 1 : 0) + (1 - blend) * dt * a[i * N + j]
        }
        right[i * (N + 1) + N] = dt * Double(2 * i + 1).squareRoot()
      }
      LinearSystem.solve(&left, N, &right, columns: N + 1)
      transitions.append((0..<(N * N)).map { right[$0 / N * (N + 1) + $0 % N] })
      inputs.append((0..<N).map { right[$0 * (N + 1) + N] })
    }
    self.transitions = transitions
    self.inputs = inputs
  }

  /// The state after a unit input and `t` further steps, `[R, T, N]`: the Krylov vectors `A_bar^t B_bar`.
  public func impulseResponses(steps T: Int) -> [Double] {
    zip(transitions, inputs).flatMap { transition, input in
      var (rows, state) = ([Double](), input)
      rows.reserveCapacity(T * order)
      var next = state
      for _ in 0..<T {
        rows += state
        Double.multiply(
          order, 1, order, alpha: 1, transition, .plain, lda: order, state, .plain, ldb: 1, beta: 0,
          &next, ldc: 1)
        state = next
      }
      return rows
    }
  }
}

extension Tensor {
  /// Each channel of `[T, B, D]` through a fixed state space; channels in `R` equal runs have its `R` time scales.
  ///
  /// As a convolution with the kernel `C A_bar^t B_bar`, a product of the Krylov vectors, which are constants.
  ///
  /// - Parameter output: `C` `[R, N, D / R]`.
  public func linearStateSpace(_ system: LinearStateSpace, output: Tensor) -> Tensor {
    let (T, D, R, N) = (shape[0], shape[2], system.steps.count, system.order)
    precondition(shape.rank == 3 && D % R == 0 && output.shape == [R, N, D / R])
    let krylov = graph.constant(
      system.impulseResponses(steps: T).map { Element($0) }, [R, T, N])
    let kernel = krylov.product(output).exchanged(axis: 0)  // [T, R, D / R]
    return fftConvolution(kernel.reshaped([T, D]))
  }
}

/// ``Tensor/linearStateSpace(_:output:)`` one step at a time: `N` numbers for each channel. Weights are copied. Not
/// synchronised.
public final class LinearStateSpaceStepper<Element: Real>: LayerStepper {
  private let system: LinearStateSpace
  private let batch: Int
  private let channels: Int
  private let transitions: [Buffer<Element>]
  private let inputs: [Buffer<Element>]
  private let output: Buffer<Element>
  /// `[R, N, B, D / R]`, and the same of the step before.
  private var states: Buffer<Element>
  private var before: Buffer<Element>

  public init(
    _ system: LinearStateSpace, width: Int, batch: Int, output: UnsafePointer<Element>
  ) {
    self.system = system
    self.batch = batch
    channels = width / system.steps.count
    transitions = system.transitions.map { Buffer($0.map { Element($0) }) }
    inputs = system.inputs.map { Buffer($0.map { Element($0) }) }
    self.output = Buffer(
      Array(UnsafeBufferPointer(start: output, count: system.order * width)))
    states = Buffer(system.order * batch * width)
    before = Buffer(system.order * batch * width)
  }

  /// Reads `x` `[B, D]` and writes `y` `[B, D]`.
  public func step(_ x: UnsafePointer<Element>, _ y: UnsafeMutablePointer<Element>) {
    swap(&states, &before)
    let (R, N, B, C) = (system.steps.count, system.order, batch, channels)
    y.clear(B * R * C)
    for r in 0..<R {
      let (old, new) = (before.base + r * N * B * C, states.base + r * N * B * C)
      Element.multiply(
        N, B * C, N, alpha: 1, transitions[r].base, .plain, lda: N, old, .plain, ldb: B * C,
        beta: 0, new, ldc: B * C)
      for n in 0..<N {
        for b in 0..<B {
          let (state, at) = (new + (n * B + b) * C, b * R * C + r * C)
          Element.scale(C, inputs[r][n], x + at, state, adds: true)
          Element.multiplyAdd(
            rows: 1, width: C, state, output.base + (r * N + n) * C, to: y + at)
        }
      }
    }
  }

  public func run(_ context: OperationContext<Element>) { step(context.input(0), context.output()) }

  public func reset() { states.zero() }
}
