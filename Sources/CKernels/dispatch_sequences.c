// Forwards the functions of sequences.h to the table of the level; see dispatch.c.
#include "dispatch.h"

void ck_fourier_prepare(int type, ptrdiff_t size, void *table) { CALL(fourier_prepare, size, table); }

ptrdiff_t ck_fourier_table(ptrdiff_t size) {
  ptrdiff_t count = 2 * size, m = size;
  if (m % 3 == 0) {
    m /= 3;
    count += 4 * m;
  }
  for (; m >= 16; m /= 4) { count += 6 * (m / 4); }
  return count;
}


ptrdiff_t ck_long_scratch(int type, const struct ck_long_convolution *shape) {
  return COUNT(long_scratch, shape);
}

void ck_long_forward(int type, const struct ck_long_convolution *shape, const void *table, const void *x,
                     const void *kernel, void *y, void *scratch) {
  CALL(long_forward, shape, table, x, kernel, y, scratch);
}

void ck_long_backward(int type, const struct ck_long_convolution *shape, const void *table, const void *x,
                      const void *kernel, const void *dy, void *dx, int adds, void *dkernel,
                      void *scratch) {
  CALL(long_backward, shape, table, x, kernel, dy, dx, adds, dkernel, scratch);
}

ptrdiff_t ck_s4d_tape(int type, const struct ck_s4d *s) { return COUNT(s4d_tape, s); }

ptrdiff_t ck_s4d_scratch(int type, const struct ck_s4d *s) { return COUNT(s4d_scratch, s); }

void ck_s4d_kernel(int type, const struct ck_s4d *s, const void *log_dt, const void *log_re, const void *im,
                   const void *c, const void *skip, void *kernel, void *tape) {
  CALL(s4d_kernel, s, log_dt, log_re, im, c, skip, kernel, tape);
}

void ck_s4d_kernel_gradient(int type, const struct ck_s4d *s, const void *tape, const void *dkernel,
                            void *d_log_dt, void *d_log_re, void *d_im, void *d_c, void *d_skip,
                            void *scratch) {
  CALL(s4d_kernel_gradient, s, tape, dkernel, d_log_dt, d_log_re, d_im, d_c, d_skip, scratch);
}

void ck_s4d_pack(int type, const struct ck_s4d *s, const void *log_dt, const void *log_re, const void *im,
                 const void *c, void *constants) {
  CALL(s4d_pack, s, log_dt, log_re, im, c, constants);
}

void ck_s4d_step(int type, const struct ck_s4d *s, const void *constants, const void *skip, ptrdiff_t batch,
                 const void *x, const void *state, void *next, void *y) {
  CALL(s4d_step, s, constants, skip, batch, x, state, next, y);
}

void ck_s4d_rates(int type, const struct ck_s4d *s, const void *log_dt, const void *log_re, const void *im,
                  const void *c, void *rates) {
  CALL(s4d_rates, s, log_dt, log_re, im, c, rates);
}

void ck_s4d_gap_step(int type, const struct ck_s4d *s, const void *rates, const void *skip, ptrdiff_t batch,
                     const void *gaps, const void *x, const void *state, void *next, void *y) {
  CALL(s4d_gap_step, s, rates, skip, batch, gaps, x, state, next, y);
}

ptrdiff_t ck_selective_vectors(int type, const struct ck_selective *s) {
  return COUNT(selective_panels, s) * s->states * ck_padded(type, 1);
}

ptrdiff_t ck_selective_tape(int type, const struct ck_selective *s) { return COUNT(selective_tape, s); }

ptrdiff_t ck_selective_scratch(int type, const struct ck_selective *s) { return COUNT(selective_scratch, s); }

void ck_selective_decays(int type, const struct ck_selective *s, const void *a, void *decays) {
  CALL(selective_decays, s, a, decays);
}

ptrdiff_t ck_s4d_gaps_tape(int type, const struct ck_s4d *s, ptrdiff_t batch) {
  return COUNT(s4d_gaps_tape, s, batch);
}

ptrdiff_t ck_s4d_gaps_scratch(int type, const struct ck_s4d *s) {
  return COUNT(s4d_gaps_scratch, s);
}

void ck_s4d_gaps_forward(int type, const struct ck_s4d *s, ptrdiff_t batch, const void *rates, const void *skip,
                         const void *gaps, const void *x, void *y, void *tape) {
  CALL(s4d_gaps_forward, s, batch, rates, skip, gaps, x, y, tape);
}

void ck_s4d_gaps_backward(int type, const struct ck_s4d *s, ptrdiff_t batch, const void *rates, const void *skip,
                          const void *gaps, const void *x, const void *tape, const void *dy, void *dx, int adds,
                          void *d_log_dt, void *d_log_re, void *d_im, void *d_c, void *d_skip, void *scratch) {
  CALL(s4d_gaps_backward, s, batch, rates, skip, gaps, x, tape, dy, dx, adds, d_log_dt, d_log_re, d_im, d_c, d_skip,
       scratch);
}

void ck_selective_forward(int type, const struct ck_selective *s, const void *x, const void *delta,
                          const void *gaps, const void *bc, const void *skip, const void *decays, void *state,
                          void *y, void *tape) {
  CALL(selective_forward, s, x, delta, gaps, bc, skip, decays, state, y, tape);
}

void ck_selective_backward(int type, const struct ck_selective *s, const void *x, const void *delta,
                           const void *gaps, const void *bc, const void *skip, const void *tape, const void *dy,
                           void *dstate, void *dx, void *ddelta, void *dbc, int adds, void *da, void *dskip, int each,
                           void *scratch) {
  CALL(selective_backward, s, x, delta, gaps, bc, skip, tape, dy, dstate, dx, ddelta, dbc, adds, da, dskip, each,
       scratch);
}

void ck_selective_state(int type, const struct ck_selective *s, int unpack, void *vectors, void *plain) {
  CALL(selective_state, s, unpack, vectors, plain);
}

void ck_short_forward(int type, ptrdiff_t steps, ptrdiff_t batch, ptrdiff_t width, ptrdiff_t taps,
                      const void *x, const void *w, const void *bias, void *y) {
  CALL(short_forward, steps, batch, width, taps, x, w, bias, y);
}

void ck_short_last(int type, ptrdiff_t batch, ptrdiff_t width, ptrdiff_t taps, const void *x, const void *w,
                   const void *bias, void *y) {
  CALL(short_last, batch, width, taps, x, w, bias, y);
}

void ck_short_backward(int type, ptrdiff_t steps, ptrdiff_t batch, ptrdiff_t width, ptrdiff_t taps,
                       const void *x, const void *w, const void *bias, const void *dy, void *dx, int adds,
                       void *dw, void *dbias, int each, void *scratch) {
  CALL(short_backward, steps, batch, width, taps, x, w, bias, dy, dx, adds, dw, dbias, each, scratch);
}

void ck_gate_product(int type, int silu, size_t n, const void *a, const void *b, void *out) {
  CALL(gate_product, silu, n, a, b, out);
}

void ck_gate_product_gradient(int type, int silu, size_t n, const void *a, const void *b, const void *dy,
                              void *da, void *db, int adds) {
  CALL(gate_product_gradient, silu, n, a, b, dy, da, db, adds);
}

void ck_modes_pack(int type, const struct ck_modes *s, const void *log_dt, const void *log_re, const void *im,
                   void *constants) {
  CALL(modes_pack, s, log_dt, log_re, im, constants);
}

ptrdiff_t ck_modes_scratch(int type, const struct ck_modes *s) { return COUNT(modes_scratch, s); }

void ck_modes_forward(int type, const struct ck_modes *s, const void *constants, const void *gaps,
                      const void *u, const void *initial, void *y) {
  CALL(modes_forward, s, constants, gaps, u, initial, y);
}

void ck_modes_backward(int type, const struct ck_modes *s, const void *constants, const void *gaps,
                       const void *u, const void *initial, const void *y, const void *dy, void *du, int adds,
                       void *d_log_dt, void *d_log_re, void *d_im, void *dinitial, void *scratch) {
  CALL(modes_backward, s, constants, gaps, u, initial, y, dy, du, adds, d_log_dt, d_log_re, d_im, dinitial,
       scratch);
}

void ck_fourier_order(ptrdiff_t size, int32_t *order) {
  for (ptrdiff_t k = 0; k < size; k++) {
    ptrdiff_t m = size, rest = k, place = 0;
    if (m % 3 == 0) {
      m /= 3;
      place = rest % 3 * m;
      rest /= 3;
    }
    for (; m >= 16; rest /= 4) {
      m /= 4;
      place += rest % 4 * m;
    }
    // A block of 8 leaves its even frequencies before the odd ones.
    order[k] = (int32_t)(place + (m == 8 ? rest % 2 * 4 + rest / 2 : rest));
  }
}

ptrdiff_t ck_real_scratch(int type, ptrdiff_t n) { return COUNT(real_scratch, n); }

void ck_real_forward(int type, ptrdiff_t n, const void *table, const int32_t *order, ptrdiff_t columns,
                     const void *x, double scale, double inner, void *re, void *im, int adds, void *scratch) {
  CALL(real_forward, n, table, order, columns, x, scale, inner, re, im, adds, scratch);
}

void ck_real_inverse(int type, ptrdiff_t n, const void *table, const int32_t *order, ptrdiff_t columns,
                     const void *re, const void *im, double scale, double inner, void *x, int adds,
                     void *scratch) {
  CALL(real_inverse, n, table, order, columns, re, im, scale, inner, x, adds, scratch);
}
