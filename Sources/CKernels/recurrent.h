// Operands of the recurrent kernels, by type. Internal: ckernels.h has the same with untyped pointers.
#pragma once

#include "include/ckernels.h"

#define RC_DECLARE(T, REAL) \
  struct rc_parameters_##T { \
    const REAL *w, *r, *bias, *bias_n; \
  }; \
  struct rc_gradients_##T { \
    REAL *w, *r, *bias, *bias_n; \
  }; \
  struct rc_pass_##T { \
    ptrdiff_t steps, rows; \
    const REAL *x; \
    ptrdiff_t x_time, x_row; \
    const unsigned char *mask; \
    ptrdiff_t mask_time; \
    const REAL *h0, *c0; \
    REAL *cn; \
    ptrdiff_t state_row, state_memory; \
    REAL *h; \
    ptrdiff_t h_time, h_row; \
    REAL *tape; \
    int keep; \
  }; \
  struct rc_backward_##T { \
    const REAL *dh; \
    ptrdiff_t dh_time, dh_row; \
    const REAL *dhn, *dcn; \
    REAL *dh0, *dc0; \
    REAL *dx; \
    ptrdiff_t dx_time, dx_row; \
    struct rc_gradients_##T gradients; \
    REAL *scratch; \
  };

RC_DECLARE(f32, float)
RC_DECLARE(f64, double)
