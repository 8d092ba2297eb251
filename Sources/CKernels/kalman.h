// The kernels of include/kalman.h in the table of a level. Internal.
#pragma once

#include "include/kalman.h"

// Result, name, parameters; REAL is float or double.
#define CK_EACH_KALMAN_KERNEL(X, REAL) \
  X(REAL, void, kalman_congruence, (ptrdiff_t, const REAL *, const REAL *, const REAL *, REAL *, REAL *)) \
  X(REAL, double, kalman_update, (ptrdiff_t, const REAL *, double, const REAL *, REAL *, REAL *, REAL *)) \
  X(REAL, double, kalman_information, \
    (ptrdiff_t, const REAL *, double, const REAL *, const REAL *, REAL *, REAL *)) \
  X(REAL, void, kalman_response, \
    (ptrdiff_t, const REAL *, double, const REAL *, REAL *, REAL *, REAL *))
