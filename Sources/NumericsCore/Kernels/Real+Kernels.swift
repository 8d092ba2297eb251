import CKernels

/// The kernels of `ckernels.h`, one source for both types. What each does stands there.
extension Real {
  // MARK: Elementwise

  /// Applies `function` to `count` numbers; `source` and `out` may be the same.
  public static func unary(
    _ function: UnaryFunction, _ count: Int, _ source: UnsafePointer<Self>,
    _ out: UnsafeMutablePointer<Self>
  ) {
    ck_unary(kernelType, function.rawValue, count, source, out)
  }

  static func unaryGradient(
    _ function: UnaryFunction, _ count: Int, _ x: UnsafePointer<Self>, _ y: UnsafePointer<Self>,
    _ dy: UnsafePointer<Self>, _ dx: UnsafeMutablePointer<Self>, adds: Bool
  ) {
    ck_unary_gradient(kernelType, function.rawValue, count, x, y, dy, dx, adds ? 1 : 0)
  }

  /// One row of a broadcast: `a` and `b` advance by 1 or stand still (0).
  public static func binary(
    _ function: BinaryFunction, _ count: Int, _ a: UnsafePointer<Self>, _ aStep: Int,
    _ b: UnsafePointer<Self>, _ bStep: Int, _ out: UnsafeMutablePointer<Self>
  ) {
    ck_binary(kernelType, function.rawValue, count, a, aStep, b, bStep, out)
  }

  static func binaryGradient(
    _ function: BinaryFunction, side: Int, _ count: Int, _ a: UnsafePointer<Self>, _ aStep: Int,
    _ b: UnsafePointer<Self>, _ bStep: Int, _ dy: UnsafePointer<Self>,
    _ to: UnsafeMutablePointer<Self>
  ) {
    ck_binary_gradient(
      kernelType, function.rawValue, Int32(side), count, a, aStep, b, bStep, dy, to)
  }

  static func scale(
    _ count: Int, _ scale: Self, _ source: UnsafePointer<Self>, _ out: UnsafeMutablePointer<Self>,
    adds: Bool
  ) {
    ck_scale(kernelType, count, Double(scale), source, out, adds ? 1 : 0)
  }

  static func fill(_ count: Int, _ value: Self, _ out: UnsafeMutablePointer<Self>, adds: Bool) {
    ck_fill(kernelType, count, Double(value), out, adds ? 1 : 0)
  }

  static func shift(_ count: Int, _ shift: Self, _ values: UnsafeMutablePointer<Self>) {
    ck_shift(kernelType, count, Double(shift), values)
  }

  public static func add(
    _ count: Int, _ source: UnsafePointer<Self>, to out: UnsafeMutablePointer<Self>
  ) {
    ck_add(kernelType, count, source, out)
  }

  // MARK: Rows and columns

  /// Copies `row` to each of `rows` rows.
  public static func broadcast(
    rows: Int, width: Int, _ row: UnsafePointer<Self>, to out: UnsafeMutablePointer<Self>
  ) {
    ck_broadcast(kernelType, rows, width, row, out)
  }

  /// Adds the sums of the columns of `matrix` [rows, width] to `out`.
  public static func addColumnSums(
    rows: Int, width: Int, _ matrix: UnsafePointer<Self>, to out: UnsafeMutablePointer<Self>
  ) {
    ck_column_sums(kernelType, rows, width, matrix, out)
  }

  static func addRowSums(
    rows: Int, width: Int, scale: Self, _ matrix: UnsafePointer<Self>,
    to out: UnsafeMutablePointer<Self>
  ) {
    ck_row_sums(kernelType, rows, width, Double(scale), matrix, out)
  }

  /// `y += x w`, row by row, elementwise.
  public static func multiplyAdd(
    rows: Int, width: Int, _ x: UnsafePointer<Self>, _ w: UnsafePointer<Self>,
    to y: UnsafeMutablePointer<Self>
  ) {
    ck_multiply_add(kernelType, rows, width, x, w, y)
  }

  static func multiplySum(
    rows: Int, width: Int, _ x: UnsafePointer<Self>, _ y: UnsafePointer<Self>,
    to w: UnsafeMutablePointer<Self>
  ) {
    ck_multiply_sum(kernelType, rows, width, x, y, w)
  }

  static func logSumExp(
    rows: Int, width: Int, _ source: UnsafePointer<Self>, _ out: UnsafeMutablePointer<Self>
  ) {
    ck_logsumexp(kernelType, rows, width, source, out)
  }

  static func softmax(
    rows: Int, width: Int, _ source: UnsafePointer<Self>, _ out: UnsafeMutablePointer<Self>
  ) {
    ck_softmax(kernelType, rows, width, source, out)
  }

  /// Rows normalised; row `r` has the gains of `r % groups`.
  public static func normalise(
    rows: Int, width: Int, groups: Int = 1, centred: Bool, epsilon: Self, _ x: UnsafePointer<Self>,
    gain: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>,
    statistics: UnsafeMutablePointer<Self>
  ) {
    ck_normalise(
      kernelType, rows, width, groups, centred ? 1 : 0, Double(epsilon), x, gain, y, statistics)
  }

  static func normaliseGradient(
    rows: Int, width: Int, groups: Int = 1, centred: Bool, _ x: UnsafePointer<Self>,
    gain: UnsafePointer<Self>,
    statistics: UnsafePointer<Self>, _ dy: UnsafePointer<Self>, dx: UnsafeMutablePointer<Self>?,
    adds: Bool, dGain: UnsafeMutablePointer<Self>?
  ) {
    ck_normalise_gradient(
      kernelType, rows, width, groups, centred ? 1 : 0, x, gain, statistics, dy, dx, adds ? 1 : 0,
      dGain)
  }

  /// `y = x w` or `y += x w` for a few rows, faster than ``multiply(_:_:_:alpha:_:_:lda:_:_:ldb:beta:_:ldc:)``:
  /// `x` [rows, inner], `w` [inner, columns].
  public static func multiplyFew(
    rows: Int, inner: Int, columns: Int, _ x: UnsafePointer<Self>, _ w: UnsafePointer<Self>,
    _ y: UnsafeMutablePointer<Self>, adds: Bool
  ) {
    ck_few_rows(kernelType, rows, inner, columns, x, w, y, adds ? 1 : 0)
  }

  /// Scratch numbers of ``sumProducts(steps:height:width:_:aStep:_:bStep:to:sums:scratch:)``.
  static func sumProductsScratch(steps: Int, height: Int, width: Int) -> Int {
    ck_sum_products_scratch(kernelType, steps, height, width)
  }

  /// `c += aᵀ b` and `sums += 1ᵀ b` over `steps` rows that lie `aStep` and `bStep` numbers apart: `a`
  /// [steps, height], `b` [steps, width].
  static func sumProducts(
    steps: Int, height: Int, width: Int, _ a: UnsafePointer<Self>, aStep: Int,
    _ b: UnsafePointer<Self>, bStep: Int, to c: UnsafeMutablePointer<Self>,
    sums: UnsafeMutablePointer<Self>?, scratch: UnsafeMutablePointer<Self>
  ) {
    ck_sum_products(kernelType, steps, height, width, a, aStep, b, bStep, c, sums, scratch)
  }

  // MARK: Reductions

  public static func sumOfSquares(_ count: Int, _ source: UnsafePointer<Self>) -> Double {
    ck_sum_of_squares(kernelType, count, source)
  }

  /// `sum += scale * source`, each product rounded to the nearest integer.
  ///
  /// - Precondition: products are below 2^51.
  public static func addRounded(
    _ count: Int, scale: Double, _ source: UnsafePointer<Self>,
    to sum: UnsafeMutablePointer<Int64>
  ) {
    ck_add_rounded(kernelType, count, scale, source, sum)
  }

  // MARK: Optimisers

  /// One step of `rule` on `count` parameters, in one pass over memory.
  public static func optimise(
    _ rule: OptimiserStep, _ count: Int, _ parameters: UnsafeMutablePointer<Self>,
    _ gradient: UnsafePointer<Self>, _ first: UnsafeMutablePointer<Self>,
    _ second: UnsafeMutablePointer<Self>
  ) {
    var scalars = rule.scalars
    ck_optimise(kernelType, &scalars, count, parameters, gradient, first, second)
  }

  /// Limits each number to `-limit ... limit`.
  ///
  /// - Returns: the sum of squares of the results; NaN if any number was not finite.
  public static func clip(
    _ count: Int, to limit: Double, _ values: UnsafeMutablePointer<Self>
  ) -> Double {
    ck_clip(kernelType, count, limit, values)
  }

  /// `values = scale * values + deviation * n` with standard normal `n` of a stream: number `k` depends on
  /// the stream's seed and purpose and on `k` alone. 24 bits of randomness each.
  public static func addNoise(
    _ count: Int, scale: Double, deviation: Double, of stream: RandomStream,
    to values: UnsafeMutablePointer<Self>
  ) {
    ck_noise(
      kernelType, count, scale, deviation,
      UInt64(stream.key.x) | UInt64(stream.key.y) << 32, stream.lane, values)
  }
}

/// The scalars of one optimiser step. The rule sees `scale * gradient + decay * parameter`, and every
/// parameter is multiplied by `keep` before its step.
public struct OptimiserStep: Sendable {
  public enum Rule: Int32, Sendable {
    /// Adam (Kingma & Ba 2015, algorithm 1); `first` and `second` hold the moments.
    case adam
    /// Adam's moments, but the step is the mean gradient.
    case adamMean
    /// Gradient descent with momentum `beta1`; `first` holds the velocity, `second` is not read.
    case momentum
    /// The same with Nesterov's step.
    case nesterov
    /// Adagrad (Duchi et al. 2011); `first` holds the sum of squares, `second` is not read.
    case adagrad
  }

  public var rule: Rule
  /// Factor on the gradient, such as that of clipping.
  public var scale = 1.0
  /// Factor of an L2 penalty.
  public var decay = 0.0
  /// Factor of decoupled decay.
  public var keep = 1.0
  /// Learning rate, times the correction of the first moment.
  public var rate: Double
  public var beta1 = 0.0
  public var beta2 = 0.0
  /// Correction of the second moment.
  public var correction = 1.0
  public var epsilon = 0.0

  public init(_ rule: Rule, rate: Double) {
    self.rule = rule
    self.rate = rate
  }

  fileprivate var scalars: ck_optimiser {
    ck_optimiser(
      rule: rule.rawValue, scale: scale, decay: decay, keep: keep, rate: rate, beta1: beta1,
      beta2: beta2, correction: correction, epsilon: epsilon)
  }
}
