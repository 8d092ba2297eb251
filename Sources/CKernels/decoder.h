// The kernels of include/decoder.h in the table of a level. Internal.
#pragma once

#include "include/decoder.h"

// Result, name, parameters; REAL is float or double.
#define CK_EACH_DECODER_KERNEL(X, REAL) \
  X(REAL, ptrdiff_t, decoder_tape, (const struct ck_decoder *)) \
  X(REAL, ptrdiff_t, decoder_scratch, (const struct ck_decoder *)) \
  X(REAL, void, decoder_forward, \
    (const struct ck_decoder *, const void *const *, void *const *, REAL *, REAL *)) \
  X(REAL, void, decoder_backward, \
    (const struct ck_decoder *, const void *const *, void *const *, const void *const *, void *const *, REAL *, \
     REAL *))
