// Kernels of the Kalman filter; the rules of ckernels.h apply.
#ifndef CKERNELS_KALMAN_H
#define CKERNELS_KALMAN_H

#include <stddef.h>

// Matrices are [n][n], row by row. `bands` are the three diagonals of a tridiagonal matrix T by rows, [3][n]: left of the
// diagonal, on it, right of it; what would lie outside of T is 0.

// out = T p T' + diag(variances) for a symmetric p; variances may be NULL. product = T p afterwards.
void ck_kalman_congruence(int type, ptrdiff_t n, const void *bands, const void *p, const void *variances,
                          void *product, void *out);
// The covariance p of a state after an observation z'a + e, e of variance `noise`, from the predicted one, in Joseph's
// form (Durbin & Koopman 2012, section 4.3); the gain, and the variance of the prediction as the result. Nothing but
// `scratch` [n] is written where that is not positive.
double ck_kalman_update(int type, ptrdiff_t n, const void *z, double noise, const void *predicted, void *gain,
                        void *p, void *scratch);
// information = L' before L + z z' / spread with L = I - gain z', the backward recursion of a smoother (Koopman & Shephard
// 1992); the variance of the weighted error as the result. scratch: [n].
double ck_kalman_information(int type, ptrdiff_t n, const void *z, double spread, const void *gain,
                             const void *before, void *information, void *scratch);
// What a start has to do with an observed step: e = z' response, information += e' e / spread, response -= gain e.
// scratch: [n].
void ck_kalman_response(int type, ptrdiff_t n, const void *z, double spread, const void *gain, void *response,
                        void *information, void *scratch);

#endif
