// Softmax attention and its running form; the rules of ckernels.h apply.
#ifndef CKERNELS_ATTENTION_H
#define CKERNELS_ATTENTION_H

#include <stddef.h>

// Attention of a sequence to itself (Vaswani et al. 2017, equation 1), by tiles with a running softmax (Dao et
// al. 2022): no square of scores is ever in memory, and the memory of both passes is linear in `steps`.
// Time-major and dense:
//   qkv    [steps][batch][3][heads][width]
//   y      [steps - first][batch][heads][width]
struct ck_attention {
  ptrdiff_t steps, batch, heads, width;
  // The first step whose result is wanted.
  ptrdiff_t first;
  // Causal: step i reads the steps from i - window + 1 to i. Else it reads all, and window does not matter.
  ptrdiff_t causal, window;
  // Factor on the scores.
  double scale;
};

/// Elements that forward leaves for backward.
ptrdiff_t ck_attention_tape(int type, const struct ck_attention *s);
/// Elements of scratch memory of both passes, aligned to 64 bytes.
ptrdiff_t ck_attention_scratch(int type, const struct ck_attention *s);
// rotation: NULL, or [steps][2][width / 2], cosines and sines by which the halves of queries and keys are turned.
void ck_attention_forward(int type, const struct ck_attention *s, const void *qkv, const void *rotation, void *y,
                          void *tape, void *scratch);
// dqkv is overwritten or, if `adds`, added to.
void ck_attention_backward(int type, const struct ck_attention *s, const void *qkv, const void *rotation,
                           const void *y, const void *dy, const void *tape, void *dqkv, int adds, void *scratch);
/// Elements of the cache of ck_attention_step, and of its scratch memory, aligned to 64 bytes.
ptrdiff_t ck_attention_cache(int type, const struct ck_attention *s);
ptrdiff_t ck_attention_step_scratch(int type, const struct ck_attention *s);
// Step number `step` from 0 on: `window` keys and values are kept. `steps` and `causal` do not matter; rotation
// is that of this step.
void ck_attention_step(int type, const struct ck_attention *s, ptrdiff_t step, const void *qkv,
                       const void *rotation, void *y, void *cache, void *scratch);

// Means of the values so far, weighted by exp(score) (Feng et al. 2024, section 3): causal attention of a query
// that is the same at every step, as a recurrence in constant memory.
//   scores [steps][batch heads], values and means [steps][batch heads][width]
//   most, sum [steps][batch heads]: the largest score so far, and the sum of exp(score - most)
struct ck_softmax_scan {
  ptrdiff_t steps, rows, width; // rows: batch heads
};

/// Elements of scratch memory.
ptrdiff_t ck_softmax_scan_scratch(int type, const struct ck_softmax_scan *s);
// initial: most, sum and means before the first step, or three times NULL.
void ck_softmax_scan_forward(int type, const struct ck_softmax_scan *s, const void *scores, const void *values,
                             const void *const *initial, void *means, void *most, void *sum, void *scratch);
// From an empty start. dscores and dvalues may be NULL, and are overwritten or, where adds is not 0, added to.
void ck_softmax_scan_backward(int type, const struct ck_softmax_scan *s, const void *scores, const void *values,
                              const void *means, const void *most, const void *sum, const void *dmeans,
                              void *dscores, int adds_scores, void *dvalues, int adds_values, void *scratch);

#endif
