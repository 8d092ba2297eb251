// The kernels of include/delta.h in the table of a level. Internal.
#pragma once

#include "include/delta.h"

// Result, name, parameters; REAL is float or double.
#define CK_EACH_DELTA_KERNEL(X, REAL) \
  X(REAL, ptrdiff_t, delta_tape, (const struct ck_delta *)) \
  X(REAL, ptrdiff_t, delta_scratch, (const struct ck_delta *)) \
  X(REAL, void, delta_forward, \
    (const struct ck_delta *, const REAL *, const REAL *, const REAL *, const REAL *, REAL *, REAL *, REAL *, \
     REAL *)) \
  X(REAL, void, delta_backward, \
    (const struct ck_delta *, const REAL *, const REAL *, const REAL *, int, const REAL *, const REAL *, \
     const struct ck_delta_gradient *, REAL *)) \
  X(REAL, void, delta_step, \
    (const struct ck_delta *, const REAL *, const REAL *, const REAL *, REAL *, REAL *))
