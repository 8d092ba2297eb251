// The kernels for processors with AVX-512.
#if defined(__x86_64__)

#include "coefficients.h"
#include "table.h"

#include <immintrin.h>
#include <math.h>
#include <stdint.h>

#define HAS_FMA 1

#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), apply_to = function)

#define REAL float
#define BITS int32_t
#define LANES 16
#define IS_DOUBLE 0
#define SQRT __builtin_elementwise_sqrt
#define NAME(x) x##_f32_avx512
#define TYPED(x) x##_f32
#define ROWS 6
#include "kernels.inc"

#define REAL double
#define BITS int64_t
#define LANES 8
#define IS_DOUBLE 1
#define SQRT __builtin_elementwise_sqrt
#define NAME(x) x##_f64_avx512
#define TYPED(x) x##_f64
#define ROWS 6
#include "kernels.inc"

#pragma clang attribute pop

const struct ck_table ck_table_avx512 = CK_TABLE(avx512);

#endif
