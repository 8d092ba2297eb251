// Forwards the functions of delta.h to the table of the level; see dispatch.c.
#include "dispatch.h"

ptrdiff_t ck_delta_tape(int type, const struct ck_delta *s) { return COUNT(delta_tape, s); }

ptrdiff_t ck_delta_scratch(int type, const struct ck_delta *s) { return COUNT(delta_scratch, s); }

void ck_delta_forward(int type, const struct ck_delta *s, const void *qkv, const void *beta, const void *decay,
                      const void *initial, void *y, void *last, void *tape, void *scratch) {
  CALL(delta_forward, s, qkv, beta, decay, initial, y, last, tape, scratch);
}

void ck_delta_backward(int type, const struct ck_delta *s, const void *qkv, const void *beta, const void *decay,
                       int initial, const void *y, const void *tape, const struct ck_delta_gradient *gradient,
                       void *scratch) {
  CALL(delta_backward, s, qkv, beta, decay, initial, y, tape, gradient, scratch);
}

void ck_delta_step(int type, const struct ck_delta *s, const void *qkv, const void *beta, const void *decay,
                   void *state, void *y) {
  CALL(delta_step, s, qkv, beta, decay, state, y);
}
