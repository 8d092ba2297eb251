// The kernels of include/attention.h in the table of a level. Internal.
#pragma once

#include "include/attention.h"

// Result, name, parameters; REAL is float or double.
#define CK_EACH_ATTENTION_KERNEL(X, REAL) \
  X(REAL, ptrdiff_t, attention_tape, (const struct ck_attention *)) \
  X(REAL, ptrdiff_t, attention_scratch, (const struct ck_attention *)) \
  X(REAL, void, attention_forward, \
    (const struct ck_attention *, const REAL *, const REAL *, REAL *, REAL *, REAL *)) \
  X(REAL, void, attention_backward, \
    (const struct ck_attention *, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, REAL *, \
     int, REAL *)) \
  X(REAL, ptrdiff_t, attention_cache, (const struct ck_attention *)) \
  X(REAL, ptrdiff_t, attention_step_scratch, (const struct ck_attention *)) \
  X(REAL, void, attention_step, \
    (const struct ck_attention *, ptrdiff_t, const REAL *, const REAL *, REAL *, REAL *, REAL *)) \
  X(REAL, ptrdiff_t, softmax_scan_scratch, (const struct ck_softmax_scan *)) \
  X(REAL, void, softmax_scan_forward, \
    (const struct ck_softmax_scan *, const REAL *, const REAL *, const void *const *, REAL *, REAL *, REAL *, \
     REAL *)) \
  X(REAL, void, softmax_scan_backward, \
    (const struct ck_softmax_scan *, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, \
     const REAL *, REAL *, int, REAL *, int, REAL *))
