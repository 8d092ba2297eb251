// Forwards the functions of decoder.h to the table of the level; see dispatch.c.
#include "dispatch.h"

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
