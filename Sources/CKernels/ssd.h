// The kernels of include/ssd.h in the table of a level. Internal.
#pragma once

#include "include/ssd.h"

// Result, name, parameters; REAL is float or double.
#define CK_EACH_SSD_KERNEL(X, REAL) \
  X(REAL, ptrdiff_t, ssd_tape, (const struct ck_ssd *)) \
  X(REAL, ptrdiff_t, ssd_scratch, (const struct ck_ssd *)) \
  X(REAL, void, ssd_forward, \
    (const struct ck_ssd *, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, REAL *, REAL *, \
     REAL *, REAL *)) \
  X(REAL, void, ssd_backward, \
    (const struct ck_ssd *, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, \
     const REAL *, REAL *, REAL *, REAL *, REAL *, REAL *, REAL *)) \
  X(REAL, void, ssd_step, \
    (const struct ck_ssd *, const REAL *, const REAL *, const REAL *, const REAL *, REAL *, REAL *))
