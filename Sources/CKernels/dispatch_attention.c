// Forwards the functions of attention.h to the table of the level; see dispatch.c.
#include "dispatch.h"

ptrdiff_t ck_attention_tape(int type, const struct ck_attention *s) { return COUNT(attention_tape, s); }

ptrdiff_t ck_attention_scratch(int type, const struct ck_attention *s) { return COUNT(attention_scratch, s); }

void ck_attention_forward(int type, const struct ck_attention *s, const void *qkv, const void *rotation, void *y,
                          void *tape, void *scratch) {
  CALL(attention_forward, s, qkv, rotation, y, tape, scratch);
}

void ck_attention_backward(int type, const struct ck_attention *s, const void *qkv, const void *rotation,
                           const void *y, const void *dy, const void *tape, void *dqkv, int adds, void *scratch) {
  CALL(attention_backward, s, qkv, rotation, y, dy, tape, dqkv, adds, scratch);
}

ptrdiff_t ck_attention_cache(int type, const struct ck_attention *s) { return COUNT(attention_cache, s); }

ptrdiff_t ck_attention_step_scratch(int type, const struct ck_attention *s) {
  return COUNT(attention_step_scratch, s);
}

void ck_attention_step(int type, const struct ck_attention *s, ptrdiff_t step, const void *qkv,
                       const void *rotation, void *y, void *cache, void *scratch) {
  CALL(attention_step, s, step, qkv, rotation, y, cache, scratch);
}

ptrdiff_t ck_softmax_scan_scratch(int type, const struct ck_softmax_scan *s) {
  return COUNT(softmax_scan_scratch, s);
}

void ck_softmax_scan_forward(int type, const struct ck_softmax_scan *s, const void *scores, const void *values,
                             const void *const *initial, void *means, void *most, void *sum, void *scratch) {
  CALL(softmax_scan_forward, s, scores, values, initial, means, most, sum, scratch);
}

void ck_softmax_scan_backward(int type, const struct ck_softmax_scan *s, const void *scores, const void *values,
                              const void *means, const void *most, const void *sum, const void *dmeans,
                              void *dscores, int adds_scores, void *dvalues, int adds_values, void *scratch) {
  CALL(softmax_scan_backward, s, scores, values, means, most, sum, dmeans, dscores, adds_scores, dvalues,
       adds_values, scratch);
}
