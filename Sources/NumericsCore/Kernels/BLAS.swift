import CKernels

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

  /// The instruction level of our own kernels: `avx512`, `avx2` or `portable`.
  public static var vectorLevel: String { String(cString: ck_vector_level()) }
}
