// The kernels of one level of processor. Internal.
#pragma once

#include "recurrent.h"
#include "sequences.h"
#include "scan.h"
#include "xlstm.h"
#include "convolution.h"
#include "attention.h"
#include "delta.h"
#include "s4.h"
#include "ssd.h"
#include "decoder.h"
#include "kalman.h"

#define CK_EACH_VECTOR_FUNCTION(X) \
  X(exp) X(expm1) X(log) X(log1p) X(tanh) X(sigmoid) X(softplus) X(logsigmoid) X(silu) X(gelu) X(erf) \
  X(sin2pi) X(cos2pi)

// Every kernel: result, name, parameters. REAL is float or double.
#define CK_EACH_KERNEL(X, REAL) \
  X(REAL, void, unary, (int, size_t, const REAL *, REAL *)) \
  X(REAL, void, unary_gradient, (int, size_t, const REAL *, const REAL *, const REAL *, REAL *, int)) \
  X(REAL, void, binary, (int, size_t, const REAL *, size_t, const REAL *, size_t, REAL *)) \
  X(REAL, void, binary_gradient, \
    (int, int, size_t, const REAL *, size_t, const REAL *, size_t, const REAL *, REAL *)) \
  X(REAL, void, scale, (size_t, REAL, const REAL *, REAL *, int)) \
  X(REAL, void, fill, (size_t, REAL, REAL *, int)) \
  X(REAL, void, shift, (size_t, REAL, REAL *)) \
  X(REAL, void, add, (size_t, const REAL *, REAL *)) \
  X(REAL, void, broadcast, (size_t, size_t, const REAL *, REAL *)) \
  X(REAL, void, column_sums, (size_t, size_t, const REAL *, REAL *)) \
  X(REAL, void, row_sums, (size_t, size_t, REAL, const REAL *, REAL *)) \
  X(REAL, void, multiply_add, (size_t, size_t, const REAL *, const REAL *, REAL *)) \
  X(REAL, void, multiply_sum, (size_t, size_t, const REAL *, const REAL *, REAL *)) \
  X(REAL, void, logsumexp, (size_t, size_t, const REAL *, REAL *)) \
  X(REAL, void, softmax, (size_t, size_t, const REAL *, REAL *)) \
  X(REAL, void, normalise, \
    (size_t, size_t, size_t, int, REAL, const REAL *, const REAL *, REAL *, REAL *)) \
  X(REAL, void, normalise_gradient, \
    (size_t, size_t, size_t, int, const REAL *, const REAL *, const REAL *, const REAL *, REAL *, int, \
     REAL *)) \
  X(REAL, void, few_rows, (size_t, size_t, size_t, const REAL *, const REAL *, REAL *, int)) \
  X(REAL, ptrdiff_t, sum_products_scratch, (ptrdiff_t, ptrdiff_t, ptrdiff_t)) \
  X(REAL, void, sum_products, \
    (ptrdiff_t, ptrdiff_t, ptrdiff_t, const REAL *, ptrdiff_t, const REAL *, ptrdiff_t, REAL *, REAL *, REAL *)) \
  X(REAL, double, sum_of_squares, (size_t, const REAL *)) \
  X(REAL, void, add_rounded, (size_t, double, const REAL *, int64_t *)) \
  X(REAL, void, optimise, \
    (const struct ck_optimiser *, size_t, REAL *, const REAL *, REAL *, REAL *)) \
  X(REAL, double, clip, (size_t, REAL, REAL *)) \
  X(REAL, void, noise, (size_t, REAL, REAL, uint64_t, uint64_t, REAL *))

// The recurrent kernels, whose operands are structures: T is f32 or f64.
#define CK_RECURRENT_FIELDS(T, REAL) \
  ptrdiff_t (*padded)(ptrdiff_t); \
  ptrdiff_t (*packed)(const struct ck_cell *); \
  ptrdiff_t (*tape)(const struct ck_cell *, ptrdiff_t, ptrdiff_t); \
  ptrdiff_t (*scratch)(const struct ck_cell *, ptrdiff_t); \
  void (*pack)(const struct ck_cell *, const struct rc_parameters_##T *, REAL *); \
  void (*forward)(const struct ck_cell *, const REAL *, const struct rc_pass_##T *); \
  void (*backward)(const struct ck_cell *, const REAL *, const struct rc_pass_##T *, \
                   const struct rc_backward_##T *); \
  ptrdiff_t (*unit_scratch)(const struct ck_cell *, ptrdiff_t); \
  void (*unit_gradients)(const struct ck_cell *, const struct rc_pass_##T *, ptrdiff_t, ptrdiff_t, \
                         const struct rc_gradients_##T *, REAL *); \
  double (*peak)(ptrdiff_t, REAL *);

#define CK_FIELD(REAL, RESULT, KERNEL, PARAMETERS) RESULT (*KERNEL) PARAMETERS;

// Every family of kernels: the fields of a table, and its entries.
#define CK_ALL_KERNELS(X, T) \
  CK_EACH_KERNEL(X, T) CK_EACH_SEQUENCE_KERNEL(X, T) CK_EACH_SCAN_KERNEL(X, T) \
  CK_EACH_XLSTM_KERNEL(X, T) CK_EACH_DECODER_KERNEL(X, T) CK_EACH_SSD_KERNEL(X, T) \
  CK_EACH_DELTA_KERNEL(X, T) CK_EACH_ATTENTION_KERNEL(X, T) CK_EACH_CONVOLUTION_KERNEL(X, T) \
  CK_EACH_KALMAN_KERNEL(X, T)

struct ck_kernels_f32 {
  CK_ALL_KERNELS(CK_FIELD, float)
  CK_RECURRENT_FIELDS(f32, float) CK_S4_FIELDS(f32, float)
};
struct ck_kernels_f64 {
  CK_ALL_KERNELS(CK_FIELD, double)
  CK_RECURRENT_FIELDS(f64, double) CK_S4_FIELDS(f64, double)
};

struct ck_table {
  const char *level;
  struct ck_kernels_f32 f32;
  struct ck_kernels_f64 f64;
  void (*chacha20)(const uint32_t *, const uint32_t *, uint32_t, size_t, uint32_t *);
};

// The table of the level that was chosen.
const struct ck_table *ck_chosen_table(void);

extern const struct ck_table ck_table_portable;
#if defined(__x86_64__)
extern const struct ck_table ck_table_avx2;
extern const struct ck_table ck_table_avx512;
#endif

// Fills in a table from the functions whose names end in _f32_LEVEL and _f64_LEVEL.
#define CK_ENTRY(SUFFIX, RESULT, KERNEL, PARAMETERS) CK_ENTRY_(KERNEL, SUFFIX)
#define CK_ENTRY_(KERNEL, SUFFIX) .KERNEL = KERNEL##_##SUFFIX,
#define CK_RECURRENT_ENTRIES(SUFFIX) \
  .padded = rc_padded_##SUFFIX, .packed = rc_packed_##SUFFIX, .tape = rc_tape_##SUFFIX, \
  .scratch = rc_scratch_##SUFFIX, .pack = rc_pack_##SUFFIX, .forward = rc_forward_##SUFFIX, \
  .backward = rc_backward_##SUFFIX, .unit_scratch = rc_unit_scratch_##SUFFIX, \
  .unit_gradients = rc_unit_gradients_##SUFFIX, .peak = rc_peak_##SUFFIX,
#define CK_TABLE(LEVEL) \
  {.level = #LEVEL, .chacha20 = chacha20_f32_##LEVEL, \
   .f32 = {CK_ALL_KERNELS(CK_ENTRY, f32_##LEVEL) CK_RECURRENT_ENTRIES(f32_##LEVEL) CK_S4_ENTRIES(f32_##LEVEL)}, \
   .f64 = {CK_ALL_KERNELS(CK_ENTRY, f64_##LEVEL) CK_RECURRENT_ENTRIES(f64_##LEVEL) CK_S4_ENTRIES(f64_##LEVEL)}}
