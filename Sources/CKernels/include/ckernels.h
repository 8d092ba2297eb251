// Numerical kernels, each compiled for several levels of processor and chosen once, when the program
// starts: AVX-512, AVX2 with FMA, or portable. The environment variable FORECAST_VECTOR_LEVEL (avx512, avx2,
// portable) forces a lower level, so that every path can be tested on one machine.
//
// Every function serves float and double: `type` says which the pointers are to.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "decoder.h"
#include "sequences.h"
#include "xlstm.h"
#include "ssd.h"
#include "s4.h"
#include "delta.h"
#include "kalman.h"
#include "attention.h"
#include "convolution.h"

enum { CK_FLOAT = 0, CK_DOUBLE = 1 };

// Functions of one number; the order is that of `UnaryFunction`.
enum {
  CK_EXP, CK_EXPM1, CK_LOG, CK_LOG1P, CK_TANH, CK_SIGMOID, CK_SOFTPLUS, CK_LOGSIGMOID, CK_SILU, CK_GELU,
  CK_ERF, CK_SIN2PI, CK_COS2PI, CK_RELU, CK_SQUARE, CK_SQRT, CK_RECIPROCAL, CK_ABS, CK_NEGATE
};
// Functions of two numbers; the order is that of `BinaryFunction`.
enum { CK_ADD, CK_SUBTRACT, CK_MULTIPLY, CK_DIVIDE, CK_MAXIMUM, CK_MINIMUM };

/// Corrects OpenBLAS's choice of kernels where it does not know the processor, and makes it single-threaded:
/// threads are ours. Call before any use of BLAS; only the first call does anything.
void ck_blas_prepare(void);
/// The kernels that a processor should have in place of those named `core`; NULL where they are the best.
const char *ck_blas_better_core(const char *core, int has_avx512, int has_avx2);
/// The kernels that this processor should have in place of those in use; NULL where they are the best.
const char *ck_blas_missed_core(void);
/// Name of the kernels that OpenBLAS uses.
const char *ck_blas_core_name(void);
/// The level that the kernels run at: "avx512", "avx2" or "portable".
const char *ck_vector_level(void);
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
// Row r has the gains of r % groups.
void ck_normalise(int type, size_t rows, size_t width, size_t groups, int centred, double epsilon,
                  const void *x, const void *gain, void *y, void *statistics);
// dx and dgain may be NULL; dgain is added to.
void ck_normalise_gradient(int type, size_t rows, size_t width, size_t groups, int centred,
                           const void *x, const void *gain, const void *statistics, const void *dy, void *dx, int adds,
                           void *dgain);

// y (+)= x w for a few rows: x [rows][inner], w [inner][columns].
void ck_few_rows(int type, size_t rows, size_t inner, size_t columns, const void *x, const void *w, void *y,
                 int adds);

// c [height][width] += the sum over `steps` rows, that lie a_step and b_step apart, of a [height] times b [width];
// sums [width], if not NULL, += that of b. scratch as counted.
ptrdiff_t ck_sum_products_scratch(int type, ptrdiff_t steps, ptrdiff_t height, ptrdiff_t width);
void ck_sum_products(int type, ptrdiff_t steps, ptrdiff_t height, ptrdiff_t width, const void *a, ptrdiff_t a_step,
                     const void *b, ptrdiff_t b_step, void *c, void *sums, void *scratch);

// Reductions, in double.

// inout += scale * in, each product rounded to the nearest integer; they are below 2^51.
void ck_add_rounded(int type, size_t n, double scale, const void *in, int64_t *inout);
double ck_sum_of_squares(int type, size_t n, const void *in);

// Optimisers.

enum {
  CK_ADAM,      // Adam (Kingma & Ba 2015, algorithm 1); first and second moments
  CK_ADAM_MEAN, // the same moments, the step without the second; RAdam's first steps
  CK_MOMENTUM,  // gradient descent with momentum beta1; first holds the velocity
  CK_NESTEROV,  // the same with Nesterov's step
  CK_ADAGRAD    // Adagrad (Duchi et al. 2011); first holds the sum of squares
};

// The scalars of one step. The gradient that the rule sees is scale * gradient + decay * parameter; every
// parameter is multiplied by keep before its step.
struct ck_optimiser {
  int rule;
  double scale, decay, keep;
  double rate; // carries the correction of the first moment
  double beta1, beta2;
  double correction; // of the second moment
  double epsilon;
};

// One step in one pass. `second` is read by Adam's rules only.
void ck_optimise(int type, const struct ck_optimiser *optimiser, size_t n, void *parameters,
                 const void *gradient, void *first, void *second);
// Limits each number to [-limit, limit]; returns the sum of the squares of the results, NaN if any number
// was not finite.
double ck_clip(int type, size_t n, double limit, void *inout);
// inout = scale * inout + deviation * (standard normal numbers of the Philox4x32-10 stream (key, lane)).
void ck_noise(int type, size_t n, double scale, double deviation, uint64_t key, uint64_t lane,
              void *inout);

// Key stream of ChaCha20 (RFC 8439): `groups` of four blocks of 16 words, from block `counter` on; word w of block
// b of a group comes at 4 w + b. key: 8 words, nonce: 3. Groups are a multiple of 4.
void ck_chacha20(const uint32_t *key, const uint32_t *nonce, uint32_t counter, size_t groups, uint32_t *out);

// Recurrent cells over a batch of sequences: forward, backward and single steps.
//
// Every call runs on the calling thread. To use several threads, split the batch: each call takes the rows it
// is to work on, with its own tape and scratch memory, aligned to 64 bytes. Sizes and strides count elements.
//
// Parameters, in the caller's layout:
//   w      [inputs][gates * hidden]     gates of an LSTM: i f g o; of a GRU: r z n; Elman: one; of an
//                                       sLSTM: i f z o
//   r      [hidden][gates * hidden], or [heads][hidden / heads][gates * hidden / heads]
//   bias   [gates * hidden]
//   bias_n [hidden]                     inside the reset gate; GRU with CK_RESET_AFTER only
//
// Rows of states, of outputs and of gradients with respect to inputs are padded to whole vectors:
// ck_padded(hidden) elements. The padding of outputs is zero.

enum { CK_ELMAN = 0, CK_LSTM = 1, CK_GRU = 2, CK_SLSTM = 3 };
// Where the reset gate acts: after the product with r (PyTorch) or before it (Cho et al. 2014).
enum { CK_RESET_AFTER = 0, CK_RESET_BEFORE = 1 };
// The forget gate of an sLSTM.
enum { CK_FORGET_SIGMOID = 0, CK_FORGET_EXP = 1 };

struct ck_cell {
  int kind;
  int inputs;  // sLSTM: 0 if x has the input products themselves, [gates][ck_padded(hidden)], and no w
  int hidden;
  int heads;   // 1: dense
  int reverse; // walk from the last time step to the first
  int relu;    // Elman, LSTM, GRU: max(x, 0) in place of tanh
  int form;    // GRU, sLSTM
};

struct ck_weights {
  const void *w, *r, *bias, *bias_n;
};

struct ck_weight_gradients {
  void *w, *r, *bias, *bias_n;
};

struct ck_pass {
  ptrdiff_t steps, rows;
  // Inputs: x[t * x_time + b * x_row + i].
  const void *x;
  ptrdiff_t x_time, x_row;
  // Optional bytes mask[t * mask_time + b]. Where zero, the state passes unchanged.
  const unsigned char *mask;
  ptrdiff_t mask_time;
  // Optional initial state, zero if NULL; final state of the memory cells, optional. An sLSTM has three
  // of them, c n m, state_memory elements apart; where n is 0 the state is empty.
  const void *h0, *c0;
  void *cn;
  ptrdiff_t state_row, state_memory;
  // Outputs: h[t * h_time + b * h_row + unit].
  void *h;
  ptrdiff_t h_time, h_row;
  // ck_tape(steps, rows) elements; ck_tape(1, rows) suffice if keep is 0, after which no backward pass is
  // possible.
  void *tape;
  int keep;
};

struct ck_adjoint {
  // Gradient of the outputs, optional: dh[t * dh_time + b * dh_row + unit].
  const void *dh;
  ptrdiff_t dh_time, dh_row;
  // Gradient of the final state, optional, and of the initial state, optional results; m has none.
  const void *dhn, *dcn;
  void *dh0, *dc0;
  // Gradient of the inputs, an optional result: rows of ck_padded(inputs) elements, or as x with 0 inputs.
  void *dx;
  ptrdiff_t dx_time, dx_row;
  // The gradients of the parameters are added to these; none are computed if r is NULL.
  struct ck_weight_gradients gradients;
  // ck_adjoint_scratch(rows) elements.
  void *scratch;
};

ptrdiff_t ck_padded(int type, ptrdiff_t width);
ptrdiff_t ck_packed(int type, const struct ck_cell *cell);
ptrdiff_t ck_tape(int type, const struct ck_cell *cell, ptrdiff_t steps, ptrdiff_t rows);
ptrdiff_t ck_adjoint_scratch(int type, const struct ck_cell *cell, ptrdiff_t rows);
void ck_pack(int type, const struct ck_cell *cell, const struct ck_weights *weights, void *packed);
void ck_forward(int type, const struct ck_cell *cell, const void *packed, const struct ck_pass *pass);
// Overwrites the tape.
void ck_backward(int type, const struct ck_cell *cell, const void *packed, const struct ck_pass *pass,
                 const struct ck_adjoint *adjoint);
// Adds the gradients of the parameters that rows `first` to `first + rows` have, after ck_backward on all
// rows; leaves the tape as it is. The same matrix products as for all rows at once, a row at a time: over
// its steps, from a copy of its part of the tape. scratch: ck_unit_scratch(steps) elements.
void ck_unit_gradients(int type, const struct ck_cell *cell, const struct ck_pass *pass, ptrdiff_t first,
                       ptrdiff_t rows, const struct ck_weight_gradients *gradients, void *scratch);
ptrdiff_t ck_unit_scratch(int type, const struct ck_cell *cell, ptrdiff_t steps);
// For benchmarks: one register tile of matrix products on operands in the L1 cache, `repeats` times; returns
// the floating-point operations done. work: 16384 elements.
double ck_peak(int type, ptrdiff_t repeats, void *work);

#endif
