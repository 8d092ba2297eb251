// The kernels for processors with AVX2 and FMA.
#if defined(__x86_64__)

#include "coefficients.h"
#include "table.h"

#include <math.h>
#include <stdint.h>

#define HAS_FMA 1

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#define REAL float
#define BITS int32_t
#define LANES 8
#define IS_DOUBLE 0
#define SQRT __builtin_elementwise_sqrt
#define NAME(x) x##_f32_avx2
#define TYPED(x) x##_f32
#define ROWS 3
#include "kernels.inc"

#define REAL double
#define BITS int64_t
#define LANES 4
#define IS_DOUBLE 1
#define SQRT __builtin_elementwise_sqrt
#define NAME(x) x##_f64_avx2
#define TYPED(x) x##_f64
#define ROWS 3
#include "kernels.inc"

#pragma clang attribute pop

const struct ck_table ck_table_avx2 = CK_TABLE(avx2);

#endif
