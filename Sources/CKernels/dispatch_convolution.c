// Forwards the functions of convolution.h to the table of the level; see dispatch.c.
#include "dispatch.h"

ptrdiff_t ck_convolution_scratch(int type, const struct ck_convolution *s) {
  return COUNT(convolution_scratch, s);
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
