// Forwards the functions of decoder.h to the table of the level; see dispatch.c.
#include "table.h"

#define CALL(KERNEL, ...) \
  do { \
    const struct ck_table *chosen = ck_chosen_table(); \
    if (type == CK_DOUBLE) { chosen->f64.KERNEL(__VA_ARGS__); } else { chosen->f32.KERNEL(__VA_ARGS__); } \
  } while (0)
#define COUNT(KERNEL, ...) \
  (type == CK_DOUBLE ? ck_chosen_table()->f64.KERNEL(__VA_ARGS__) : ck_chosen_table()->f32.KERNEL(__VA_ARGS__))

ptrdiff_t ck_decoder_tape(int type, const struct ck_decoder *s) { return COUNT(decoder_tape, s); }

ptrdiff_t ck_decoder_scratch(int type, const struct ck_decoder *s) { return COUNT(decoder_scratch, s); }

void ck_decoder_forward(int type, const struct ck_decoder *s, const void *const *operands, void *const *results,
                        void *tape, void *scratch) {
  CALL(decoder_forward, s, operands, results, tape, scratch);
}

void ck_decoder_backward(int type, const struct ck_decoder *s, const void *const *operands,
                         void *const *results, const void *const *dresults, void *const *gradients, void *tape,
                         void *scratch) {
  CALL(decoder_backward, s, operands, results, dresults, gradients, tape, scratch);
}
