import CKernels
import COpenBLAS

/// Matrix products by OpenBLAS, on the kernels that fit this processor.
///
/// OpenBLAS runs single-threaded: parallelism is ours, over the batch (see `parallel(count:_:)`).
public enum BLAS {
  /// Which of OpenBLAS's kernels are used, such as `SKYLAKEX`, `HASWELL` or `ZEN`.
  public static var coreName: String {
    ck_blas_prepare()
    return String(cString: ck_blas_core_name())
  }

  /// Threads that a product takes: 1.
  package static var threads: Int {
    ck_blas_prepare()
    return Int(openblas_get_num_threads())
  }

  /// Kernels that would be faster on this processor than those in use; nil where there are none. Set by
  /// OPENBLAS_CORETYPE, or OpenBLAS was built without a choice.
  public static var missedCoreName: String? {
    ck_blas_prepare()
    return ck_blas_missed_core().map { String(cString: $0) }
  }

  /// What OpenBLAS should run on in place of `core`, by what the processor has.
  package static func betterCore(than core: String, avx512: Bool, avx2: Bool) -> String? {
    ck_blas_better_core(core, avx512 ? 1 : 0, avx2 ? 1 : 0).map { String(cString: $0) }
  }

  /// The instruction level of our own kernels: `avx512`, `avx2` or `portable`.
  public static var vectorLevel: String { String(cString: ck_vector_level()) }
}
