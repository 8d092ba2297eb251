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
  static func multiplyFew(
    rows: Int, inner: Int, columns: Int, _ x: UnsafePointer<Self>, _ w: UnsafePointer<Self>,
    _ y: UnsafeMutablePointer<Self>, adds: Bool
  ) {
    ck_few_rows(kernelType, rows, inner, columns, x, w, y, adds ? 1 : 0)
  }

  // MARK: Reductions

  public static func sumOfSquares(_ count: Int, _ source: UnsafePointer<Self>) -> Double {
    ck_sum_of_squares(kernelType, count, source)
  }

  // MARK: Optimisers

  /// One step of Adam on `count` parameters; see `Adam`.
  public static func adam(
    _ count: Int, _ parameters: UnsafeMutablePointer<Self>, _ gradient: UnsafePointer<Self>,
    _ first: UnsafeMutablePointer<Self>, _ second: UnsafeMutablePointer<Self>, scale: Double,
    beta1: Double, beta2: Double, rate: Double, secondCorrection: Double, epsilon: Double
  ) {
    ck_adam(
      kernelType, count, parameters, gradient, first, second, scale, beta1, beta2, rate,
      secondCorrection, epsilon)
  }
}
