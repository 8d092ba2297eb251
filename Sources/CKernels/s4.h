// The kernels of include/s4.h in the table of a level. Internal.
#pragma once

#include "include/s4.h"

// ck_s4_pointers with types.
#define CK_S4_TYPES(T, REAL) \
  struct ck_s4_weights_##T { \
    const REAL *log_dt, *log_re, *im, *p, *b, *c; \
  }; \
  struct ck_s4_gradients_##T { \
    REAL *log_dt, *log_re, *im, *p, *b, *c; \
  };
CK_S4_TYPES(f32, float)
CK_S4_TYPES(f64, double)

// T is f32 or f64.
#define CK_S4_FIELDS(T, REAL) \
  ptrdiff_t (*s4_scratch)(const struct ck_s4 *); \
  void (*s4_spectrum)(const struct ck_s4 *, const struct ck_s4_weights_##T *, REAL *, REAL *, REAL *); \
  void (*s4_gradient)(const struct ck_s4 *, const struct ck_s4_weights_##T *, const REAL *, const REAL *, \
                      const struct ck_s4_gradients_##T *, REAL *); \
  void (*s4_pack)(const struct ck_s4 *, const struct ck_s4_weights_##T *, REAL *); \
  void (*s4_step)(const struct ck_s4 *, const REAL *, const REAL *, ptrdiff_t, const REAL *, REAL *, REAL *);
#define CK_S4_ENTRIES(SUFFIX) \
  .s4_scratch = s4_scratch_##SUFFIX, .s4_spectrum = s4_spectrum_##SUFFIX, .s4_gradient = s4_gradient_##SUFFIX, \
  .s4_pack = s4_pack_##SUFFIX, .s4_step = s4_step_##SUFFIX,
