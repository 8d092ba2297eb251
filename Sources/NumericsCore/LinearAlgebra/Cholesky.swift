import CKernels
import COpenBLAS

/// The factor `L` of a symmetric positive definite matrix `a = L L'`, and what it solves.
///
/// Matrices are row-major with only the lower triangle read and written. Blocked, so that nearly all of the
/// `n³ / 3` operations are in OpenBLAS's products.
public enum Cholesky {
  private static let block = 48

  /// Replaces the lower triangle of `a` `[n, n]` by `L`.
  ///
  /// - Parameter stride: numbers from one row to the next.
  /// - Returns: false where the matrix is not positive definite, to rounding; `a` is spoilt then.
  public static func factor(
    _ a: UnsafeMutablePointer<Double>, _ n: Int, stride: Int? = nil
  ) -> Bool {
    ck_blas_prepare()
    let lda = stride ?? n
    for start in Swift.stride(from: 0, to: n, by: block) {
      let width = min(block, n - start)
      let diagonal = a + start * lda + start
      guard factorBlock(diagonal, width, lda) else { return false }
      let below = n - start - width
      guard below > 0 else { break }
      let panel = diagonal + width * lda
      cblas_dtrsm(
        CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, Int32(below),
        Int32(width), 1, diagonal, Int32(lda), panel, Int32(lda))
      cblas_dsyrk(
        CblasRowMajor, CblasLower, CblasNoTrans, Int32(below), Int32(width), -1, panel, Int32(lda),
        1, panel + width, Int32(lda))
    }
    return true
  }

  private static func factorBlock(
    _ a: UnsafeMutablePointer<Double>, _ n: Int, _ lda: Int
  ) -> Bool {
    for i in 0..<n {
      let row = a + i * lda
      for j in 0...i {
        let other = a + j * lda
        var sum = row[j]
        for k in 0..<j { sum -= row[k] * other[k] }
        if i > j {
          row[j] = sum / other[j]
        } else {
          guard sum > 0, sum.isFinite else { return false }
          row[i] = sum.squareRoot()
        }
      }
    }
    return true
  }

  /// Solves `L L' x = b` in place.
  ///
  /// - Parameters:
  ///   - factor: from ``factor(_:_:stride:)``.
  ///   - b: `[n, columns]`.
  public static func solve(
    _ factor: UnsafePointer<Double>, _ n: Int, stride: Int? = nil,
    _ b: UnsafeMutablePointer<Double>, columns: Int
  ) {
    ck_blas_prepare()
    let lda = Int32(stride ?? n)
    for transposed in [CblasNoTrans, CblasTrans] {
      cblas_dtrsm(
        CblasRowMajor, CblasLeft, CblasLower, transposed, CblasNonUnit, Int32(n), Int32(columns), 1,
        factor, lda, b, Int32(columns))
    }
  }

  /// Adds `scale x' x` of the rows of `x` `[rows, n]` to the lower triangle of `gram` `[n, n]`.
  public static func addGram(
    rows: Int, _ n: Int, _ x: UnsafePointer<Double>, to gram: UnsafeMutablePointer<Double>,
    scale: Double = 1
  ) {
    ck_blas_prepare()
    cblas_dsyrk(
      CblasRowMajor, CblasLower, CblasTrans, Int32(n), Int32(rows), scale, x, Int32(n), 1, gram,
      Int32(n))
  }
}
