// Kernels of long convolutions and of linear state-space layers; the rules of ckernels.h apply.
//
// Sequences are time-major, [steps][batch][width]. Vector lanes run over the width, so independent channels
// are computed side by side and nothing is shuffled. Calls work on the calling thread and allocate nothing.
#ifndef CKERNELS_SEQUENCES_H
#define CKERNELS_SEQUENCES_H

#include <stddef.h>
#include <stdint.h>

// Causal convolution of every channel with a kernel of its own:
// y[t] = sum over k of kernel[k] x[t - k].
struct ck_long_convolution {
  ptrdiff_t steps, batch, width;
  // Rows of the kernel, [taps][width]; at most `steps` of them matter.
  ptrdiff_t taps;
  // Length of the transform, at least `steps`: 2^k >= 16 or 3 * 2^k >= 12; 0 for the sum itself.
  ptrdiff_t size;
};

/// Elements of the table of a transform of this length.
ptrdiff_t ck_fourier_table(ptrdiff_t size);
/// Fills the table; needed once for each length.
void ck_fourier_prepare(int type, ptrdiff_t size, void *table);
/// order[k]: where a transform of this length leaves the frequency k.
void ck_fourier_order(ptrdiff_t size, int32_t *order);

// The transform of real sequences of n = 2 `size` steps, x [n][columns], as re and im [n / 2 + 1][columns], with the
// table and the order of that size (at least 4, or 12). All but the first and the last row are multiplied by
// `inner`, and the result by `scale`.
ptrdiff_t ck_real_scratch(int type, ptrdiff_t n);
// re or im may be NULL; they are added to where bit 0, 1 of `adds` is set.
void ck_real_forward(int type, ptrdiff_t n, const void *table, const int32_t *order, ptrdiff_t columns,
                     const void *x, double scale, double inner, void *re, void *im, int adds, void *scratch);
void ck_real_inverse(int type, ptrdiff_t n, const void *table, const int32_t *order, ptrdiff_t columns,
                     const void *re, const void *im, double scale, double inner, void *x, int adds, void *scratch);

/// Elements of scratch memory, aligned to 64 bytes.
ptrdiff_t ck_long_scratch(int type, const struct ck_long_convolution *shape);
void ck_long_forward(int type, const struct ck_long_convolution *shape, const void *table, const void *x,
                     const void *kernel, void *y, void *scratch);
// Gradients; dx and dkernel may be NULL. dx is added to if `adds`, dkernel always.
void ck_long_backward(int type, const struct ck_long_convolution *shape, const void *table, const void *x,
                      const void *kernel, const void *dy, void *dx, int adds, void *dkernel, void *scratch);

// Diagonal state spaces of one input and output for each channel (S4D); state_space.inc has the equations.
// Parameters: log_dt [width], log_re and im [width][modes] with A = -exp(log_re) + i im, c [width][modes][2].
struct ck_s4d {
  ptrdiff_t steps, width, modes;
  // The bilinear rule in place of the zero-order hold.
  int bilinear;
};

/// Elements of the tape of ck_s4d_kernel and of the scratch memory of its gradient; both aligned to 64 bytes.
ptrdiff_t ck_s4d_tape(int type, const struct ck_s4d *s);
ptrdiff_t ck_s4d_scratch(int type, const struct ck_s4d *s);
// The kernel of the convolution, [steps][width]; skip [width], if not NULL, is added to its first row.
void ck_s4d_kernel(int type, const struct ck_s4d *s, const void *log_dt, const void *log_re, const void *im,
                   const void *c, const void *skip, void *kernel, void *tape);
// Gradients of the parameters, added; d_skip may be NULL.
void ck_s4d_kernel_gradient(int type, const struct ck_s4d *s, const void *tape, const void *dkernel, void *d_log_dt,
                            void *d_log_re, void *d_im, void *d_c, void *d_skip, void *scratch);
// Single steps. constants: [modes][6][padded width], state: [batch][modes][2][padded width], where the width is
// padded as by ck_padded. `state` and `next` may be the same.
void ck_s4d_pack(int type, const struct ck_s4d *s, const void *log_dt, const void *log_re, const void *im,
                 const void *c, void *constants);
void ck_s4d_step(int type, const struct ck_s4d *s, const void *constants, const void *skip, ptrdiff_t batch,
                 const void *x, const void *state, void *next, void *y);
// Steps over a gap of each row's own, gaps [batch], in units of its dt. rates: [1 + 4 modes][padded width].
void ck_s4d_rates(int type, const struct ck_s4d *s, const void *log_dt, const void *log_re, const void *im,
                  const void *c, void *rates);
void ck_s4d_gap_step(int type, const struct ck_s4d *s, const void *rates, const void *skip, ptrdiff_t batch,
                     const void *gaps, const void *x, const void *state, void *next, void *y);
// Whole sequences after gaps [steps][batch], in O(steps): x, y [steps][batch][width]. rates is the beginning of the
// tape.
ptrdiff_t ck_s4d_gaps_tape(int type, const struct ck_s4d *s, ptrdiff_t batch);
ptrdiff_t ck_s4d_gaps_scratch(int type, const struct ck_s4d *s);
void ck_s4d_gaps_forward(int type, const struct ck_s4d *s, ptrdiff_t batch, const void *rates, const void *skip,
                         const void *gaps, const void *x, void *y, void *tape);
// dx may be NULL; it is added to if `adds`. Gradients of the parameters are added; d_skip may be NULL.
void ck_s4d_gaps_backward(int type, const struct ck_s4d *s, ptrdiff_t batch, const void *rates, const void *skip,
                          const void *gaps, const void *x, const void *tape, const void *dy, void *dx, int adds,
                          void *d_log_dt, void *d_log_re, void *d_im, void *d_c, void *d_skip, void *scratch);

// Selective state spaces (Mamba); selective.inc has the equations. x, delta, y: [steps][batch][width]; bc:
// [steps][batch][2][states], B before C; a: [width][states] with A = -exp(a); skip: [width].
struct ck_selective {
  ptrdiff_t steps, batch, width, states;
};

/// Elements of A and of a batch of states as vectors: ck_selective_vectors and batch times that.
ptrdiff_t ck_selective_vectors(int type, const struct ck_selective *s);
ptrdiff_t ck_selective_tape(int type, const struct ck_selective *s);
ptrdiff_t ck_selective_scratch(int type, const struct ck_selective *s);
/// A as vectors, the beginning of the tape.
void ck_selective_decays(int type, const struct ck_selective *s, const void *a, void *decays);
// gaps [steps][batch]: factors of the steps dt, or NULL for 1.
// `state`: the initial one, as vectors, replaced by the last. tape: with `decays` at its beginning, or NULL.
void ck_selective_forward(int type, const struct ck_selective *s, const void *x, const void *delta,
                          const void *gaps, const void *bc, const void *skip, const void *decays, void *state,
                          void *y, void *tape);
// dy may be NULL; dx, ddelta and dbc may be NULL too and are added to where bit 0, 1, 2 of `adds` is set. da and dskip are always
// added to, or NULL; they are sums over all rows, or if `each` is set those of every row, [batch][width][states] and
// [batch][width]. dstate: the gradient of the last state, as vectors, replaced by that of the initial one.
void ck_selective_backward(int type, const struct ck_selective *s, const void *x, const void *delta,
                           const void *gaps, const void *bc, const void *skip, const void *tape, const void *dy,
                           void *dstate, void *dx, void *ddelta, void *dbc, int adds, void *da, void *dskip, int each,
                           void *scratch);
/// States as vectors to (unpack) or from [batch][width][states].
void ck_selective_state(int type, const struct ck_selective *s, int unpack, void *vectors, void *plain);

// A short causal convolution with a function: y = silu(bias + sum over k of w[k] x[t - k]), w [taps][width].
void ck_short_forward(int type, ptrdiff_t steps, ptrdiff_t batch, ptrdiff_t width, ptrdiff_t taps,
                      const void *x, const void *w, const void *bias, void *y);
// Only the last of `taps` steps x [taps][batch][width]: y [batch][width].
void ck_short_last(int type, ptrdiff_t batch, ptrdiff_t width, ptrdiff_t taps, const void *x, const void *w,
                   const void *bias, void *y);
// dx may be NULL; dw and dbias are added to, if `each` is set those of every row, [batch][taps][width] and
// [batch][width]. scratch: [taps][batch][width].
void ck_short_backward(int type, ptrdiff_t steps, ptrdiff_t batch, ptrdiff_t width, ptrdiff_t taps,
                       const void *x, const void *w, const void *bias, const void *dy, void *dx, int adds,
                       void *dw, void *dbias, int each, void *scratch);

// out = a f(b), with f a sigmoid or, if `silu`, x sigmoid(x). Gradients may be NULL; bits 0 and 1 of `adds` are
// for da and db.
void ck_gate_product(int type, int silu, size_t n, const void *a, const void *b, void *out);
void ck_gate_product_gradient(int type, int silu, size_t n, const void *a, const void *b, const void *dy,
                              void *da, void *db, int adds);

// One diagonal state space for all channels (S5); state_space.inc has the equations. u, y: [steps][batch][2][modes],
// real before imaginary parts; log_dt, log_re, im: [modes]; gaps: [steps][batch] in units of dt, or NULL for 1.
struct ck_modes {
  ptrdiff_t steps, batch, modes;
  int bilinear;
};

/// constants: 7 times ck_padded(modes) elements.
void ck_modes_pack(int type, const struct ck_modes *s, const void *log_dt, const void *log_re, const void *im,
                   void *constants);
/// Elements of the scratch memory of backward.
ptrdiff_t ck_modes_scratch(int type, const struct ck_modes *s);
// initial: [batch][2][modes], or NULL for zero.
void ck_modes_forward(int type, const struct ck_modes *s, const void *constants, const void *gaps,
                      const void *u, const void *initial, void *y);
// du may be NULL; it is added to if `adds`. Gradients of the parameters are added. dinitial is written, or NULL.
void ck_modes_backward(int type, const struct ck_modes *s, const void *constants, const void *gaps,
                       const void *u, const void *initial, const void *y, const void *dy, void *du, int adds,
                       void *d_log_dt, void *d_log_re, void *d_im, void *dinitial, void *scratch);

#endif
