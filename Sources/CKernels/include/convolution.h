// Causal convolution over channels; the rules of ckernels.h apply.
#ifndef CKERNELS_CONVOLUTION_H
#define CKERNELS_CONVOLUTION_H

#include <stddef.h>

// y[t] = bias + the sum over k of x[t - k dilation] w[k], with what lies before the first step zero, at the last
// step and every `stride`-th before it. Time-major and dense:
//   x      [steps][batch][inputs]
//   w      [taps][inputs][outputs]; tap 0 is the newest
//   y      [ceil(steps / stride)][batch][outputs]
// dilation or stride is 1.
struct ck_convolution {
  ptrdiff_t steps, batch, inputs, outputs, taps, dilation, stride;
};

/// Elements of scratch memory of each function, aligned to 64 bytes.
ptrdiff_t ck_convolution_scratch(int type, const struct ck_convolution *s);
// bias may be NULL.
void ck_convolution_forward(int type, const struct ck_convolution *s, const void *x, const void *w,
                            const void *bias, void *y, void *scratch);
// dx is overwritten or, if `adds`, added to.
void ck_convolution_inputs(int type, const struct ck_convolution *s, const void *w, const void *dy, void *dx,
                           int adds, void *scratch);
// dw is added to.
void ck_convolution_weights(int type, const struct ck_convolution *s, const void *x, const void *dy, void *dw,
                            void *scratch);

#endif
