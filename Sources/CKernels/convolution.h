// The kernels of include/convolution.h in the table of a level. Internal.
#pragma once

#include "include/convolution.h"

// Result, name, parameters; REAL is float or double.
#define CK_EACH_CONVOLUTION_KERNEL(X, REAL) \
  X(REAL, ptrdiff_t, convolution_scratch, (const struct ck_convolution *)) \
  X(REAL, void, convolution_forward, \
    (const struct ck_convolution *, const REAL *, const REAL *, const REAL *, REAL *, REAL *)) \
  X(REAL, void, convolution_inputs, \
    (const struct ck_convolution *, const REAL *, const REAL *, REAL *, int, REAL *)) \
  X(REAL, void, convolution_weights, \
    (const struct ck_convolution *, const REAL *, const REAL *, REAL *, REAL *))
