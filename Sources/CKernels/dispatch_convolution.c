// Forwards the functions of convolution.h to the table of the level; see dispatch.c.
#include "table.h"

#define CALL(KERNEL, ...) \
  do { \
    const struct ck_table *chosen = ck_chosen_table(); \
    if (type == CK_DOUBLE) { chosen->f64.KERNEL(__VA_ARGS__); } else { chosen->f32.KERNEL(__VA_ARGS__); } \
  } while (0)

ptrdiff_t ck_convolution_scratch(int type, const struct ck_convolution *s) {
  const struct ck_table *chosen = ck_chosen_table();
  return type == CK_DOUBLE ? chosen->f64.convolution_scratch(s) : chosen->f32.convolution_scratch(s);
}

void ck_convolution_forward(int type, const struct ck_convolution *s, const void *x, const void *w,
                            const void *bias, void *y, void *scratch) {
  CALL(convolution_forward, s, x, w, bias, y, scratch);
}

void ck_convolution_inputs(int type, const struct ck_convolution *s, const void *w, const void *dy, void *dx,
                           int adds, void *scratch) {
  CALL(convolution_inputs, s, w, dy, dx, adds, scratch);
}

void ck_convolution_weights(int type, const struct ck_convolution *s, const void *x, const void *dy, void *dw,
                            void *scratch) {
  CALL(convolution_weights, s, x, dy, dw, scratch);
}
