// Forwards the functions of s4.h to the table of the level; see dispatch.c.
#include "dispatch.h"

// With the structures of one type, made from the untyped ones.
#define TYPED_CALL(...) \
  do { \
    if (type == CK_DOUBLE) { \
      TYPED_CALL_(f64, double, __VA_ARGS__) \
    } else { \
      TYPED_CALL_(f32, float, __VA_ARGS__) \
    } \
  } while (0)
#define POINTERS(from) {(from)->log_dt, (from)->log_re, (from)->im, (from)->p, (from)->b, (from)->c}
#define TYPED_CALL_(T, REAL, KERNEL, ...) \
  struct ck_s4_weights_##T typed = POINTERS(weights); \
  ck_chosen_table()->T.KERNEL(s, &typed, __VA_ARGS__);

ptrdiff_t ck_s4_scratch(int type, const struct ck_s4 *s) { return COUNT(s4_scratch, s); }

void ck_s4_spectrum(int type, const struct ck_s4 *s, const struct ck_s4_pointers *weights, void *re, void *im,
                    void *scratch) {
  TYPED_CALL(s4_spectrum, re, im, scratch);
}

#define GRADIENT(T, REAL) \
  struct ck_s4_weights_##T typed = POINTERS(weights); \
  struct ck_s4_gradients_##T to = {(REAL *)gradients->log_dt, (REAL *)gradients->log_re, (REAL *)gradients->im, \
                                   (REAL *)gradients->p, (REAL *)gradients->b, (REAL *)gradients->c}; \
  ck_chosen_table()->T.s4_gradient(s, &typed, dre, dim, &to, scratch);

void ck_s4_gradient(int type, const struct ck_s4 *s, const struct ck_s4_pointers *weights, const void *dre,
                    const void *dim, const struct ck_s4_pointers *gradients, void *scratch) {
  if (type == CK_DOUBLE) {
    GRADIENT(f64, double)
  } else {
    GRADIENT(f32, float)
  }
}

void ck_s4_pack(int type, const struct ck_s4 *s, const struct ck_s4_pointers *weights, void *constants) {
  TYPED_CALL(s4_pack, constants);
}

void ck_s4_step(int type, const struct ck_s4 *s, const void *constants, const void *skip, ptrdiff_t batch,
                const void *x, void *state, void *y) {
  if (type == CK_DOUBLE) {
    ck_chosen_table()->f64.s4_step(s, constants, skip, batch, x, state, y);
  } else {
    ck_chosen_table()->f32.s4_step(s, constants, skip, batch, x, state, y);
  }
}
