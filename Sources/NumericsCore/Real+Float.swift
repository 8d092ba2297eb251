import CKernels
import COpenBLAS

extension Float: Real {
  public static func multiply(
    _ m: Int, _ n: Int, _ k: Int, alpha: Float, _ a: UnsafePointer<Float>, _ aIs: Orientation,
    lda: Int, _ b: UnsafePointer<Float>, _ bIs: Orientation, ldb: Int, beta: Float,
    _ c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    _ = BLAS.prepared
    cblas_sgemm(
      CblasRowMajor, aIs.cblas, bIs.cblas, Int32(m), Int32(n), Int32(k), alpha, a, Int32(lda), b,
      Int32(ldb), beta, c, Int32(ldc))
  }

  public static func lstmForward(
    rows: Int, width: Int, gates: UnsafeMutablePointer<Float>, cPrevious: UnsafePointer<Float>?,
    c: UnsafeMutablePointer<Float>, tanhC: UnsafeMutablePointer<Float>,
    h: UnsafeMutablePointer<Float>
  ) {
    ck_lstm_forward_f32(rows, width, gates, cPrevious, c, tanhC, h)
  }

  public static func lstmBackward(
    rows: Int, width: Int, gates: UnsafeMutablePointer<Float>, cPrevious: UnsafePointer<Float>?,
    tanhC: UnsafePointer<Float>, dh: UnsafePointer<Float>, dc: UnsafeMutablePointer<Float>
  ) {
    ck_lstm_backward_f32(rows, width, gates, cPrevious, tanhC, dh, dc)
  }

  public static func broadcast(
    rows: Int, width: Int, _ row: UnsafePointer<Float>, to out: UnsafeMutablePointer<Float>
  ) {
    ck_broadcast_f32(rows, width, row, out)
  }

  public static func addColumnSums(
    rows: Int, width: Int, _ matrix: UnsafePointer<Float>, to out: UnsafeMutablePointer<Float>
  ) {
    ck_column_sums_f32(rows, width, matrix, out)
  }

  public static func add(
    _ count: Int, _ source: UnsafePointer<Float>, to out: UnsafeMutablePointer<Float>
  ) {
    ck_add_f32(count, source, out)
  }

  public static func sumOfSquares(_ count: Int, _ source: UnsafePointer<Float>) -> Double {
    ck_sum_of_squares_f32(count, source)
  }

  public static func adam(
    _ count: Int, _ parameters: UnsafeMutablePointer<Float>, _ gradient: UnsafePointer<Float>,
    _ first: UnsafeMutablePointer<Float>, _ second: UnsafeMutablePointer<Float>, scale: Float,
    beta1: Float, beta2: Float, rate: Float, secondCorrection: Float, epsilon: Float
  ) {
    ck_adam_f32(
      count, parameters, gradient, first, second, scale, beta1, beta2, rate, secondCorrection,
      epsilon)
  }

  public static func tanh(
    _ count: Int, _ source: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>
  ) {
    ck_tanh_f32(count, source, out)
  }

  public static func sigmoid(
    _ count: Int, _ source: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>
  ) {
    ck_sigmoid_f32(count, source, out)
  }

  public static func exp(
    _ count: Int, _ source: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>
  ) {
    ck_exp_f32(count, source, out)
  }
}
