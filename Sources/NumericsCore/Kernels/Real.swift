import CKernels
import COpenBLAS

/// Whether a factor of a product is read as it lies or transposed.
public enum Orientation: Sendable {
  case plain, transposed

  fileprivate var cblas: CBLAS_TRANSPOSE { self == .plain ? CblasNoTrans : CblasTrans }
}

/// The number type of a computation: `Float` for work, `Double` to verify the same source.
public protocol Real: BinaryFloatingPoint, Sendable {
  /// What the kernels are told that pointers are to.
  static var kernelType: Int32 { get }

  /// `c = alpha a b + beta c` with row-major `a` [m, k], `b` [k, n] and `c` [m, n].
  ///
  /// - Parameters:
  ///   - lda, ldb, ldc: elements from one row to the next as the matrices lie in memory.
  static func multiply(
    _ m: Int, _ n: Int, _ k: Int, alpha: Self, _ a: UnsafePointer<Self>, _ aIs: Orientation,
    lda: Int, _ b: UnsafePointer<Self>, _ bIs: Orientation, ldb: Int, beta: Self,
    _ c: UnsafeMutablePointer<Self>, ldc: Int)
}

extension Float: Real {
  public static var kernelType: Int32 { Int32(CK_FLOAT) }

  public static func multiply(
    _ m: Int, _ n: Int, _ k: Int, alpha: Float, _ a: UnsafePointer<Float>, _ aIs: Orientation,
    lda: Int, _ b: UnsafePointer<Float>, _ bIs: Orientation, ldb: Int, beta: Float,
    _ c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    ck_blas_prepare()
    cblas_sgemm(
      CblasRowMajor, aIs.cblas, bIs.cblas, Int32(m), Int32(n), Int32(k), alpha, a, Int32(lda), b,
      Int32(ldb), beta, c, Int32(ldc))
  }
}

extension Double: Real {
  public static var kernelType: Int32 { Int32(CK_DOUBLE) }

  public static func multiply(
    _ m: Int, _ n: Int, _ k: Int, alpha: Double, _ a: UnsafePointer<Double>, _ aIs: Orientation,
    lda: Int, _ b: UnsafePointer<Double>, _ bIs: Orientation, ldb: Int, beta: Double,
    _ c: UnsafeMutablePointer<Double>, ldc: Int
  ) {
    ck_blas_prepare()
    cblas_dgemm(
      CblasRowMajor, aIs.cblas, bIs.cblas, Int32(m), Int32(n), Int32(k), alpha, a, Int32(lda), b,
      Int32(ldb), beta, c, Int32(ldc))
  }
}
