// Numerical kernels, each compiled for several levels of processor and chosen once, when the program
// starts: AVX-512, AVX2 with FMA, or portable. The environment variable FORECAST_VECTOR_LEVEL (avx512, avx2,
// portable) forces a lower level, so that every path can be tested on one machine.
//
// Every function serves float and double: `type` says which the pointers are to.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { CK_FLOAT = 0, CK_DOUBLE = 1 };

// Functions of one number; the order is that of `UnaryFunction`.
enum {
  CK_EXP, CK_EXPM1, CK_LOG, CK_LOG1P, CK_TANH, CK_SIGMOID, CK_SOFTPLUS, CK_LOGSIGMOID, CK_SILU, CK_GELU,
  CK_ERF, CK_SIN2PI, CK_COS2PI, CK_RELU, CK_SQUARE, CK_SQRT, CK_RECIPROCAL, CK_ABS, CK_NEGATE
};
// Functions of two numbers; the order is that of `BinaryFunction`.
enum { CK_ADD, CK_SUBTRACT, CK_MULTIPLY, CK_DIVIDE, CK_MAXIMUM, CK_MINIMUM };

/// Corrects OpenBLAS's choice of kernels where it does not know the processor and falls back to SSE3,
/// and makes it single-threaded: threads are ours. Call once, before any other use of BLAS.
void ck_blas_prepare(void);
/// Name of the kernels that OpenBLAS uses.
const char *ck_blas_core_name(void);
/// The level that the kernels run at: "avx512", "avx2" or "portable".
const char *ck_vector_level(void);
/// Runs the kernels at a named level from now on; 0 where the processor has none of that name. For tests;
/// not while other threads compute.
int ck_set_vector_level(const char *level);
/// Denormal numbers become zero on this thread: they cost 40 % of a recurrent training step. Returns the
/// mode that was set before, for `ck_restore_mode`.
unsigned ck_flush_to_zero(void);
void ck_restore_mode(unsigned mode);

// Elementwise. `in` and `out` may be the same. `adds`: what is there is added to, else overwritten.

void ck_unary(int type, int function, size_t n, const void *in, void *out);
// dx (+)= dy f'(x); y is f(x). Functions read either x or y, and the other may be any readable array.
void ck_unary_gradient(int type, int function, size_t n, const void *x, const void *y, const void *dy,
                       void *dx, int adds);
// One row of a broadcast: a and b advance by 1 or stand still (0).
void ck_binary(int type, int function, size_t n, const void *a, size_t a_step, const void *b,
               size_t b_step, void *out);
// The gradient of a (side 0) or b (side 1), added; an operand that stood still gets the sum.
void ck_binary_gradient(int type, int function, int side, size_t n, const void *a, size_t a_step,
                        const void *b, size_t b_step, const void *dy, void *to);
// out (+)= scale in
void ck_scale(int type, size_t n, double scale, const void *in, void *out, int adds);
void ck_fill(int type, size_t n, double value, void *out, int adds);
void ck_shift(int type, size_t n, double shift, void *inout);
void ck_add(int type, size_t n, const void *in, void *inout);
// out = sigmoid(a) tanh(b), with one division for both.
void ck_sigmoid_tanh(int type, size_t n, const void *a, const void *b, void *out);

// Rows and columns.

// Copies one row to each of `rows` rows.
void ck_broadcast(int type, size_t rows, size_t width, const void *row, void *out);
// Adds the sum of each column (each row, times scale) to out.
void ck_column_sums(int type, size_t rows, size_t width, const void *in, void *out);
void ck_row_sums(int type, size_t rows, size_t width, double scale, const void *in, void *out);
// y += x * w, row by row; w += the sum over rows of x * y.
void ck_multiply_add(int type, size_t rows, size_t width, const void *x, const void *w, void *y);
void ck_multiply_sum(int type, size_t rows, size_t width, const void *x, const void *y, void *w);
void ck_logsumexp(int type, size_t rows, size_t width, const void *in, void *out);
void ck_softmax(int type, size_t rows, size_t width, const void *in, void *out);
// (x - mean) / sqrt(variance + epsilon) * gain; `statistics` keeps mean and inverse deviation of each row.
void ck_normalise(int type, size_t rows, size_t width, int centred, double epsilon, const void *x,
                  const void *gain, void *y, void *statistics);
// dx and dgain may be NULL; dgain is added to.
void ck_normalise_gradient(int type, size_t rows, size_t width, int centred, const void *x,
                           const void *gain, const void *statistics, const void *dy, void *dx, int adds,
                           void *dgain);

// Reductions, in double.

double ck_sum(int type, size_t n, const void *in);
double ck_sum_of_squares(int type, size_t n, const void *in);
// NaN if any is NaN; -infinity for n = 0.
double ck_max(int type, size_t n, const void *in);

// Optimisers.

// One step of Adam (Kingma & Ba 2015, algorithm 1); `rate` carries the bias corrections.
void ck_adam(int type, size_t n, void *parameters, const void *gradient, void *first, void *second,
             double scale, double beta1, double beta2, double rate, double second_correction,
             double epsilon);

#define CK_DECLARE(T, S)                                                                            \
  /* One step of an LSTM over `rows` rows of 4 * width gate pre-activations in the order i f g o,   \
     which become the activated gates. cPrevious may be NULL: a zero state. */                      \
  void ck_lstm_forward_##S(size_t rows, size_t width, T *gates, const T *cPrevious, T *c,           \
                           T *tanhC, T *h);                                                         \
  /* Its adjoint: turns activated gates into gradients of the pre-activations, in place. dh is the  \
     gradient of h; dc holds that of c and becomes that of cPrevious. */                            \
  void ck_lstm_backward_##S(size_t rows, size_t width, T *gates, const T *cPrevious,                \
                            const T *tanhC, const T *dh, T *dc);

CK_DECLARE(float, f32)
CK_DECLARE(double, f64)

#endif
