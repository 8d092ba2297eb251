// The kernels for every processor: vectors of 16 bytes, SSE2 or NEON.
#include "coefficients.h"
#include "table.h"

#include <math.h>
#include <stdint.h>

#if defined(__FMA__) || defined(__aarch64__)
#define HAS_FMA 1
#define PORTABLE_ROWS 6
#else
#define HAS_FMA 0
#define PORTABLE_ROWS 2
#endif

#define REAL float
#define BITS int32_t
#define LANES 4
#define IS_DOUBLE 0
#define SQRT __builtin_elementwise_sqrt
#define NAME(x) x##_f32_portable
#define TYPED(x) x##_f32
#define ROWS PORTABLE_ROWS
#include "kernels.inc"

#define REAL double
#define BITS int64_t
#define LANES 2
#define IS_DOUBLE 1
#define SQRT __builtin_elementwise_sqrt
#define NAME(x) x##_f64_portable
#define TYPED(x) x##_f64
#define ROWS PORTABLE_ROWS
#include "kernels.inc"

const struct ck_table ck_table_portable = CK_TABLE(portable);
