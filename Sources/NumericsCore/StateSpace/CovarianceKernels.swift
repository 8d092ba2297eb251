import CKernels

/// Products with covariances of a state of `n` numbers, row-major `[n, n]`: what the steps of a Kalman filter and of its
/// smoother consist of. See kalman.h for the formulas.
package enum CovarianceKernels {
  /// `out = T p T' + diag(variances)` for a symmetric `p` and a tridiagonal `T`.
  ///
  /// - Parameters:
  ///   - bands: `[3, n]`, for each row what is left of the diagonal, on it, and right of it.
  ///   - product: `T p` afterwards.
  package static func congruence(
    _ n: Int, bands: UnsafePointer<Double>, _ p: UnsafePointer<Double>,
    variances: UnsafePointer<Double>?, product: UnsafeMutablePointer<Double>,
    _ out: UnsafeMutablePointer<Double>
  ) {
    ck_kalman_congruence(Double.kernelType, n, bands, p, variances, product, out)
  }

  /// The covariance after an observation `z' a + e`, in Joseph's form, and the gain.
  ///
  /// - Parameter scratch: `[n]`.
  /// - Returns: the variance of the prediction; where it is not positive there is no result.
  package static func update(
    _ n: Int, z: UnsafePointer<Double>, noise: Double, _ predicted: UnsafePointer<Double>,
    gain: UnsafeMutablePointer<Double>, _ p: UnsafeMutablePointer<Double>,
    scratch: UnsafeMutablePointer<Double>
  ) -> Double {
    ck_kalman_update(Double.kernelType, n, z, noise, predicted, gain, p, scratch)
  }

  /// The information about a predicted state from that about the filtered one.
  ///
  /// - Parameter scratch: `[n]`.
  /// - Returns: the variance of the weighted error.
  package static func information(
    _ n: Int, z: UnsafePointer<Double>, spread: Double, gain: UnsafePointer<Double>,
    before: UnsafePointer<Double>, _ information: UnsafeMutablePointer<Double>,
    scratch: UnsafeMutablePointer<Double>
  ) -> Double {
    ck_kalman_information(Double.kernelType, n, z, spread, gain, before, information, scratch)
  }

  /// Carries what a start does to the states over an observation, and adds what that says about the start.
  ///
  /// - Parameter scratch: `[n]`.
  package static func response(
    _ n: Int, z: UnsafePointer<Double>, spread: Double, gain: UnsafePointer<Double>,
    _ response: UnsafeMutablePointer<Double>, information: UnsafeMutablePointer<Double>,
    scratch: UnsafeMutablePointer<Double>
  ) {
    ck_kalman_response(Double.kernelType, n, z, spread, gain, response, information, scratch)
  }
}
