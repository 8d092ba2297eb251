import CKernels
import COpenBLAS

/// Matrix products by OpenBLAS, on the kernels that fit this processor.
///
/// OpenBLAS runs single-threaded: parallelism is ours, over the batch (see `parallel(count:_:)`).
public enum BLAS {
  /// Chooses OpenBLAS's kernels; happens once, before the first product.
  static let prepared: Void = ck_blas_prepare()

  /// Which of OpenBLAS's kernels are used, such as `SKYLAKEX`, `HASWELL` or `ZEN`.
  public static var coreName: String {
    _ = prepared
    return String(cString: ck_blas_core_name())
  }

  /// The instruction level of our own kernels: `x86-64-v4`, `x86-64-v3` or `portable`.
  public static var vectorLevel: String { String(cString: ck_vector_level()) }
}

/// Whether a factor of a product is read as it lies or transposed.
public enum Orientation: Sendable {
  case plain, transposed

  var cblas: CBLAS_TRANSPOSE { self == .plain ? CblasNoTrans : CblasTrans }
}

/// The number type of a computation: `Float` for work, `Double` to verify the same source.
public protocol Real: BinaryFloatingPoint, Sendable {
  /// `c = alpha a b + beta c` with row-major `a` [m, k], `b` [k, n] and `c` [m, n].
  ///
  /// - Parameters:
  ///   - lda, ldb, ldc: elements from one row to the next as the matrices lie in memory.
  static func multiply(
    _ m: Int, _ n: Int, _ k: Int, alpha: Self, _ a: UnsafePointer<Self>, _ aIs: Orientation,
    lda: Int, _ b: UnsafePointer<Self>, _ bIs: Orientation, ldb: Int, beta: Self,
    _ c: UnsafeMutablePointer<Self>, ldc: Int)

  /// One LSTM step; see `ck_lstm_forward_f32`.
  static func lstmForward(
    rows: Int, width: Int, gates: UnsafeMutablePointer<Self>, cPrevious: UnsafePointer<Self>?,
    c: UnsafeMutablePointer<Self>, tanhC: UnsafeMutablePointer<Self>,
    h: UnsafeMutablePointer<Self>)

  /// Its adjoint; see `ck_lstm_backward_f32`.
  static func lstmBackward(
    rows: Int, width: Int, gates: UnsafeMutablePointer<Self>, cPrevious: UnsafePointer<Self>?,
    tanhC: UnsafePointer<Self>, dh: UnsafePointer<Self>, dc: UnsafeMutablePointer<Self>)

  /// Copies `row` to each of `rows` rows.
  static func broadcast(
    rows: Int, width: Int, _ row: UnsafePointer<Self>, to out: UnsafeMutablePointer<Self>)

  /// Adds the sums of the columns of `matrix` [rows, width] to `out`.
  static func addColumnSums(
    rows: Int, width: Int, _ matrix: UnsafePointer<Self>, to out: UnsafeMutablePointer<Self>)

  static func add(_ count: Int, _ source: UnsafePointer<Self>, to out: UnsafeMutablePointer<Self>)

  static func sumOfSquares(_ count: Int, _ source: UnsafePointer<Self>) -> Double

  /// One step of Adam on `count` parameters; see `Adam`.
  static func adam(
    _ count: Int, _ parameters: UnsafeMutablePointer<Self>, _ gradient: UnsafePointer<Self>,
    _ first: UnsafeMutablePointer<Self>, _ second: UnsafeMutablePointer<Self>, scale: Self,
    beta1: Self, beta2: Self, rate: Self, secondCorrection: Self, epsilon: Self)

  static func tanh(_ count: Int, _ source: UnsafePointer<Self>, _ out: UnsafeMutablePointer<Self>)
  static func sigmoid(
    _ count: Int, _ source: UnsafePointer<Self>, _ out: UnsafeMutablePointer<Self>)
  static func exp(_ count: Int, _ source: UnsafePointer<Self>, _ out: UnsafeMutablePointer<Self>)
}
