// The kernels of sequences.h in the table of a level. Internal.
#pragma once

#include "include/sequences.h"

// Result, name, parameters; REAL is float or double.
#define CK_EACH_SEQUENCE_KERNEL(X, REAL) \
  X(REAL, void, fourier_prepare, (ptrdiff_t, REAL *)) \
  X(REAL, ptrdiff_t, long_scratch, (const struct ck_long_convolution *)) \
  X(REAL, void, long_forward, \
    (const struct ck_long_convolution *, const REAL *, const REAL *, const REAL *, REAL *, REAL *)) \
  X(REAL, void, long_backward, \
    (const struct ck_long_convolution *, const REAL *, const REAL *, const REAL *, const REAL *, REAL *, \
     int, REAL *, REAL *)) \
  X(REAL, ptrdiff_t, s4d_tape, (const struct ck_s4d *)) \
  X(REAL, ptrdiff_t, s4d_scratch, (const struct ck_s4d *)) \
  X(REAL, void, s4d_kernel, \
    (const struct ck_s4d *, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, REAL *, \
     REAL *)) \
  X(REAL, void, s4d_kernel_gradient, \
    (const struct ck_s4d *, const REAL *, const REAL *, REAL *, REAL *, REAL *, REAL *, REAL *, REAL *)) \
  X(REAL, void, s4d_pack, \
    (const struct ck_s4d *, const REAL *, const REAL *, const REAL *, const REAL *, REAL *)) \
  X(REAL, void, s4d_step, \
    (const struct ck_s4d *, const REAL *, const REAL *, ptrdiff_t, const REAL *, const REAL *, REAL *, \
     REAL *)) \
  X(REAL, void, s4d_rates, \
    (const struct ck_s4d *, const REAL *, const REAL *, const REAL *, const REAL *, REAL *)) \
  X(REAL, void, s4d_gap_step, \
    (const struct ck_s4d *, const REAL *, const REAL *, ptrdiff_t, const REAL *, const REAL *, const REAL *, \
     REAL *, REAL *)) \
  X(REAL, ptrdiff_t, s4d_gaps_tape, (const struct ck_s4d *, ptrdiff_t)) \
  X(REAL, ptrdiff_t, s4d_gaps_scratch, (const struct ck_s4d *)) \
  X(REAL, void, s4d_gaps_forward, \
    (const struct ck_s4d *, ptrdiff_t, const REAL *, const REAL *, const REAL *, const REAL *, REAL *, REAL *)) \
  X(REAL, void, s4d_gaps_backward, \
    (const struct ck_s4d *, ptrdiff_t, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, \
     const REAL *, REAL *, int, REAL *, REAL *, REAL *, REAL *, REAL *, REAL *)) \
  X(REAL, ptrdiff_t, selective_tape, (const struct ck_selective *)) \
  X(REAL, ptrdiff_t, selective_scratch, (const struct ck_selective *)) \
  X(REAL, ptrdiff_t, selective_panels, (const struct ck_selective *)) \
  X(REAL, void, selective_decays, (const struct ck_selective *, const REAL *, void *)) \
  X(REAL, void, selective_forward, \
    (const struct ck_selective *, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, REAL *, \
     REAL *, REAL *)) \
  X(REAL, void, selective_backward, \
    (const struct ck_selective *, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, \
     const REAL *, REAL *, REAL *, REAL *, REAL *, int, REAL *, REAL *, int, REAL *)) \
  X(REAL, void, selective_state, (const struct ck_selective *, int, REAL *, REAL *)) \
  X(REAL, void, short_forward, \
    (ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, const REAL *, const REAL *, const REAL *, REAL *)) \
  X(REAL, void, short_last, \
    (ptrdiff_t, ptrdiff_t, ptrdiff_t, const REAL *, const REAL *, const REAL *, REAL *)) \
  X(REAL, void, short_backward, \
    (ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, const REAL *, const REAL *, const REAL *, const REAL *, \
     REAL *, int, REAL *, REAL *, int, REAL *)) \
  X(REAL, void, gate_product, (int, size_t, const REAL *, const REAL *, REAL *)) \
  X(REAL, void, gate_product_gradient, \
    (int, size_t, const REAL *, const REAL *, const REAL *, REAL *, REAL *, int)) \
  X(REAL, void, modes_pack, \
    (const struct ck_modes *, const REAL *, const REAL *, const REAL *, REAL *)) \
  X(REAL, ptrdiff_t, modes_scratch, (const struct ck_modes *)) \
  X(REAL, void, modes_forward, \
    (const struct ck_modes *, const REAL *, const REAL *, const REAL *, const REAL *, REAL *)) \
  X(REAL, void, modes_backward, \
    (const struct ck_modes *, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, const REAL *, \
     REAL *, int, REAL *, REAL *, REAL *, REAL *, REAL *)) \
  X(REAL, ptrdiff_t, real_scratch, (ptrdiff_t)) \
  X(REAL, void, real_forward, \
    (ptrdiff_t, const REAL *, const int32_t *, ptrdiff_t, const REAL *, REAL, REAL, REAL *, REAL *, int, \
     REAL *)) \
  X(REAL, void, real_inverse, \
    (ptrdiff_t, const REAL *, const int32_t *, ptrdiff_t, const REAL *, const REAL *, REAL, REAL, REAL *, int, \
     REAL *))
