// Kernels with run-time CPU dispatch: every function is compiled for several levels of x86-64 and picked
// once, at load time, by the dynamic linker. Other processors take the portable version.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

/// Corrects OpenBLAS's choice of kernels where it does not know the processor and falls back to SSE3,
/// and makes it single-threaded: threads are ours. Call once, before any other use of BLAS.
void ck_blas_prepare(void);
/// Name of the kernels that OpenBLAS uses.
const char *ck_blas_core_name(void);
/// The level that the dispatched kernels run at: "x86-64-v4", "x86-64-v3" or "portable".
const char *ck_vector_level(void);
/// Denormal numbers become zero on this thread: they cost 40 % of a recurrent training step. Returns the
/// mode that was set before, for `ck_restore_mode`.
unsigned ck_flush_to_zero(void);
void ck_restore_mode(unsigned mode);

#define CK_DECLARE(T, S)                                                                            \
  /* One step of an LSTM over `rows` rows of 4 * width gate pre-activations in the order i f g o,   \
     which become the activated gates. cPrevious may be NULL: a zero state. */                      \
  void ck_lstm_forward_##S(size_t rows, size_t width, T *gates, const T *cPrevious, T *c,           \
                           T *tanhC, T *h);                                                         \
  /* Its adjoint: turns activated gates into gradients of the pre-activations, in place. dh is the  \
     gradient of h; dc holds that of c and becomes that of cPrevious. */                            \
  void ck_lstm_backward_##S(size_t rows, size_t width, T *gates, const T *cPrevious,                \
                            const T *tanhC, const T *dh, T *dc);                                    \
  /* Copies one row to each of `rows` rows of `width`. */                                           \
  void ck_broadcast_##S(size_t rows, size_t width, const T *row, T *out);                           \
  /* out[j] += sum over rows of in[i, j]. */                                                        \
  void ck_column_sums_##S(size_t rows, size_t width, const T *in, T *out);                          \
  void ck_add_##S(size_t n, const T *in, T *inout);                                                 \
  double ck_sum_of_squares_##S(size_t n, const T *in);                                              \
  /* One step of Adam (Kingma & Ba 2015, algorithm 1); `rate` carries the bias corrections. */      \
  void ck_adam_##S(size_t n, T *parameters, const T *gradient, T *first, T *second, T scale,        \
                   T beta1, T beta2, T rate, T secondCorrection, T epsilon);                        \
  void ck_tanh_##S(size_t n, const T *in, T *out);                                                  \
  void ck_sigmoid_##S(size_t n, const T *in, T *out);                                               \
  void ck_exp_##S(size_t n, const T *in, T *out);

CK_DECLARE(float, f32)
CK_DECLARE(double, f64)

#endif
