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

ptrdiff_t ck_long_scratch(int type, const struct ck_long_convolution *shape) {
  const struct ck_table *table = ck_chosen_table();
  return type == CK_DOUBLE ? table->f64.long_scratch(shape) : table->f32.long_scratch(shape);
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
