import CKernels
import COpenBLAS

extension Double: Real {
  public static func multiply(
    _ m: Int, _ n: Int, _ k: Int, alpha: Double, _ a: UnsafePointer<Double>, _ aIs: Orientation,
    lda: Int, _ b: UnsafePointer<Double>, _ bIs: Orientation, ldb: Int, beta: Double,
    _ c: UnsafeMutablePointer<Double>, ldc: Int
  ) {
    _ = BLAS.prepared
    cblas_dgemm(
      CblasRowMajor, aIs.cblas, bIs.cblas, Int32(m), Int32(n), Int32(k), alpha, a, Int32(lda), b,
      Int32(ldb), beta, c, Int32(ldc))
  }

  public static func lstmForward(
    rows: Int, width: Int, gates: UnsafeMutablePointer<Double>, cPrevious: UnsafePointer<Double>?,
    c: UnsafeMutablePointer<Double>, tanhC: UnsafeMutablePointer<Double>,
    h: UnsafeMutablePointer<Double>
  ) {
    ck_lstm_forward_f64(rows, width, gates, cPrevious, c, tanhC, h)
  }

  public static func lstmBackward(
    rows: Int, width: Int, gates: UnsafeMutablePointer<Double>, cPrevious: UnsafePointer<Double>?,
    tanhC: UnsafePointer<Double>, dh: UnsafePointer<Double>, dc: UnsafeMutablePointer<Double>
  ) {
    ck_lstm_backward_f64(rows, width, gates, cPrevious, tanhC, dh, dc)
  }

  public static func broadcast(
    rows: Int, width: Int, _ row: UnsafePointer<Double>, to out: UnsafeMutablePointer<Double>
  ) {
    ck_broadcast_f64(rows, width, row, out)
  }

  public static func addColumnSums(
    rows: Int, width: Int, _ matrix: UnsafePointer<Double>, to out: UnsafeMutablePointer<Double>
  ) {
    ck_column_sums_f64(rows, width, matrix, out)
  }

  public static func add(
    _ count: Int, _ source: UnsafePointer<Double>, to out: UnsafeMutablePointer<Double>
  ) {
    ck_add_f64(count, source, out)
  }

  public static func sumOfSquares(_ count: Int, _ source: UnsafePointer<Double>) -> Double {
    ck_sum_of_squares_f64(count, source)
  }

  public static func adam(
    _ count: Int, _ parameters: UnsafeMutablePointer<Double>, _ gradient: UnsafePointer<Double>,
    _ first: UnsafeMutablePointer<Double>, _ second: UnsafeMutablePointer<Double>, scale: Double,
    beta1: Double, beta2: Double, rate: Double, secondCorrection: Double, epsilon: Double
  ) {
    ck_adam_f64(
      count, parameters, gradient, first, second, scale, beta1, beta2, rate, secondCorrection,
      epsilon)
  }

  public static func tanh(
    _ count: Int, _ source: UnsafePointer<Double>, _ out: UnsafeMutablePointer<Double>
  ) {
    ck_tanh_f64(count, source, out)
  }

  public static func sigmoid(
    _ count: Int, _ source: UnsafePointer<Double>, _ out: UnsafeMutablePointer<Double>
  ) {
    ck_sigmoid_f64(count, source, out)
  }

  public static func exp(
    _ count: Int, _ source: UnsafePointer<Double>, _ out: UnsafeMutablePointer<Double>
  ) {
    ck_exp_f64(count, source, out)
  }
}
