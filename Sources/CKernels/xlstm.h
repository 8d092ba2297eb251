// The kernels of include/xlstm.h in the table of a level. Internal.
#pragma once

#include "include/xlstm.h"

// Result, name, parameters; REAL is float or double.
#define CK_EACH_XLSTM_KERNEL(X, REAL) \
  X(REAL, ptrdiff_t, mlstm_tape, (const struct ck_mlstm *)) \
  X(REAL, ptrdiff_t, mlstm_scratch, (const struct ck_mlstm *)) \
  X(REAL, void, mlstm_forward, \
    (const struct ck_mlstm *, const REAL *, const REAL *, const struct ck_mlstm_state *, REAL *, \
     const struct ck_mlstm_state *, REAL *, REAL *)) \
  X(REAL, void, mlstm_backward, \
    (const struct ck_mlstm *, const REAL *, const REAL *, const REAL *, const REAL *, \
     const struct ck_mlstm_state *, const REAL *, REAL *, int, REAL *, int, const struct ck_mlstm_state *, \
     REAL *)) \
  X(REAL, void, mlstm_step, \
    (const struct ck_mlstm *, const REAL *, const REAL *, const struct ck_mlstm_state *, REAL *)) \
  X(REAL, ptrdiff_t, blocks_scratch, (const struct ck_blocks *)) \
  X(REAL, void, blocks_forward, \
    (const struct ck_blocks *, const void *const *, const REAL *, REAL *, REAL *)) \
  X(REAL, void, blocks_backward, \
    (const struct ck_blocks *, const void *const *, const REAL *, const REAL *, void *const *, const int *, \
     REAL *, REAL *)) \
  X(REAL, ptrdiff_t, packed_count, (const struct ck_product *)) \
  X(REAL, void, packed_pack, (const struct ck_product *, const REAL *, const REAL *, const REAL *, REAL *)) \
  X(REAL, void, packed_product, \
    (const struct ck_product *, ptrdiff_t, const REAL *, ptrdiff_t, const REAL *, REAL *, ptrdiff_t, int))
