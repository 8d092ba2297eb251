// Forwards the functions of sequences.h to the table of the level; see dispatch.c.
#include "table.h"

#define CALL(KERNEL, ...) \
  do { \
    const struct ck_table *chosen = ck_chosen_table(); \
    if (type == CK_DOUBLE) { chosen->f64.KERNEL(__VA_ARGS__); } else { chosen->f32.KERNEL(__VA_ARGS__); } \
  } while (0)

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

#define COUNT(KERNEL, ...) \
  (type == CK_DOUBLE ? ck_chosen_table()->f64.KERNEL(__VA_ARGS__) : ck_chosen_table()->f32.KERNEL(__VA_ARGS__))

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

void ck_s4d_kernel_gradient(int type, const struct ck_s4d *s, const void *log_dt, const void *log_re,
                            const void *im, const void *c, const void *tape, const void *dkernel,
                            void *d_log_dt, void *d_log_re, void *d_im, void *d_c, void *d_skip,
                            void *scratch) {
  CALL(s4d_kernel_gradient, s, log_dt, log_re, im, c, tape, dkernel, d_log_dt, d_log_re, d_im, d_c, d_skip,
       scratch);
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
